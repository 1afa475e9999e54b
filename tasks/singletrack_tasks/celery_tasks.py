"""What the tasks need from a worker, and how the worker gives it to them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

from celery import Task, shared_task

from singletrack_tasks.errors import InvalidRequest, NotInWorker, SingletrackError, WorkerFailure
from singletrack_tasks.outcome import TaskReturn

if TYPE_CHECKING:
    from singletrack_tasks.embedding import EmbeddingResult, EmbedImages, EmbedTexts
    from singletrack_tasks.mode import ModeResult, SetMode
    from singletrack_tasks.result import OperationResult
    from singletrack_tasks.upkeep import FindClip, FindClipResult, Ping, PingResult, Tick, TickResult
    from singletrack_tasks.vlm import Ask, AskResult, LoadVlm, UnloadVlm, VlmResult

TaskBody = Callable[["Task[Any, Any]", dict[str, Any]], "OperationResult"]

_SHOWN_CHARS = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobRef:
    """The identity of one accepted task."""

    id: str


class Gpu(Protocol):
    """The operations on one GPU; each waits for its turn, and only one runs at a time."""

    def set_mode(self, request: "SetMode", job: JobRef) -> "ModeResult":
        """Change the execution mode."""

    def ask(self, request: "Ask", job: JobRef) -> "AskResult":
        """Put a question to the VLM, loading it first if need be."""

    def load_vlm(self, request: "LoadVlm", job: JobRef) -> "VlmResult":
        """Load the VLM."""

    def unload_vlm(self, request: "UnloadVlm", job: JobRef) -> "VlmResult":
        """Unload the VLM and see its memory free."""

    def embed_images(self, request: "EmbedImages", job: JobRef) -> "EmbeddingResult":
        """Embed images with CLIP."""

    def embed_texts(self, request: "EmbedTexts", job: JobRef) -> "EmbeddingResult":
        """Embed texts with CLIP."""

    def find_clip(self, request: "FindClip", job: JobRef) -> "FindClipResult":
        """Ask the encoder itself which device its weights are on."""

    def tick(self, request: "Tick", job: JobRef) -> "TickResult":
        """Unload an idle VLM, and mend what differs from the mode's contract."""

    def ping(self, request: "Ping", job: JobRef) -> "PingResult":
        """Take a turn and do nothing."""


_gpu: Gpu | None = None


def provide(gpu: Gpu | None) -> None:
    """Give the tasks of this process their GPU; the worker does so when it starts, and takes it away at its end."""
    global _gpu  # noqa: PLW0603 - Celery's tasks are module-level functions: there is no object to hold it
    _gpu = gpu


def current() -> Gpu:
    """Return this process's GPU; raises `NotInWorker` anywhere but in a running worker."""
    if _gpu is None:
        raise NotInWorker(
            "this task runs on a GPU worker, and this process is none. Start one with `singletrack up` or "
            "`celery -A singletrack_worker worker`, and call it through `singletrack.Client`."
        )
    return _gpu


def gpu_task(name: str) -> Callable[[TaskBody], "Task[Any, Any]"]:
    """Make a task of a function, under a wire name that never changes.

    Typed errors are answers to the caller: Celery logs them in a line. Every other exception is a defect of the
    worker: it is logged with its traceback, and reaches the caller as `WorkerFailure`.
    """

    def make(body: TaskBody) -> "Task[Any, Any]":
        @wraps(body)
        def run(self: "Task[Any, Any]", *args: Any, **kwargs: Any) -> TaskReturn:
            try:
                return TaskReturn(body(self, _one_request(args, kwargs)))
            except SingletrackError as error:
                # Flower shows tracebacks with all causes, and a cause may quote what was asked or answered.
                raise error from None
            except Exception as error:
                _log.exception("%s failed", name)
                raise WorkerFailure(
                    f"the worker failed with {type(error).__name__}: {str(error)[:_SHOWN_CHARS]}. This is a defect in "
                    "the worker; its log has the traceback.",
                    {"type": type(error).__name__},
                ) from error

        return shared_task(name=name, bind=True, throws=(SingletrackError,))(run)

    return make


def _one_request(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the one argument of a task's message; raises `InvalidRequest` for any other."""
    if args or kwargs.keys() != {"request"}:
        raise InvalidRequest(
            f"this task takes one keyword argument, `request`, a JSON object; it was sent {len(args)} positional ones "
            f"and {sorted(kwargs)}"
        )
    request: dict[str, Any] = kwargs["request"]
    return request
