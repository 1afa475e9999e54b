"""The screen as it was a moment ago: before a click showed."""

import time
from collections import deque
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from singletrack.agent.errors import AgentError, ScreenLocked
from singletrack.agent.screen.ports import Display
from singletrack.agent.screen.screenshot import Screenshot

_EVERY_S: Final = 0.1
# News of a click comes a little after it: what was grabbed in between may show its effect.
_NEWS_TAKES_S: Final = 0.04
_KEPT: Final = 8
_FIRST_WITHIN_S: Final = 30.0


class RecentFrames:
    """Grabs the screen again and again for as long as it is entered, and keeps the last few pictures."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._frames: deque[tuple[float, Screenshot]] = deque(maxlen=_KEPT)
        self._error: AgentError | None = None
        self._ended, self._begun = Event(), Event()
        self._thread = Thread(target=self._run, name="recent-frames", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._begun.wait(_FIRST_WITHIN_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def before(self, moment: float) -> Screenshot:
        """Return the newest picture from before a moment of `time.monotonic()`.

        Raises what the display raised if it cannot be grabbed any more, and `ScreenLocked` if it never could.
        """
        if self._error is not None:
            raise self._error
        frames = list(self._frames)
        earlier = [frame for taken, frame in frames if taken <= moment - _NEWS_TAKES_S]
        if not frames:
            raise ScreenLocked("No picture of the screen has been taken yet. Wait a moment before you begin.")
        return earlier[-1] if earlier else frames[0][1]

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                frame = self._display.grab()
            except AgentError as error:
                self._error = error
                self._begun.set()
                return
            self._frames.append((time.monotonic(), frame))
            self._begun.set()
            self._ended.wait(_EVERY_S)
