"""What every request has in common, and everything that is said of an operation, in one place: at its request."""

from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

from singletrack_tasks.message import Message
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.result import OperationResult

R = TypeVar("R", bound=OperationResult)

# What a client writes into a message's headers beside Celery's own, so that nobody has to open the body.
SENT_HEADER = "sent_unix_s"


class Request(Message, Generic[R]):
    """A message that asks for an operation, which results in an `R`.

    A request class names its operation: `class Ask(Request[AskResult], task="gpu.vlm.ask", kind="ask")`. `task` is the
    name on the wire, which never changes, `kind` what status, logs and metrics call the operation. `needs_vlm` is True
    for one that loads the VLM, False for one that unloads it, None for all others.

    `deadline_unix_s` is the moment after which nobody waits for the answer, `sent_unix_s` the moment it was sent,
    both by the clock of the Redis server, which all machines share; without a deadline the job never goes stale.
    """

    TASK: ClassVar[str] = ""
    KIND: ClassVar[str] = ""
    NEEDS_VLM: ClassVar[bool | None] = None
    RESULT: ClassVar[type[OperationResult]] = OperationResult

    sent_unix_s: float | None = None
    deadline_unix_s: float | None = None

    def __init_subclass__(cls, *, task: str = "", kind: str = "", needs_vlm: bool | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not task:
            # `Request[R]` itself: pydantic makes a class of it.
            return
        cls.TASK, cls.KIND, cls.NEEDS_VLM = task, kind, needs_vlm
        (cls.RESULT,) = cls.__base__.__pydantic_generic_metadata__["args"]  # type: ignore[union-attr] # it is a Request

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a request that has fields and does not say what may be shown of them."""
        super().__pydantic_init_subclass__(**kwargs)
        if cls.TASK and cls.model_fields.keys() > Request.model_fields.keys() and "outline" not in vars(cls):
            raise TypeError(f"{cls.__name__} needs an `outline`: what logs and Flower may show of its fields")

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """Describe the JSON of such a request in one short line, also one that nobody has checked.

        Logs and Flower show it: sizes, and nothing of what is on anybody's screen; '' where there is nothing to say.
        """
        return ""

    @property
    def headers(self) -> dict[str, Any]:
        """What whoever looks at the queue can read of the request without opening it."""
        return {} if self.sent_unix_s is None else {SENT_HEADER: round(self.sent_unix_s, 3)}

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The payloads that the request refers to."""
        return tuple(_blobs(getattr(self, name) for name in type(self).model_fields))

    def read_result(self, data: Any) -> R:
        """Read the result of this request from a JSON object; raises `InvalidRequest`, `UnsupportedVersion`."""
        return cast("R", type(self).RESULT.parse(data))


@dataclass(frozen=True)
class JobRef:
    """The identity of the job that an accepted request becomes."""

    id: str


def size_of(data: Mapping[str, Any], name: str) -> int:
    """How many characters or items a field of an unchecked request has; 0 where it has no size."""
    value = data.get(name)
    return len(value) if isinstance(value, Sized) else 0


def _blobs(values: Iterator[object]) -> Iterator[Blob]:
    for value in values:
        if isinstance(value, Blob):
            yield value
        elif isinstance(value, tuple):
            yield from _blobs(iter(value))
