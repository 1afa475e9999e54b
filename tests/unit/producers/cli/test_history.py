"""What is kept of what was seen."""

from singletrack.cli.screen.history import EVENTS_KEPT, WatchHistory
from singletrack.pictures.vram_timeline import ModeMark, TimelinePoint
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.recording import KEPT_S, Recording, Sample
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus, ModelState
from tests.unit.producers.gpu_statuses import START, TOTAL_MB, changed, loaded, on_gpu, to_mode, vlm


def at(second: float, used_mb: int = 1000, **changes: object) -> GPUResourceStatus:
    return on_gpu(used_mb, taken_unix_s=START + second, **changes)


def sample(second: float, used_mb: int) -> Sample:
    return Sample(
        at_unix_s=START + second, used_mb=used_mb, mode=ExecutionMode.IDLE, vlm=ModelState.LOADED, clip_device="cpu"
    )


def recording(*samples: Sample) -> Recording:
    return Recording(track="gpu0", reason="on_demand", taken_unix_s=START, samples=samples)


def test_each_status_is_a_point_once() -> None:
    history = WatchHistory()
    for second in (0, 1, 1, 2):
        history.saw(at(second))
    assert [point.at_unix_s - START for point in history.points] == [0, 1, 2]
    assert (history.marks, history.total_mb) == ((ModeMark(START, "IDLE"),), TOTAL_MB)


def test_a_load_that_goes_on_is_the_vlms() -> None:
    history = WatchHistory()
    history.saw(at(0, 1000))
    for second, used_mb in ((1, 3000), (2, 5000)):
        history.saw(at(second, used_mb, vlm=vlm(ModelState.LOADING)))
    assert [point.vlm_mb for point in history.points] == [0, 2000, 4000]


def test_what_happened_before_the_first_look_is_reconstructed() -> None:
    history = WatchHistory()
    events: list[AnyEvent] = [loaded(-50, 1000, 7000), to_mode(-50, "RECORDING"), changed(-20, 7000, 7500)]
    now = at(0, 7500, mode=ExecutionMode.RECORDING, vlm=vlm(vram_mb=6000))
    history.reconstruct(events, now, START - 600)
    history.saw(now)
    assert history.points[0] == TimelinePoint(START - 600, 1000)
    assert history.points[-1] == TimelinePoint(START, 7500, vlm_mb=6000)
    assert history.marks == (ModeMark(START - 600, "IDLE"), ModeMark(START - 50, "RECORDING"))


def test_of_very_many_events_the_last_are_followed() -> None:
    events = [changed(number, 1000 + number, 1001 + number) for number in range(-2000, 0)]
    history = WatchHistory()
    history.reconstruct(events, at(0), START - 3000)
    assert history.points[0].at_unix_s == START - EVENTS_KEPT


def test_the_flight_recorder_knows_better_for_its_time() -> None:
    history = WatchHistory()
    for second in (-10, -4, -3, 0):
        history.saw(at(second, 1000))
    history.recall(recording(sample(-5, 2000), sample(-2, 3000)))
    assert [(point.at_unix_s - START, point.used_mb) for point in history.points] == [
        (-10, 1000),
        (-5, 2000),
        (-2, 3000),
        (0, 1000),
    ]
    assert history.marks == (ModeMark(START - 10, "IDLE"),)
    history.recall(recording())
    assert len(history.points) == 4


def test_a_gap_is_a_gap() -> None:
    history = WatchHistory()
    history.lost(START - 1, "no worker")
    history.saw(at(0))
    for second in (1, 2):
        history.lost(START + second, "no Redis")
    history.saw(at(3))
    assert [(point.at_unix_s - START, point.used_mb) for point in history.points] == [(0, 1000), (1, 0), (3, 1000)]
    assert [(mark.at_unix_s - START, mark.mode) for mark in history.marks] == [
        (-1, "no worker"),
        (0, "IDLE"),
        (1, "no Redis"),
        (3, "IDLE"),
    ]


def test_a_change_of_mode_stands_where_its_event_says() -> None:
    history = WatchHistory()
    history.saw(at(0))
    history.saw(at(2, mode=ExecutionMode.RECORDING))
    history.happened([to_mode(1.5, "RECORDING")])
    assert history.marks == (ModeMark(START, "IDLE"), ModeMark(START + 1.5, "RECORDING"))


def test_what_is_older_than_ten_minutes_is_forgotten() -> None:
    history = WatchHistory()
    for second in range(0, int(3 * KEPT_S), 10):
        mode = ExecutionMode.IDLE if second % 20 else ExecutionMode.RECORDING
        history.saw(at(second, mode=mode))
        history.happened([to_mode(second, mode)] * 5)
    end = history.points[-1].at_unix_s
    assert history.points[0].at_unix_s == end - KEPT_S
    assert history.marks[0].at_unix_s == end - KEPT_S
    assert len(history.events) == EVENTS_KEPT
