"""The check that keeps the GPU in order."""

from singletrack_tasks.events import IdleUnload
from singletrack_tasks.requests.upkeep import Tick, TickResult
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import ModelState
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.operations.handler import Handler, Workbench
from singletrack_worker.gpu.turn import Turn


def put_in_order(bench: Workbench, turn: Turn) -> None:
    """Repair deviations from the mode's contract, and do what was announced."""
    track = bench.track
    track.intents.expire()
    was_wanted = track.use.wanted
    turn.moves = bench.transitions.run(track.saved.mode, Demand.UPKEEP, turn)
    load = next((move.receipt for move in turn.moves if move.receipt.step == "load_vlm"), None)
    if load is not None and load.ok and not was_wanted:
        track.intents.loaded(load.duration_s)
    elif load is None and track.life.state is ModelState.LOADED and not track.use.wanted and track.intents.expected:
        track.intents.spared(track.journal.durations_s.get("load_vlm", 0.0))


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
        track = self.bench.track
        self.bench.clip_start.check()
        self.bench.transitions.note_fallback(turn)
        was_used, idle_s = track.use.known, track.use.idle_s
        put_in_order(self.bench, turn)
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
