"""What was really done to the tenants, and how things really were: facts to check a manager against."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from singletrack_tasks.errors import SingletrackError
from singletrack_worker.gpu.clock import Clock


@dataclass(frozen=True)
class Scene:
    """How things really are at one moment: VRAM (MiB, None without a GPU), and who is where.

    `vlm_taken_mb` is what the loaded model takes, `vlm_held_mb` that and what earlier ones have not given back yet,
    `vlm_owed_mb` the part of that which went by an unload that the worker asked for. `guests` are others' models at the
    server, `stranger_mb` what somebody else has.
    """

    free_mb: int | None = None
    used_mb: int | None = None
    vlm_listed: bool = False
    vlm_taken_mb: int = 0
    vlm_held_mb: int = 0
    vlm_owed_mb: int = 0
    vlm_reachable: bool = True
    clip_device: str = "cpu"
    clip_held_mb: int = 0
    guests: tuple[str, ...] = ()
    stranger_mb: int = 0


@dataclass
class Deed:
    """One call of a tenant: its place in the order of all beginnings and ends, its times, the scene at both."""

    who: str
    what: str
    thread: int
    begun: int
    start_s: float
    before: Scene
    ended: int | None = None
    end_s: float | None = None
    after: Scene = field(default_factory=Scene)
    error: str = ""


class History:
    """What was done to the tenants, in order; `look` tells the scene, `within` runs inside every deed."""

    def __init__(self, clock: Clock) -> None:
        self.deeds: list[Deed] = []
        self.look: Callable[[], Scene] = Scene
        self.within: Callable[[], None] = lambda: None
        self._clock = clock
        self._order = itertools.count()

    def now(self) -> int:
        """The next number in the order of beginnings and ends; `next` on a counter is atomic."""
        return next(self._order)

    @contextmanager
    def deed(self, who: str, what: str) -> Iterator[Deed]:
        """Record a call around its body."""
        deed = Deed(who, what, threading.get_ident(), self.now(), self._clock.monotonic(), self.look())
        self.deeds.append(deed)
        self.within()
        try:
            yield deed
        except SingletrackError as error:
            deed.error = type(error).__name__
            raise
        finally:
            deed.after, deed.end_s, deed.ended = self.look(), self._clock.monotonic(), self.now()
