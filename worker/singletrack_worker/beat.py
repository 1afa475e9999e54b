"""What beat sends: the regular check, by a clock that nobody sets."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import schedstate, schedule

from singletrack_tasks.keys import QUEUE
from singletrack_tasks.requests.upkeep import Tick

_BEGAN = datetime.now(UTC)
_BEGAN_S = time.monotonic()


def steady_now() -> datetime:
    """Return the time as it was when this process began, carried on by the monotonic clock."""
    return _BEGAN + timedelta(seconds=time.monotonic() - _BEGAN_S)


class SteadySchedule(schedule):
    """Once every so many seconds, whatever happens to this machine's wall clock.

    Celery's own goes by the wall clock: set back by an hour, it sends nothing for an hour.
    """

    def __init__(
        self, run_every: Any = None, relative: bool = False, nowfun: Any = steady_now, app: Any = None
    ) -> None:
        super().__init__(run_every, relative, nowfun, app)

    def is_due(self, last_run_at: datetime) -> Any:
        """Return whether it is due, and when to look again (seconds)."""
        due, again_s = super().is_due(last_run_at)
        if again_s > self.seconds:
            # The last run, which beat keeps in a file, is in the future: the clock was set back since.
            return schedstate(is_due=True, next=self.seconds)
        return schedstate(is_due=due, next=again_s)


def beat_settings(interval_s: float) -> dict[str, Any]:
    """Return beat's part of the app's settings: a check every so many seconds.

    A check does not expire: the worker would drop it by a clock of its own machine, and all of them if that is ahead of
    beat's. It merges those that come late instead.
    """
    return {
        "beat_schedule": {
            "upkeep": {
                "task": Tick.TASK,
                "schedule": SteadySchedule(interval_s),
                "kwargs": {"request": {"every_s": interval_s}},
                "options": {"queue": QUEUE, "ignore_result": True},
            }
        },
    }
