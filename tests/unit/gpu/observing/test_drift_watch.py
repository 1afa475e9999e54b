"""Strangers on the GPU, from the manager's checks to the status and the events."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from singletrack_tasks.events import DriftChanged
from singletrack_tasks.status import Drift, ExecutionMode
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from tests.unit.gpu.rig import CLIP_MB, Rig

INTERVAL_S = 15.0
PID = 4321


class Stranger:
    """Somebody else's program on the GPU of a rig."""

    def __init__(self, rig: Rig, *, named: bool) -> None:
        assert isinstance(rig.vram, SimulatedGpu)
        self.takes_mb = 0
        pid = PID if named else None
        rig.vram.add_tenant("comfyui", lambda: self.takes_mb, pid=lambda: pid)


def drift_of(rig: Rig) -> list[tuple[str, str, int | None, int | None]]:
    """What the status says."""
    return [(drift.what, drift.name, drift.vram_mb, drift.pid) for drift in rig.manager.status().drift]


def told(rig: Rig) -> list[tuple[str, bool]]:
    """The events so far: what, and whether it is over."""
    events = rig.stores.publisher.events
    return [(event.drift.name, event.over) for event in events if isinstance(event, DriftChanged)]


def ticks(rig: Rig, times: int) -> None:
    for _ in range(times):
        rig.tick(after_s=INTERVAL_S)


def play_a_day(rig: Rig) -> Iterator[None]:
    """All moves, in the orders in which they come."""
    for mode in (ExecutionMode.RECORDING, ExecutionMode.AUTOPILOT, ExecutionMode.IDLE, ExecutionMode.RECORDING):
        rig.set_mode(mode)
        yield
        ticks(rig, 2)
        yield


def test_a_model_of_somebody_else_is_told_at_the_next_check_and_when_it_is_gone() -> None:
    rig = Rig().started()
    rig.vlm.guest_comes("their:1b", 1000)
    rig.tick(INTERVAL_S)
    assert drift_of(rig) == [("foreign_model", "their:1b", 1000, None)]
    ticks(rig, 2)
    assert told(rig) == [("their:1b", False)]
    rig.vlm.guest_leaves("their:1b")
    rig.tick(INTERVAL_S)
    assert drift_of(rig) == []
    assert told(rig) == [("their:1b", False), ("their:1b", True)]


def test_the_status_that_a_check_publishes_has_it() -> None:
    rig = Rig().started()
    rig.vlm.guest_comes("their:1b")
    rig.tick(INTERVAL_S)
    assert [drift.name for drift in rig.stores.publisher.statuses[-1].drift] == ["their:1b"]


@pytest.mark.parametrize(("named", "name", "pid"), [(True, "comfyui", PID), (False, "unknown", None)])
@pytest.mark.parametrize("mode", ExecutionMode)
def test_memory_of_a_stranger_is_told_at_the_second_check(
    named: bool, name: str, pid: int | None, mode: ExecutionMode
) -> None:
    rig = Rig(24_000)
    stranger = Stranger(rig, named=named)
    rig.started().set_mode(mode)
    ticks(rig, 2)
    assert drift_of(rig) == []
    stranger.takes_mb = 3000
    ticks(rig, 2)
    assert drift_of(rig) == [("foreign_vram", name, 3000, pid)]
    stranger.takes_mb = 0
    ticks(rig, 1)
    assert drift_of(rig) == []
    assert told(rig) == [(name, False), (name, True)]


@pytest.mark.parametrize(
    ("settings", "total_mb"),
    [({}, 8192), ({}, 24_000), ({}, 6144), ({"clip_mb": 800}, 24_000)],
    ids=["one at a time", "both at once", "the VLM in part", "CLIP larger than configured"],
)
@pytest.mark.parametrize("overhead_mb", [0, 400])
def test_our_own_moves_are_no_drift(settings: dict[str, Any], total_mb: int, overhead_mb: int) -> None:
    rig = Rig(total_mb)
    rig.vlm.overhead_mb = overhead_mb
    rig.started()
    for _ in play_a_day(rig):
        assert drift_of(rig) == []
    rig.vlm.evict()
    ticks(rig, 2)
    rig.vlm.load_by_somebody()
    ticks(rig, 3)
    assert drift_of(rig) == []


def test_a_worker_that_starts_while_the_vlm_is_loaded_finds_no_drift() -> None:
    rig = Rig()
    rig.vlm.load_by_somebody()
    rig.started()
    ticks(rig, 3)
    for _ in play_a_day(rig):
        assert drift_of(rig) == []


def test_memory_that_an_unload_leaves_behind_is_no_strangers() -> None:
    rig = Rig().started()
    rig.set_mode(ExecutionMode.RECORDING)
    rig.vlm.faults.release_delay_s = 60.0
    rig.set_mode(ExecutionMode.AUTOPILOT)
    for _ in range(6):
        rig.tick(INTERVAL_S)
        assert drift_of(rig) == []


def test_while_the_server_is_silent_what_was_known_stays_known() -> None:
    rig = Rig().started()
    rig.set_mode(ExecutionMode.RECORDING)
    rig.vlm.guest_comes("their:1b", 1000)
    rig.tick(INTERVAL_S)
    rig.vlm.faults.down = True
    ticks(rig, 3)
    assert [drift[1] for drift in drift_of(rig)] == ["their:1b"]
    assert told(rig) == [("their:1b", False)]


