"""From a demand to receipts: observe, plan, make the steps, record what came of them."""

from collections.abc import Sequence

from singletrack_tasks.errors import (
    JobCancelled,
    ModelMissing,
    NotEnoughVram,
    OllamaUnreachable,
    SingletrackError,
    VramNotReleased,
)
from singletrack_tasks.events import ClipMigrated, VlmLoaded, VlmUnloaded
from singletrack_tasks.result import DegradedCode, StepName, StepReceipt
from singletrack_tasks.status import ExecutionMode, ModelState
from singletrack_tasks.steps import STEPS
from singletrack_worker.gpu.known.out_of_memory import is_out_of_memory
from singletrack_worker.gpu.known.receipts import Move
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.moving.moves import Mover
from singletrack_worker.gpu.moving.pauses import Pauses
from singletrack_worker.gpu.moving.planner import Demand, Plan, plan
from singletrack_worker.gpu.observing.drift_watch import DriftWatch
from singletrack_worker.gpu.observing.observed import Observed
from singletrack_worker.gpu.observing.observer import Observer
from singletrack_worker.gpu.ports import Clock, Tenants
from singletrack_worker.gpu.turn import Turn
from singletrack_worker.settings import GPUResourceConfig

# Memory in use that did not change for this long is at rest.
REST_S = 0.5
_NOT_LOADED = (ModelState.UNLOADED, ModelState.FAILED)


