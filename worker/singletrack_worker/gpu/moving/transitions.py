"""From a demand to receipts: observes, plans, executes the steps and records their outcome."""

from collections.abc import Sequence

from singletrack_tasks.errors import (
    JobCancelled,
    ModelMissing,
    NotEnoughVram,
    OllamaUnreachable,
    PermanentError,
    SingletrackError,
    VramNotReleased,
)
from singletrack_tasks.events import ClipMigrated, VlmLoaded, VlmUnloaded
from singletrack_tasks.result import DegradedCode, StepName, StepReceipt
from singletrack_tasks.status import ExecutionMode, ModelState
from singletrack_tasks.steps import STEPS
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.known.receipts import Move
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.moving.moves import Mover
from singletrack_worker.gpu.moving.pauses import Pauses
from singletrack_worker.gpu.moving.planner import Demand, Plan, plan
from singletrack_worker.gpu.observing.drift_watch import DriftWatch
from singletrack_worker.gpu.observing.observed import Observed
from singletrack_worker.gpu.observing.observer import Observer
from singletrack_worker.gpu.out_of_memory import is_out_of_memory
from singletrack_worker.gpu.tenants import Tenants
from singletrack_worker.gpu.turn import Turn
from singletrack_worker.settings import GPUResourceConfig

# VRAM in use that did not change for this long counts as settled.
SETTLED_S = 0.5
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
        # CLIP's device after the last move.
        self._clip_device = tenants.clip.device

    def look(self) -> Observed:
        """Observe the GPU now, and update the status."""
        return self._observer.observe()

    def prepare(self, mode: ExecutionMode, demand: Demand, turn: Turn) -> Plan:
        """Observe and plan.

        Raises `NotEnoughVram`, and `OllamaUnreachable` if the VLM is needed, before anything is moved.
        """
        was_unreachable = self._track.life.state is ModelState.UNAVAILABLE
        observed = self._observer.observe()
        if demand is Demand.VLM and observed.vlm is ModelState.UNAVAILABLE:
            observed = self._reach_server(turn)
        if was_unreachable and observed.vlm is not ModelState.UNAVAILABLE:
            self._pauses.end("load_vlm")
        if demand is not Demand.UPKEEP:
            return self._plan(mode, demand, observed)
        observed = self.drift.look(observed, mode)
        self._clear_stale_reasons(mode, observed)
        try:
            return self._pauses.leave_out(plan(mode, demand, observed))
        except NotEnoughVram as error:
            self._track.reasons.add(DegradedCode.VLM_LOAD_FAILED, error.message)
            return ()

    def execute(self, steps: Plan, demand: Demand, turn: Turn) -> tuple[Move, ...]:
        """Execute steps in order; stop at a failed one that the following steps rely on."""
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
            self._report_unreached(moves)
        return tuple(moves)

    def run(self, mode: ExecutionMode, demand: Demand, turn: Turn) -> tuple[Move, ...]:
        """Prepare and execute."""
        return self.execute(self.prepare(mode, demand, turn), demand, turn)

    def note_fallback(self, turn: Turn) -> None:
        """Report that CLIP fell back to the CPU without a move: its encoder on the GPU failed."""
        before, self._clip_device = self._clip_device, self._clip.device
        if self._clip_device == before:
            return
        why = self._clip.given_up
        turn.moved_a_tenant = True
        if is_out_of_memory(why):
            turn.out_of_memory = True
            self._pauses.fell("promote_clip")
        detail = f"CLIP's encoder on {before} failed: CLIP runs on {self._clip_device} until it migrates again"
        detail = detail if why is None else f"{detail}. {why.message}"
        self._track.reasons.add(DegradedCode.CLIP_MIGRATION_FAILED, detail)
        receipt = StepReceipt(step="demote_clip", ok=True, duration_s=0, detail=detail)
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
            # A server may drop a model from its list before the memory is free, so decide once VRAM has settled.
            return plan(mode, demand, self._observe_settled())

    def _observe_settled(self) -> Observed:
        deadline_s = self._clock.monotonic() + self._config.vram_release_timeout_s
        before, now = None, self._observer.observe()
        while now.vram != before and self._clock.monotonic() < deadline_s:
            self._clock.sleep(SETTLED_S)
            before, now = now.vram, self._observer.observe()
        return now

    def _reach_server(self, turn: Turn) -> Observed:
        """Retry an unreachable server (R6.3) before CLIP is moved out of the way in vain; one that refuses is not."""
        pause_s = self._config.retry_pause_s
        for _ in range(self._config.retry_attempts - 1):
            if isinstance(self._track.server_error, PermanentError):
                break
            if turn.cancellation.cancelled:
                raise JobCancelled(f"job {turn.job.id} was cancelled while Ollama was unreachable")
            self._clock.sleep(pause_s)
            pause_s *= 2
            observed = self._observer.observe()
            if observed.vlm is not ModelState.UNAVAILABLE:
                return observed
        error = self._track.server_error
        if isinstance(error, PermanentError):
            raise error
        raise OllamaUnreachable(f"{self._vlm.model} is unreachable" if error is None else error.message)

    def _clear_stale_reasons(self, mode: ExecutionMode, observed: Observed) -> None:
        """Clear the reasons of a failed load once the VLM is not wanted, of a failed promotion outside AUTOPILOT."""
        if not (observed.vlm_wanted or observed.vlm_due):
            self._track.reasons.clear(DegradedCode.VLM_LOAD_FAILED, DegradedCode.VLM_MODEL_MISSING)
        if mode is not ExecutionMode.AUTOPILOT:
            self._track.reasons.clear(DegradedCode.CLIP_MIGRATION_FAILED)

    def without_silence(self, moves: tuple[Move, ...]) -> tuple[Move, ...]:
        """Drop unloads that failed on an unreachable server: nothing was moved, and a reason says so already."""
        if self._track.life.state is not ModelState.UNAVAILABLE:
            return moves
        return tuple(
            move
            for move in moves
            if not (move.receipt.step == "unload_vlm" and isinstance(move.error, OllamaUnreachable))
        )

    def _report_unreached(self, moves: Sequence[Move]) -> None:
        """Report a step that failed on an unreachable server, if the server answers again and the step is still due."""
        for move in moves:
            step = STEPS[move.receipt.step]
            still_due = _NOT_LOADED if step.onto_gpu else (ModelState.LOADED,)
            if isinstance(move.error, OllamaUnreachable) and self._track.life.state in still_due:
                self._track.reasons.add(step.failure, move.error.message)

    def _has_room(self) -> bool:
        """Check for room again: another process may have taken the memory that an earlier step freed."""
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
                self._observer.learn_vlm_gone(receipt.vram_before_mb, receipt.vram_after_mb)
                self._track.emit(VlmUnloaded(at_unix_s=at, job_id=job_id, model=self._vlm.model, receipt=receipt))
            case "promote_clip" | "demote_clip":
                if receipt.step == "promote_clip":
                    self._track.reasons.clear(DegradedCode.CLIP_MIGRATION_FAILED)
                    self._observer.learn_clip(receipt.vram_before_mb, receipt.vram_after_mb)
                else:
                    self._observer.learn_clip_gone(receipt.vram_before_mb, receipt.vram_after_mb)
                device = self._clip.device
                self._track.emit(
                    ClipMigrated(at_unix_s=at, job_id=job_id, before=device_before, after=device, receipt=receipt)
                )

    def _record_failure(self, step: StepName, error: SingletrackError) -> None:
        if isinstance(error, OllamaUnreachable):
            # Each observation sets or clears the reason for an unreachable server.
            return
        if isinstance(error, ModelMissing):
            code = DegradedCode.VLM_MODEL_MISSING
        elif isinstance(error, VramNotReleased):
            code = DegradedCode.VRAM_NOT_RELEASED
        else:
            code = STEPS[step].failure
        self._track.reasons.add(code, error.message)
