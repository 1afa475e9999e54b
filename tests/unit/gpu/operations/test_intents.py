"""Announced needs of the VLM, by a whole manager: loaded ahead where the mode allows it, dropped on a change."""

import pytest

from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.events import VlmIntentEnded
from singletrack_tasks.requests.intents import MAX_INTENT_S, AnnounceVlm, IntentResult, WithdrawVlm
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.vlm import Ask, AskResult, LoadVlm, UnloadVlm
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ExecutionMode, ModelState
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from tests.unit.gpu.rig import Rig

AUTOPILOT, RECORDING, IDLE = ExecutionMode.AUTOPILOT, ExecutionMode.RECORDING, ExecutionMode.IDLE
TICK_S = 15.0


class Announcing(Rig):
    """A rig that has loaded its VLM once, so that it knows what that takes, and has unloaded it again."""

    def __init__(self, mode: ExecutionMode, total_mb: int | None = 16384) -> None:
        super().__init__(total_mb)
        self.vlm.load_s = 5.0
        self.started()
        self.manager.run(LoadVlm(), JobRef("load"))
        self.set_mode(mode)
        self.manager.run(UnloadVlm(), JobRef("unload"))
        assert not self.vlm.listed

    def announce(self, in_s: float = 20.0, for_s: float = 60.0, holder: str = "a") -> IntentResult:
        return self.manager.run(AnnounceVlm(holder=holder, in_s=in_s, for_s=for_s), JobRef("announce"))

    def withdraw(self, holder: str = "a") -> IntentResult:
        return self.manager.run(WithdrawVlm(holder=holder), JobRef("withdraw"))

    def ask(self) -> AskResult:
        return self.manager.run(Ask(prompt="what is this?", sent_unix_s=self.clock.time()), JobRef("ask"))

    def loads(self) -> int:
        return sum(receipt.step == "load_vlm" for receipt, _ in self.stores.telemetry.moves) - 1

    def ends(self) -> list[str]:
        return [event.outcome for event in self.stores.publisher.events if isinstance(event, VlmIntentEnded)]


@pytest.mark.parametrize("mode", [RECORDING, IDLE, AUTOPILOT])
def test_the_vlm_is_loaded_just_in_time(mode: ExecutionMode) -> None:
    rig = Announcing(mode)
    assert not rig.announce(in_s=100).loaded
    at_s = 0.0
    while not rig.vlm.listed:
        rig.tick(TICK_S)
        at_s += TICK_S
    # Ready before it is needed, and not much earlier than a check and a load take.
    assert 100 - 5 - 2 * TICK_S - 1 <= at_s <= 100 - 5
    assert rig.clip.device == ("cuda:0" if mode is AUTOPILOT else "cpu") or mode is IDLE
    rig.clock.advance(100 - at_s)
    assert [receipt.step for receipt in rig.ask().receipts] == []
    assert rig.ends() == ["served"]
    assert [(how, round(saved_s, 3)) for how, saved_s in rig.stores.telemetry.intents] == [("served", 5)]
    assert rig.manager.status().intents.saved_s == pytest.approx(5.0)


def test_a_need_that_the_next_check_would_miss_is_seen_to_at_once() -> None:
    rig = Announcing(RECORDING)
    result = rig.announce(in_s=20)
    assert (result.noted, result.waiting, result.loaded) == (True, 1, True)
    assert [receipt.step for receipt in result.receipts] == ["load_vlm"]


def test_in_autopilot_nobody_steps_aside_for_a_wish() -> None:
    # The VLM and CLIP fit together, the room to spare does not.
    rig = Announcing(AUTOPILOT, total_mb=7500)
    assert rig.clip.device == "cuda:0"
    result = rig.announce(in_s=0)
    assert (result.noted, result.loaded, result.reasons) == (True, False, ())
    rig.tick(TICK_S)
    assert not rig.vlm.listed
    assert rig.clip.device == "cuda:0"
    rig.ask()
    assert rig.ends() == ["missed"]


def test_in_autopilot_the_room_of_a_clip_that_is_not_there_is_not_taken() -> None:
    rig = Announcing(IDLE, total_mb=7500)
    rig.clip.faults.promote_failures = 100
    rig.set_mode(AUTOPILOT)
    assert rig.clip.device == "cpu"
    assert not rig.announce(in_s=0).loaded


def test_in_autopilot_a_vlm_that_was_never_seen_is_not_loaded_for_a_wish() -> None:
    rig = Rig(16384).started()
    rig.set_mode(AUTOPILOT)
    result = rig.manager.run(AnnounceVlm(holder="a", in_s=0), JobRef("announce"))
    assert (result.noted, result.loaded) == (True, False)


def test_what_cannot_fit_is_no_error() -> None:
    rig = Announcing(IDLE)
    assert isinstance(rig.vram, SimulatedGpu)
    rig.vram.add_tenant("stranger", lambda: 12_000)
    result = rig.announce(in_s=0)
    assert (result.loaded, result.reasons) == (False, ())


