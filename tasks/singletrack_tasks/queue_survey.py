"""Surveys the jobs on a track's queue without taking any, and forecasts how long they will take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from singletrack_tasks.requests.catalogue import kind_of, needs_vlm
from singletrack_tasks.requests.mode import VLM_IN_MODE
from singletrack_tasks.result import StepName
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus, ModelState, QueueStatus
from singletrack_tasks.steps import STEPS

# The most messages that a survey reads, and that it reads to find one job: the script must not block Redis for long.
LOOKED_AT = 100
LOOKED_FOR = 1000
# How many of the waiting jobs a status names.
NAMED = 5

# KEYS: the queue. ARGV: the id of a job to stop at ('' for none), the most messages to read.
# Returns {length of the queue, messages read, the job's place or 0, {task, mode, sent, ...}}, the next job first.
# Bodies are base64 and quotes in strings are escaped, so only the name of a header can match.
# The name is found as plain text first: trying a pattern at every character takes four times as long.
SURVEY = """
local function told(message, name, value)
  local _, last = string.find(message, name, 1, true)
  return last and string.match(message, value, last + 1) or ''
end
local length = redis.call('LLEN', KEYS[1])
local most = math.min(length, tonumber(ARGV[2]))
local wanted = '"id": "' .. ARGV[1] .. '"'
local found, looked, place = {}, 0, 0
while looked < most and place == 0 do
  local count = math.min(50, most - looked)
  local part = redis.call('LRANGE', KEYS[1], -looked - count, -looked - 1)
  if #part == 0 then break end
  for i = #part, 1, -1 do
    local message = part[i]
    looked = looked + 1
    if ARGV[1] ~= '' and string.find(message, wanted, 1, true) then place = looked end
    found[#found + 1] = told(message, '"task": "', '^([%w._]+)"')
    found[#found + 1] = told(message, '"mode": "', '^(%u+)"')
    found[#found + 1] = told(message, '"sent_unix_s": ', '^([%d.]+)')
    if place > 0 then break end
  end
end
return {length, looked, place, found}
"""


@dataclass(frozen=True)
class Waiting:
    """One waiting job: its operation, the mode that it changes to, and when it was sent (Unix time)."""

    kind: str
    mode: ExecutionMode | None = None
    sent_unix_s: float | None = None

    @property
    def name(self) -> str:
        """The operation, and the mode that it changes to."""
        return self.kind if self.mode is None else f"{self.kind} {self.mode}"


@dataclass(frozen=True)
class Survey:
    """How many jobs wait, and the next few; `place` is 1 for the next job, None for a job that was not found."""

    length: int
    waiting: tuple[Waiting, ...]
    place: int | None = None

    @staticmethod
    def command(queue: str, job_id: str = "") -> tuple[str, int, str, str, int]:
        """Return the arguments of EVAL for the script `SURVEY`; with a `job_id` it reads further, to find that job."""
        return SURVEY, 1, queue, job_id, LOOKED_FOR if job_id else LOOKED_AT

    @classmethod
    def read(cls, reply: Sequence[Any]) -> "Survey":
        """Parse the reply of the script `SURVEY`, with strings as bytes."""
        length, _, place, words = reply
        texts = [word.decode("utf-8", "replace") for word in words]
        jobs = zip(texts[::3], texts[1::3], texts[2::3], strict=True)
        return cls(int(length), tuple(_waiting(*job) for job in jobs), int(place) or None)

    def status(self, now_unix_s: float, snapshot: GPUResourceStatus | None) -> QueueStatus:
        """Summarize the queue; the wait is for a job sent now, estimated from the durations in a snapshot."""
        oldest = next((job.sent_unix_s for job in self.waiting if job.sent_unix_s is not None), None)
        wait_s = None if snapshot is None else forecast(self.waiting, snapshot, now_unix_s).wait_s
        if wait_s is not None and self.length > len(self.waiting) > 0:
            wait_s *= self.length / len(self.waiting)
        return QueueStatus(
            length=self.length,
            oldest_age_s=None if oldest is None else max(0.0, now_unix_s - oldest),
            wait_s=wait_s,
            next_up=tuple(job.name for job in self.waiting[:NAMED]),
        )


@dataclass(frozen=True)
class Forecast:
    """How long it takes until a list of jobs is done (seconds, None if unknown).

    `loads_vlm` says whether the VLM is loaded on the way, `vlm_loaded` whether it is loaded at the end.
    """

    wait_s: float | None
    loads_vlm: bool
    vlm_loaded: bool


def forecast(waiting: Sequence[Waiting], snapshot: GPUResourceStatus, now_unix_s: float) -> Forecast:
    """Forecast the operation in flight and the jobs after it, from the durations measured so far."""
    course = _Course(snapshot, now_unix_s)
    for job in waiting:
        course.run(job.kind, job.mode)
    return Forecast(course.wait_s, course.loads_vlm, course.vlm_loaded)


class _Course:
    """Simulates operations, one after another."""

    def __init__(self, snapshot: GPUResourceStatus, now_unix_s: float) -> None:
        self._durations_s = snapshot.durations_s
        self.vlm_loaded = snapshot.vlm.state is ModelState.LOADED
        self.loads_vlm = False
        self.wait_s: float | None = 0.0
        operation = snapshot.operation
        if operation is None:
            return
        since_s = operation.work_since_unix_s or operation.stage_since_unix_s or operation.since_unix_s
        spent_s = max(0.0, now_unix_s - since_s)
        step = next((step for step in STEPS if step == operation.stage), None)
        if step is not None:
            self._step(step, spent_s)
            spent_s = 0.0
        # A change of mode may still have all its steps ahead of it; the snapshot does not show them.
        self._work(operation.kind, spent_s)

    def run(self, kind: str, mode: ExecutionMode | None) -> None:
        wanted = needs_vlm(kind)
        if wanted is None and mode is not None:
            wanted = VLM_IN_MODE.get(mode)
        if wanted is not None and wanted is not self.vlm_loaded:
            self._step("load_vlm" if wanted else "unload_vlm")
        self._work(kind)

    def _work(self, kind: str, spent_s: float = 0.0) -> None:
        # A requested load or unload consists of its step alone.
        if kind not in STEPS:
            self._add(kind, spent_s)

    def _step(self, step: StepName, spent_s: float = 0.0) -> None:
        self._add(step, spent_s)
        if STEPS[step].tenant == "vlm":
            self.vlm_loaded = STEPS[step].onto_gpu
            self.loads_vlm = self.loads_vlm or self.vlm_loaded

    def _add(self, name: str, spent_s: float = 0.0) -> None:
        duration_s = self._durations_s.get(name)
        if duration_s is None or self.wait_s is None:
            self.wait_s = None
        else:
            self.wait_s += max(0.0, duration_s - spent_s)


def _waiting(task: str, mode: str, sent: str) -> Waiting:
    known = mode in ExecutionMode.__members__
    try:
        sent_unix_s = float(sent) if sent else None
    except ValueError:
        sent_unix_s = None
    return Waiting(kind_of(task) or "unknown", ExecutionMode(mode) if known else None, sent_unix_s)
