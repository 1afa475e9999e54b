"""The newest events of a track, read again and again."""

from typing import TYPE_CHECKING

from singletrack_tasks.errors import EventsLost
from singletrack_tasks.events import AnyEvent

if TYPE_CHECKING:
    from singletrack.client import Client


class EventTail:
    """Reads the events since the last read; begins after the id `after`, or with all that are kept."""

    def __init__(self, client: "Client", after: str | None = None) -> None:
        self._client = client
        self._after = after

    def new(self) -> tuple[list[AnyEvent], bool]:
        """Read the new events, and whether some before them are missing because they are no longer kept.

        Raises `RedisUnavailable`; the next read makes up for it.
        """
        try:
            entries, gap = list(self._client.events(self._after)), False
        except EventsLost:
            entries, gap = list(self._client.events()), True
        if entries:
            self._after = entries[-1][0]
        return [event for _, event in entries], gap
