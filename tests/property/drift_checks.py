"""What is said of strangers on the GPU: all of it is so, and what stays is told at the second check.

Two checks count as two if they lie half an interval apart; the oracle knows the GPU from outside.
"""

from singletrack_tasks.events import DriftChanged
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import Drift
from singletrack_worker.gpu.observing.drift import DESKTOP_MB, THRESHOLD_MB, key_of
from singletrack_worker.gpu.observing.shares import GROWTH_MB
from tests.property.world import TICK_INTERVAL_S, Done, World

APART_S = TICK_INTERVAL_S / 2


def drift_is_told(world: World, done: Done) -> None:
    """Nothing of ours is ever taken for a stranger, and a stranger that stays is told within two checks."""
    _events_agree(world, done)
    strangers = [drift for drift in done.status.drift if drift.what == "foreign_vram"]
    ticks = [it for it in world.done if it.worker == done.worker and isinstance(it.request, Tick)]
    if strangers:
        assert _may_be_told(ticks), f"there was no stranger: {strangers}"
    if done is not ticks[-1]:
        return
    _models_are_told(world, done)
    if done.after.used_mb is None:
        assert not strangers, "there is no GPU"
    elif world.setup.strangers_are_named:
        _process_is_told(ticks, strangers)
    else:
        _rest_is_told(world, ticks, strangers)


def _events_agree(world: World, done: Done) -> None:
    """What came and did not go is what the status has."""
    there: set[object] = set()
    for event in world.stores.publisher.events[world.events_before :]:
        if isinstance(event, DriftChanged):
            key = key_of(event.drift)
            assert (key in there) is event.over, f"told twice: {event}"
            there ^= {key}
    assert there == {key_of(drift) for drift in done.status.drift}


def _may_be_told(ticks: list[Done]) -> bool:
    """Whether any check found more of somebody else's than one before, or memory that no unload of ours left behind."""
    had_mb = [tick.before.stranger_mb for tick in ticks]
    grew = any(mb > min(had_mb[: number + 1]) for number, mb in enumerate(had_mb))
    late = any(tick.before.vlm_held_mb > tick.before.vlm_taken_mb + tick.before.vlm_owed_mb for tick in ticks)
    return grew or late or max(had_mb) > DESKTOP_MB


def _models_are_told(world: World, done: Done) -> None:
    looks = [deed for deed in done.deeds if deed.what == "listing"]
    if looks and not any(deed.error for deed in looks):
        told = {drift.name for drift in done.status.drift if drift.what == "foreign_model"}
        is_unloading = world.setup.foreign_models == "unload"
        assert told == set(done.after.guests if is_unloading else done.before.guests)
        assert not is_unloading or not told or any(deed.error for deed in done.deeds), "still there, and not for want"


def _process_is_told(ticks: list[Done], strangers: list[Drift]) -> None:
    had_mb = [tick.before.stranger_mb for tick in ticks]
    if had_mb[-1] == 0:
        assert not [drift for drift in strangers if drift.pid is not None], "the process is gone"
    if _twice(ticks, [mb >= DESKTOP_MB + THRESHOLD_MB for mb in had_mb]):
        assert [drift.vram_mb for drift in strangers if drift.name == "stranger"] == [had_mb[-1]]


def _rest_is_told(world: World, ticks: list[Done], strangers: list[Drift]) -> None:
    """With no model at the server, it is plain how much somebody else has; CLIP's process is listed."""
    is_plain = [_is_plain(world, tick) for tick in ticks]
    rest_mb = [(tick.before.used_mb or 0) - tick.before.clip_held_mb for tick in ticks]
    if not is_plain[-1]:
        return
    least_mb = min(mb for mb, plain in zip(rest_mb, is_plain, strict=True) if plain)
    if ticks[-1].before.stranger_mb == 0 == ticks[-1].before.vlm_held_mb:
        assert not strangers, "there is nobody"
    is_more = [
        plain and mb - least_mb >= THRESHOLD_MB + (GROWTH_MB if tick.before.clip_held_mb else 0)
        for mb, plain, tick in zip(rest_mb, is_plain, ticks, strict=True)
    ]
    if _twice(ticks, is_more):
        assert len(strangers) == 1, f"a stranger who stayed was not told: {strangers}"
        assert (strangers[0].vram_mb or 0) >= rest_mb[-1] - least_mb


def _is_plain(world: World, tick: Done) -> bool:
    """Whether this check found the server answering, without a model, and nothing that is still to come back."""
    looks = [deed for deed in tick.deeds if deed.what == "listing"]
    before = world.done[world.done.index(tick) - 1] if tick is not world.done[0] else tick
    codes = {reason.code for reason in before.status.reasons}
    is_empty = not tick.before.vlm_listed and not tick.before.guests
    return bool(looks) and not looks[0].error and is_empty and DegradedCode.VRAM_NOT_RELEASED not in codes


def _twice(ticks: list[Done], holds: list[bool]) -> bool:
    """Whether it held at this check and, without a break, at one that lies far enough back."""
    for tick, held in zip(reversed(ticks), reversed(holds), strict=True):
        if not held:
            return False
        if ticks[-1].started_s - tick.started_s >= APART_S:
            return True
    return False
