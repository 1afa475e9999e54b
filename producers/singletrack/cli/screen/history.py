"""The last ten minutes of a track, as seen by a watcher."""

from collections import deque
from collections.abc import Iterable, Sequence

from singletrack.pictures.vram_timeline import (
    ModeMark,
    TimelinePoint,
    before,
    follow,
    follow_mode,
    in_order,
    mode_before,
    point_of,
    recorded,
)
from singletrack_tasks.events import AnyEvent, ModeChanged
from singletrack_tasks.recording import KEPT_S, Recording
from singletrack_tasks.status import GPUResourceStatus

EVENTS_KEPT = 200


class WatchHistory:
    """Collects points, modes and events; forgets what is older than ten minutes, and all but the last events."""

    def __init__(self) -> None:
        self.events: deque[AnyEvent] = deque(maxlen=EVENTS_KEPT)
        self.total_mb = 0
        self._points: list[TimelinePoint] = []
        self._marks: list[ModeMark] = []

    @property
    def points(self) -> tuple[TimelinePoint, ...]:
        """The memory over time, oldest first."""
        return tuple(self._points)

    @property
    def marks(self) -> tuple[ModeMark, ...]:
        """The modes over time, oldest first."""
        return tuple(in_order(self._marks))

    def reconstruct(self, events: Sequence[AnyEvent], now: GPUResourceStatus, start_unix_s: float) -> None:
        """Begin with the history that these events imply; they led to the status of now."""
        known = events[-EVENTS_KEPT:]
        at_unix_s = known[0].at_unix_s if known else start_unix_s
        if len(known) == len(events):
            at_unix_s = min(at_unix_s, start_unix_s)
        first = before(known, now, at_unix_s)
        self._points = [first, *follow(first, known)]
        self._marks = follow_mode(mode_before(known, now, at_unix_s), known)

    def recall(self, recording: Recording) -> None:
        """Replace the history of a recording's time by the recording."""
        if not recording.samples:
            return
        first_unix_s, last_unix_s = recording.samples[0].at_unix_s, recording.samples[-1].at_unix_s
        points, marks = recorded(recording.samples)
        self._points = [
            *(point for point in self._points if point.at_unix_s < first_unix_s),
            *points,
            *(point for point in self._points if point.at_unix_s > last_unix_s),
        ]
        self._marks = [mark for mark in self._marks if not first_unix_s <= mark.at_unix_s <= last_unix_s] + marks

    def saw(self, now: GPUResourceStatus) -> None:
        """Add a status."""
        self.total_mb = 0 if now.vram is None else now.vram.total_mb
        self._mark(ModeMark(now.taken_unix_s, now.mode))
        last = self._points[-1] if self._points else None
        if last is None or now.taken_unix_s > last.at_unix_s:
            self._points.append(point_of(now, last))
        self._forget(now.taken_unix_s - KEPT_S)

    def lost(self, at_unix_s: float, why: str) -> None:
        """Leave a gap: nothing is known from now on."""
        if self._points and (self._points[-1].used_mb or self._points[-1].busy):
            self._points.append(TimelinePoint(at_unix_s, 0))
        self._mark(ModeMark(at_unix_s, why))

    def happened(self, events: Iterable[AnyEvent]) -> None:
        """Add events."""
        for event in events:
            self.events.append(event)
            if isinstance(event, ModeChanged):
                self._marks.append(ModeMark(event.at_unix_s, event.after))

    def _mark(self, mark: ModeMark) -> None:
        marks = self.marks
        if not marks or marks[-1].mode != mark.mode:
            self._marks.append(mark)

    def _forget(self, before_unix_s: float) -> None:
        """Keep what still held at that moment, and everything later."""
        points = self._points
        while len(points) > 1 and points[1].at_unix_s <= before_unix_s:
            del points[0]
        marks = in_order(self._marks)
        while len(marks) > 1 and marks[1].at_unix_s <= before_unix_s:
            del marks[0]
        self._marks = marks
