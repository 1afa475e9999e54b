"""The events of one track, kept in a bounded Redis stream."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from singletrack_tasks.dead_letter import DeadCode
from singletrack_tasks.message import Message
from singletrack_tasks.result import Degradation, StepReceipt
from singletrack_tasks.status import Drift, ExecutionMode, IntentEnd


class Event(Message):
    """Something that happened at `at_unix_s` (Unix time, seconds); `job_id` names the job that caused it."""

    at_unix_s: float
    job_id: str | None = None


class ResourceChanged(Event):
    """VRAM in use changed by 100 MB or more since the last such event (MiB)."""

    kind: Literal["resource_changed"] = "resource_changed"
    before_mb: int
    after_mb: int
    total_mb: int


class ModeChanged(Event):
    """The execution mode changed; the receipts list the steps taken."""

    kind: Literal["mode_changed"] = "mode_changed"
    before: ExecutionMode
    after: ExecutionMode
    receipts: tuple[StepReceipt, ...] = ()


class IdleUnload(Event):
    """The VLM was unloaded after it had been idle for `idle_s` seconds."""

    kind: Literal["idle_unload"] = "idle_unload"
    model: str
    idle_s: float
    receipt: StepReceipt | None = None


class VlmLoaded(Event):
    """The VLM was loaded."""

    kind: Literal["vlm_loaded"] = "vlm_loaded"
    model: str
    receipt: StepReceipt


class VlmUnloaded(Event):
    """The VLM was unloaded, and its memory is free."""

    kind: Literal["vlm_unloaded"] = "vlm_unloaded"
    model: str
    receipt: StepReceipt


class VlmIntentEnded(Event):
    """An announced need of the VLM ended; `saved_s` seconds of loading were not waited for."""

    kind: Literal["vlm_intent_ended"] = "vlm_intent_ended"
    outcome: IntentEnd
    saved_s: float = Field(default=0.0, ge=0)


class ClipMigrated(Event):
    """CLIP moved to another device."""

    kind: Literal["clip_migrated"] = "clip_migrated"
    before: str
    after: str
    receipt: StepReceipt


class Degraded(Event):
    """A reason for degraded mode appeared."""

    kind: Literal["degraded"] = "degraded"
    reason: Degradation


class Recovered(Event):
    """A reason for degraded mode cleared."""

    kind: Literal["recovered"] = "recovered"
    reason: Degradation


class DriftChanged(Event):
    """Something that is not ours appeared on the GPU or, with `over`, disappeared."""

    kind: Literal["drift"] = "drift"
    drift: Drift
    over: bool = False


class TaskDead(Event):
    """A message was set aside as a dead letter, with this reason, instead of being run (again)."""

    kind: Literal["task_dead"] = "task_dead"
    code: DeadCode
    task: str | None = None
    reason: str
    starts: int = 0


class TaskPutBack(Event):
    """A message went back on the queue since the worker that had it in hand did not run it; its start counts."""

    kind: Literal["task_put_back"] = "task_put_back"


class WorkerStarted(Event):
    """A worker took over the track."""

    kind: Literal["worker_started"] = "worker_started"
    host: str
    pid: int


class WorkerStopped(Event):
    """A worker left the track on purpose."""

    kind: Literal["worker_stopped"] = "worker_stopped"
    host: str
    pid: int


AnyEvent = Annotated[
    ResourceChanged
    | ModeChanged
    | IdleUnload
    | VlmLoaded
    | VlmUnloaded
    | VlmIntentEnded
    | ClipMigrated
    | Degraded
    | Recovered
    | DriftChanged
    | TaskDead
    | TaskPutBack
    | WorkerStarted
    | WorkerStopped,
    Field(discriminator="kind"),
]
_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def parse_event(data: str | bytes | dict[str, Any]) -> AnyEvent:
    """Read an event from JSON; raises `pydantic.ValidationError` if it is malformed or of an unknown kind."""
    if isinstance(data, dict):
        return _ADAPTER.validate_python(data)
    return _ADAPTER.validate_json(data)
