"""What is known of the memory over time."""

import pytest

from singletrack.cli.screen.vram import CLIP, FOREIGN, FREE, OTHER, VLM, bar, legend, tenant_at
from singletrack.pictures.vram_timeline import (
    ModeMark,
    TimelinePoint,
    before,
    build_timeline,
    in_order,
    mode_before,
    point_of,
    recorded,
)
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.recording import Sample
from singletrack_tasks.status import Drift, ExecutionMode, ModelState, OperationInFlight
from tests.unit.producers.gpu_statuses import (
    START,
    TOTAL_MB,
    changed,
    clip,
    demoted,
    loaded,
    on_gpu,
    promoted,
    to_mode,
    unloaded,
    vlm,
)


def points_of(*events: AnyEvent) -> list[TimelinePoint]:
    timeline = build_timeline(on_gpu(), events, START + 60)
    assert timeline is not None
    return list(timeline.points)


def test_without_a_gpu_there_is_no_timeline() -> None:
    assert build_timeline(on_gpu(gpu=None, vram=None), [], START + 1) is None


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
    assert TimelinePoint(START + 14.5, 7000) not in points
    assert points[-1] == TimelinePoint(START + 30, 7500, clip_mb=0, vlm_mb=6000)
    assert tenant_at(points[-1], 1400) is OTHER


def test_a_receipt_without_figures_moves_nothing() -> None:
    assert len(points_of(loaded(15, None, None))) == 1


@pytest.mark.parametrize(
    ("level_mb", "tenant"),
    [(0, OTHER), (299, OTHER), (300, FOREIGN), (500, CLIP), (1499, CLIP), (1500, VLM), (3499, VLM), (3500, None)],
)
def test_tenants_are_stacked_others_strangers_clip_the_vlm(level_mb: float, tenant: object) -> None:
    assert tenant_at(TimelinePoint(START, 3500, clip_mb=1000, vlm_mb=2000, foreign_mb=200), level_mb) is tenant


def test_a_status_tells_who_has_what() -> None:
    drift = (
        Drift(what="foreign_model", name="other-vlm", vram_mb=500, since_unix_s=START),
        Drift(what="foreign_vram", name="game", vram_mb=700, pid=7, since_unix_s=START),
    )
    operation = OperationInFlight(job_id="1", kind="ask", since_unix_s=START)
    now = on_gpu(7000, vlm=vlm(vram_mb=4000), clip=clip(footprint_mb=1000), drift=drift, operation=operation)
    assert point_of(now) == TimelinePoint(START, 7000, clip_mb=1000, vlm_mb=4000, foreign_mb=700, busy=True)
    elsewhere = on_gpu(clip=clip("cpu", footprint_mb=1000))
    assert point_of(elsewhere) == TimelinePoint(START, 1000)
    assert point_of(on_gpu(gpu=None, vram=None)) == TimelinePoint(START, 0)


def test_what_grows_while_the_vlm_loads_is_the_vlms() -> None:
    last = TimelinePoint(START, 1500, clip_mb=1000)
    now = on_gpu(4000, vlm=vlm(ModelState.LOADING), clip=clip("cpu"))
    assert point_of(now, last).vlm_mb == 3500
    assert point_of(now).vlm_mb == 0


def test_what_was_there_before_is_told_by_what_moved_then() -> None:
    now = on_gpu(7000, mode=ExecutionMode.RECORDING, vlm=vlm(vram_mb=6000))
    events: list[AnyEvent] = [demoted(5, 2000, 1000), loaded(10, 1000, 7000), to_mode(10, "RECORDING", "AUTOPILOT")]
    assert before(events, now, START) == TimelinePoint(START, 2000, clip_mb=1000)
    assert mode_before(events, now, START) == ModeMark(START, "AUTOPILOT")
    assert before([unloaded(5, 7000, 1000)], on_gpu(), START) == TimelinePoint(START, 7000, vlm_mb=6000)
    assert before([], now, START) == TimelinePoint(START, 7000, vlm_mb=6000)
    assert mode_before([], now, START) == ModeMark(START, "RECORDING")


def test_the_flight_recorder_tells_the_same() -> None:
    held = {"vlm": ModelState.LOADED, "clip_device": "cpu"}
    samples = [
        Sample(at_unix_s=1, used_mb=300, vlm_mb=100, clip_mb=50, mode=ExecutionMode.IDLE, **held),
        Sample(at_unix_s=2, mode=ExecutionMode.IDLE, operation="ask", **held),
        Sample(at_unix_s=3, mode=ExecutionMode.RECORDING, **held),
    ]
    points, marks = recorded(samples)
    assert points == [
        TimelinePoint(1, 300, clip_mb=50, vlm_mb=100),
        TimelinePoint(2, 0, busy=True),
        TimelinePoint(3, 0),
    ]
    assert marks == [ModeMark(1, "IDLE"), ModeMark(3, "RECORDING")]


def test_marks_that_change_nothing_are_left_out() -> None:
    marks = [
        ModeMark(3, "IDLE"),
        ModeMark(1, "IDLE"),
        ModeMark(2, "IDLE"),
        ModeMark(4, "AUTOPILOT"),
        ModeMark(5, "AUTOPILOT"),
    ]
    assert in_order(marks) == [ModeMark(1, "IDLE"), ModeMark(4, "AUTOPILOT")]


def test_a_bar_shows_the_shares_and_its_legend_the_figures() -> None:
    point = TimelinePoint(START, 6000, clip_mb=2000, vlm_mb=3000)
    assert bar(point, TOTAL_MB, 16, colour=False).plain == "██████▒▒▒▒░░····"
    assert bar(point, TOTAL_MB, 16, colour=True).plain == "████████████····"
    told = legend(point, TOTAL_MB, colour=False).plain
    assert told == "█ VLM 3,000 MB   ▒ CLIP 2,000 MB   ░ other 1,000 MB   · free 2,000 MB"
    assert "▚ foreign 500 MB" in legend(TimelinePoint(START, 6000, foreign_mb=500), TOTAL_MB, colour=False).plain


@pytest.mark.parametrize("width", [1, 7, 76, 200])
@pytest.mark.parametrize("used_mb", [0, 1, 7999, 8000, 9000])
def test_a_bar_is_as_wide_as_asked_for(width: int, used_mb: int) -> None:
    point = TimelinePoint(START, used_mb, clip_mb=1400, vlm_mb=6600, foreign_mb=300)
    drawn = bar(point, TOTAL_MB, width, colour=False).plain
    assert len(drawn) == width
    assert (FREE in drawn) == (used_mb < TOTAL_MB - TOTAL_MB / width / 2)
