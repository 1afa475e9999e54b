"""The base of every request; all that identifies an operation is declared on its request class."""

from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

from singletrack_tasks.message import Message
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.result import OperationResult

R = TypeVar("R", bound=OperationResult)

# A header that clients add to Celery's own, so that surveying a queue does not need the bodies.
SENT_HEADER = "sent_unix_s"


class Request(Message, Generic[R]):
    """A message that requests an operation whose result is an `R`.

    A request class names its operation: `class Ask(Request[AskResult], task="gpu.vlm.ask", kind="ask")`. `task` is the
    name on the wire, which never changes, `kind` the name in status, logs and metrics. `needs_vlm` is True for an
    operation that loads the VLM, False for one that unloads it, None for all others.

    `deadline_unix_s` is when the caller stops waiting for the answer, `sent_unix_s` when the request was sent, both by
    the clock of the Redis server, which all machines share; without a deadline the job never goes stale.
    """

    TASK: ClassVar[str] = ""
    KIND: ClassVar[str] = ""
    NEEDS_VLM: ClassVar[bool | None] = None
    RESULT: ClassVar[type[OperationResult]] = OperationResult

    sent_unix_s: float | None = None
    deadline_unix_s: float | None = None

    def __init_subclass__(cls, *, task: str = "", kind: str = "", needs_vlm: bool | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if task:
            cls.TASK, cls.KIND, cls.NEEDS_VLM = task, kind, needs_vlm

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a request that does not say what it is; the class that pydantic makes of `Request[R]` need not."""
        super().__pydantic_init_subclass__(**kwargs)
        if cls.__pydantic_generic_metadata__["origin"] is not None:
            return
        (cls.RESULT,) = _result_types(cls) or (OperationResult,)
        if not cls.TASK or not cls.KIND or cls.RESULT is OperationResult:
            raise TypeError(f'write `class {cls.__name__}(Request[ItsResult], task="gpu...", kind="...")`')
        if cls.model_fields.keys() > Request.model_fields.keys() and "outline" not in vars(cls):
            raise TypeError(f"{cls.__name__} needs an `outline`: what logs and Flower may show of its fields")

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """Describe the JSON of such a request, validated or not, in one short line.

        Logs and Flower show it: sizes only, never content from a user's screen; '' if there is nothing to say.
        """
        return ""

    @property
    def headers(self) -> dict[str, Any]:
        """The headers by which a survey of the queue reads the request without opening its body."""
        return {} if self.sent_unix_s is None else {SENT_HEADER: round(self.sent_unix_s, 3)}

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The payloads that the request refers to."""
        return tuple(_blobs(self))

    def read_result(self, data: Any) -> R:
        """Parse the result of this request from a JSON object; raises `InvalidRequest`, `UnsupportedVersion`."""
        return cast("R", type(self).RESULT.parse(data))


@dataclass(frozen=True)
class JobRef:
    """The identity of the job that an accepted request becomes."""

    id: str


def size_of(data: Mapping[str, Any], name: str) -> int:
    """How many characters or items a field of an unvalidated request has; 0 if it has no size."""
    value = data.get(name)
    return len(value) if isinstance(value, Sized) else 0


def _result_types(kind: type[Request[Any]]) -> tuple[type[OperationResult], ...]:
    """The type argument of the `Request[R]` that a request class is made of."""
    bases = (base.__pydantic_generic_metadata__ for base in kind.__mro__ if issubclass(base, Request))
    return next((base["args"] for base in bases if base["origin"] is Request), ())


def _blobs(value: object) -> Iterator[Blob]:
    """Find the payloads in a value of any shape that a field can have."""
    match value:
        case Blob():
            yield value
        case Message():
            yield from _blobs([getattr(value, name) for name in type(value).model_fields])
        case Mapping():
            yield from _blobs(list(value.values()))
        case list() | tuple():
            for part in value:
                yield from _blobs(part)
