"""The manager of one GPU: the only writer of its state."""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.recording import GpuProcess, Sample
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_tasks.result import DegradedCode, OperationResult
from singletrack_tasks.status import GPUResourceStatus
from singletrack_worker.gpu.clip_start import ClipStart
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.guarded import guarded
from singletrack_worker.gpu.hold import Overtaken
from singletrack_worker.gpu.judge import Judge
from singletrack_worker.gpu.kept_thread import KeptThread
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.moving.transitions import Transitions
from singletrack_worker.gpu.observing.observer import Observer
from singletrack_worker.gpu.operations.handler import Workbench
from singletrack_worker.gpu.operations.handlers import make_handlers
from singletrack_worker.gpu.snapshots import Identity, Snapshots
from singletrack_worker.gpu.stores import Stores
from singletrack_worker.gpu.tenants import Tenants
from singletrack_worker.gpu.turn import RESUME, SETTLE
from singletrack_worker.gpu.turns import Turns
from singletrack_worker.settings import GPUResourceConfig

R = TypeVar("R", bound=OperationResult)

_log = logging.getLogger(__name__)

# How long the thread that starts CLIP may take to notice that CLIP was stopped.
START_ENDS_S = 10.0
# How long to wait for a server that is still busy with an abandoned question.
SETTLE_S = 20.0
# The worker's own operations belong to no job.
_NO_JOB = JobRef("")


