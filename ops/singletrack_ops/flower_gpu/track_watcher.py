"""Reads a track once for everybody who looks at its page, in a thread: Flower's loop never waits for Redis."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from singletrack import Client
from singletrack.cli.screen.history import WatchHistory
from singletrack.pictures.vram_timeline import Timeline
from singletrack.reading.event_tail import EventTail
from singletrack_tasks.errors import NoWorker, SingletrackError
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.recording import KEPT_S, Recording
from singletrack_tasks.status import GPUResourceStatus

GOOD_FOR_S = 1.0
# A recording costs some milliseconds, at the worker and here.
RECORDING_GOOD_FOR_S = 5.0
# The page can do without the worker's recording.
RECORD_TIMEOUT_S = 2.0
_EVENTS_KEPT = 1000
# What is shown of a worker that has not run for long: the shortest span that covers it.
_SPANS_S = (60.0, 180.0, 300.0)
_EVENTS_TOLD = 100


@dataclass(frozen=True)
class GpuView:
    """What was seen of a track: its last status, None if it never had one; `problem` says what could not be read."""

    now_unix_s: float
    status: GPUResourceStatus | None = None
    problem: str | None = None
    events: tuple[AnyEvent, ...] = ()
    timeline: Timeline | None = None

    def dump(self) -> dict[str, Any]:
        """The view as a JSON object, with the latest events, oldest first."""
        return {
            "problem": self.problem,
            "status": self.status.dump() if self.status else None,
            "events": [event.dump() for event in self.events[-_EVENTS_TOLD:]],
            "timeline": asdict(self.timeline) if self.timeline else None,
        }


class TrackWatcher:
    """Reads at most once a second, however many ask, and keeps the latest events."""

    def __init__(self, connect: Callable[[], Client] = Client) -> None:
        self._connect = connect
        self._client: Client | None = None
        self._events: deque[AnyEvent] = deque(maxlen=_EVENTS_KEPT)
        self._tail: EventTail | None = None
        self._recording: Recording | None = None
        self._record_again_s = 0.0
        self._looking: asyncio.Future[GpuView] | None = None
        self._look_again_s = 0.0

    async def look(self) -> GpuView:
        """Read the track, or share what somebody else has just read."""
        looking = self._looking
        if looking is None or (looking.done() and time.monotonic() >= self._look_again_s):
            looking = self._looking = asyncio.ensure_future(asyncio.to_thread(self.look_now))
            self._look_again_s = time.monotonic() + GOOD_FOR_S
        # If one caller goes away, the others still get their view.
        return await asyncio.shield(looking)

    def look_now(self) -> GpuView:
        """Read the track and wait for Redis; `problem` says what could not be read."""
        status, problem = None, None
        try:
            self._client = self._client or self._connect()
            self._tail = self._tail or EventTail(self._client.events)
            status, problem = _status(self._client)
            self._read_events(self._tail)
            self._record(self._client, alive=problem is None)
        except SingletrackError as error:
            problem = error.message
        now_unix_s = time.time() if status is None else status.read_unix_s
        events = tuple(self._events)
        recording = self._recording if problem is None else None
        timeline = None if status is None else recent_timeline(status, recording, events, now_unix_s)
        return GpuView(now_unix_s, status, problem, events, timeline)

    def _read_events(self, tail: EventTail) -> None:
        events, gap = tail.new()
        if gap:
            self._events.clear()
        self._events.extend(events)

    def _record(self, client: Client, *, alive: bool) -> None:
        if not alive or time.monotonic() < self._record_again_s:
            return
        try:
            self._recording = client.record(timeout_s=RECORD_TIMEOUT_S)
        except NoWorker:
            # Its remote control may be cut off for a moment: the events tell almost the same.
            self._recording = None
        self._record_again_s = time.monotonic() + RECORDING_GOOD_FOR_S


def recent_timeline(
    status: GPUResourceStatus, recording: Recording | None, events: Sequence[AnyEvent], now_unix_s: float
) -> Timeline | None:
    """The last minutes by the flight recorder, else by the events; None if there is no GPU."""
    if status.vram is None:
        return None
    since_unix_s = now_unix_s - KEPT_S
    history = WatchHistory()
    if recording is not None and recording.samples:
        history.recall(recording)
    else:
        recent = [event for event in events if since_unix_s <= event.at_unix_s <= status.taken_unix_s]
        history.reconstruct(recent, status, max(since_unix_s, status.worker.started_unix_s))
    history.saw(status)
    known_s = now_unix_s - history.points[0].at_unix_s if history.points else 0.0
    shown_s = next((span for span in _SPANS_S if known_s <= span), KEPT_S)
    return Timeline(history.points, history.marks, now_unix_s, status.vram.total_mb, since_unix_s=now_unix_s - shown_s)


def _status(client: Client) -> tuple[GPUResourceStatus | None, str | None]:
    """The status, if need be the last one of a worker that is gone, and what is wrong with it."""
    try:
        return client.status(), None
    except NoWorker as gone:
        problem = gone.message
    try:
        return client.status(stale=True), problem
    except NoWorker:
        return None, problem