class Transitions:
    """Makes the GPU ready; the caller holds the mutex."""

    def __init__(
        self, config: GPUResourceConfig, tenants: Tenants, track: Track, clock: Clock, observer: Observer
    ) -> None:
        self._config = config
        self._vlm, self._clip = tenants.vlm, tenants.clip
        self._track = track
        self._clock = clock
        self._observer = observer
        self._mover = Mover(config, tenants, track, clock)
        self.drift = DriftWatch(config, tenants, track, clock, observer)
        self._pauses = Pauses(clock, config.tick_interval_s)
        # Where the last move left CLIP.
        self._clip_device = tenants.clip.device

    def look(self) -> Observed:
        """See what is there now, and have the status say so."""
        return self._observer.observe()

    def prepare(self, mode: ExecutionMode, demand: Demand, turn: Turn) -> Plan:
        """Observe and plan.

        Raises `NotEnoughVram`, and `OllamaUnreachable` for a VLM that is needed, before anything was moved.
        """
        was_away = self._track.life.state is ModelState.UNAVAILABLE
        observed = self._observer.observe()
        if demand is Demand.VLM and observed.vlm is ModelState.UNAVAILABLE:
            observed = self._reach_server(turn)
        if was_away and observed.vlm is not ModelState.UNAVAILABLE:
            self._pauses.end("load_vlm")
        if demand is not Demand.UPKEEP:
            return self._plan(mode, demand, observed)
        observed = self.drift.look(observed, mode)
        self._forget_what_nobody_misses(mode, observed)
        try:
            return self._pauses.leave_out(plan(mode, demand, observed))
        except NotEnoughVram as error:
            self._track.reasons.add(DegradedCode.VLM_LOAD_FAILED, error.message)
            return ()

    def execute(self, steps: Plan, demand: Demand, turn: Turn) -> tuple[Move, ...]:
        """Make steps in order and stop at the first that fails if what follows relies on it."""
        moves: list[Move] = []
        for step in steps:
            if step == "promote_clip" and not self._has_room():
                continue
            move = self._make(step, demand, turn)
            moves.append(move)
            if move.error is not None and STEPS[step].essential:
                break
        if moves:
            self._observer.observe()
            self._judge_silence(moves)
        return tuple(moves)

    def run(self, mode: ExecutionMode, demand: Demand, turn: Turn) -> tuple[Move, ...]:
        """Prepare and execute."""
        return self.execute(self.prepare(mode, demand, turn), demand, turn)

    def note_fallback(self, turn: Turn) -> None:
        """Report CLIP that is back on the CPU although nobody moved it: its encoder on the GPU failed."""
        before, self._clip_device = self._clip_device, self._clip.device
        if self._clip_device == before:
            return
        why = self._clip.given_up
        turn.out_of_memory |= is_out_of_memory(why)
        what = f"CLIP's encoder on {before} failed: CLIP works on {self._clip_device} until it migrates again"
        what = what if why is None else f"{what}. {why.message}"
        self._track.reasons.add(DegradedCode.CLIP_MIGRATION_FAILED, what)
        receipt = StepReceipt(step="demote_clip", ok=True, duration_s=0, detail=what)
        self._track.emit(
            ClipMigrated(
                at_unix_s=self._clock.time(),
                job_id=turn.job.id or None,
                before=before,
                after=self._clip_device,
                receipt=receipt,
            )
        )

    def _plan(self, mode: ExecutionMode, demand: Demand, observed: Observed) -> Plan:
        try:
            return plan(mode, demand, observed)
        except NotEnoughVram:
            # A server may drop a model from its list before the memory is free: refused is what does not fit at rest.
            return plan(mode, demand, self._observe_at_rest())

    def _observe_at_rest(self) -> Observed:
        deadline_s = self._clock.monotonic() + self._config.vram_release_timeout_s
        before, now = None, self._observer.observe()
        while now.vram != before and self._clock.monotonic() < deadline_s:
            self._clock.sleep(REST_S)
            before, now = now.vram, self._observer.observe()
        return now

    def _reach_server(self, turn: Turn) -> Observed:
        """Look again for a server that does not answer (R6.3), before CLIP is moved out of its way for nothing."""
        pause_s = self._config.retry_pause_s
        for _ in range(self._config.retry_attempts - 1):
            if turn.cancellation.cancelled:
                raise JobCancelled(f"job {turn.job.id} was cancelled while Ollama was away")
            self._clock.sleep(pause_s)
            pause_s *= 2
            observed = self._observer.observe()
            if observed.vlm is not ModelState.UNAVAILABLE:
                return observed
        error = self._track.server_error
        raise OllamaUnreachable(f"{self._vlm.model} cannot be reached" if error is None else error.message)

    def _forget_what_nobody_misses(self, mode: ExecutionMode, observed: Observed) -> None:
        """End what is said of a load that failed once nobody wants the VLM, and of a promotion outside AUTOPILOT."""
        if not observed.vlm_wanted:
            self._track.reasons.clear(DegradedCode.VLM_LOAD_FAILED, DegradedCode.VLM_MODEL_MISSING)
        if mode is not ExecutionMode.AUTOPILOT:
            self._track.reasons.clear(DegradedCode.CLIP_MIGRATION_FAILED)

    def without_silence(self, moves: tuple[Move, ...]) -> tuple[Move, ...]:
        """Leave out the attempt to unload at a server that is away: nothing was moved, and the reason says so."""
        if self._track.life.state is not ModelState.UNAVAILABLE:
            return moves
        return tuple(
            move
            for move in moves
            if not (move.receipt.step == "unload_vlm" and isinstance(move.error, OllamaUnreachable))
        )

    def _judge_silence(self, moves: Sequence[Move]) -> None:
        """Say of a step that met a silent server that it failed, if the server is back and the step is still owed."""
        for move in moves:
            step = STEPS[move.receipt.step]
            still_owed = _NOT_LOADED if step.onto_gpu else (ModelState.LOADED,)
            if isinstance(move.error, OllamaUnreachable) and self._track.life.state in still_owed:
                self._track.reasons.add(step.failure, move.error.message)

    def _has_room(self) -> bool:
        """Look again: what a step before was to free may have been taken by somebody else."""
        vram = self._observer.observe().vram
        return vram is not None and vram.free_mb >= self._observer.clip_needs_mb

    def _make(self, step: StepName, demand: Demand, turn: Turn) -> Move:
        device_before = self._clip.device
        turn.enter(step)
        move = self._mover.make(step, demand, turn.cancellation)
        turn.enter("work")
        self._track.journal.moved(move.receipt, move.error)
        self._clip_device = self._clip.device
        if move.error is not None:
            self._pauses.begin(step)
            self._record_failure(step, move.error)
            return move
        self._pauses.end(step)
        self._record_success(move.receipt, turn.job.id or None, device_before)
        return move

    def _record_success(self, receipt: StepReceipt, job_id: str | None, device_before: str) -> None:
        at = self._clock.time()
        match receipt.step:
            case "load_vlm":
                self._observer.observe()
                self._observer.learn_vlm(receipt.vram_before_mb, receipt.vram_after_mb)
                self._track.emit(VlmLoaded(at_unix_s=at, job_id=job_id, model=self._vlm.model, receipt=receipt))
            case "unload_vlm":
                self._track.reasons.clear(DegradedCode.VRAM_NOT_RELEASED, DegradedCode.VLM_VRAM_SHORT)
                self._track.emit(VlmUnloaded(at_unix_s=at, job_id=job_id, model=self._vlm.model, receipt=receipt))
            case "promote_clip" | "demote_clip":
                if receipt.step == "promote_clip":
                    self._track.reasons.clear(DegradedCode.CLIP_MIGRATION_FAILED)
                    self._observer.learn_clip(receipt.vram_before_mb, receipt.vram_after_mb)
                device = self._clip.device
                self._track.emit(
                    ClipMigrated(at_unix_s=at, job_id=job_id, before=device_before, after=device, receipt=receipt)
                )

    def _record_failure(self, step: StepName, error: SingletrackError) -> None:
        if isinstance(error, OllamaUnreachable):
            # Whether the server is away is said, and taken back, by each look at it.
            return
        if isinstance(error, ModelMissing):
            code = DegradedCode.VLM_MODEL_MISSING
        elif isinstance(error, VramNotReleased):
            code = DegradedCode.VRAM_NOT_RELEASED
        else:
            code = STEPS[step].failure
        self._track.reasons.add(code, error.message)
