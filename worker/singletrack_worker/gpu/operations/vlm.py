"""Loads and unloads the VLM on demand."""

from singletrack_tasks.requests.vlm import LoadVlm, UnloadVlm, VlmResult
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.operations.handler import Handler, Workbench
from singletrack_worker.gpu.operations.vlm_on_demand import VlmOnDemand
from singletrack_worker.gpu.turn import Turn


class LoadVlmHandler(Handler[LoadVlm, VlmResult]):
    """Loads the VLM (P10)."""

    recorded = True

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self._vlm = VlmOnDemand(bench)

    def run(self, request: LoadVlm, turn: Turn) -> VlmResult:
        """Load it; raises the error if that fails."""
        with turn.broken_off_at_deadline():
            self._vlm.bring(turn)
        self._vlm.renew_keep_alive(turn)
        self._vlm.refuse_what_is_not_loaded()
        return _result(self.bench, turn)


class UnloadVlmHandler(Handler[UnloadVlm, VlmResult]):
    """Unloads the VLM and verifies that its memory is free (P4, P11)."""

    recorded = True

    def run(self, request: UnloadVlm, turn: Turn) -> VlmResult:
        """Unload it; raises the error if that fails."""
        track = self.bench.track
        track.intents.drop()
        turn.moves = self.bench.transitions.run(track.saved.mode, Demand.NO_VLM, turn)
        turn.raise_first_error()
        track.use.forget()
        return _result(self.bench, turn)


def _result(bench: Workbench, turn: Turn) -> VlmResult:
    return VlmResult(state=bench.track.life.state, model=bench.tenants.vlm.model, **turn.outcome())
