"""The checks that beat sends: whether they come, and which of them have nothing left to do."""

from singletrack_tasks.result import DegradedCode
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.known.reasons import Reasons

# After so many intervals without a check the checks are missing, but not before a beat had the time to start.
MISSED_MAX = 3
LEAST_S = 30.0
# A check has nothing left to do for this part of its interval after another one.
SPARED_PART = 0.5
# Looks are a second apart. In a longer gap the worker was paused, or waited for Redis: no check could come.
GAP_MAX_S = 2.0


class Checks:
    """Knows when the last check came, by the monotonic clock alone: nobody's wall clock makes one late."""

    def __init__(self, clock: Clock, reasons: Reasons, every_s: float) -> None:
        """Expect a check every so many seconds, until one comes that says otherwise."""
        self._clock = clock
        self._reasons = reasons
        self._every_s = every_s
        self._came_s: float | None = None
        self._made_s: float | None = None
        self._looked_s = clock.monotonic()
        # How long none has come, not counting the time in which none could.
        self._waited_s = 0.0

    @property
    def last_unix_s(self) -> float | None:
        """When the last one came that is sent regularly (Unix time), None if none has; safe from any thread."""
        came_s = self._came_s
        return None if came_s is None else self._clock.unix(came_s)

    @property
    def every_s(self) -> float:
        """How often one is expected (seconds)."""
        return self._every_s

    def came(self, every_s: float | None) -> None:
        """Note that one came, which is sent every so many seconds, None if it is not sent regularly."""
        self._waited_s = 0.0
        if every_s is not None:
            self._every_s, self._came_s = every_s, self._clock.monotonic()
        self._reasons.clear(DegradedCode.CHECKS_MISSING)

    def made(self) -> None:
        """Note that one was made."""
        self._made_s = self._clock.monotonic()

    def spares(self, every_s: float | None) -> bool:
        """Whether a check that is sent every so many seconds has nothing left to do, since one has just been made.

        One that is not sent regularly is always made: somebody waits for it.
        """
        if every_s is None or self._made_s is None:
            return False
        return self._clock.monotonic() - self._made_s < every_s * SPARED_PART

    def look(self, *, could_come: bool) -> None:
        """Add the reason once the checks are missing; to be called every second.

        `could_come` is False while the worker takes no messages, as during an operation: that is not beat's fault.
        """
        now_s = self._clock.monotonic()
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        if not could_come:
            return
        limit_s = max(MISSED_MAX * self._every_s, LEAST_S)
        was_due = self._waited_s >= limit_s
        self._waited_s += min(passed_s, GAP_MAX_S)
        if self._waited_s >= limit_s and not was_due:
            self._reasons.add(
                DegradedCode.CHECKS_MISSING,
                f"no check has come for {limit_s:g} s, and one is due every {self._every_s:g} s: an idle VLM stays "
                "loaded, and nothing repairs what the mode demands. Is `celery -A singletrack_worker beat` running?",
            )
