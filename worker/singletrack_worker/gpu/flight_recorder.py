"""Remembers the last minutes of the GPU, and has them saved when something fails."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.recording import (
    KEPT_S,
    MARKS_MAX,
    RATE_HZ,
    SAMPLES_MAX,
    GpuProcess,
    RecordedMark,
    Recording,
    Sample,
)
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import IntentEnd
from singletrack_tasks.text import cut_line
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.kept_thread import KeptThread, Troubles
from singletrack_worker.gpu.out_of_memory import OUT_OF_MEMORY, is_out_of_memory
from singletrack_worker.gpu.stores import EndedOperation
from singletrack_worker.gpu.tenants import Vram

PERIOD_S = 1 / RATE_HZ
# Listing processes takes the driver much longer than reading its memory.
PROCESSES_EVERY_S = 2.0
# Failures that follow each other faster than this share one recording.
WRITE_EVERY_S = 30.0
ON_DEMAND = "on_demand"
# Requests and failures that may be pending; the oldest is dropped, and its caller has to ask again.
_ASKED_MAX = 8
_SHOWN_CHARS = 300
# A driver or a disk that hangs must not keep the worker from stopping.
_END_S = 2.0

TakeSample = Callable[[tuple[GpuProcess, ...]], Sample]


@dataclass(frozen=True)
class _Failure:
    reason: str
    detail: str


class FlightRecorder:
    """A ring of samples in memory, filled by a thread of its own.

    It learns of failures as a `Telemetry` and has `write` save them; requested recordings go to `deliver` under the
    id of the request. All of this happens in its own thread, never in that of an operation.
    """

    def __init__(
        self,
        track: str,
        vram: Vram,
        clock: Clock,
        *,
        write: Callable[[Recording], object],
        deliver: Callable[[str, Recording], None],
        troubles: Troubles,
    ) -> None:
        self._track = track
        self._vram = vram
        self._clock = clock
        self._write = write
        self._deliver = deliver
        self._troubles = troubles
        self._gpu = vram.gpu
        memory = vram.read()
        self._total_mb = None if memory is None else memory.total_mb
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)
        self._marks: deque[RecordedMark] = deque(maxlen=MARKS_MAX)
        self._processes: tuple[GpuProcess, ...] = ()
        self._asked: deque[str] = deque(maxlen=_ASKED_MAX)
        self._failures: deque[_Failure] = deque(maxlen=_ASKED_MAX)
        self._owed: _Failure | None = None
        self._sample_due_s = self._processes_due_s = self._write_due_s = clock.monotonic()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: KeptThread | None = None

    def start(self, look: TakeSample) -> None:
        """Start sampling; `look` takes a sample, given the processes on the GPU, and must not block."""
        self._thread = KeptThread("flight-recorder", partial(self._run, look), self._troubles)
        self._thread.start()

    def stop(self) -> None:
        """End the thread once a pending recording is saved; calling it again does nothing."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.end(_END_S)
            self._thread = None

    def ask(self, request_id: str) -> None:
        """Request the delivery of a recording; returns at once."""
        if request_id not in self._asked:
            self._asked.append(request_id)
        self._wake.set()

    def moved(self, receipt: StepReceipt, error: SingletrackError | None) -> None:
        """Mark a step of a transition; a failure triggers a recording."""
        self._mark(receipt.step, receipt.duration_s, "" if error is None else f"{type(error).__name__}: {error}")
        if is_out_of_memory(error):
            self._fail(OUT_OF_MEMORY, f"{receipt.step}: {error}")
        elif error is not None:
            self._fail(f"{receipt.step}_failed", str(error))

    def ended(self, operation: EndedOperation) -> None:
        """Mark a failed operation; running out of memory triggers a recording."""
        if operation.out_of_memory:
            self._fail(OUT_OF_MEMORY, f"{operation.kind} of job {operation.job_id or 'none'}")
        if operation.out_of_memory or operation.outcome == "failed":
            error = OUT_OF_MEMORY if operation.out_of_memory else operation.error
            self._mark(operation.kind, operation.duration_s, error or "failed")

    def intent_ended(self, outcome: IntentEnd, saved_s: float) -> None:
        """An announced need of the VLM moves nothing by its end."""

    def _mark(self, what: str, duration_s: float, error: str) -> None:
        at = round(self._clock.time(), 2)
        shown = cut_line(error, _SHOWN_CHARS)
        self._marks.append(RecordedMark(at_unix_s=at, what=what, duration_s=round(duration_s, 3), error=shown))

    def _fail(self, reason: str, detail: str) -> None:
        self._failures.append(_Failure(reason, cut_line(detail, _SHOWN_CHARS)))
        self._wake.set()

    def _run(self, look: TakeSample) -> bool:
        """Do what is due, and wait for the next; returns whether to go on."""
        last = self._stopped.is_set()
        self._step(look, last=last)
        if not last:
            self._wake.wait(max(0.0, self._sample_due_s - self._clock.monotonic()))
            self._wake.clear()
        return not last

    def _step(self, look: TakeSample, *, last: bool = False) -> None:
        """Do what is due; a part that fails does not stop the others."""
        self._take_failures()
        now_s = self._clock.monotonic()
        if now_s >= self._sample_due_s:
            # Set first: a sample that fails must not be retried in a loop.
            self._sample_due_s = now_s + PERIOD_S
            with self._troubles.survived("flight recorder's samples"):
                self._samples.append(look(self._list_processes(now_s)))
        if self._owed is not None and (last or now_s >= self._write_due_s):
            recording, self._owed = self._recording(self._owed.reason, self._owed.detail), None
            self._write_due_s = now_s + WRITE_EVERY_S
            with self._troubles.survived("flight recorder's files"):
                self._write(recording)
        while self._asked:
            with self._troubles.survived("flight recorder's answers"):
                self._deliver(self._asked.popleft(), self._recording(ON_DEMAND))

    def _take_failures(self) -> None:
        """Schedule a recording of what failed, with a sample at once; running out of memory takes precedence.

        A failure that does not change the schedule adds no sample: a storm would push out the minutes before it.
        """
        while self._failures:
            failure = self._failures.popleft()
            if self._owed is None or (failure.reason == OUT_OF_MEMORY and self._owed.reason != OUT_OF_MEMORY):
                self._owed, self._sample_due_s = failure, self._clock.monotonic()

    def _list_processes(self, now_s: float) -> tuple[GpuProcess, ...]:
        if now_s >= self._processes_due_s:
            self._processes_due_s = now_s + PROCESSES_EVERY_S
            listed = self._vram.processes()
            # Samples share an unchanged list.
            self._processes = self._processes if listed == self._processes else listed
        return self._processes

    def _recording(self, reason: str, detail: str = "") -> Recording:
        at = self._clock.time()
        return Recording(
            track=self._track,
            reason=reason,
            detail=detail,
            taken_unix_s=at,
            gpu=self._gpu,
            total_mb=self._total_mb,
            samples=tuple(self._samples),
            # Copied in one go: operations keep adding marks meanwhile.
            marks=tuple(mark for mark in self._marks.copy() if mark.at_unix_s >= at - KEPT_S),
        )
