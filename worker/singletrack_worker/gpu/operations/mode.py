"""Changes of the mode."""

from singletrack_tasks.events import ModeChanged
from singletrack_tasks.mode import ModeResult, SetMode
from singletrack_tasks.status import ExecutionMode, VRAMInfo
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.operations.handler import Handler, Workbench
from singletrack_worker.gpu.operations.vlm_on_demand import VlmOnDemand
from singletrack_worker.gpu.turn import Turn


class SetModeHandler(Handler[SetMode, ModeResult]):
    """Changes the mode and makes its contract true (P1, P2); what cannot be made so is a reason in the result."""

    recorded = True

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self._vlm = VlmOnDemand(bench)

    def run(self, request: SetMode, turn: Turn) -> ModeResult:
        """Change it; raises `NotEnoughVram` before anything is moved, and the mode stays."""
        track, transitions, vram = self.bench.track, self.bench.transitions, self.bench.tenants.vram
        if request.mode is ExecutionMode.AUTOPILOT:
            self.bench.clip_start.wait(turn)
        before, vram_before = track.saved.mode, vram.read()
        steps = transitions.prepare(request.mode, Demand.MODE, turn)
        self._enter(request.mode)
        turn.moves = transitions.without_silence(transitions.execute(steps, Demand.MODE, turn))
        if request.mode is ExecutionMode.RECORDING:
            self._vlm.renew_keep_alive(turn)
            # Its idle time begins when it is there: loading may have taken longer than that.
            track.use.touch()
        outcome = turn.outcome()
        if before is not request.mode:
            self._tell(before, request.mode, turn)
        return ModeResult(
            before=before,
            after=request.mode,
            vram_before_mb=_used(vram_before),
            vram_after_mb=_used(vram.read()),
            **outcome,
        )

    def _enter(self, mode: ExecutionMode) -> None:
        """Make the mode the contract, before anything moves: a worker that dies on the way knows where to go on."""
        track = self.bench.track
        track.saved.mode = mode
        if mode is ExecutionMode.RECORDING:
            track.use.touch()
        elif mode is ExecutionMode.AUTOPILOT:
            track.use.forget()
        track.save()

    def _tell(self, before: ExecutionMode, after: ExecutionMode, turn: Turn) -> None:
        at = self.bench.clock.time()
        receipts = tuple(move.receipt for move in turn.moves)
        self.bench.track.emit(
            ModeChanged(at_unix_s=at, job_id=turn.job.id, before=before, after=after, receipts=receipts)
        )


def _used(vram: VRAMInfo | None) -> int | None:
    return None if vram is None else vram.used_mb
