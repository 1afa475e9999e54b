"""A worker that nobody can see into: what it costs to be seen is the difference to a real one.

`celery -A benchmarks.blind_worker worker`. Its clients see that it lives, once a second; changes, events, counts and
the flight recorder are left out.
"""

from typing import Any

from singletrack_worker.app import app
from singletrack_worker.gpu import flight_recorder
from singletrack_worker.sight import telemetry
from singletrack_worker.store import publisher

__all__ = ["app"]


def _nothing(*_: Any, **__: Any) -> None:
    """Leave it out."""


for part, names in (
    (publisher.RedisPublisher, ("changed", "emit")),
    (telemetry.Fanout, ("moved", "ended")),
    (flight_recorder.FlightRecorder, ("start",)),
):
    for name in names:
        setattr(part, name, _nothing)
