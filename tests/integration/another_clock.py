"""Celery's command line on a machine whose wall clock is off: `python -m tests.integration.another_clock -20 beat`."""

import datetime
import sys
import time

OFF_S = float(sys.argv.pop(1))
_true_time = time.time


class WallClock(datetime.datetime):
    """The time of day of that machine."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "WallClock":
        """Return it."""
        return super().now(tz) + datetime.timedelta(seconds=OFF_S)


def off_time() -> float:
    """Return it as Unix time."""
    return _true_time() + OFF_S


datetime.datetime = WallClock  # type: ignore[misc] # before anybody has taken the other
time.time = off_time

from celery.__main__ import main  # noqa: E402 - see above

if __name__ == "__main__":
    main()
