"""Events, each in one line."""

import pytest

from singletrack.cli.screen.event_line import event_line
from singletrack_tasks.events import AnyEvent, DriftChanged, ModeChanged, TaskDead
from singletrack_tasks.status import Drift, ExecutionMode
from tests.unit.producers.gpu_statuses import changed, loaded, receipt

MODEL = Drift(what="foreign_model", name="llava:7b", vram_mb=4000, since_unix_s=1)
PROCESS = Drift(what="foreign_vram", name="game", vram_mb=700, pid=77, since_unix_s=1)
STEPS = (receipt("demote_clip", 2000, 1000), receipt("load_vlm", 1000, 7000).model_copy(update={"ok": False}))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (DriftChanged(at_unix_s=1, drift=MODEL), "drift came what=foreign_model name=llava:7b vram_mb=4000"),
        (
            DriftChanged(at_unix_s=1, drift=PROCESS, over=True),
            "drift went what=foreign_vram name=game vram_mb=700 pid=77",
        ),
        (
            TaskDead(
                at_unix_s=1, job_id="0123456789", code="worn_out", task="gpu.vlm.ask", reason="begun\n3 times", starts=3
            ),
            "task_dead job_id=01234567 code=worn_out task=gpu.vlm.ask reason=begun 3 times starts=3",
        ),
        (
            ModeChanged(at_unix_s=1, before=ExecutionMode.IDLE, after=ExecutionMode.RECORDING, receipts=STEPS),
            "mode_changed before=IDLE after=RECORDING steps=demote_clip,load_vlm:failed took_s=2.0",
        ),
        (
            ModeChanged(at_unix_s=1, before=ExecutionMode.IDLE, after=ExecutionMode.IDLE),
            "mode_changed before=IDLE after=IDLE",
        ),
        (loaded(1, 1000, 7000), "vlm_loaded model=vlm vram_mb=1000->7000 took_s=1.0"),
        (loaded(1, None, None), "vlm_loaded model=vlm took_s=1.0"),
        (changed(1, 1000, 7000), "resource_changed before_mb=1000 after_mb=7000 total_mb=8000"),
    ],
)
def test_an_event_says_what_happened_to_what(event: AnyEvent, line: str) -> None:
    assert event_line(event) == line
