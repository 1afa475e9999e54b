"""What the GPU and its tenants are doing: the answer to a status query."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from singletrack_tasks.message import Message
from singletrack_tasks.result import Degradation, StepName


class ExecutionMode(StrEnum):
    """What the agents are doing, and so which tenant belongs on the GPU."""

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
    """The memory of one GPU in MiB, as the driver tells it."""

    total_mb: int = Field(ge=0)
    used_mb: int = Field(ge=0)
    free_mb: int = Field(ge=0)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.used_mb + self.free_mb > self.total_mb + 1:
            raise ValueError("used and free are more than the total")
        return self


def share_out(used_mb: int, *claims_mb: int) -> tuple[int, ...]:
    """Give to each in turn what it claims of the memory in use (MiB) while there is some, and the rest at the end.

    The parts add up to what is in use: what a server lists of a model may be more than the driver sees.
    """
    parts_mb, left_mb = [], used_mb
    for claim_mb in claims_mb:
        parts_mb.append(min(claim_mb, left_mb))
        left_mb -= parts_mb[-1]
    return (*parts_mb, left_mb)


class GpuInfo(Message):
    """Which GPU this is; `simulated` is true for one that is not there."""

    name: str
    uuid: str
    index: int = 0
    simulated: bool = False


class VlmStatus(Message):
    """The VLM: its state, the memory it takes (MiB), and when it was last asked something (Unix time, seconds)."""

    model: str
    state: ModelState
    size_mb: int | None = None
    vram_mb: int | None = None
    footprint_mb: int | None = None
    last_used_unix_s: float | None = None
    idle_timeout_s: float = 0


class ResizeMode(StrEnum):
    """How an image of any shape becomes the square that CLIP sees."""

    SQUASH = "squash"
    LONGEST = "longest"


class ClipModel(Message):
    """Which CLIP this is: everything that a client needs to prepare inputs for it.

    `fingerprint` names weights and preparation together; two embeddings may be compared if and only if it is equal.
    """

    name: str
    fingerprint: str
    dimension: int = Field(gt=0)
    image_size: int = Field(gt=0)
    resize_mode: ResizeMode = ResizeMode.SQUASH
    context_length: int = Field(gt=0)
    trained: bool = True


class ClipStatus(Message):
    """CLIP: where it is (`cpu`, `cuda:n`), the processes of its encoders, and the VRAM it takes (MiB)."""

    model: ClipModel | None = None
    device: str = "cpu"
    cpu_pid: int | None = None
    gpu_pid: int | None = None
    footprint_mb: int | None = None


# What an operation is at: one of the steps that make the GPU ready, or its own work, which for a question means that
# the model reads it first and then writes the answer.
Stage = Literal[StepName, "work", "read", "generate"]
AT_WORK: tuple[Stage, ...] = ("work", "read", "generate")


class OperationInFlight(Message):
    """The one operation that has the GPU now, what it is at, and how many tokens of an answer there are so far.

    `work_since_unix_s` is when its own work began, the steps before it left out; None during a step.
    """

    job_id: str
    kind: str
    since_unix_s: float
    stage: Stage = "work"
    stage_since_unix_s: float | None = None
    work_since_unix_s: float | None = None
    answer_tokens: int | None = None

    def age_s(self, at_unix_s: float) -> float:
        """How long it has had the GPU at this moment."""
        return max(0.0, at_unix_s - self.since_unix_s)

    def stage_s(self, at_unix_s: float) -> float:
        """How long it has been at its stage at this moment."""
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
    """The last operation that failed: `error` is the name of its type."""

    at_unix_s: float
    job_id: str | None
    kind: str
    error: str
    message: str


class Drift(Message):
    """Something on the GPU that is none of ours, and since when: a model at the Ollama server, or VRAM of a stranger.

    `name` is the model's, or the process's where the driver tells which it is; `vram_mb` what it takes (MiB).
    """

    what: Literal["foreign_model", "foreign_vram"]
    name: str
    vram_mb: int | None = None
    pid: int | None = None
    since_unix_s: float


class QueueStatus(Message):
    """The jobs that wait: how many, the age of the oldest, and how long a job sent now would wait (seconds).

    Both times are None where they cannot be told: a message without a time, operations that were never measured.
    `next_up` names the operations of the first few, the next first, a change of mode with the mode that it is to.
    """

    length: int = Field(ge=0)
    oldest_age_s: float | None = None
    wait_s: float | None = None
    next_up: tuple[str, ...] = ()


class GPUResourceStatus(Message):
    """A snapshot of one track: the GPU, its tenants, the mode, and what is wrong, if anything.

    `vram` and `gpu` are None where there is no GPU. `durations_s` are what operations and steps took, by name, as a
    mean in which the newest counts most. `queue`, `dead_letters` (how many there are) and `age_s` (of the snapshot)
    are added by whoever reads it.
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
    queue: QueueStatus | None = None
    dead_letters: int | None = None
    age_s: float | None = None

    @property
    def read_unix_s(self) -> float:
        """When it was read, by the clock of the Redis server; when it was taken, where nobody says how old it is."""
        return self.taken_unix_s + (self.age_s or 0.0)

    @property
    def clip_on_gpu_mb(self) -> int:
        """What CLIP has of the GPU's memory, as it was measured (MiB); 0 on the CPU, and where it never was."""
        return 0 if self.clip.device == "cpu" else self.clip.footprint_mb or 0

    @property
    def queue_length(self) -> int | None:
        """How many jobs wait, None where nobody counted."""
        return None if self.queue is None else self.queue.length

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.degraded != bool(self.reasons):
            raise ValueError("degraded needs a reason, and a reason means degraded")
        if (self.gpu is None) != (self.vram is None):
            raise ValueError("a GPU has VRAM, and VRAM belongs to a GPU")
        return self
