"""The full screen, drawn to text."""

import re
from dataclasses import replace

import pytest

from singletrack.cli.screen.frame import fitted, rule
from singletrack.cli.screen.view import View, screen
from singletrack.pictures.vram_timeline import ModeMark, TimelinePoint
from singletrack_tasks.events import AnyEvent, WorkerStarted
from singletrack_tasks.result import Degradation, DegradedCode
from singletrack_tasks.status import (
    Drift,
    ExecutionMode,
    GpuInfo,
    LastError,
    OperationInFlight,
    QueueStatus,
    VlmStatus,
    WorkerInfo,
)
from tests.unit.producers.gpu_statuses import START, TOTAL_MB, clip, loaded, on_gpu, to_mode, vlm

SIZES = [(80, 24), (120, 40), (160, 50)]
POINTS = (
    TimelinePoint(START - 200, 1000),
    TimelinePoint(START - 100, 7000, vlm_mb=6000, busy=True),
    TimelinePoint(START, 7000, vlm_mb=6000),
)
MARKS = (ModeMark(START - 200, "IDLE"), ModeMark(START - 100, "RECORDING"))
EVENTS: tuple[AnyEvent, ...] = (WorkerStarted(at_unix_s=START - 200, host="host", pid=1), loaded(-100, 1000, 7000))
BUSY = on_gpu(
    7000,
    mode=ExecutionMode.RECORDING,
    vlm=vlm(vram_mb=6000),
    clip=clip("cpu"),
    operation=OperationInFlight(
        job_id="some-job",
        kind="ask",
        since_unix_s=START - 9,
        stage="generate",
        stage_since_unix_s=START - 8,
        answer_tokens=80,
    ),
    queue=QueueStatus(length=7, oldest_age_s=5, wait_s=42, next_up=("ask", "mode IDLE")),
)
DRIFT = Drift(what="foreign_vram", name="game", vram_mb=400, pid=7, since_unix_s=START - 60)
REASON = Degradation(code=DegradedCode.VLM_PARTLY_ON_CPU, message="slow", since_unix_s=START)
ERROR = LastError(at_unix_s=START - 30, job_id="1", kind="ask", error="OllamaUnreachable", message="no answer")


def view(**changed: object) -> View:
    seen = View("gpu0", START, BUSY, "", POINTS, MARKS, TOTAL_MB, EVENTS)
    return replace(seen, **changed)  # type: ignore[arg-type] # fields of View, by name


def drawn(seen: View, size: tuple[int, int], *, colour: bool = False) -> list[str]:
    """Draw it, and see that it fills the screen and no more."""
    width, height = size
    lines = screen(seen, width, height, colour=colour)
    assert [line.cell_len for line in lines] == [width] * height
    return [line.plain for line in lines]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colour", [False, True])
def test_a_busy_track(size: tuple[int, int], *, colour: bool) -> None:
    text = "\n".join(drawn(view(), size, colour=colour))
    for fact in (
        "singletrack gpu0",
        " RECORDING  some GPU  host:1, release 0",
        "0.0 s old",
        "7,000 of 8,000 MB, 88%",
        "VLM 6,000 MB",
        "other 1,000 MB",
        "free 1,000 MB",
        "│IDLE",
        "│RECORDING",
        "ask for 9.0 s (job some-job)",
        "generate 8.0 s, 80 tokens, 10.0/s",
        "7 waiting, the oldest for 5.0 s",
        "next: ask, mode IDLE, ...",
        "some-clip on cpu",
        "vlm_loaded model=vlm vram_mb=1000->7000",
        "worker_started host=host pid=1",
        "q quits",
    ):
        assert fact in text
    assert "attention" not in text


@pytest.mark.parametrize("size", SIZES[1:])
def test_where_there_is_room_the_models_and_the_work_are_told_in_full(size: tuple[int, int]) -> None:
    text = "\n".join(drawn(view(), size))
    assert "some-vlm: loaded, 6,000 MB of VRAM" in text
    assert "a job sent now waits about 42.0 s" in text
    assert re.search(r"work +[▁▂▃▄▅▆▇█]", text)


def test_tenants_can_be_told_apart_without_colours() -> None:
    point = TimelinePoint(START - 200, 7000, clip_mb=2000, vlm_mb=2000, foreign_mb=2000)
    chart = "".join(
        line for line in drawn(view(points=(point,)), (160, 50)) if "┤" in line or "││" in line.replace(" ", "")
    )
    assert {"█", "▒", "▚", "░"} <= set(chart)


