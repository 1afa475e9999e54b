"""From a demand to receipts: observe, plan, make the steps, record what came of them."""

from collections.abc import Callable, Sequence

from singletrack_tasks.errors import (
    JobCancelled,
    ModelMissing,
    NotEnoughVram,
    OllamaUnreachable,
    SingletrackError,
    VramNotReleased,
)
from singletrack_tasks.events import AnyEvent, ClipMigrated, VlmLoaded, VlmUnloaded
from singletrack_tasks.result import DegradedCode, StepName, StepReceipt
from singletrack_tasks.status import ExecutionMode, ModelState
from singletrack_worker.gpu.known.journal import Journal
from singletrack_worker.gpu.known.out_of_memory import is_out_of_memory
from singletrack_worker.gpu.known.reasons import Reasons
from singletrack_worker.gpu.known.states import VlmLife
from singletrack_worker.gpu.moving.moves import Move, Mover
from singletrack_worker.gpu.moving.planner import Demand, Observed, Plan, plan
from singletrack_worker.gpu.observing.drift_watch import DriftWatch
from singletrack_worker.gpu.observing.observer import Observer
from singletrack_worker.gpu.ports import Clip, Clock, Vlm
from singletrack_worker.gpu.turn import Turn
from singletrack_worker.settings import GPUResourceConfig

MAX_PAUSE_S = 300.0
# Memory in use that did not change for this long is at rest.
REST_S = 0.5
# What comes after an unload or a promotion looks for itself whether there is room.
_MAY_FAIL: frozenset[StepName] = frozenset({"unload_vlm", "promote_clip"})


