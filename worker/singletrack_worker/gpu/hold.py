"""This worker's hold on its track, which every request to a tenant is made under."""

from collections.abc import Callable
from typing import Protocol

from singletrack_worker.gpu.clock import Clock

# How often to look again while nobody knows who has the track.
_LOOK_S = 0.05
TAKEN = "another worker has taken the track"


class Overtaken(BaseException):
    """Ends an operation whose track another worker has taken: its job is that worker's, and nobody is to hear of it.

    No `Exception`: whatever turns a failure into an answer, a reason or a retry must let it pass.
    """


class Hold(Protocol):
    """Whether this worker has the track, as far as it knows without asking; thread-safe, and never waits."""

    @property
    def token(self) -> int:
        """Return the token of the present hold, 0 while another worker has the track."""

    def holds(self, token: int) -> bool | None:
        """Return whether the hold of that token lasts; None while nobody knows, which has it found out."""


class Undisputed:
    """The hold of a worker that nobody can overtake."""

    token = 1

    def holds(self, token: int) -> bool | None:
        """Return that it lasts."""
        return True


class Permit:
    """Lets an operation make requests for as long as the hold lasts under which it came."""

    def __init__(self, hold: Hold, clock: Clock) -> None:
        self._hold = hold
        self._clock = clock
        self._token = hold.token

    @property
    def lost(self) -> bool:
        """Whether another worker certainly has the track."""
        return self._hold.holds(self._token) is False

    def confirm(self, go_on: Callable[[], None]) -> None:
        """Raise `Overtaken` if another worker has the track; while nobody knows, wait until `go_on` raises."""
        while (held := self._hold.holds(self._token)) is None:
            go_on()
            self._clock.sleep(_LOOK_S)
        if not held:
            raise Overtaken(TAKEN)
