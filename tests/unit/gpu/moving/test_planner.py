"""The planner as a table: in this mode, with this demand, in this situation, these steps."""

from dataclasses import replace

import pytest

from singletrack_tasks.errors import NotEnoughVram
from singletrack_tasks.result import StepName
from singletrack_tasks.status import ExecutionMode, ModelState, VRAMInfo
from singletrack_worker.gpu.known.footprints import HEADROOM_MB
from singletrack_worker.gpu.moving.planner import Demand, plan
from singletrack_worker.gpu.observing.observed import Observed

AUTOPILOT, RECORDING, IDLE = ExecutionMode.AUTOPILOT, ExecutionMode.RECORDING, ExecutionMode.IDLE
MODE, VLM, NO_VLM, UPKEEP = Demand.MODE, Demand.VLM, Demand.NO_VLM, Demand.UPKEEP
UNLOAD: StepName = "unload_vlm"
LOAD: StepName = "load_vlm"
DEMOTE: StepName = "demote_clip"
PROMOTE: StepName = "promote_clip"
TOTAL_MB, VLM_MB, CLIP_MB, DESKTOP_MB = 8192, 5600, 1100, 300


def vram(*tenants_mb: int, total_mb: int = TOTAL_MB) -> VRAMInfo:
    used_mb = min(total_mb, DESKTOP_MB + sum(tenants_mb))
    return VRAMInfo(total_mb=total_mb, used_mb=used_mb, free_mb=total_mb - used_mb)


EMPTY = Observed(
    vram=vram(),
    vlm=ModelState.UNLOADED,
    vlm_wanted=False,
    vlm_needs_mb=VLM_MB,
    clip_on_gpu=False,
    clip_ready=True,
    clip_needs_mb=CLIP_MB,
    vlm_headroom_mb=HEADROOM_MB,
)
CLIP_THERE = replace(EMPTY, vram=vram(CLIP_MB), clip_on_gpu=True)
VLM_THERE = replace(EMPTY, vram=vram(VLM_MB), vlm=ModelState.LOADED, vlm_wanted=True)
BOTH_THERE = replace(VLM_THERE, vram=vram(VLM_MB, CLIP_MB), clip_on_gpu=True)
IDLE_VLM_THERE = replace(VLM_THERE, vlm_wanted=False)
# The VLM fits alone, or CLIP does, and not both.
TIGHT_MB = 6144
TIGHT_CLIP = replace(CLIP_THERE, vram=vram(CLIP_MB, total_mb=TIGHT_MB))
TIGHT_VLM = replace(VLM_THERE, vram=vram(VLM_MB, total_mb=TIGHT_MB))
TIGHT_IDLE_VLM = replace(TIGHT_VLM, vlm_wanted=False)
UNKNOWN_SIZE = replace(CLIP_THERE, vlm_needs_mb=None)
NO_GPU = replace(EMPTY, vram=None)
NO_GPU_VLM = replace(VLM_THERE, vram=None)
NO_WEIGHTS = replace(EMPTY, clip_ready=False)
TINY = replace(EMPTY, vram=vram(total_mb=1000), vlm_needs_mb=None)
AWAY_CLIP = replace(CLIP_THERE, vlm=ModelState.UNAVAILABLE)
FAILED = replace(CLIP_THERE, vlm=ModelState.FAILED)
UNRELEASED = replace(EMPTY, unreleased=True)


def due(observed: Observed) -> Observed:
    return replace(observed, vlm_due=True, vlm_expected=True)


def wanted(observed: Observed) -> Observed:
    return replace(observed, vlm_wanted=True)


