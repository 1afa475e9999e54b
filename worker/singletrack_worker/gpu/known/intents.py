"""Announced needs of the VLM: a wish each, which ends by itself.

They are this worker's memory alone: one that starts knows none, and the question that follows loads the VLM itself.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from singletrack_tasks.status import IntentEnd, VlmIntents
from singletrack_worker.gpu.clock import Clock

MAX_INTENTS: Final = 16
# A VLM that is needed again so soon is not unloaded for being idle.
KEPT_S: Final = 60.0
# What a load takes besides what the last ones took.
_MARGIN_S = 1.0


@dataclass(frozen=True)
class Intent:
    """The VLM is needed from `needed_s` on, until `until_s` (monotonic, seconds)."""

    needed_s: float
    until_s: float


class Intents:
    """The announced needs of a track; changed only by whoever has the turn, read from any thread."""

    def __init__(
        self, clock: Clock, lead_s: Callable[[], float | None], ended: Callable[[IntentEnd, float], None]
    ) -> None:
        """`lead_s` is how long before a need a load has to begin, None if that is unknown; `ended` is told of ends."""
        self._clock = clock
        self._lead_s = lead_s
        self._tell = ended
        self._intents: dict[str, Intent] = {}
        self._ends: Counter[IntentEnd] = Counter()
        self._saved_s = 0.0
        # What was done for them and not used yet: a load of so many seconds, and when it ended; an unload not made.
        self._ahead: tuple[float, float] | None = None
        self._spared_s: float | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._intents)

    @property
    def due(self) -> bool:
        """Whether a load has to begin now; at once if nobody knows how long it takes."""
        lead_s = self._lead_s()
        return any(lead_s is None or self._begun(one, lead_s + _MARGIN_S) for one in self._intents.values())

    @property
    def expected(self) -> bool:
        """Whether an idle VLM is kept, since it is needed within the next seconds."""
        return bool(self._near())

    def note(self, holder: str, in_s: float, for_s: float) -> bool:
        """Note a need in the place of the holder's last one; returns whether there was time and room for it."""
        kept = {name: one for name, one in self._intents.items() if name != holder}
        if in_s + for_s <= 0 or len(kept) >= MAX_INTENTS:
            return False
        now_s = self._clock.monotonic()
        self._intents = kept | {holder: Intent(now_s + in_s, now_s + in_s + for_s)}
        return True

    def withdraw(self, holder: str) -> bool:
        """End a holder's need; returns whether there was one."""
        if holder not in self._intents:
            return False
        self._end([holder], "withdrawn")
        return True

    def drop(self) -> None:
        """End all needs, since what they were announced for is over."""
        self._end(list(self._intents), "dropped")

    def expire(self) -> None:
        """End the needs whose time has passed."""
        now_s = self._clock.monotonic()
        over = [holder for holder, one in self._intents.items() if now_s >= one.until_s]
        nothing_done = self._ahead is None and self._spared_s is None
        self._end(over, "expired" if nothing_done else "vain")

    def loaded(self, took_s: float) -> None:
        """Note that the VLM was loaded for them."""
        self._ahead = took_s, self._clock.monotonic()

    def spared(self, load_s: float) -> None:
        """Note that an idle VLM was not unloaded for them, whose load takes so long."""
        self._spared_s = load_s

    def used(self, *, loaded_now: bool, waited_s: float) -> None:
        """Note that the VLM is used, by a job that waited for its turn; the needs of about now are met."""
        near = self._near()
        if loaded_now:
            self._end(near, "missed")
        elif self._ahead is not None:
            took_s, at_s = self._ahead
            # A job that was sent amid the load has waited for the rest of it.
            in_it_s = max(0.0, waited_s - (self._clock.monotonic() - at_s))
            self._end(near, "served", max(0.0, took_s - in_it_s))
        elif self._spared_s is not None:
            self._end(near, "kept", self._spared_s)
        else:
            self._end(near, "needless")

    @property
    def status(self) -> VlmIntents:
        """What waits and what was, for the status; safe from any thread."""
        waiting = tuple(self._intents.values())
        return VlmIntents(
            waiting=len(waiting),
            needed_unix_s=self._clock.unix(min(one.needed_s for one in waiting)) if waiting else None,
            until_unix_s=self._clock.unix(max(one.until_s for one in waiting)) if waiting else None,
            ended=dict(self._ends),
            saved_s=round(self._saved_s, 3),
        )

    def _near(self) -> list[str]:
        ahead_s = (self._lead_s() or 0.0) + KEPT_S
        return [holder for holder, one in self._intents.items() if self._begun(one, ahead_s)]

    def _begun(self, one: Intent, ahead_s: float) -> bool:
        return one.needed_s - ahead_s <= self._clock.monotonic() < one.until_s

    def _end(self, holders: list[str], how: IntentEnd, saved_s: float = 0.0) -> None:
        if not holders:
            return
        self._intents = {name: one for name, one in self._intents.items() if name not in holders}
        self._ends = self._ends + Counter({how: len(holders)})
        self._saved_s += saved_s
        for number in range(len(holders)):
            self._tell(how, 0.0 if number else saved_s)
        if not self._near():
            self._ahead = self._spared_s = None
