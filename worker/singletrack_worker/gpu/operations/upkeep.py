"""The check that keeps the GPU in order."""

from singletrack_tasks.events import IdleUnload
from singletrack_tasks.requests.upkeep import Tick, TickResult
from singletrack_tasks.result import StepReceipt
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.operations.handler import Handler
from singletrack_worker.gpu.turn import Turn


class TickHandler(Handler[Tick, TickResult]):
    """Unloads an idle VLM (P8), replaces encoders that died, and repairs deviations from the mode's contract.

    It looks for foreign models and memory before anything moves.
    """

    recorded = True

    def hear(self, request: Tick) -> TickResult | None:
        """Merge a check that comes right after another, as those do that waited behind a long operation."""
        checks = self.bench.track.checks
        checks.came(request.every_s)
        if checks.spares(request.every_s):
            return TickResult(merged=True, reasons=self.bench.track.reasons.current())
        return None

    def run(self, request: Tick, turn: Turn) -> TickResult:
        """Check, and repair."""
        track, transitions = self.bench.track, self.bench.transitions
        self.bench.clip_start.check()
        transitions.note_fallback(turn)
        was_used, idle_s = track.use.known, track.use.idle_s
        turn.moves = transitions.run(track.saved.mode, Demand.UPKEEP, turn)
        unload = next((move.receipt for move in turn.moves if move.receipt.step == "unload_vlm"), None)
        unloaded = unload is not None and unload.ok
        if unloaded:
            track.use.forget()
        if unload is not None and unloaded and was_used:
            self._emit(unload, idle_s, turn)
        track.checks.made()
        return TickResult(idle_unloaded=unloaded, **turn.outcome())

    def _emit(self, unload: StepReceipt, idle_s: float, turn: Turn) -> None:
        at, model = self.bench.clock.time(), self.bench.tenants.vlm.model
        self.bench.track.emit(
            IdleUnload(at_unix_s=at, job_id=turn.job.id or None, model=model, idle_s=idle_s, receipt=unload)
        )