class GPUResourceManager:
    """Observes, plans, executes, verifies and records, one operation at a time.

    Implements `singletrack_tasks.celery_tasks.Gpu`. Callers need no knowledge of the GPU's state: every operation
    makes the GPU ready for itself.
    """

    def __init__(
        self,
        config: GPUResourceConfig,
        tenants: Tenants,
        stores: Stores,
        clock: Clock,
        identity: Identity,
        judge: Judge,
    ) -> None:
        self._publisher = stores.publisher
        self._track = Track(config, clock, stores)
        self._turns = Turns(
            clock, self._track, stores.cancellations, stores.hold, stores.publisher.changed, self._record
        )
        self._judge = judge
        self._tenants = tenants = guarded(tenants, self._turns.confirm)
        self._observer = Observer(config, tenants, self._track)
        self._clip_start = ClipStart(tenants.clip, self._track.reasons, clock)
        transitions = Transitions(config, tenants, self._track, clock, self._observer)
        self._bench = Workbench(config, tenants, self._track, clock, stores, transitions, self._clip_start, judge)
        self._handlers = make_handlers(self._bench)
        self._snapshots = Snapshots(config, tenants, self._track, clock, self._turns, transitions.drift, identity)
        self._troubles = stores.troubles
        self._troubles.tell(self._tell_trouble)
        self._starting: KeptThread | None = None

    def run(self, request: Request[R], job: JobRef) -> R:
        """Wait for the turn, then run the request's handler.

        Raises `DeadlinePassed` and `JobCancelled` before anything is done, and the handler's errors.
        """
        handler = self._handlers[type(request)]
        heard: R | None = handler.hear(request)
        if heard is not None:
            return heard
        with self._turns.take(request, job, recorded=handler.recorded) as turn:
            result: R = handler.run(request, turn)
            return result

    def start(self) -> None:
        """Start CLIP's CPU encoder, observe the GPU, and repair deviations from the saved mode's contract."""
        self._clip_start.expect()
        self._start()

    def start_in_background(self) -> None:
        """Start without waiting for CLIP, which takes seconds: operations that do not need it run meanwhile."""
        self._clip_start.expect()
        self._starting = KeptThread("start", self._start_once, self._troubles)
        self._starting.start()

    def settle(self) -> None:
        """Wait until the server has finished the question of an earlier worker that died.

        A short question is answered once all questions before it are. After `SETTLE_S` it is given up; the next
        request then waits at the server.
        """
        with suppress(Overtaken):  # it resumes when it has the track back
            self._settle()

    def stop(self) -> None:
        """Stop the child processes and close the connections; Ollama unloads its models when their keep-alive ends."""
        # Anything still in flight is the worker's own, from `start` or `resume`: it has no caller.
        self.break_off()
        if self._starting is not None:
            self._starting.end(START_ENDS_S)
        self._tenants.vlm.close()
        self._tenants.vram.close()

    def cancel(self, job_id: str) -> bool:
        """Break off the operation of a job if it is the one in flight; safe from any thread."""
        return self._turns.cancel(job_id)

    def look_for_cancellation(self) -> None:
        """Break off the operation in flight if it was cancelled while the worker could not be notified."""
        self._turns.look_for_cancellation()

    def look_for_checks(self, *, could_come: bool) -> None:
        """Degrade the track while no checks come; `could_come` is False while no message can reach the worker."""
        self._track.checks.look(could_come=could_come and self._turns.operation is None)

    def break_off(self) -> None:
        """Break off the operation in flight for good, as when the worker ends: CLIP and the judge are stopped, too."""
        self._clip_start.stop()
        self._turns.break_off()
        self._tenants.clip.stop()
        self._judge.stop()

    def overtaken(self) -> None:
        """Break off the operation in flight since another worker has the track; CLIP stays for the worker's return."""
        self._turns.break_off()

    def resume(self) -> None:
        """Take over the state that another worker saved meanwhile, and enforce its mode's contract."""
        with self._turns.take(Tick(), _NO_JOB, kind=RESUME):
            self._track.resume()
        self.run(Tick(), _NO_JOB)

    def status(self) -> GPUResourceStatus:
        """Take a snapshot (P5) without waiting for the operation in flight; safe from any thread."""
        return self._snapshots.take()

    def glance(self) -> GPUResourceStatus:
        """Take a snapshot as `status` does, but emit no events: a mere reader must not wait for Redis."""
        return self._snapshots.take(emit=False)

    def sample(self, processes: tuple[GpuProcess, ...]) -> Sample:
        """Take a sample for the flight recorder, without waiting; `processes` are those on the GPU."""
        return self._snapshots.sample(processes)

    def tell_neighbours(self, server: str, tracks: Sequence[str]) -> None:
        """Make it a reason that other tracks use the same Ollama server; none of them clears it. From any thread."""
        if not tracks:
            self._track.reasons.clear(DegradedCode.OLLAMA_SHARED)
            return
        named = f"the track {tracks[0]} uses" if len(tracks) == 1 else f"the tracks {', '.join(tracks)} use"
        self._track.reasons.add(
            DegradedCode.OLLAMA_SHARED,
            f"{named} the Ollama server {server} as well: each loads and unloads models without regard to the other. "
            "Give each track a server of its own that sees its GPU alone, by SINGLETRACK_OLLAMA_URL.",
        )

    def _start(self) -> None:
        self._clip_start.run()
        if not self._clip_start.stopped:
            self.run(Tick(), _NO_JOB)

    def _start_once(self) -> bool:
        try:
            with suppress(Overtaken):  # it resumes when it has the track back
                self._start()
        except SingletrackError as error:
            _log.warning("the GPU could not be put in order at the start, the next check will: %s", error)
        return False

    def _settle(self) -> None:
        with self._turns.take(Tick(), _NO_JOB, kind=SETTLE) as turn:
            patience = threading.Timer(SETTLE_S, turn.cancellation.cancel)
            patience.start()
            vlm = self._tenants.vlm
            try:
                if vlm.listing() is not None:
                    vlm.ask(" ", (), None, VlmOptions(max_tokens=1), turn.cancellation)
            except SingletrackError as error:
                _log.warning("could not tell whether %s is still busy: %s", vlm.model, error)
            finally:
                patience.cancel()

    def _tell_trouble(self, text: str) -> None:
        """Make what is wrong with the worker's threads a reason; empty if nothing is."""
        if text:
            self._track.reasons.add(DegradedCode.WORKER_TROUBLE, f"the worker fails in part ({text}): see its log")
        else:
            self._track.reasons.clear(DegradedCode.WORKER_TROUBLE)
        self._publisher.changed()

    def _record(self) -> None:
        """Save the state, and publish the status before the caller gets the result."""
        self._track.save()
        self._publisher.publish(self.status)
