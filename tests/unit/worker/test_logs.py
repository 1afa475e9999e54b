"""The worker's log: what an entry says, for machines and for people."""

import errno
import io
import json
import logging
import sys
from typing import Any

import pytest
from celery import signals

from singletrack_worker import logs
from singletrack_worker.logs import BestEffortStream, JsonFormatter, TextFormatter


def record(message: str = "moved %d MB", *args: object, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("singletrack_worker.gpu", logging.WARNING, __file__, 1, message, args or (7,), None)
    made.__dict__.update(extra)
    return made


def entry(of: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter("gpu0").format(of)
    assert "\n" not in line
    read: dict[str, Any] = json.loads(line)
    return read


def test_an_entry_is_one_object() -> None:
    made = record()
    made.created = 1_700_000_000.5
    assert entry(made) == {
        "time": "2023-11-14T22:13:20.500+00:00",
        "level": "WARNING",
        "logger": "singletrack_worker.gpu",
        "message": "moved 7 MB",
        "track": "gpu0",
    }


def test_an_entry_says_which_job_it_is_of() -> None:
    with logs.doing("j-1", "gpu.vlm.ask"):
        inside = entry(record())
        with logs.doing("j-2", "gpu.ping"):
            assert entry(record())["job_id"] == "j-2"
    assert (inside["job_id"], inside["action"]) == ("j-1", "ask")
    assert "job_id" not in entry(record())


def test_celery_says_it_of_a_task_that_comes_and_goes() -> None:
    told = entry(record("received %s", "it", data={"id": "j-3", "name": "gpu.mode.set"}))
    assert (told["job_id"], told["action"]) == ("j-3", "mode")


def test_a_traceback_stays_in_the_line() -> None:
    made = record()
    try:
        int("no number")
    except ValueError:
        made.exc_info = sys.exc_info()
    assert "ValueError: invalid literal" in entry(made)["traceback"]


def test_a_terminal_gets_text() -> None:
    with logs.doing("j-1", "gpu.vlm.ask"):
        assert TextFormatter("gpu0").format(record()).endswith("WARNING  moved 7 MB [gpu0 ask j-1]")
    assert TextFormatter("gpu0").format(record()).endswith("[gpu0]")


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def set_up(logger: logging.Logger, log_format: Any) -> None:
    """Do as Celery does with a logger, and leave its signals as they were."""
    kept = [
        (signal, list(signal.receivers)) for signal in (signals.after_setup_logger, signals.after_setup_task_logger)
    ]
    try:
        for signal, _ in kept:
            signal.receivers.clear()
        logs.set_up("gpu0", log_format)
        signals.after_setup_logger.send(sender=None, logger=logger)
    finally:
        for signal, receivers in kept:
            signal.receivers[:] = receivers


@pytest.mark.parametrize(
    ("stream", "log_format", "formatter"),
    [
        (Screen(), "auto", TextFormatter),
        (io.StringIO(), "auto", JsonFormatter),
        (Screen(), "json", JsonFormatter),
        (io.StringIO(), "text", TextFormatter),
    ],
)
def test_the_format_is_that_of_where_it_goes(
    stream: io.StringIO, log_format: Any, formatter: type[logging.Formatter]
) -> None:
    logger = logging.Logger("alone")
    logger.addHandler(logging.StreamHandler(stream))
    set_up(logger, log_format)
    assert type(logger.handlers[0].formatter) is formatter


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_what_would_log_payloads_stays_quiet(monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", level)
    for name in ("celery.pool", "PIL"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    set_up(logging.Logger("root"), "json")
    for name in ("celery.pool", "PIL"):
        assert logging.getLogger(name).level == max(level, logging.INFO)


def test_what_cannot_be_written_is_lost_and_nothing_fails() -> None:
    class FullDisk(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(text)

        def flush(self) -> None:
            self.write("")

    disk = FullDisk()
    stream = BestEffortStream(disk)
    print("lost", file=stream, flush=True)
    disk.full = False
    print("kept", file=stream, flush=True)
    assert disk.getvalue().strip() == "kept"
    assert stream.closed is False