def test_an_idle_vlm_is_kept_for_a_need() -> None:
    rig = Announcing(RECORDING)
    rig.ask()
    loads = rig.loads()
    rig.clock.advance(290)
    rig.announce(in_s=40)
    assert rig.tick(30).receipts == ()
    assert rig.vlm.listed
    rig.ask()
    assert rig.ends() == ["kept"]
    assert rig.loads() == loads
    rig.tick(310)
    assert not rig.vlm.listed


def test_an_idle_vlm_is_unloaded_where_the_need_is_far() -> None:
    rig = Announcing(RECORDING)
    rig.ask()
    rig.clock.advance(290)
    rig.announce(in_s=500)
    rig.tick(30)
    assert not rig.vlm.listed


@pytest.mark.parametrize("mode", [RECORDING, IDLE, AUTOPILOT])
def test_a_vlm_that_was_loaded_in_vain_is_unloaded_again(mode: ExecutionMode) -> None:
    rig = Announcing(mode)
    rig.announce(in_s=0, for_s=30)
    assert rig.vlm.listed
    rig.tick(31)
    assert rig.ends() == ["vain"]
    assert rig.vlm.listed == (mode is not AUTOPILOT)
    rig.tick(300)
    assert not rig.vlm.listed


def test_a_change_of_mode_drops_what_was_announced() -> None:
    rig = Announcing(RECORDING)
    rig.announce(in_s=100)
    rig.set_mode(RECORDING)
    rig.manager.run(UnloadVlm(), JobRef("unload"))
    assert rig.ends() == ["dropped"]
    rig.announce(in_s=100)
    rig.set_mode(IDLE)
    assert rig.ends() == ["dropped", "dropped"]
    rig.manager.run(UnloadVlm(), JobRef("unload"))
    for _ in range(10):
        rig.tick(TICK_S)
    assert not rig.vlm.listed


def test_a_withdrawn_need_loads_nothing() -> None:
    rig = Announcing(IDLE)
    rig.announce(in_s=100)
    rig.announce(in_s=100, holder="b")
    result = rig.withdraw()
    assert (result.noted, result.waiting) == (True, 1)
    assert not rig.withdraw().noted
    rig.withdraw("b")
    rig.tick(100)
    assert not rig.vlm.listed
    assert rig.ends() == ["withdrawn", "withdrawn"]


def test_a_load_that_fails_is_tried_after_growing_pauses_only() -> None:
    rig = Announcing(IDLE)
    rig.vlm.faults.load_failures = 100
    result = rig.announce(in_s=0, for_s=600)
    assert [reason.code for reason in result.reasons] == [DegradedCode.VLM_LOAD_FAILED]
    checks = [rig.tick(TICK_S) for _ in range(20)]
    assert 1 <= sum(check.receipts != () for check in checks) <= 5
    # The reason stays between the tries.
    assert "recovered" not in rig.kinds()[rig.kinds().index("degraded") :]
    rig.withdraw()
    rig.tick(TICK_S)
    assert DegradedCode.VLM_LOAD_FAILED not in rig.codes()


def test_an_unreachable_server_is_not_waited_for() -> None:
    rig = Announcing(IDLE)
    rig.vlm.faults.down = True
    before_s = rig.clock.monotonic()
    assert not rig.announce(in_s=0).loaded
    assert rig.clock.monotonic() - before_s < 1


def test_the_time_on_the_queue_counts() -> None:
    rig = Announcing(IDLE)
    sent_unix_s = rig.clock.time()
    rig.clock.advance(50)
    request = AnnounceVlm(holder="a", in_s=10, for_s=30, sent_unix_s=sent_unix_s)
    result = rig.manager.run(request, JobRef("late"))
    assert (result.noted, result.loaded) == (False, False)


def test_the_next_worker_knows_of_no_need() -> None:
    rig = Announcing(IDLE)
    rig.announce(in_s=100)
    assert rig.manager.status().intents.waiting == 1
    rig.manager = rig.new_manager()
    rig.started()
    assert rig.manager.status().intents.waiting == 0
    rig.tick(100)
    assert rig.manager.status().vlm.state is ModelState.UNLOADED


def test_a_worker_that_has_the_track_back_knows_of_no_need() -> None:
    rig = Announcing(IDLE)
    rig.announce(in_s=100)
    rig.manager.resume()
    assert (rig.manager.status().intents.waiting, rig.ends()) == (0, ["dropped"])


@pytest.mark.parametrize(
    "fields",
    [
        {"in_s": -1},
        {"in_s": MAX_INTENT_S + 1},
        {"for_s": 0},
        {"for_s": float("nan")},
        {"holder": ""},
        {"holder": "a b"},
    ],
)
def test_bounds(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(fields))):
        AnnounceVlm.build(**({"holder": "a"} | fields))
