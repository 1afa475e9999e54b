"""A worker that cannot be observed: the difference to a real one is what being observed costs.

`celery -A benchmarks.blind_worker worker`. It publishes its status once a second, so that clients see it alive; it has
no events, no counters and no flight recorder.
"""

from typing import Any

from singletrack_worker.app import app
from singletrack_worker.gpu import flight_recorder
from singletrack_worker.sight import telemetry
from singletrack_worker.store import publisher

__all__ = ["app"]


def _nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


for part, names in (
    (publisher.RedisPublisher, ("changed", "emit")),
    (telemetry.Fanout, ("moved", "ended")),
    (flight_recorder.FlightRecorder, ("start",)),
):
    for name in names:
        setattr(part, name, _nothing)
