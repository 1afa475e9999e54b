"""The end of a track's events, for whoever looks at it again and again."""

from typing import TYPE_CHECKING

from singletrack_tasks.errors import EventsLost
from singletrack_tasks.events import AnyEvent

if TYPE_CHECKING:
    from singletrack.client import Client


class EventTail:
    """Gives at each look what happened since the last; begins after the id `after`, or with all that is kept."""

    def __init__(self, client: "Client", after: str | None = None) -> None:
        self._client = client
        self._after = after

    def new(self) -> tuple[list[AnyEvent], bool]:
        """Read what is new, and whether something is missing before it: more has happened than is kept.

        Raises `RedisUnavailable`; the next look makes up for it.
        """
        try:
            entries, gap = list(self._client.events(self._after)), False
        except EventsLost:
            entries, gap = list(self._client.events()), True
        if entries:
            self._after = entries[-1][0]
        return [event for _, event in entries], gap