TABLE: dict[str, tuple[ExecutionMode, Demand, Observed, tuple[StepName, ...]]] = {
    "a wish in autopilot, both fit": (AUTOPILOT, UPKEEP, due(CLIP_THERE), (LOAD,)),
    "a wish in autopilot, both do not fit": (AUTOPILOT, UPKEEP, due(TIGHT_CLIP), ()),
    "a wish in autopilot, never seen VLM": (AUTOPILOT, UPKEEP, due(UNKNOWN_SIZE), ()),
    "a wish in autopilot, CLIP comes first": (AUTOPILOT, UPKEEP, due(EMPTY), (PROMOTE, LOAD)),
    "a wish in autopilot, no GPU": (AUTOPILOT, UPKEEP, due(NO_GPU), ()),
    "a wish in autopilot, VLM there": (AUTOPILOT, UPKEEP, due(replace(BOTH_THERE, vlm_wanted=False)), ()),
    "a wish in recording": (RECORDING, UPKEEP, due(EMPTY), (LOAD,)),
    "a wish in recording, CLIP there": (RECORDING, UPKEEP, due(CLIP_THERE), (DEMOTE, LOAD)),
    "a wish in recording, not yet due": (RECORDING, UPKEEP, replace(EMPTY, vlm_expected=True), ()),
    "a wish in recording, too large": (RECORDING, UPKEEP, due(replace(EMPTY, vlm_needs_mb=9000)), ()),
    "a wish in recording, server away": (RECORDING, UPKEEP, due(replace(EMPTY, vlm=ModelState.UNAVAILABLE)), ()),
    "a wish in idle, both fit": (IDLE, UPKEEP, due(CLIP_THERE), (LOAD,)),
    "a wish in idle, both do not fit": (IDLE, UPKEEP, due(TIGHT_CLIP), (DEMOTE, LOAD)),
    "a wish in idle, no GPU": (IDLE, UPKEEP, due(NO_GPU), (LOAD,)),
    "a wish in idle, not yet due": (IDLE, UPKEEP, replace(CLIP_THERE, vlm_expected=True), ()),
    "a wish keeps an idle VLM": (RECORDING, UPKEEP, replace(IDLE_VLM_THERE, vlm_expected=True), ()),
    "a wish keeps an idle VLM in idle": (IDLE, UPKEEP, replace(IDLE_VLM_THERE, vlm_expected=True), ()),
    "a wish moves nothing for another demand": (IDLE, MODE, due(CLIP_THERE), ()),
    "autopilot, nobody there": (AUTOPILOT, MODE, EMPTY, (PROMOTE,)),
    "autopilot, CLIP there": (AUTOPILOT, MODE, CLIP_THERE, ()),
    "autopilot, VLM there": (AUTOPILOT, MODE, VLM_THERE, (UNLOAD, PROMOTE)),
    "autopilot, both there": (AUTOPILOT, MODE, BOTH_THERE, (UNLOAD,)),
    "autopilot, VLM in CLIP's way": (AUTOPILOT, MODE, TIGHT_VLM, (UNLOAD, PROMOTE)),
    "autopilot, VLM still loading": (AUTOPILOT, MODE, replace(BOTH_THERE, vlm=ModelState.LOADING), (UNLOAD,)),
    "autopilot, server away": (AUTOPILOT, MODE, AWAY_CLIP, (UNLOAD,)),
    "autopilot, a load had failed": (AUTOPILOT, MODE, FAILED, ()),
    "autopilot, too small for CLIP": (AUTOPILOT, MODE, TINY, ()),
    "autopilot, no weights": (AUTOPILOT, MODE, NO_WEIGHTS, ()),
    "autopilot, no GPU": (AUTOPILOT, MODE, NO_GPU, ()),
    "autopilot, no GPU, VLM there": (AUTOPILOT, MODE, NO_GPU_VLM, (UNLOAD,)),
    "recording, nobody there": (RECORDING, MODE, EMPTY, (LOAD,)),
    "recording, CLIP there": (RECORDING, MODE, CLIP_THERE, (DEMOTE, LOAD)),
    "recording, VLM there": (RECORDING, MODE, VLM_THERE, ()),
    "recording, both there": (RECORDING, MODE, BOTH_THERE, (DEMOTE,)),
    "recording, both do not fit": (RECORDING, MODE, TIGHT_CLIP, (DEMOTE, LOAD)),
    "recording, never seen VLM": (RECORDING, MODE, UNKNOWN_SIZE, (DEMOTE, LOAD)),
    "recording, a load had failed": (RECORDING, MODE, FAILED, (DEMOTE, LOAD)),
    "recording, server away": (RECORDING, MODE, AWAY_CLIP, (DEMOTE, LOAD)),
    "recording, no GPU": (RECORDING, MODE, NO_GPU, (LOAD,)),
    "idle, nobody there": (IDLE, MODE, EMPTY, ()),
    "idle, VLM there": (IDLE, MODE, VLM_THERE, ()),
    "idle, both there": (IDLE, MODE, BOTH_THERE, ()),
    "a question in autopilot, both fit": (AUTOPILOT, VLM, CLIP_THERE, (LOAD,)),
    "a question in autopilot, both do not fit": (AUTOPILOT, VLM, TIGHT_CLIP, (DEMOTE, LOAD)),
    "a question in autopilot, never seen VLM": (AUTOPILOT, VLM, UNKNOWN_SIZE, (DEMOTE, LOAD)),
    "a question in autopilot, VLM there": (AUTOPILOT, VLM, BOTH_THERE, ()),
    "a question in autopilot, no GPU": (AUTOPILOT, VLM, NO_GPU, (LOAD,)),
    "a question in recording, VLM there": (RECORDING, VLM, VLM_THERE, ()),
    "a question in recording, after an idle unload": (RECORDING, VLM, EMPTY, (LOAD,)),
    "a question in recording, CLIP there": (RECORDING, VLM, CLIP_THERE, (DEMOTE, LOAD)),
    "a question in idle, both fit": (IDLE, VLM, CLIP_THERE, (LOAD,)),
    "a question in idle, both do not fit": (IDLE, VLM, TIGHT_CLIP, (DEMOTE, LOAD)),
    "an unload, VLM there": (RECORDING, NO_VLM, VLM_THERE, (UNLOAD,)),
    "an unload, both there": (AUTOPILOT, NO_VLM, BOTH_THERE, (UNLOAD,)),
    "an unload, nobody there": (IDLE, NO_VLM, EMPTY, ()),
    "an unload, a load had failed": (IDLE, NO_VLM, FAILED, ()),
    "an unload, server away": (IDLE, NO_VLM, AWAY_CLIP, (UNLOAD,)),
    "an unload, the last one's memory is not back": (IDLE, NO_VLM, UNRELEASED, (UNLOAD,)),
    "a tick in autopilot, all well": (AUTOPILOT, UPKEEP, CLIP_THERE, ()),
    "a tick in autopilot, CLIP's encoder died": (AUTOPILOT, UPKEEP, EMPTY, (PROMOTE,)),
    "a tick in autopilot, a visitor and room for CLIP": (AUTOPILOT, UPKEEP, VLM_THERE, (PROMOTE,)),
    "a tick in autopilot, a visitor in CLIP's way": (AUTOPILOT, UPKEEP, TIGHT_VLM, ()),
    "a tick in autopilot, an idle visitor": (AUTOPILOT, UPKEEP, TIGHT_IDLE_VLM, (UNLOAD, PROMOTE)),
    "a tick in recording, all well": (RECORDING, UPKEEP, VLM_THERE, ()),
    "a tick in recording, the VLM was evicted": (RECORDING, UPKEEP, wanted(EMPTY), (LOAD,)),
    "a tick in recording, evicted and CLIP there": (RECORDING, UPKEEP, wanted(CLIP_THERE), (DEMOTE, LOAD)),
    "a tick in recording, idle": (RECORDING, UPKEEP, IDLE_VLM_THERE, (UNLOAD,)),
    "a tick in recording, unloaded for being idle": (RECORDING, UPKEEP, EMPTY, ()),
    "a tick in idle, all well": (IDLE, UPKEEP, BOTH_THERE, ()),
    "a tick in idle, idle VLM": (IDLE, UPKEEP, IDLE_VLM_THERE, (UNLOAD,)),
    "a tick in idle, nobody there": (IDLE, UPKEEP, wanted(EMPTY), ()),
}