class Transitions:
    """Makes the GPU ready; the caller holds the mutex."""

    def __init__(
        self,
        config: GPUResourceConfig,
        vlm: Vlm,
        clip: Clip,
        clock: Clock,
        *,
        life: VlmLife,
        observer: Observer,
        mover: Mover,
        reasons: Reasons,
        journal: Journal,
        drift: DriftWatch,
        emit: Callable[[AnyEvent], None],
    ) -> None:
        self._config = config
        self._journal = journal
        self._drift = drift
        self._vlm = vlm
        self._clip = clip
        self._clock = clock
        self._life = life
        self._observer = observer
        self._mover = mover
        self._reasons = reasons
        self._emit = emit
        self._pauses = Pauses(clock, config.tick_interval_s)
        # Where the last move left CLIP.
        self._clip_device = clip.device

    def prepare(self, mode: ExecutionMode, demand: Demand, turn: Turn, *, attempts: int) -> Plan:
        """Observe and plan.

        Raises `NotEnoughVram`, and `OllamaUnreachable` for a VLM that is needed, before anything was moved.
        """
        was_away = self._life.state is ModelState.UNAVAILABLE
        observed = self._observer.observe()
        if demand is Demand.VLM and observed.vlm is ModelState.UNAVAILABLE:
            observed = self._reach_server(turn, attempts)
        if was_away and observed.vlm is not ModelState.UNAVAILABLE:
            self._pauses.end("load_vlm")
        if demand is not Demand.UPKEEP:
            return self._plan(mode, demand, observed)
        observed = self._drift.look(observed, mode)
        self._forget_what_nobody_misses(mode, observed)
        try:
            return self._pauses.leave_out(plan(mode, demand, observed))
        except NotEnoughVram as error:
            self._reasons.add(DegradedCode.VLM_LOAD_FAILED, error.message)
            return ()

    def execute(self, steps: Plan, turn: Turn, *, attempts: int) -> tuple[Move, ...]:
        """Make steps in order and stop at the first that fails if what follows relies on it."""
        moves: list[Move] = []
        for step in steps:
            if step == "promote_clip" and not self._has_room():
                continue
            move = self._make(step, turn, attempts)
            moves.append(move)
            if move.error is not None and step not in _MAY_FAIL:
                break
        if moves:
            self._observer.observe()
            self._judge_silence(moves)
        return tuple(moves)

    def run(self, mode: ExecutionMode, demand: Demand, turn: Turn, *, attempts: int) -> tuple[Move, ...]:
        """Prepare and execute."""
        return self.execute(self.prepare(mode, demand, turn, attempts=attempts), turn, attempts=attempts)

    def note_fallback(self, turn: Turn) -> None:
        """Report CLIP that is back on the CPU although nobody moved it: its encoder on the GPU failed."""
        before, self._clip_device = self._clip_device, self._clip.device
        if self._clip_device == before:
            return
        why = self._clip.given_up
        turn.out_of_memory |= is_out_of_memory(why)
        what = f"CLIP's encoder on {before} failed: CLIP works on {self._clip_device} until it migrates again"
        what = what if why is None else f"{what}. {why.message}"
        self._reasons.add(DegradedCode.CLIP_MIGRATION_FAILED, what)
        receipt = StepReceipt(step="demote_clip", ok=True, duration_s=0, detail=what)
        self._emit(
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

    def _reach_server(self, turn: Turn, attempts: int) -> Observed:
        """Look again for a server that does not answer (R6.3), before CLIP is moved out of its way for nothing."""
        pause_s = self._config.retry_pause_s
        for _ in range(attempts - 1):
            if turn.cancellation.cancelled:
                raise JobCancelled(f"job {turn.job.id} was cancelled while Ollama was away")
            self._clock.sleep(pause_s)
            pause_s *= 2
            observed = self._observer.observe()
            if observed.vlm is not ModelState.UNAVAILABLE:
                return observed
        reasons = {reason.code: reason.message for reason in self._reasons.current()}
        raise OllamaUnreachable(reasons[DegradedCode.OLLAMA_UNREACHABLE])

    def _forget_what_nobody_misses(self, mode: ExecutionMode, observed: Observed) -> None:
        """End what is said of a load that failed once nobody wants the VLM, and of a promotion outside AUTOPILOT."""
        if not observed.vlm_wanted:
            self._reasons.clear(DegradedCode.VLM_LOAD_FAILED, DegradedCode.VLM_MODEL_MISSING)
        if mode is not ExecutionMode.AUTOPILOT:
            self._reasons.clear(DegradedCode.CLIP_MIGRATION_FAILED)

    def without_silence(self, moves: tuple[Move, ...]) -> tuple[Move, ...]:
        """Leave out the attempt to unload at a server that is away: nothing was moved, and the reason says so."""
        if self._life.state is not ModelState.UNAVAILABLE:
            return moves
        return tuple(
            move
            for move in moves
            if not (move.receipt.step == "unload_vlm" and isinstance(move.error, OllamaUnreachable))
        )

    def _judge_silence(self, moves: Sequence[Move]) -> None:
        """Say of a step that met a silent server that it failed, if the server is back and the step is still owed."""
        owed: dict[StepName, bool] = {
            "unload_vlm": self._life.state is ModelState.LOADED,
            "load_vlm": self._life.state in (ModelState.UNLOADED, ModelState.FAILED),
        }
        for move in moves:
            if isinstance(move.error, OllamaUnreachable) and owed[move.receipt.step]:
                self._reasons.add(_CODE_OF_FAILURE[move.receipt.step], move.error.message)

    def _has_room(self) -> bool:
        """Look again: what a step before was to free may have been taken by somebody else."""
        vram = self._observer.observe().vram
        return vram is not None and vram.free_mb >= self._observer.clip_needs_mb

    def _make(self, step: StepName, turn: Turn, attempts: int) -> Move:
        device_before = self._clip.device
        turn.enter(step)
        move = self._mover.make(step, attempts=attempts, cancellation=turn.cancellation)
        turn.enter("work")
        self._journal.moved(move.receipt, move.error)
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
                self._observer.more_taken(receipt.vram_before_mb, receipt.vram_after_mb)
                self._observer.observe()
                self._observer.learn_vlm(receipt.vram_before_mb, receipt.vram_after_mb)
                self._emit(VlmLoaded(at_unix_s=at, job_id=job_id, model=self._vlm.model, receipt=receipt))
            case "unload_vlm":
                self._observer.expect_release(None)
                self._reasons.clear(DegradedCode.VRAM_NOT_RELEASED, DegradedCode.VLM_VRAM_SHORT)
                self._emit(VlmUnloaded(at_unix_s=at, job_id=job_id, model=self._vlm.model, receipt=receipt))
            case "promote_clip" | "demote_clip":
                self._observer.more_taken(receipt.vram_before_mb, receipt.vram_after_mb)
                if receipt.step == "promote_clip":
                    self._reasons.clear(DegradedCode.CLIP_MIGRATION_FAILED)
                    self._observer.learn_clip(receipt.vram_before_mb, receipt.vram_after_mb)
                device = self._clip.device
                self._emit(
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
            self._observer.expect_release(error.details["expected_mb"])
        else:
            code = _CODE_OF_FAILURE[step]
        self._reasons.add(code, error.message)


_CODE_OF_FAILURE: dict[StepName, DegradedCode] = {
    "load_vlm": DegradedCode.VLM_LOAD_FAILED,
    "unload_vlm": DegradedCode.VRAM_NOT_RELEASED,
    "promote_clip": DegradedCode.CLIP_MIGRATION_FAILED,
    "demote_clip": DegradedCode.CLIP_MIGRATION_FAILED,
}


class Pauses:
    """Growing pauses between the attempts that upkeep makes at a step that failed."""

    def __init__(self, clock: Clock, first_s: float) -> None:
        self._clock = clock
        self._first_s = first_s
        self._pauses: dict[StepName, tuple[float, float]] = {}

    def begin(self, step: StepName) -> None:
        """Let a step rest, twice as long as the last time."""
        last_s = self._pauses[step][1] if step in self._pauses else self._first_s / 2
        pause_s = min(MAX_PAUSE_S, last_s * 2)
        self._pauses[step] = (self._clock.monotonic() + pause_s, pause_s)

    def end(self, step: StepName) -> None:
        """Forget the failures of a step."""
        self._pauses.pop(step, None)

    def leave_out(self, steps: Plan) -> Plan:
        """Return the steps without those that rest, and without those that rely on one that rests."""
        now = self._clock.monotonic()
        left: list[StepName] = []
        for step in steps:
            if step not in self._pauses or self._pauses[step][0] <= now:
                left.append(step)
            elif step not in _MAY_FAIL:
                break
        return tuple(left)
