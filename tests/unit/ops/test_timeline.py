"""The drawing of VRAM over time, and the figures beside it."""

import pytest

from singletrack_ops.report import count_events, count_successes
from singletrack_ops.timeline import CLIP, OTHER, VLM, Mark, Point, Timeline, build_timeline, draw
from singletrack_tasks.events import AnyEvent, ClipMigrated, ModeChanged, ResourceChanged, VlmLoaded, VlmUnloaded
from singletrack_tasks.status import (
    ClipStatus,
    ExecutionMode,
    GpuInfo,
    GPUResourceStatus,
    ModelState,
    StepName,
    StepReceipt,
    VlmStatus,
    VRAMInfo,
    WorkerInfo,
)

START = 1000.0


def a_status(used_mb: int | None = 1000) -> GPUResourceStatus:
    return GPUResourceStatus(
        track="gpu0",
        taken_unix_s=START,
        worker=WorkerInfo(host="host", pid=1, release="0", started_unix_s=START),
        mode=ExecutionMode.IDLE,
        gpu=None if used_mb is None else GpuInfo(name="gpu", uuid="GPU-0"),
        vram=None if used_mb is None else VRAMInfo(total_mb=8000, used_mb=used_mb, free_mb=8000 - used_mb),
        vlm=VlmStatus(model="vlm", state=ModelState.UNLOADED),
        clip=ClipStatus(),
        degraded=False,
    )


def receipt(step: StepName, before: int | None, after: int | None) -> StepReceipt:
    return StepReceipt(step=step, ok=True, vram_before_mb=before, vram_after_mb=after, duration_s=1.0)


def promoted(at_s: float, before: int, after: int) -> ClipMigrated:
    step = receipt("promote_clip", before, after)
    return ClipMigrated(at_unix_s=START + at_s, before="cpu", after="cuda:0", receipt=step)


def demoted(at_s: float, before: int, after: int) -> ClipMigrated:
    step = receipt("demote_clip", before, after)
    return ClipMigrated(at_unix_s=START + at_s, before="cuda:0", after="cpu", receipt=step)


def loaded(at_s: float, before: int | None, after: int | None) -> VlmLoaded:
    return VlmLoaded(at_unix_s=START + at_s, model="vlm", receipt=receipt("load_vlm", before, after))


def unloaded(at_s: float, before: int, after: int) -> VlmUnloaded:
    return VlmUnloaded(at_unix_s=START + at_s, model="vlm", receipt=receipt("unload_vlm", before, after))


def changed(at_s: float, before: int, after: int) -> ResourceChanged:
    return ResourceChanged(at_unix_s=START + at_s, before_mb=before, after_mb=after, total_mb=8000)


def points_of(*events: AnyEvent) -> list[Point]:
    timeline = build_timeline(a_status(), events, START + 60)
    assert timeline is not None
    return list(timeline.points)


def test_without_a_gpu_there_is_nothing_to_draw() -> None:
    assert build_timeline(a_status(used_mb=None), [], START + 1) is None


def test_each_move_begins_and_ends_with_what_its_receipt_says() -> None:
    points = points_of(
        promoted(5, 1000, 2000), demoted(10, 2000, 1000), loaded(15, 1000, 7000), unloaded(20, 7000, 1000)
    )
    assert [(point.at_unix_s - START, point.used_mb, point.clip_mb, point.vlm_mb) for point in points] == [
        (0, 1000, 0, 0),
        (4, 1000, 0, 0),
        (5, 2000, 1000, 0),
        (9, 2000, 1000, 0),
        (10, 1000, 0, 0),
        (14, 1000, 0, 0),
        (15, 7000, 0, 6000),
        (19, 7000, 0, 6000),
        (20, 1000, 0, 0),
    ]


def test_a_change_during_a_move_is_that_move_and_any_other_is_somebody_elses() -> None:
    points = points_of(changed(14.5, 1000, 7000), loaded(15, 1000, 7000), changed(30, 7000, 7500))
    assert Point(START + 14.5, 7000) not in points
    assert points[-1] == Point(START + 30, 7500, clip_mb=0, vlm_mb=6000)
    assert points[-1].tenant_at(1400) is OTHER


def test_a_receipt_without_figures_moves_nothing() -> None:
    assert len(points_of(loaded(15, None, None))) == 1


@pytest.mark.parametrize(
    ("level_mb", "tenant"),
    [(0, OTHER), (499, OTHER), (500, CLIP), (1499, CLIP), (1500, VLM), (3499, VLM), (3500, None)],
)
def test_tenants_are_stacked_others_below_clip_below_the_vlm(level_mb: float, tenant: object) -> None:
    assert Point(START, 3500, clip_mb=1000, vlm_mb=2000).tenant_at(level_mb) is tenant


def test_the_drawing_shows_who_had_the_memory_when_and_in_which_mode() -> None:
    timeline = Timeline(
        points=(Point(0, 2000), Point(10, 8000, vlm_mb=6000)),
        marks=(Mark(0, "IDLE"), Mark(10, "RECORDING")),
        end_unix_s=20,
        total_mb=8000,
    )
    lines = [line.plain for line in draw(timeline, width=50, height=4)]
    assert lines == [
        "7.8 GiB ┤                    ████████████████████",
        "5.9 GiB ┤                    ████████████████████",
        "        │                    ████████████████████",
        "        │░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░",
        "      0 ┼┴─────────┴─────────┴─────────┴─────────",
        "         0 s       5 s       10 s      15 s",
        "    mode │IDLE               │RECORDING          ",
        "         ██ VLM   ▒▒ CLIP   ░░ other",
    ]


@pytest.mark.parametrize("seconds", [0, 0.01, 1, 59, 3600, 100_000])
@pytest.mark.parametrize("width", [20, 96])
def test_no_line_is_wider_than_asked_for(seconds: float, width: int) -> None:
    marks = tuple(Mark(seconds * part / 10, "AUTOPILOT") for part in range(10))
    timeline = Timeline((Point(0, 1000),), marks, end_unix_s=seconds, total_mb=8000)
    lines = draw(timeline, width=width)
    assert max(line.cell_len for line in lines[:-1]) <= width


def test_events_are_counted_by_kind() -> None:
    change = ModeChanged(at_unix_s=START, before=ExecutionMode.IDLE, after=ExecutionMode.AUTOPILOT)
    assert count_events([change, loaded(1, 0, 1), change]) == "mode_changed 2, vlm_loaded 1"


def test_flowers_metrics_tell_the_successes_without_the_regular_checks() -> None:
    metrics = "\n".join(
        (
            "# TYPE flower_events_total counter",
            'flower_events_total{task="gpu.vlm.ask",type="task-succeeded",worker="celery@host"} 3.0',
            'flower_events_total{task="gpu.vlm.ask",type="task-failed",worker="celery@host"} 4.0',
            'flower_events_total{task="gpu.upkeep.tick",type="task-succeeded",worker="celery@host"} 9.0',
            'flower_events_total{type="task-succeeded",worker="celery@host",task="gpu.ping"} 1.0',
            'flower_task_runtime_seconds_count{task="gpu.ping",worker="celery@host"} 1.0',
        )
    )
    assert count_successes(metrics) == 4
