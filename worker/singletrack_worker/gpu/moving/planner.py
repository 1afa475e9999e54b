"""Plans the steps and their order: pure functions of the mode, the demand and the observation.

The rules: AUTOPILOT wants the VLM unloaded and CLIP on the GPU if it fits. RECORDING wants CLIP off the
GPU, then the VLM loaded. IDLE moves nothing. A VLM that is needed outside RECORDING is loaded as a visitor: beside
CLIP if both fit by the figures, else CLIP is moved to the CPU first. It is unloaded once it has been idle long enough.
A VLM whose need was announced is loaded ahead by upkeep, in AUTOPILOT only if CLIP keeps its place by the figures.
"""

from enum import Enum

from singletrack_tasks.errors import NotEnoughVram
from singletrack_tasks.result import StepName
from singletrack_tasks.status import ExecutionMode, ModelState
from singletrack_worker.gpu.known.states import RESIDENT
from singletrack_worker.gpu.observing.observed import Observed

Plan = tuple[StepName, ...]

# An unreachable server may hold the model, and may answer again by now.
_PERHAPS_THERE = RESIDENT | {ModelState.UNAVAILABLE}


class Demand(Enum):
    """The caller's need."""

    MODE = "the mode's contract"
    VLM = "the VLM loaded"
    NO_VLM = "the VLM gone"
    UPKEEP = "order"

    @property
    def retried(self) -> bool:
        """Whether a failed load is retried: only if a caller waits for it; upkeep runs again anyway."""
        return self in (Demand.MODE, Demand.VLM)


def plan(mode: ExecutionMode, demand: Demand, observed: Observed) -> Plan:
    """Return the steps that satisfy a demand in a mode, in order.

    Raises `NotEnoughVram` (R6.4) if the VLM has to be loaded and cannot fit, whatever is moved.
    """
    match demand:
        case Demand.MODE:
            return _contract(mode, observed)
        case Demand.VLM:
            return _bring_vlm(mode, observed)
        case Demand.NO_VLM:
            gone = observed.vlm in (ModelState.UNLOADED, ModelState.FAILED) and not observed.unreleased
            return () if gone else ("unload_vlm",)
        case Demand.UPKEEP:
            return _upkeep(mode, observed)


def _contract(mode: ExecutionMode, observed: Observed) -> Plan:
    match mode:
        case ExecutionMode.AUTOPILOT:
            return (*_unload(observed), *_promote(observed, _free_without_vlm(observed)))
        case ExecutionMode.RECORDING:
            return (*_demote(observed), *_load(observed))
        case ExecutionMode.IDLE:
            return ()


def _bring_vlm(mode: ExecutionMode, observed: Observed) -> Plan:
    if observed.vlm is ModelState.LOADED:
        return ()
    if mode is ExecutionMode.RECORDING or not _fits_beside_clip(observed):
        return (*_demote(observed), *_load(observed))
    return _load(observed)


def _upkeep(mode: ExecutionMode, observed: Observed) -> Plan:
    if observed.vlm is ModelState.LOADED and not (observed.vlm_wanted or observed.vlm_expected):
        unload = _unload(observed)
        if mode is ExecutionMode.AUTOPILOT:
            return (*unload, *_promote(observed, _free_without_vlm(observed)))
        return unload
    if mode is ExecutionMode.AUTOPILOT:
        return (*_promote(observed, _free(observed)), *_load_ahead(mode, observed))
    if mode is ExecutionMode.RECORDING:
        load = _load(observed) if observed.vlm_wanted else _load_ahead(mode, observed)
        return (*_demote(observed), *(step for step in load if step == "load_vlm"))
    return _load_ahead(mode, observed)


def _load_ahead(mode: ExecutionMode, observed: Observed) -> Plan:
    """Load what was announced, where nothing speaks against it: a wish is no reason for an error."""
    if not observed.vlm_due or observed.vlm not in (ModelState.UNLOADED, ModelState.FAILED) or _is_too_large(observed):
        return ()
    if mode is not ExecutionMode.AUTOPILOT:
        return _bring_vlm(mode, observed)
    clip_mb = 0 if observed.clip_on_gpu else observed.clip_needs_mb
    return _load(observed) if _fits_beside_clip(observed, clip_mb) else ()


def _unload(observed: Observed) -> Plan:
    return ("unload_vlm",) if observed.vlm in _PERHAPS_THERE else ()


def _load(observed: Observed) -> Plan:
    if observed.vlm is ModelState.LOADED:
        return ()
    _refuse_if_too_large(observed)
    return ("load_vlm",)


def _demote(observed: Observed) -> Plan:
    return ("demote_clip",) if observed.clip_on_gpu else ()


def _promote(observed: Observed, free_mb: int) -> Plan:
    wanted = observed.vram is not None and observed.clip_ready and not observed.clip_on_gpu
    return ("promote_clip",) if wanted and observed.clip_needs_mb <= free_mb else ()


def _fits_beside_clip(observed: Observed, reserved_mb: int = 0) -> bool:
    """Whether a visitor would be all on the GPU: the server splits a model that only just fits."""
    free_mb = _free(observed) - reserved_mb
    return observed.vlm_needs_mb is not None and observed.vlm_needs_mb + observed.vlm_headroom_mb <= free_mb


def _refuse_if_too_large(observed: Observed) -> None:
    if observed.vram is not None and observed.vlm_needs_mb is not None and _is_too_large(observed):
        raise NotEnoughVram.of(
            "The VLM",
            needed_mb=observed.vlm_needs_mb,
            free_mb=observed.vram.free_mb,
            freeable_mb=_freeable_mb(observed),
            total_mb=observed.vram.total_mb,
        )


def _is_too_large(observed: Observed) -> bool:
    if observed.vram is None or observed.vlm_needs_mb is None or observed.vlm is ModelState.UNAVAILABLE:
        # The holdings of an unreachable server are unknown: it may have this very model loaded.
        return False
    return observed.vlm_needs_mb > observed.vram.free_mb + _freeable_mb(observed)


def _freeable_mb(observed: Observed) -> int:
    return observed.clip_needs_mb if observed.clip_on_gpu else 0


def _free(observed: Observed) -> int:
    return observed.vram.free_mb if observed.vram is not None else 0


def _free_without_vlm(observed: Observed) -> int:
    """Return an upper bound: an unload frees more than the server lists, and room is checked again after it."""
    if observed.vram is None or observed.vlm not in _PERHAPS_THERE:
        return _free(observed)
    return observed.vram.total_mb
