"""The state of the GPU and its tenants: the answer to a status query."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from singletrack_tasks.message import Message
from singletrack_tasks.result import Degradation, StepName


class ExecutionMode(StrEnum):
    """The agents' activity, which determines the tenant that belongs on the GPU."""

    AUTOPILOT = "AUTOPILOT"
    RECORDING = "RECORDING"
    IDLE = "IDLE"


class ModelState(StrEnum):
    """Where the VLM is in its life cycle."""

    UNKNOWN = "unknown"
    UNLOADED = "unloaded"
    LOADING = "loading"
    LOADED = "loaded"
    UNLOADING = "unloading"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"


class VRAMInfo(Message):
    """The memory of one GPU in MiB, as the driver reports it."""

    total_mb: int = Field(ge=0)
    used_mb: int = Field(ge=0)
    free_mb: int = Field(ge=0)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.used_mb + self.free_mb > self.total_mb + 1:
            raise ValueError("used and free memory exceed the total")
        return self


def share_out(used_mb: int, *claims_mb: int) -> tuple[int, ...]:
    """Grant each claim in turn from the memory in use (MiB), as far as it lasts; the last part is the rest.

    The parts always add up to `used_mb`: a server may list more for a model than the driver sees.
    """
    parts_mb, left_mb = [], used_mb
    for claim_mb in claims_mb:
        parts_mb.append(min(claim_mb, left_mb))
        left_mb -= parts_mb[-1]
    return (*parts_mb, left_mb)


class GpuInfo(Message):
    """The identity of a GPU; `index` is its number in the driver's order, `simulated` true for one that does not exist.

    With `unified_memory` it has none of its own, and its figures are those of the system's memory.
    """

    name: str
    uuid: str
    index: int = 0
    simulated: bool = False
    unified_memory: bool = False


class VlmStatus(Message):
    """The VLM: its state, the memory it takes (MiB), and when it was last used (Unix time, seconds)."""

    model: str
    state: ModelState
    size_mb: int | None = None
    vram_mb: int | None = None
    footprint_mb: int | None = None
    last_used_unix_s: float | None = None
    idle_timeout_s: float = 0


# How an announced need of the VLM ended. Used: after a load, or a sparing, for it; and there anyway; and not there.
# Not used: after a load or a sparing; and after none. Called off: by its caller; by a change of mode, or an unload.
IntentEnd = Literal["served", "kept", "needless", "missed", "vain", "expired", "withdrawn", "dropped"]


class VlmIntents(Message):
    """The announced needs of the VLM: how many wait, when the next one begins and the last one ends (Unix time, s).

    `ended` counts by `IntentEnd` those that ended since the worker started, `saved_s` the seconds of loading that
    nobody waited for.
    """

    waiting: int = Field(default=0, ge=0)
    needed_unix_s: float | None = None
    until_unix_s: float | None = None
    ended: dict[IntentEnd, int] = Field(default_factory=dict)
    saved_s: float = Field(default=0.0, ge=0)


class ResizeMode(StrEnum):
    """How an image of any shape becomes the square that CLIP sees."""

    SQUASH = "squash"
    LONGEST = "longest"


class ClipModel(Message):
    """A CLIP model: everything that a client needs to prepare inputs for it.

    `fingerprint` names weights and preparation together; embeddings are comparable if and only if theirs are equal.
    """

    name: str
    fingerprint: str
    dimension: int = Field(gt=0)
    image_size: int = Field(gt=0)
    resize_mode: ResizeMode = ResizeMode.SQUASH
    context_length: int = Field(gt=0)
    trained: bool = True


class ClipStatus(Message):
    """CLIP: its device (`cpu`, `cuda:n`), its encoder processes, and the VRAM it takes (MiB)."""

    model: ClipModel | None = None
    device: str = "cpu"
    cpu_pid: int | None = None
    gpu_pid: int | None = None
    footprint_mb: int | None = None


# The stage of an operation: one of the steps that make the GPU ready, or its own work; for a question, the model
# first reads the prompt and then generates the answer.
Stage = Literal[StepName, "work", "read", "generate"]
AT_WORK: tuple[Stage, ...] = ("work", "read", "generate")