def test_without_a_gpu_another_model_is_told_all_the_same() -> None:
    rig = Rig(None).started()
    rig.vlm.guest_comes("their:1b", 1000)
    rig.tick(INTERVAL_S)
    assert drift_of(rig) == [("foreign_model", "their:1b", 0, None)]


class TestUnload:
    def test_it_is_told_and_sent_away_in_the_same_check_and_makes_room(self, caplog: pytest.LogCaptureFixture) -> None:
        rig = Rig(4096, foreign_models="unload").started()
        rig.vlm.guest_comes("their:1b", 3500)
        rig.set_mode(ExecutionMode.AUTOPILOT)
        assert rig.clip.device == "cpu"
        rig.tick(INTERVAL_S)
        assert rig.vlm.guests == ()
        assert told(rig) == [("their:1b", False), ("their:1b", True)]
        assert drift_of(rig) == []
        assert rig.clip.device == "cuda:0", "it took its place at once"
        assert "their:1b was unloaded: 3800 -> 300 MB in use" in caplog.text

    def test_ours_is_never_sent_away(self) -> None:
        rig = Rig(foreign_models="unload").started()
        rig.set_mode(ExecutionMode.RECORDING)
        rig.vlm.guest_comes("their:1b", 500)
        rig.tick(INTERVAL_S)
        assert rig.vlm.guests == ()
        assert rig.vlm.listed

    def test_one_that_stays_is_logged_and_told_and_asked_again(self, caplog: pytest.LogCaptureFixture) -> None:
        rig = Rig(foreign_models="unload").started()
        rig.vlm.guest_comes("their:1b")
        rig.vlm.faults.guest_stays = 1
        rig.tick(INTERVAL_S)
        assert "their:1b was not unloaded: their:1b is still listed" in caplog.text
        assert [drift[1] for drift in drift_of(rig)] == ["their:1b"]
        rig.tick(INTERVAL_S)
        assert drift_of(rig) == []

    def test_a_server_that_goes_meanwhile_fails_no_check(self) -> None:
        rig = Rig(foreign_models="unload").started()
        rig.vlm.guest_comes("their:1b")
        rig.history.within = lambda: _down_at_unload(rig)
        rig.tick(INTERVAL_S)
        assert [drift[1] for drift in drift_of(rig)] == ["their:1b"]

    def test_what_it_frees_is_not_taken_for_what_the_vlm_owes(self) -> None:
        rig = Rig(foreign_models="unload").started()
        rig.vlm.guest_comes("their:1b", 1500)
        rig.manager._track.release.is_late(rig.used_mb() - 1000)
        rig.tick(INTERVAL_S)
        assert rig.vlm.guests == ()
        assert rig.observer.observe().unreleased


class TestRoomForClip:
    def room(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        return [record.getMessage() for record in caplog.records if "CLIP stays on the CPU" in record.getMessage()]

    def test_who_is_in_the_way_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        rig = Rig(4096)
        stranger = Stranger(rig, named=True)
        rig.started()
        stranger.takes_mb = 3000
        rig.set_mode(ExecutionMode.AUTOPILOT)
        ticks(rig, 4)
        needs = f"CLIP stays on the CPU: it needs {CLIP_MB} MB of VRAM and 796 are free; "
        assert self.room(caplog) == [
            f"{needs}the rest has no known owner",
            f"{needs}comfyui (pid {PID}) with 3000 MB of VRAM",
        ]
        assert drift_of(rig) == [("foreign_vram", "comfyui", 3000, PID)]

    def test_a_vlm_that_visits_is_no_news(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        rig = Rig(6144).started()
        rig.set_mode(ExecutionMode.RECORDING)
        rig.set_mode(ExecutionMode.AUTOPILOT)
        rig.vlm.load_by_somebody()
        ticks(rig, 2)
        assert self.room(caplog) == []


def _down_at_unload(rig: Rig) -> None:
    rig.vlm.faults.down = rig.history.deeds[-1].what == "unload_other"


@pytest.mark.parametrize("stranger_mb", [0, 3000])
def test_pids_of_another_namespace_leave_the_desktop_the_desktops(
    monkeypatch: pytest.MonkeyPatch, stranger_mb: int
) -> None:
    """As in a container: that the driver's pids are the host's shows only when CLIP is not among them."""
    rig = Rig(24_000)
    assert isinstance(rig.vram, SimulatedGpu)
    rig.vram.add_tenant("Xorg", lambda: 800, pid=lambda: 99)
    stranger = Stranger(rig, named=True)
    listed = rig.vram.processes
    monkeypatch.setattr(rig.vram, "processes", lambda: tuple(it for it in listed() if it.name != "clip"))
    rig.started()
    stranger.takes_mb = stranger_mb
    ticks(rig, 2)
    rig.set_mode(ExecutionMode.AUTOPILOT)
    ticks(rig, 3)
    rig.set_mode(ExecutionMode.IDLE)
    rig.clip.demote()
    ticks(rig, 3)
    assert drift_of(rig) == ([("foreign_vram", "unknown", stranger_mb, None)] if stranger_mb else [])


def test_each_is_dated() -> None:
    rig = Rig().started()
    rig.vlm.guest_comes("their:1b")
    rig.tick(INTERVAL_S)
    came_unix_s = rig.clock.time()
    ticks(rig, 3)
    (drift,) = rig.manager.status().drift
    assert drift == Drift(what="foreign_model", name="their:1b", vram_mb=1000, since_unix_s=came_unix_s)
