"""Provides the VLM to operations: loads it if necessary, and keeps it loaded."""

import logging

from singletrack_tasks.errors import JobCancelled, SingletrackError, VlmLoadFailed
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ModelState
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.operations.handler import Workbench
from singletrack_worker.gpu.turn import Turn

_log = logging.getLogger(__name__)


class VlmOnDemand:
    """Brings the VLM onto the GPU for an operation."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def bring(self, turn: Turn) -> None:
        """Load the VLM unless it is loaded, as a visitor if the mode does not want it; raises if that fails."""
        track = self._bench.track
        turn.moves = self._bench.transitions.run(track.saved.mode, Demand.VLM, turn)
        if turn.cancellation.cancelled:
            raise JobCancelled(f"job {turn.job.id} was cancelled before its question was sent to the VLM")
        turn.raise_first_error()
        self.refuse_what_is_not_loaded()
        turn.refuse_if_stale()
        track.use.touch()
        loaded_now = any(move.receipt.step == "load_vlm" for move in turn.moves)
        track.intents.used(loaded_now=loaded_now, waited_s=turn.waited_s)
        track.save()

    def refuse_what_is_not_loaded(self) -> None:
        """Raise `VlmLoadFailed` unless the VLM is loaded."""
        state = self._bench.track.life.state
        if state is not ModelState.LOADED:
            model = self._bench.tenants.vlm.model
            raise VlmLoadFailed(f"{model} is {state} right after it was loaded: check Ollama's log")

    def renew_keep_alive(self, turn: Turn) -> None:
        """Restart the keep-alive of a VLM that was loaded already: it would expire before our idle time-out."""
        track, vlm = self._bench.track, self._bench.tenants.vlm
        loaded_now = any(move.receipt.step == "load_vlm" for move in turn.moves)
        if loaded_now or track.life.state is not ModelState.LOADED:
            return
        try:
            vlm.load()
        except SingletrackError as error:
            _log.warning("could not renew the keep-alive of %s: %s", vlm.model, error)
        if self._bench.transitions.look().vlm is ModelState.UNLOADED:
            track.reasons.add(
                DegradedCode.VLM_LOAD_FAILED, f"{vlm.model} was unloaded while its keep-alive was being renewed"
            )
