"""Draws the VRAM timeline as SVG: the tenants stacked, the modes below, and a line at each mode change."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tornado.escape import xhtml_escape

from singletrack.cli.screen.vram import STACK, Tenant, parts
from singletrack.pictures.vram_timeline import ModeMark, Timeline, TimelinePoint

_WIDTH, _HEIGHT = 1200, 214
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 10, 164
_LANE_TOP, _LANE_HEIGHT = 188, 22
_MIB_PER_GIB = 1024
_ROWS = 4
# Distances between the times on the axis.
_TICKS_S = (10, 30, 60, 120)
_TICKS_MAX = 6
# The narrowest band that has room for a mode's name.
_LABEL_WIDTH = 90


def css_class(tenant: Tenant) -> str:
    """The CSS class that colours a tenant, here and in the bar."""
    return f"gpu-{tenant.name.lower()}"


def draw_svg(timeline: Timeline) -> str:
    """Draw the timeline as an SVG element; the page's style sheet colours it."""
    picture = _Picture(timeline)
    drawn = (*picture.grid(), *picture.tenants(), *picture.modes())
    title = "VRAM in use by tenant, and the modes, during the last minutes"
    return (
        f'<svg class="gpu-timeline" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">'
        f"{''.join(drawn)}</svg>"
    )


class _Picture:
    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._points = _without_repeats(timeline.points)

    def _x(self, at_unix_s: float) -> float:
        share = (at_unix_s - self._timeline.start_unix_s) / self._timeline.seconds
        return round(_LEFT + min(1.0, max(0.0, share)) * (_WIDTH - _RIGHT - _LEFT), 1)

    def _y(self, mb: float) -> float:
        share = min(1.0, mb / max(1, self._timeline.total_mb))
        return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)

    def grid(self) -> Iterator[str]:
        """Draw the grid: GiB on the left, minutes below."""
        for row in range(_ROWS + 1):
            mb = self._timeline.total_mb * row / _ROWS
            y = self._y(mb)
            yield f'<line class="gpu-grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            yield _text(_LEFT - 6, y + 4, f"{mb / _MIB_PER_GIB:.1f} GiB" if row else "0", anchor="end")
        tick_s = next((tick for tick in _TICKS_S if self._timeline.seconds / tick <= _TICKS_MAX), _TICKS_S[-1])
        for age_s in range(0, int(self._timeline.seconds) + 1, tick_s):
            x = self._x(self._timeline.end_unix_s - age_s)
            anchor = "end" if not age_s else "start" if x < _LEFT + 20 else "middle"
            yield _text(x, _BOTTOM + 16, _ago(age_s), anchor=anchor)

    def tenants(self) -> Iterator[str]:
        """Draw the tenants from the top of the stack down, so that each covers the ones above it."""
        if self._points:
            for number in reversed(range(len(STACK))):
                yield f'<path class="{css_class(STACK[number])}" d="{self._area(STACK[: number + 1])}"/>'

    def _area(self, tenants: Sequence[Tenant]) -> str:
        path = [f"M{self._x(self._points[0].at_unix_s)} {_BOTTOM}"]
        for point in self._points:
            top_mb = sum(part_mb for tenant, part_mb in parts(point) if tenant in tenants)
            path.append(f"H{self._x(point.at_unix_s)}V{self._y(top_mb)}")
        path.append(f"H{self._x(self._timeline.points[-1].at_unix_s)}V{_BOTTOM}Z")
        return "".join(path)

    def modes(self) -> Iterator[str]:
        """Draw the band of modes, and a line at each mode change."""
        marks = self._timeline.marks
        last_unix_s = self._timeline.points[-1].at_unix_s if self._points else self._timeline.end_unix_s
        ends = [*(mark.at_unix_s for mark in marks[1:]), last_unix_s]
        for mark, end_unix_s in zip(marks, ends, strict=False):
            yield self._band(mark, self._x(mark.at_unix_s), self._x(end_unix_s))
        for mark in marks[1:]:
            x = self._x(mark.at_unix_s)
            yield f'<line class="gpu-change" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_LANE_TOP + _LANE_HEIGHT}"/>'

    def _band(self, mark: ModeMark, left: float, right: float) -> str:
        mode, width = xhtml_escape(mark.mode), round(max(0.0, right - left), 1)
        label = _text(left + 8, _LANE_TOP + 15, mark.mode, css="gpu-mode-name") if width > _LABEL_WIDTH else ""
        return (
            f'<rect class="gpu-mode gpu-mode-{mode}" x="{left}" y="{_LANE_TOP}" width="{width}" '
            f'height="{_LANE_HEIGHT}"><title>{mode}</title></rect>{label}'
        )


def _ago(age_s: int) -> str:
    if not age_s:
        return "now"
    return f"-{age_s // 60} min" if age_s % 60 == 0 else f"-{age_s} s"


def _text(x: float, y: float, words: str, *, anchor: str = "start", css: str = "gpu-label") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{xhtml_escape(words)}</text>'


def _without_repeats(points: Sequence[TimelinePoint]) -> list[TimelinePoint]:
    """Leave out points at which nothing changed: a recording has 1,200 points."""
    if not points:
        return []
    return [points[0], *(now for last, now in pairwise(points) if parts(now) != parts(last))]