@pytest.mark.parametrize(("mode", "demand", "observed", "steps"), TABLE.values(), ids=TABLE)
def test_the_table(mode: ExecutionMode, demand: Demand, observed: Observed, steps: tuple[StepName, ...]) -> None:
    assert plan(mode, demand, observed) == steps


STRANGER_MB = 4000
CROWDED = replace(EMPTY, vram=vram(STRANGER_MB))
CROWDED_CLIP = replace(CLIP_THERE, vram=vram(STRANGER_MB, CLIP_MB))


@pytest.mark.parametrize(
    ("mode", "demand"), [(RECORDING, MODE), (RECORDING, VLM), (AUTOPILOT, VLM), (IDLE, VLM)], ids=str
)
@pytest.mark.parametrize(("observed", "freeable_mb"), [(CROWDED, 0), (CROWDED_CLIP, CLIP_MB)], ids=["alone", "clip"])
def test_what_cannot_fit_is_refused_with_the_figures(
    mode: ExecutionMode, demand: Demand, observed: Observed, freeable_mb: int
) -> None:
    with pytest.raises(NotEnoughVram) as refused:
        plan(mode, demand, observed)
    assert observed.vram is not None
    assert refused.value.details == {
        "needed_mb": VLM_MB,
        "free_mb": observed.vram.free_mb,
        "freeable_mb": freeable_mb,
        "total_mb": TOTAL_MB,
    }
    assert "5600 MB" in refused.value.message


def test_a_tick_in_recording_refuses_what_cannot_fit() -> None:
    with pytest.raises(NotEnoughVram):
        plan(RECORDING, UPKEEP, wanted(CROWDED))


@pytest.mark.parametrize("observed", [replace(CROWDED, vlm_needs_mb=None), replace(CROWDED, vram=None)])
def test_nothing_is_refused_without_figures(observed: Observed) -> None:
    assert plan(RECORDING, MODE, observed) == (LOAD,)


def test_a_server_that_is_away_may_hold_the_very_memory_that_is_missing() -> None:
    assert plan(RECORDING, MODE, replace(CROWDED, vlm=ModelState.UNAVAILABLE)) == (LOAD,)


def test_what_fits_to_the_megabyte_is_not_refused() -> None:
    just = replace(EMPTY, vram=VRAMInfo(total_mb=TOTAL_MB, used_mb=TOTAL_MB - VLM_MB, free_mb=VLM_MB))
    assert plan(RECORDING, MODE, just) == (LOAD,)
    with pytest.raises(NotEnoughVram):
        plan(RECORDING, MODE, replace(just, vlm_needs_mb=VLM_MB + 1))
