"""What a terminal shows while a job is waited for: why it waits, and how far it is."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.status import Status
from rich.text import Text

from singletrack.cli.output import is_terminal
from singletrack.scope import Scope, scope
from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.status import OperationInFlight
from singletrack_tasks.steps import STEPS

if TYPE_CHECKING:
    from singletrack.answer_stream import AnswerStream, Piece
    from singletrack.reading.progress import Progress

T = TypeVar("T")

LOOK_EVERY_S = 0.2
_MOST_NAMED = 4
_STAGES: dict[str, str] = {
    **{name: step.doing for name, step in STEPS.items()},
    "work": "at work",
    "read": "the VLM is reading",
    "generate": "the VLM is writing",
}


def watched(call: Callable[[], T]) -> T:
    """Run a call, and show its job's progress on stderr if that is a terminal."""
    if not is_terminal(sys.stderr):
        return call()
    jobs = Scope()
    context = copy_context()
    context.run(scope.set, jobs)
    console = Console(stderr=True)
    with ThreadPoolExecutor(1) as pool, console.status("sending") as shown:
        future = pool.submit(context.run, call)
        try:
            while not wait([future], LOOK_EVERY_S).done:
                show_progress(shown, jobs)
        except KeyboardInterrupt:
            jobs.cancel()
            raise
        return future.result()


def watched_until_first(stream: "AnswerStream[Any]") -> "Iterator[Piece]":
    """Yield the pieces of an answer, and show its job's progress on stderr until the first one comes."""
    first = _first_pieces(stream) if is_terminal(sys.stderr) else []
    yield from first
    yield from stream


def _first_pieces(stream: "AnswerStream[Any]") -> "list[Piece]":
    jobs = Scope()
    jobs.add(stream.job)
    pieces: list[Piece] = []
    with Console(stderr=True).status("sending") as shown:
        show_progress(shown, jobs)
        while stream.wait() and not (pieces := list(stream.taken())):
            show_progress(shown, jobs)
    return pieces


def show_progress(shown: Status, jobs: Scope) -> None:
    """Show the newest job's progress; what is shown stays if that cannot be read."""
    job = jobs.newest
    if job is None:
        return
    try:
        text = progress_line(job.progress)
    except SingletrackError:
        # The call itself meets the same trouble, and raises it.
        return
    if text:
        shown.update(Text(text))


def progress_line(progress: "Progress") -> str:
    """Say in one line how far a job is; '' if that is not known."""
    if progress.operation is not None:
        return _at_work(progress.operation, progress.stage_s)
    if progress.place is None:
        return ""
    load = ", the VLM has to be loaded" if progress.loads_vlm else ""
    about = "" if progress.wait_s is None else f", about {progress.wait_s:.0f} s"
    starts = progress.endless_starts
    suspected = f", held back since {starts} starts had no end" if starts else ""
    return f"{_place(progress.place)}{_behind(progress.before)}{about}{load}{suspected}"


def _at_work(operation: OperationInFlight, stage_s: float) -> str:
    tokens = operation.answer_tokens
    if tokens is None:
        return f"{_STAGES[operation.stage]}, {stage_s:.0f} s"
    rate = f", {tokens / stage_s:.0f} tokens/s" if stage_s >= 1 else ""
    return f"{_STAGES[operation.stage]}, {tokens} tokens{rate}"


def _place(place: int) -> str:
    return "next in the queue" if place == 1 else f"number {place} in the queue"


def _behind(before: tuple[str, ...]) -> str:
    if not before:
        return ""
    if len(before) <= _MOST_NAMED:
        return f", behind {', '.join(before)}"
    counts = (f"{count} x {kind}" for kind, count in Counter(before).most_common())
    return f", behind {', '.join(counts)}"
