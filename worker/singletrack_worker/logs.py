"""The worker's log: one line of JSON per entry, or text on a terminal, with the track, job and action it belongs to.

Entries say what happened, with ids and figures; prompts, images, answers and passwords never appear.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from celery import signals

from singletrack_tasks.requests.catalogue import kind_of
from singletrack_worker.settings import LogFormat

# At DEBUG these log what nobody may read: the arguments of each task, and what a picture's EXIF block says.
_TALKATIVE = ("celery.pool", "PIL")


@dataclass(frozen=True)
class _Doing:
    """The job that a thread is working on, and its operation."""

    job_id: str
    action: str


_doing: ContextVar[_Doing | None] = ContextVar("singletrack_doing", default=None)


@contextmanager
def doing(job_id: str, task: str) -> Iterator[None]:
    """Mark what this thread logs meanwhile as belonging to this job."""
    token = _doing.set(_Doing(job_id, kind_of(task)))
    try:
        yield
    finally:
        _doing.reset(token)


def set_up(track: str, log_format: LogFormat) -> None:
    """Make Celery's loggers write in this format, once Celery has set them up."""

    def take_over(logger: logging.Logger, **_: Any) -> None:
        for handler in logger.handlers:
            handler.setFormatter(_formatter(handler, track, log_format))
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))

    for signal in (signals.after_setup_logger, signals.after_setup_task_logger):
        signal.connect(take_over, weak=False, dispatch_uid=f"{__name__}.take_over")
    signals.celeryd_init.connect(_lose_what_cannot_be_said, weak=False, dispatch_uid=f"{__name__}.lose")


class BestEffortStream:
    """A text stream on which nothing fails: what cannot be written, as on a full disk, is lost."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, or lose it."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or lose it."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _lose_what_cannot_be_said(**_: Any) -> None:
    """Let a worker start whose output cannot be written; Celery's banner would end it, its loggers are careful."""
    stream: Any = sys.__stdout__
    if stream is not None and not isinstance(stream, BestEffortStream):
        sys.__stdout__ = BestEffortStream(stream)  # type: ignore[misc,assignment] # Celery looks it up there


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `logger`, `message`, `track`, and if known `job_id`, `action`."""

    def __init__(self, track: str) -> None:
        super().__init__()
        self._track = track

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line, any traceback under `traceback`."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "track": self._track,
        }
        of = _of(record)
        if of is not None:
            entry |= {"job_id": of.job_id, "action": of.action}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Text for a terminal, with track, action and job at the end of the line."""

    def __init__(self, track: str) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(message)s [%(of)s]")
        self._track = track

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, any traceback on the lines after it."""
        of = _of(record)
        record.of = self._track if of is None else f"{self._track} {of.action} {of.job_id}"
        return super().format(record)


def _of(record: logging.LogRecord) -> _Doing | None:
    """Find what a record belongs to: the task that Celery names in it, else what its thread is working on."""
    data = getattr(record, "data", None)
    if isinstance(data, dict) and "id" in data:
        task = str(data.get("name", ""))
        return _Doing(str(data["id"]), kind_of(task))
    return _doing.get()


def _formatter(handler: logging.Handler, track: str, log_format: LogFormat) -> logging.Formatter:
    if log_format == "auto":
        stream = getattr(handler, "stream", None)
        log_format = "text" if stream is not None and stream.isatty() else "json"
    return JsonFormatter(track) if log_format == "json" else TextFormatter(track)