class OperationInFlight(Message):
    """The operation that has the GPU now, its stage, and the number of answer tokens so far.

    `work_since_unix_s` is when its own work began, after its steps; None during a step.
    """

    job_id: str
    kind: str
    since_unix_s: float
    stage: Stage = "work"
    stage_since_unix_s: float | None = None
    work_since_unix_s: float | None = None
    answer_tokens: int | None = None

    def age_s(self, at_unix_s: float) -> float:
        """How long it has had the GPU at `at_unix_s` (seconds)."""
        return max(0.0, at_unix_s - self.since_unix_s)

    def stage_s(self, at_unix_s: float) -> float:
        """How long it has been in its stage at `at_unix_s` (seconds)."""
        return max(0.0, at_unix_s - (self.stage_since_unix_s or self.since_unix_s))


class WorkerInfo(Message):
    """The worker process behind a status."""

    host: str
    pid: int
    release: str
    started_unix_s: float


class LeaseInfo(Message):
    """The worker's lease on the track: its fencing token, 0 while another worker has the track."""

    token: int = Field(ge=0)
    since_unix_s: float


class LastError(Message):
    """The last operation that failed; `error` is the name of the error's type."""

    at_unix_s: float
    job_id: str | None
    kind: str
    error: str
    message: str


class Drift(Message):
    """Something on the GPU that is not ours, and since when: a model on the Ollama server, or VRAM of another process.

    `name` is the model's, or the process's if the driver identifies it; `vram_mb` is what it takes (MiB).
    """

    what: Literal["foreign_model", "foreign_vram"]
    name: str
    vram_mb: int | None = None
    pid: int | None = None
    since_unix_s: float


class QueueStatus(Message):
    """The waiting jobs: how many, the age of the oldest, and how long a job sent now would wait (seconds).

    Either time is None if it is unknown: no message says when it was sent, or an operation was never measured.
    `next_up` names the operations of the first few jobs in order, a change of mode with its new mode. `suspects` are
    the jobs that were moved behind others because so many of their starts had no end, with the number of those starts.
    """

    length: int = Field(ge=0)
    oldest_age_s: float | None = None
    wait_s: float | None = None
    next_up: tuple[str, ...] = ()
    suspects: dict[str, int] = Field(default_factory=dict)


class GPUResourceStatus(Message):
    """A snapshot of one track: the GPU, its tenants, the mode, and what is wrong, if anything.

    `vram` and `gpu` are None without a GPU, `vram` also while the driver tells nothing of it. `last_check_unix_s` is
    when the last regular check (`Tick`) came, None if none has since the worker started. `durations_s` are the
    durations of operations and steps, by name, as a mean in which the newest counts most. `queue`, `dead_letters`
    (their number) and `age_s` (of the snapshot) are added by the reader.
    """

    track: str
    taken_unix_s: float
    worker: WorkerInfo
    lease: LeaseInfo | None = None
    mode: ExecutionMode
    gpu: GpuInfo | None
    vram: VRAMInfo | None
    vlm: VlmStatus
    clip: ClipStatus
    degraded: bool
    reasons: tuple[Degradation, ...] = ()
    operation: OperationInFlight | None = None
    drift: tuple[Drift, ...] = ()
    durations_s: dict[str, float] = Field(default_factory=dict)
    last_error: LastError | None = None
    last_check_unix_s: float | None = None
    intents: VlmIntents = VlmIntents()
    queue: QueueStatus | None = None
    dead_letters: int | None = None
    age_s: float | None = None

    @property
    def read_unix_s(self) -> float:
        """When it was read, by the clock of the Redis server; when it was taken, if its age is unknown."""
        return self.taken_unix_s + (self.age_s or 0.0)

    @property
    def clip_on_gpu_mb(self) -> int:
        """The measured VRAM of CLIP (MiB); 0 on the CPU, and if it was never measured."""
        return 0 if self.clip.device == "cpu" else self.clip.footprint_mb or 0

    @property
    def queue_length(self) -> int | None:
        """How many jobs wait, None if they were not counted."""
        return None if self.queue is None else self.queue.length

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.degraded != bool(self.reasons):
            raise ValueError("degraded needs a reason, and a reason means degraded")
        if self.gpu is None and self.vram is not None:
            raise ValueError("VRAM belongs to a GPU")
        return self
