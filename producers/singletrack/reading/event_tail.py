"""The newest events of a track, read again and again."""

from collections.abc import Callable, Iterable

from singletrack_tasks.errors import EventsLost
from singletrack_tasks.events import AnyEvent


class EventTail:
    """Reads the events since the last read; begins after the id `after`, or with all that are kept.

    `read` is `Client.events`.
    """

    def __init__(self, read: Callable[[str | None], Iterable[tuple[str, AnyEvent]]], after: str | None = None) -> None:
        self._read = read
        self._after = after

    def new(self) -> tuple[list[AnyEvent], bool]:
        """Read the new events, and whether some before them are missing because they are no longer kept.

        Raises `RedisUnavailable`; the next read makes up for it.
        """
        try:
            entries, gap = list(self._read(self._after)), False
        except EventsLost:
            entries, gap = list(self._read(None)), True
        if entries:
            self._after = entries[-1][0]
        return [event for _, event in entries], gap
