"""Changes of the mode."""

from singletrack_tasks.events import ModeChanged
from singletrack_tasks.requests.mode import ModeResult, SetMode
from singletrack_tasks.status import ExecutionMode, VRAMInfo
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.operations.handler import Handler, Workbench
from singletrack_worker.gpu.operations.vlm_on_demand import VlmOnDemand
from singletrack_worker.gpu.turn import Turn


class SetModeHandler(Handler[SetMode, ModeResult]):
    """Changes the mode and enforces its contract (P1, P2); whatever fails is a reason in the result."""

    recorded = True

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self._vlm = VlmOnDemand(bench)

    def run(self, request: SetMode, turn: Turn) -> ModeResult:
        """Change the mode; raises `NotEnoughVram` before anything is moved, and the mode is unchanged."""
        track, transitions, vram = self.bench.track, self.bench.transitions, self.bench.tenants.vram
        if request.mode is ExecutionMode.AUTOPILOT:
            self.bench.clip_start.wait(turn)
        before, vram_before = track.saved.mode, vram.read()
        steps = transitions.prepare(request.mode, Demand.MODE, turn)
        self._enter(request.mode)
        turn.moves = transitions.without_silence(transitions.execute(steps, Demand.MODE, turn))
        if request.mode is ExecutionMode.RECORDING:
            self._vlm.renew_keep_alive(turn)
            # Its idle time starts once it is loaded: loading may have taken longer than the time-out.
            track.use.touch()
        outcome = turn.outcome()
        if before is not request.mode:
            self._emit(before, request.mode, turn)
        return ModeResult(
            before=before,
            after=request.mode,
            vram_before_mb=_used(vram_before),
            vram_after_mb=_used(vram.read()),
            **outcome,
        )

    def _enter(self, mode: ExecutionMode) -> None:
        """Save the mode as the contract before anything moves: if the worker dies halfway, the next one continues."""
        track = self.bench.track
        if track.saved.mode is not mode:
            # What was announced was meant for the mode that ends.
            track.intents.drop()
        track.saved.mode = mode
        if mode is ExecutionMode.RECORDING:
            track.use.touch()
        elif mode is ExecutionMode.AUTOPILOT:
            track.use.forget()
        track.save()

    def _emit(self, before: ExecutionMode, after: ExecutionMode, turn: Turn) -> None:
        at = self.bench.clock.time()
        receipts = tuple(move.receipt for move in turn.moves)
        self.bench.track.emit(
            ModeChanged(at_unix_s=at, job_id=turn.job.id, before=before, after=after, receipts=receipts)
        )


def _used(vram: VRAMInfo | None) -> int | None:
    return None if vram is None else vram.used_mb
