"""The manager of one GPU: the only writer of its state, and the `Gpu` that the tasks are given."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from singletrack_tasks.celery_tasks import JobRef
from singletrack_tasks.embedding import EmbeddingResult, EmbedImages, EmbedTexts
from singletrack_tasks.errors import JobCancelled, OllamaUnreachable, SingletrackError, UnknownModel, VlmLoadFailed
from singletrack_tasks.events import AnyEvent, Degraded, IdleUnload, ModeChanged, Recovered
from singletrack_tasks.mode import ModeResult, SetMode
from singletrack_tasks.payload.vectors import Vectors
from singletrack_tasks.recording import GpuProcess, Sample
from singletrack_tasks.result import Degradation, DegradedCode
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus, ModelState, VRAMInfo, WorkerInfo
from singletrack_tasks.upkeep import FindClip, FindClipResult, Ping, PingResult, Tick, TickResult
from singletrack_tasks.vlm import Ask, AskResult, LoadVlm, UnloadVlm, VlmOptions, VlmResult
from singletrack_worker.gpu.known.footprints import Footprints
from singletrack_worker.gpu.known.journal import Journal
from singletrack_worker.gpu.known.reasons import Reasons
from singletrack_worker.gpu.known.states import VlmLife
from singletrack_worker.gpu.known.vlm_use import VlmUse
from singletrack_worker.gpu.moving.moves import Mover
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.moving.transitions import Transitions
from singletrack_worker.gpu.observing.drift_watch import DriftWatch
from singletrack_worker.gpu.observing.observer import Observer
from singletrack_worker.gpu.operations.embedder import Embedder
from singletrack_worker.gpu.operations.questions import Answered, Questions
from singletrack_worker.gpu.ports import Clip, Clock, Stores, Vlm, Vram
from singletrack_worker.gpu.snapshots import Snapshots
from singletrack_worker.gpu.turn import Turn, Turns
from singletrack_worker.settings import GPUResourceConfig

_log = logging.getLogger(__name__)

# How long the thread that starts CLIP may take to notice that CLIP was stopped.
START_ENDS_S = 10.0
# How long an answer that nobody waits for any more may still keep the server busy.
SETTLE_S = 20.0


@dataclass(frozen=True)
class Tenants:
    """The GPU and the two who share it."""

    vram: Vram
    vlm: Vlm
    clip: Clip


class GPUResourceManager:
    """Observes, plans, executes, verifies and records, one operation at a time.

    Implements `singletrack_tasks.celery_tasks.Gpu`. Callers say what they need and never look first: every operation
    makes the GPU ready for itself.
    """

    def __init__(
        self, config: GPUResourceConfig, tenants: Tenants, stores: Stores, clock: Clock, worker: WorkerInfo
    ) -> None:
        self._config = config
        self._vram, self._vlm, self._clip = tenants.vram, tenants.vlm, tenants.clip
        self._memory, self._publisher = stores.memory, stores.publisher
        self._clock = clock
        self._saved = stores.memory.load()
        self._life = VlmLife()
        self._footprints = Footprints(self._saved, config)
        self._use = VlmUse(self._saved, clock, config.idle_timeout_s)
        self._reasons = Reasons(clock.time, self._reason_changed)
        self._journal = Journal(self._saved, clock, stores.telemetry)
        self._observer = Observer(
            config,
            self._vram,
            self._vlm,
            self._clip,
            life=self._life,
            use=self._use,
            footprints=self._footprints,
            reasons=self._reasons,
        )
        self._drift = DriftWatch(
            config,
            self._vram,
            self._vlm,
            self._clip,
            clock,
            observer=self._observer,
            footprints=self._footprints,
            emit=self._emit,
        )
        self._transitions = Transitions(
            config,
            self._vlm,
            self._clip,
            clock,
            life=self._life,
            observer=self._observer,
            mover=Mover(config, self._vram, self._vlm, self._clip, clock, life=self._life, footprints=self._footprints),
            reasons=self._reasons,
            journal=self._journal,
            drift=self._drift,
            emit=self._emit,
        )
        self._turns = Turns(
            clock, self._reasons, stores.cancellations, self._journal, stores.publisher.changed, self._record
        )
        self._questions = Questions(config, self._vlm, clock, stores.answers)
        self._embedder = Embedder(self._clip, stores.blobs, stores.cache)
        self._blobs = stores.blobs
        self._snapshots = Snapshots(
            config,
            worker,
            self._vram,
            self._vlm,
            self._clip,
            clock,
            saved=self._saved,
            life=self._life,
            observer=self._observer,
            footprints=self._footprints,
            reasons=self._reasons,
            turns=self._turns,
            journal=self._journal,
            drift=self._drift,
            lease=stores.lease,
            emit=self._emit,
        )
        # Set unless CLIP is being started for the first time; embeddings wait for it.
        self._clip_started = threading.Event()
        self._clip_started.set()
        self._stopped = threading.Event()
        self._starting: threading.Thread | None = None

    def start(self) -> None:
        """Start CLIP's CPU encoder, find out what is there, and mend what differs from the saved mode's contract."""
        self._clip_started.clear()
        self._start()

    def start_in_background(self) -> None:
        """Start without waiting for CLIP, which takes seconds: what needs no CLIP is done meanwhile."""
        self._clip_started.clear()
        self._starting = threading.Thread(target=self._start, name="start", daemon=True)
        self._starting.start()

    def settle(self) -> None:
        """Wait until the server has done with what an earlier worker asked and did not live to hear.

        A short question is answered when all before it are. One that takes too long is given up: what comes next
        waits at the server.
        """
        with self._turns.take("settle", Tick(), JobRef("")) as turn:
            patience = threading.Timer(SETTLE_S, turn.cancellation.cancel)
            patience.start()
            try:
                if self._vlm.listing() is not None:
                    self._vlm.ask(" ", (), None, VlmOptions(max_tokens=1), turn.cancellation)
            except SingletrackError as error:
                _log.warning("it is not known whether %s is still busy: %s", self._vlm.model, error)
            finally:
                patience.cancel()

    def stop(self) -> None:
        """End the encoders and the connections; what Ollama holds goes by its keep-alive."""
        self._stopped.set()
        # What is still in flight is the start's own, or a return's: nobody waits for it.
        self._turns.break_off()
        self._clip.stop()
        if self._starting is not None:
            self._starting.join(START_ENDS_S)
        self._vlm.close()
        self._vram.close()

    def set_mode(self, request: SetMode, job: JobRef) -> ModeResult:
        """Change the mode and make its contract true (P1, P2); what cannot be made so is a reason in the result.

        Raises `NotEnoughVram` before anything is moved, and the mode stays.
        """
        with self._turns.take("mode", request, job, recorded=True) as turn:
            if request.mode is ExecutionMode.AUTOPILOT:
                self._wait_for_clip(turn)
            before, vram_before = self._saved.mode, self._vram.read()
            steps = self._transitions.prepare(request.mode, Demand.MODE, turn, attempts=self._config.retry_attempts)
            self._enter(request.mode)
            moves = self._transitions.execute(steps, turn, attempts=self._config.retry_attempts)
            turn.moves = self._transitions.without_silence(moves)
            if request.mode is ExecutionMode.RECORDING:
                self._renew_keep_alive(turn)
                # Its idle time begins when it is there: loading may have taken longer than that.
                self._use.touch()
            outcome = turn.outcome()
            if before is not request.mode:
                self._emit(
                    ModeChanged(
                        at_unix_s=self._clock.time(),
                        job_id=job.id,
                        before=before,
                        after=request.mode,
                        receipts=outcome["receipts"],
                    )
                )
            return ModeResult(
                before=before,
                after=request.mode,
                vram_before_mb=_used(vram_before),
                vram_after_mb=_used(self._vram.read()),
                **outcome,
            )

    def ask(self, request: Ask, job: JobRef) -> AskResult:
        """Put a question, loading the VLM first if need be (P9), as a visitor where the mode does not want it."""
        with self._turns.take("ask", request, job, recorded=True) as turn:
            self._refuse_other_model(request)
            images = self._blobs.get(request.images)
            with turn.broken_off_at_deadline():
                self._bring_vlm(turn)
                answered = self._put_question(request, images, turn)
            self._use.touch()
            answer = answered.answer
            return AskResult(
                text=answer.text,
                value=answered.value,
                model=self._vlm.model,
                device=self._vlm_device(),
                prompt_tokens=answer.prompt_tokens,
                answer_tokens=answer.answer_tokens,
                load_s=answer.load_s,
                generate_s=answer.generate_s,
                tries=answered.tries,
                **turn.outcome(),
            )

    def load_vlm(self, request: LoadVlm, job: JobRef) -> VlmResult:
        """Load the VLM (P10); raises the reason if it cannot be."""
        with self._turns.take("load_vlm", request, job, recorded=True) as turn:
            with turn.broken_off_at_deadline():
                self._bring_vlm(turn)
            self._renew_keep_alive(turn)
            self._refuse_what_is_not_loaded()
            return VlmResult(state=self._life.state, model=self._vlm.model, **turn.outcome())

    def unload_vlm(self, request: UnloadVlm, job: JobRef) -> VlmResult:
        """Unload the VLM and see its memory free (P4, P11); raises the reason if it does not go."""
        with self._turns.take("unload_vlm", request, job, recorded=True) as turn:
            turn.moves = self._transitions.run(self._saved.mode, Demand.NO_VLM, turn, attempts=1)
            _raise_first_error(turn)
            self._use.forget()
            return VlmResult(state=self._life.state, model=self._vlm.model, **turn.outcome())

    def embed_images(self, request: EmbedImages, job: JobRef) -> EmbeddingResult:
        """Embed images where CLIP is."""
        with self._turns.take("embed_images", request, job) as turn:
            self._wait_for_clip(turn)
            pixels = self._embedder.prepare_images(request.images, request.fingerprint)
            vectors = self._embedder.embed_images(pixels)
            return self._embedded(Vectors.of(vectors), turn)

    def embed_texts(self, request: EmbedTexts, job: JobRef) -> EmbeddingResult:
        """Embed texts where CLIP is."""
        with self._turns.take("embed_texts", request, job) as turn:
            self._wait_for_clip(turn)
            vectors = self._embedder.embed_texts(request.texts)
            return self._embedded(Vectors.of(vectors), turn)

    def find_clip(self, request: FindClip, job: JobRef) -> FindClipResult:
        """Ask the encoder for the device of its weights (P12)."""
        with self._turns.take("find_clip", request, job) as turn:
            self._wait_for_clip(turn)
            self._embedder.model()
            return FindClipResult(device=self._clip.find(), **turn.outcome())

    def tick(self, request: Tick, job: JobRef) -> TickResult:
        """Unload an idle VLM (P8), replace encoders that died, and mend what differs from the mode's contract.

        What is on the GPU that is none of ours is looked for before anything moves.
        """
        with self._turns.take("tick", request, job, recorded=True) as turn:
            self._check_clip()
            self._transitions.note_fallback(turn)
            was_used, idle_s = self._use.known, self._use.idle_s
            turn.moves = self._transitions.run(self._saved.mode, Demand.UPKEEP, turn, attempts=1)
            unload = next((move.receipt for move in turn.moves if move.receipt.step == "unload_vlm"), None)
            if unload is not None and unload.ok:
                self._use.forget()
            if unload is not None and unload.ok and was_used:
                self._emit(
                    IdleUnload(
                        at_unix_s=self._clock.time(),
                        job_id=job.id or None,
                        model=self._vlm.model,
                        idle_s=idle_s,
                        receipt=unload,
                    )
                )
            return TickResult(idle_unloaded=unload is not None and unload.ok, **turn.outcome())

    def ping(self, request: Ping, job: JobRef) -> PingResult:
        """Take a turn and do nothing."""
        with self._turns.take("ping", request, job) as turn:
            return PingResult(track=self._config.track, **turn.outcome())

    def cancel(self, job_id: str) -> bool:
        """Break off the operation of a job if it is the one in flight; safe from any thread."""
        return self._turns.cancel(job_id)

    def look_for_cancellation(self) -> None:
        """Break off the operation in flight if its caller gave it up: the call may have come while nobody listened."""
        self._turns.look_for_cancellation()

    def break_off(self) -> None:
        """Break off the operation in flight for good, as at a worker's end: CLIP is stopped with it."""
        self._stopped.set()
        self._turns.break_off()
        self._clip.stop()

    def resume(self) -> None:
        """Take over the state that another worker saved meanwhile, and make its mode's contract true."""
        with self._turns.take("resume", Tick(), JobRef("")):
            self._saved.adopt(self._memory.load())
            self._use.resume()
        self.tick(Tick(), JobRef(""))

    def status(self) -> GPUResourceStatus:
        """Take a snapshot (P5) without waiting for the operation in flight; safe from any thread."""
        return self._snapshots.take()

    def glance(self) -> GPUResourceStatus:
        """Take a snapshot likewise, without telling of what changed: whoever only looks waits for no Redis."""
        return self._snapshots.take(tell=False)

    def sample(self, processes: tuple[GpuProcess, ...]) -> Sample:
        """Take what the flight recorder keeps of a moment, likewise; `processes` are those on the GPU."""
        return self._snapshots.sample(processes)

    def _enter(self, mode: ExecutionMode) -> None:
        """Make the mode the contract, before anything moves: a worker that dies on the way knows where to go on."""
        self._saved.mode = mode
        if mode is ExecutionMode.RECORDING:
            self._use.touch()
        elif mode is ExecutionMode.AUTOPILOT:
            self._use.forget()
        self._memory.save(self._saved)

    def _bring_vlm(self, turn: Turn) -> None:
        turn.moves = self._transitions.run(self._saved.mode, Demand.VLM, turn, attempts=self._config.retry_attempts)
        if turn.cancellation.cancelled:
            raise JobCancelled(f"job {turn.job.id} was cancelled before its question was put to the VLM")
        _raise_first_error(turn)
        self._refuse_what_is_not_loaded()
        turn.refuse_if_stale()
        self._use.touch()
        self._memory.save(self._saved)

    def _refuse_what_is_not_loaded(self) -> None:
        if self._life.state is not ModelState.LOADED:
            raise VlmLoadFailed(f"{self._vlm.model} is {self._life.state} right after it was loaded: see Ollama's log")

    def _put_question(self, request: Ask, images: Sequence[bytes], turn: Turn) -> Answered:
        try:
            return self._questions.ask(request, images, turn)
        except OllamaUnreachable:
            # The status is to say so at once, and not at the next tick.
            self._observer.observe()
            raise

    def _renew_keep_alive(self, turn: Turn) -> None:
        """Have the server count anew for a VLM that was loaded already: it would let go before our idle check does."""
        loaded_now = any(move.receipt.step == "load_vlm" for move in turn.moves)
        if loaded_now or self._life.state is not ModelState.LOADED:
            return
        try:
            self._vlm.load()
        except SingletrackError as error:
            _log.warning("the keep-alive of %s was not renewed: %s", self._vlm.model, error)
        if self._observer.observe().vlm is ModelState.UNLOADED:
            self._reasons.add(
                DegradedCode.VLM_LOAD_FAILED, f"{self._vlm.model} went away while its keep-alive was renewed"
            )

    def _wait_for_clip(self, turn: Turn) -> None:
        """Wait while CLIP is being started for the first time, as long as somebody waits for the result."""
        began_s = self._clock.monotonic()
        while not self._clip_started.wait(0.1):
            turn.refuse_if_stale()
            if turn.cancellation.cancelled or self._stopped.is_set():
                raise JobCancelled(f"job {turn.job.id} was cancelled while CLIP was starting")
        turn.held_up_s += self._clock.monotonic() - began_s

    def _refuse_other_model(self, request: Ask) -> None:
        if request.model is not None and request.model != self._vlm.model:
            raise UnknownModel(
                f"track {self._config.track} serves the VLM {self._vlm.model}, not {request.model}. Leave the "
                "model out, or set SINGLETRACK_VLM_MODEL at the worker.",
                {"serves": self._vlm.model},
            )

    def _vlm_device(self) -> Literal["gpu", "cpu", "split", "unknown"]:
        listing = self._observer.listing
        if listing is None:
            return "unknown"
        if self._vram.gpu is None or listing.vram_mb == 0:
            return "cpu"
        return "gpu" if listing.vram_mb >= listing.size_mb else "split"

    def _embedded(self, vectors: Vectors, turn: Turn) -> EmbeddingResult:
        self._transitions.note_fallback(turn)
        return EmbeddingResult(
            vectors=vectors,
            device=self._clip.device,
            fingerprint=self._embedder.model().fingerprint,
            **turn.outcome(),
        )

    def _start(self) -> None:
        try:
            self._attempt_clip(self._clip.start)
        finally:
            self._clip_started.set()
        if not self._stopped.is_set():
            self.tick(Tick(), JobRef(""))

    def _check_clip(self) -> None:
        if self._clip_started.is_set():
            self._attempt_clip(self._clip.check)

    def _attempt_clip(self, action: Callable[[], None]) -> None:
        try:
            action()
        except SingletrackError as error:
            if not self._stopped.is_set():
                self._reasons.add(DegradedCode.CLIP_UNAVAILABLE, error.message)
        else:
            self._reasons.clear(DegradedCode.CLIP_UNAVAILABLE)

    def _record(self) -> None:
        """Save what has to survive, and publish before the caller hears of the result."""
        self._memory.save(self._saved)
        self._publisher.publish(self.status)

    def _reason_changed(self, reason: Degradation, holds: bool) -> None:
        at = self._clock.time()
        self._emit(Degraded(at_unix_s=at, reason=reason) if holds else Recovered(at_unix_s=at, reason=reason))

    def _emit(self, event: AnyEvent) -> None:
        self._publisher.emit(event)


def _used(vram: VRAMInfo | None) -> int | None:
    return None if vram is None else vram.used_mb


def _raise_first_error(turn: Turn) -> None:
    for move in turn.moves:
        if move.error is not None:
            raise move.error