@pytest.mark.parametrize("size", SIZES)
def test_what_needs_attention(size: tuple[int, int]) -> None:
    now = BUSY.model_copy(
        update={"degraded": True, "reasons": (REASON,), "drift": (DRIFT,), "last_error": ERROR, "dead_letters": 2}
    )
    text = "\n".join(drawn(view(status=now), size))
    assert "! degraded vlm_partly_on_cpu: slow" in text
    assert "! drift foreign VRAM: game, 400 MB" in text
    if size == SIZES[0]:
        assert "attention" in text
        assert "2 more" in text
    else:
        assert "! dead letters 2: see `singletrack dead list`" in text
        assert "x last error 30.0 s ago, ask (job 1): OllamaUnreachable: no answer" in text


@pytest.mark.parametrize("size", SIZES)
def test_without_a_gpu_there_is_no_memory_to_draw(size: tuple[int, int]) -> None:
    now = BUSY.model_copy(update={"gpu": None, "vram": None})
    text = "\n".join(drawn(view(status=now, points=(TimelinePoint(START - 200, 0),), total_mb=0), size))
    assert "none: everything runs on the CPU" in text
    assert "GiB" not in text
    assert "│RECORDING" in text
    assert "ask for 9.0 s" in text


@pytest.mark.parametrize("size", SIZES)
def test_without_a_worker_the_history_stays(size: tuple[int, int]) -> None:
    problem = "no worker serves the track 'gpu0'. Start one with `singletrack up` or do something else about it."
    seen = view(status=None, problem=problem, marks=(*MARKS, ModeMark(START - 50, "no worker")))
    text = "\n".join(drawn(seen, size))
    assert " ".join(text.replace("│", " ").split()).count(problem) == 1
    assert "│no worker" in text
    assert "vlm_loaded" in text
    assert "waiting" not in text


@pytest.mark.parametrize("size", SIZES)
def test_before_the_first_look(size: tuple[int, int]) -> None:
    assert "looking for the worker" in "\n".join(drawn(View("gpu0", START), size))


@pytest.mark.parametrize("size", [*SIZES, (81, 33), (60, 24), (40, 20), (30, 12), (20, 5)])
@pytest.mark.parametrize("colour", [False, True])
def test_long_and_wide_names_are_cut(size: tuple[int, int], *, colour: bool) -> None:
    long = "模型🙂" * 100
    now = BUSY.model_copy(
        update={
            "gpu": GpuInfo(name=long, uuid="GPU-0"),
            "worker": WorkerInfo(host=long, pid=1, release=long, started_unix_s=START),
            "vlm": VlmStatus(model=long, state=BUSY.vlm.state, vram_mb=6000),
            "operation": OperationInFlight(job_id=long, kind=long, since_unix_s=START),
            "drift": (DRIFT.model_copy(update={"name": long}),),
            "last_error": ERROR.model_copy(update={"message": f"\x1b[2J\n{long}"}),
        }
    )
    events = (*EVENTS, WorkerStarted(at_unix_s=START, host=long, pid=1))
    lines = drawn(view(status=now, events=events), size, colour=colour)
    assert not any("\x1b" in line or "\n" in line for line in lines)


def test_the_newest_event_comes_first_and_the_oldest_are_left_out() -> None:
    events = tuple(to_mode(number, "RECORDING") for number in range(100))
    lines = [line for line in drawn(view(events=events, now_unix_s=START + 100), (80, 24)) if "mode_changed" in line]
    assert 0 < len(lines) < 20
    assert [line[2:10] for line in lines] == sorted((line[2:10] for line in lines), reverse=True)


def test_a_snapshot_grows_old_between_two_looks() -> None:
    assert "4.5 s old" in "\n".join(drawn(view(now_unix_s=START + 4.5), (80, 24)))


def test_what_was_drawn_keeps_its_shape_as_time_goes_on() -> None:
    points = tuple(TimelinePoint(START - 600 + 1.3 * number, 1000 * (number % 7)) for number in range(460))

    def rows(after_s: float) -> list[str]:
        seen = view(points=points, marks=MARKS[:1], now_unix_s=START + after_s)
        return [line for line in drawn(seen, (160, 50)) if "GiB ┤" in line]

    # A column is 4 s wide: at most one of two steps of 0.2 s comes to the next.
    assert rows(0.0) == rows(0.2) or rows(0.2) == rows(0.4)


@pytest.mark.parametrize("width", [2, 10, 30, 80])
def test_a_border_is_as_wide_as_asked_for(width: int) -> None:
    for line in (rule(width, "a long title", "a note", second="another"), rule(width, "x" * 100, "y" * 100)):
        assert line.cell_len == width


def test_a_line_is_cut_between_wide_characters() -> None:
    assert fitted(rule(10, ""), 4).cell_len == 4
