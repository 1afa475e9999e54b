"""`singletrack status --watch` on a terminal: one thread looks, the other draws and listens for keys."""

import logging
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live

from singletrack.cli.interrupts import ended_by_signals
from singletrack.cli.output import has_colours
from singletrack.cli.screen.history import WatchHistory
from singletrack.cli.screen.keyboard import Keyboard
from singletrack.cli.screen.view import View, screen
from singletrack.reading.event_tail import EventTail
from singletrack_tasks.errors import NoWorker, RedisUnavailable, SingletrackError
from singletrack_tasks.recording import KEPT_S
from singletrack_tasks.status import GPUResourceStatus

if TYPE_CHECKING:
    from singletrack.client import Client

EVERY_S = 0.5
# A look at a Redis that does not answer takes longer than a user waits for a program to end.
_END_WAIT_S = 1.0
_RECORD_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


def fill_screen(client: "Client", console: Console) -> None:
    """Fill the terminal until q or Ctrl-C, redrawn twice a second, and leave it as it was."""
    try:
        with (
            ended_by_signals(),
            Watcher(client) as watcher,
            Keyboard() as keyboard,
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            while True:
                live.update(_drawn(watcher.view(), console), refresh=True)
                if "q" in keyboard.wait(EVERY_S).lower():
                    return
    except (KeyboardInterrupt, EOFError):
        # Ctrl-C, a signal and the end of the terminal end it like q.
        return


def _drawn(view: View, console: Console) -> Group:
    width, height = console.size
    lines = screen(view, width, height, colour=has_colours(console))
    for line in lines:
        line.no_wrap, line.overflow = True, "crop"
    return Group(*lines)


class Watcher(AbstractContextManager["Watcher"]):
    """Looks at a track twice a second, in a thread of its own while it is entered."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._history = WatchHistory()
        self._view = View(client.track, time.time())
        self._tail = EventTail(client.events, after=f"{int((time.time() - KEPT_S) * 1000)}-0")
        # How far the clock of the Redis server is ahead of ours.
        self._ahead_s = 0.0
        self._failure: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_END_WAIT_S)

    def view(self) -> View:
        """Return what is known now; raises the error that ended the thread."""
        if self._failure is not None:
            raise self._failure
        return replace(self._view, now_unix_s=self._now_unix_s())

    def look(self) -> None:
        """Look once; a worker that is gone and a Redis that cannot be reached may come back."""
        status, problem = None, ""
        try:
            try:
                status = self._client.status()
            except NoWorker as error:
                problem = error.message
                self._history.lost(self._now_unix_s(), "no worker")
            self._take(status)
        except RedisUnavailable as error:
            status, problem = None, error.message
            self._history.lost(self._now_unix_s(), "no Redis")
        history = self._history
        self._view = View(
            self._client.track,
            self._now_unix_s(),
            status,
            problem,
            history.points,
            history.marks,
            history.total_mb,
            tuple(history.events),
        )

    def _take(self, status: GPUResourceStatus | None) -> None:
        events, gap = self._tail.new()
        if gap:
            self._history.events.clear()
        if status is not None:
            self._ahead_s = status.read_unix_s - time.time()
            if not self._history.points:
                start_unix_s = max(status.worker.started_unix_s, self._now_unix_s() - KEPT_S)
                self._history.reconstruct(events, status, start_unix_s)
            self._history.saw(status)
        self._history.happened(events)

    def recall(self) -> None:
        """Ask for the flight recording of the last ten minutes; without it the history is that of the events."""
        try:
            recording = self._client.record(timeout_s=_RECORD_TIMEOUT_S)
        except SingletrackError as error:
            _log.debug("no recording: %s", error.message)
        else:
            self._history.recall(recording)

    def _run(self) -> None:
        recalled = False
        try:
            while not self._ended.is_set():
                self.look()
                if self._view.status is not None and not recalled:
                    self.recall()
                    recalled = True
                self._ended.wait(EVERY_S)
        except Exception as error:
            # Raised by the thread that draws.
            self._failure = error

    def _now_unix_s(self) -> float:
        return time.time() + self._ahead_s
