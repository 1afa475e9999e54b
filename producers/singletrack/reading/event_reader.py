"""Reads the events of a track."""

import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import redis
from pydantic import ValidationError

from singletrack.wire.limits import check_seconds
from singletrack.wire.link import RedisLink, stream_entries
from singletrack_tasks.errors import EventsLost, InvalidRequest
from singletrack_tasks.events import AnyEvent, parse_event
from singletrack_tasks.text import quoted

_ID = re.compile(r"\d{1,20}(-\d{1,20})?|\$")
_BATCH = 500
# Well below the socket's time-out, which would end a longer wait.
_BLOCK_S = 1.0
_log = logging.getLogger(__name__)

EventEntry = tuple[str, AnyEvent]


class EventReader:
    """Reads a bounded Redis stream of events, oldest first, beginning after `since`."""

    def __init__(self, link: RedisLink, since: str | None, timeout_s: float | None) -> None:
        if since is not None and not (isinstance(since, str) and _ID.fullmatch(since)):
            raise InvalidRequest(
                f"since must be the id of an event (1700000000000-0), or '$' for now, not {quoted(since)}"
            )
        if timeout_s is not None:
            check_seconds("timeout_s", timeout_s)
        self._link = link
        self._after = since or "0-0"
        self._checked = since is None or since == "$" or _order(since) == (0, 0)
        self._until_s = None if timeout_s is None else time.monotonic() + timeout_s

    def kept(self) -> Iterator[EventEntry]:
        """Yield the events that are kept."""
        while True:
            entries, count = self._read(block_s=None)
            yield from entries
            if count < _BATCH:
                return

    def follow(self) -> Iterator[EventEntry]:
        """Yield the events that are kept, then new ones, until the time is up."""
        while True:
            # Also if the time is up before the first read: the kept events are yielded.
            yield from self.next_batch()
            if self.over:
                return

    @property
    def over(self) -> bool:
        """Whether the time to follow is up."""
        return self._until_s is not None and time.monotonic() >= self._until_s

    def next_batch(self) -> list[EventEntry]:
        """Wait up to a second for events; there may be none."""
        left_s = _BLOCK_S if self._until_s is None else self._until_s - time.monotonic()
        return self._read(block_s=min(_BLOCK_S, max(left_s, 0.001)))[0]

    def _refuse_gap(self, client: redis.Redis) -> None:
        """Raise `EventsLost` if events after the id to begin with have been trimmed."""
        self._checked = True
        if not client.exists(self._link.keys.events):
            return
        about: Any = client.xinfo_stream(self._link.keys.events)
        first = about["first-entry"]
        # Servers before 7.0 do not say how many entries there ever were: no gap is known there.
        trimmed = about.get("entries-added", about["length"]) > about["length"]
        if first is None or not trimmed or _order(self._after) >= _order(first[0].decode()):
            return
        oldest = first[0].decode()
        raise EventsLost(
            f"events after {self._after} are no longer kept; the oldest one has the id {oldest}. Leave `since` out "
            "to read all that are kept.",
            {"since": self._after, "oldest": oldest},
        )

    def _read(self, block_s: float | None) -> tuple[list[EventEntry], int]:
        key = self._link.keys.events
        with self._link.reaching() as client:
            if self._after == "$":
                # A '$' at every read would skip what comes in between.
                newest: Any = client.xrevrange(key, count=1)
                self._after = newest[0][0].decode() if newest else "0-0"
            if not self._checked:
                self._refuse_gap(client)
            block_ms = None if block_s is None else max(1, int(block_s * 1000))
            answer: Any = client.xread({key: self._after}, count=_BATCH, block=block_ms)
        raw = stream_entries(answer)
        if raw:
            self._after = raw[-1][0].decode()
        return [entry for entry in map(_parse, raw) if entry is not None], len(raw)


def _order(entry_id: str) -> tuple[int, int]:
    """The sort key of an id: milliseconds, then a number; an id without one is the first of its millisecond."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def _parse(raw: tuple[bytes, dict[bytes, bytes]]) -> EventEntry | None:
    entry_id, fields = raw
    try:
        return entry_id.decode(), parse_event(fields.get(b"event", b"null"))
    except ValidationError as error:
        _log.warning(
            "skipped the event %s, which this release does not know: %s", entry_id.decode(), error.errors()[0]["msg"]
        )
        return None
