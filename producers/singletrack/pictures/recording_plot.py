"""Draws a recording: VRAM by tenant, the mode, what the GPU was busy with, and what failed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singletrack.pictures.recording_spans import Span, spans, stretches
from singletrack_tasks.errors import InvalidConfiguration, InvalidRequest
from singletrack_tasks.recording import RecordedMark, Recording, Sample
from singletrack_tasks.status import ModelState, share_out
from singletrack_tasks.text import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_PX, HEIGHT_PX, DPI = 1400, 800, 100
# After Okabe and Ito, whose colours most people can tell apart.
_BLUE, _SKY, _ORANGE, _YELLOW, _GREEN, _PINK = "#0072B2", "#56B4E9", "#E69F00", "#F0E442", "#009E73", "#CC79A7"
_GREY, _INK, _RED = "#B8BEC4", "#30363C", "#C1121F"
_TENANTS = {"VLM": _BLUE, "VLM, loading": "#9CC4E4", "CLIP": _ORANGE, "other": _GREY}
_MODES = {"AUTOPILOT": "#F7D58C", "RECORDING": "#A6CEE6", "IDLE": "#E4E7EA"}
_STAGES = {
    "load_vlm": _BLUE,
    "unload_vlm": _SKY,
    "promote_clip": _ORANGE,
    "demote_clip": _YELLOW,
    "read": _PINK,
    "generate": _GREEN,
    "work": "#8A9299",
}
_DASHES = (0, (6, 3))
_LEFT, _RIGHT, _TOP = 0.065, 0.875, 0.885
_LINE = 0.026
_FAILURES_LISTED = 5
_LINE_CHARS = 165
# What is narrower than this part of the picture cannot be seen.
_LEAST_PART = 0.0025
# A letter's part of the width, of the size that labels have.
_CHAR_PART = 0.0068
_LEAST_SHOWN_S = 10.0


def plot(recording: Recording, path: Path) -> None:
    """Draw a recording as a PNG of 1400 x 800.

    Raises `InvalidConfiguration` where matplotlib is not installed, `InvalidRequest` for a path that cannot be written.
    """
    figure = draw_plot(recording)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise InvalidRequest(f"{shorten(str(path))} cannot be written: {error.strerror or error}") from error


def draw_plot(recording: Recording) -> "Figure":
    """Draw a recording; raises `InvalidConfiguration` where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InvalidConfiguration(f"drawing needs matplotlib ({error}): pip install 'singletrack[plot]'") from error
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    window = _Window(recording)
    failures = [mark for mark in recording.marks if mark.error and mark.at_unix_s >= window.start_unix_s]
    vram, mode, work = figure.subplots(3, 1, sharex=True, height_ratios=(13, 1, 2))
    bottom = 0.06 + (min(len(failures), _FAILURES_LISTED + 1) + 0.5) * _LINE
    figure.subplots_adjust(left=_LEFT, right=_RIGHT, top=_TOP, bottom=bottom, hspace=0.1)
    _head(figure, recording, window)
    _draw_vram(vram, recording)
    _draw_modes(mode, recording.samples, window)
    _draw_work(work, recording, window)
    _draw_failures(figure, (vram, mode, work), failures, window)
    _finish(work, window)
    return figure


class _Window:
    """The time that is shown, on this machine's clock."""

    def __init__(self, recording: Recording) -> None:
        last = recording.taken_unix_s
        first = min((sample.at_unix_s for sample in recording.samples), default=last)
        self.start_unix_s = min(first, last - _LEAST_SHOWN_S)
        self.end_unix_s = max([last, *(sample.at_unix_s for sample in recording.samples)])
        self.zone: tzinfo | None = datetime.fromtimestamp(last).astimezone().tzinfo

    @property
    def duration_s(self) -> float:
        return self.end_unix_s - self.start_unix_s

    def clock(self, unix_s: float, form: str = "%H:%M:%S") -> str:
        return datetime.fromtimestamp(unix_s, self.zone).strftime(form)


def _head(figure: "Figure", recording: Recording, window: _Window) -> None:
    where = f"on {recording.gpu.name}" if recording.gpu is not None else "without a GPU"
    span = f"{window.clock(window.start_unix_s, '%Y-%m-%d %H:%M:%S')} to {window.clock(window.end_unix_s)}"
    figure.text(
        _LEFT, 0.957, _plain(f"Track {recording.track} {where}"), size=15, weight="bold", color=_INK, parse_math=False
    )
    why = recording.reason.replace("_", " ")
    detail = f": {recording.detail}" if recording.detail else ""
    colour = _INK if recording.reason == "on_demand" else _RED
    line = _short(f"{span}, {why}{detail}")
    figure.text(_LEFT, 0.918, line, size=10, color=colour, parse_math=False)


def _draw_vram(axes: "Axes", recording: Recording) -> None:
    measured = [sample for sample in recording.samples if sample.used_mb is not None]
    for stretch in stretches(measured):
        _stack(axes, stretch)
    top_mb = max([recording.total_mb or 0, 1, *(sample.used_mb or 0 for sample in measured)])
    axes.set_ylim(0, top_mb * 1.09)
    if recording.total_mb is not None:
        axes.axhline(recording.total_mb, color=_INK, linewidth=1.2, linestyle=_DASHES)
    if not measured:
        what = "no samples" if not recording.samples else "no GPU: everything ran on the CPU"
        box = {"facecolor": "white", "edgecolor": "none"}
        axes.text(0.5, 0.5, what, transform=axes.transAxes, ha="center", va="center", color=_INK, size=13, bbox=box)
        axes.set_yticks([])
        return
    axes.set_ylabel("VRAM in use, MB")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", color="#E3E6E9", linewidth=0.8)
    axes.set_axisbelow(True)
    _legend(axes, _TENANTS, "VRAM", at=1.0, above=False, total_mb=recording.total_mb)


def _stack(axes: "Axes", samples: Sequence[Sample]) -> None:
    """Stack the tenants, and all other memory in use on top."""
    times = [_at(sample.at_unix_s) for sample in samples]
    layers = list(zip(*_shares(samples), strict=True))
    edges = [[0] * len(times), *accumulate(layers, lambda low, high: list(map(sum, zip(low, high, strict=True))))]
    for (low, high), colour in zip(pairwise(edges), _TENANTS.values(), strict=True):
        axes.fill_between(times, low, high, color=colour, linewidth=0, step="post")
    axes.plot(times, edges[-1], color=_INK, linewidth=1.3, drawstyle="steps-post")


def _shares(samples: Sequence[Sample]) -> Iterator[tuple[int, int, int, int]]:
    """Divide what is in use (MiB) as `_TENANTS` names it; a listed size may be larger than what the driver sees."""
    others_mb: int | None = None
    for sample in samples:
        vlm_mb, clip_mb, rest_mb = share_out(sample.used_mb or 0, sample.vlm_mb or 0, sample.clip_mb or 0)
        # Until the server lists a model, its memory is no tenant's: what came while it was loading is counted as its.
        loading = sample.vlm is ModelState.LOADING and others_mb is not None
        others_mb = min(others_mb or 0, rest_mb) if loading else rest_mb
        yield vlm_mb, rest_mb - others_mb, clip_mb, others_mb


def _draw_modes(axes: "Axes", samples: Sequence[Sample], window: _Window) -> None:
    found = spans(samples, lambda sample: str(sample.mode))
    for span in found:
        _bar(axes, span, _MODES.get(span.value, _GREY), window)
        if _part(span, window) > _width(span.value):
            box = {"facecolor": _MODES.get(span.value, _GREY), "edgecolor": "none", "pad": 1.5}
            axes.text(_middle(span), 0.48, span.value, ha="center", va="center", size=9, color=_INK, bbox=box)
    _lane(axes, "mode")
    there = {name: colour for name, colour in _MODES.items() if any(span.value == name for span in found)}
    _legend(axes, there, "mode", at=3.2)


def _draw_work(axes: "Axes", recording: Recording, window: _Window) -> None:
    """Draw operations in the colours of their stages, and steps that ended between two samples."""
    samples = recording.samples
    stages = spans(samples, lambda sample: sample.stage if sample.operation is not None else None)
    steps = [
        Span(mark.what, mark.at_unix_s - mark.duration_s, mark.at_unix_s)
        for mark in recording.marks
        if mark.what in _STAGES and mark.at_unix_s >= window.start_unix_s
    ]
    for span in (*stages, *steps):
        _bar(axes, span, _STAGES.get(span.value, _GREY), window, height=0.55)
    _name_operations(axes, samples, window)
    _lane(axes, "operation")
    there = {span.value for span in (*stages, *steps)}
    _legend(axes, {name: colour for name, colour in _STAGES.items() if name in there}, "operation", at=0.0)


def _name_operations(axes: "Axes", samples: Sequence[Sample], window: _Window) -> None:
    """Label operations where there is room, consecutive ones of a kind together."""
    operations = spans(samples, lambda sample: (sample.operation, sample.job_id) if sample.operation else None)
    free_from = 0.0
    for kind, group in groupby(operations, key=lambda span: span.value[0]):
        run = list(group)
        text = f"{kind} x{len(run)}" if len(run) > 1 else str(kind)
        middle = _middle(Span(kind, run[0].start_unix_s, run[-1].end_unix_s))
        half = _width(text) / 2 / (_RIGHT - _LEFT) * _at(window.duration_s)
        if middle - half >= free_from:
            free_from = middle + half
            axes.text(middle, 0.78, _plain(text), ha="center", va="center", size=9, color=_INK)


def _draw_failures(figure: "Figure", lanes: Sequence["Axes"], failed: Sequence[RecordedMark], window: _Window) -> None:
    """Mark failures, and number and list the newest below."""
    for mark in failed:
        for axes in lanes:
            axes.axvline(_at(mark.at_unix_s), color=_RED, linewidth=1.1, linestyle=(0, (3, 2)))
    listed = failed[-_FAILURES_LISTED:]
    height = _LINE * min(len(failed), _FAILURES_LISTED + 1)
    for row, mark in enumerate(listed):
        number = len(failed) - len(listed) + row + 1
        _number(lanes[0], number, mark)
        line = _short(f"{number} {window.clock(mark.at_unix_s)} {mark.what}: {mark.error}")
        figure.text(_LEFT, 0.017 + height - _LINE * (row + 1), line, size=9, color=_RED, parse_math=False)
    if len(failed) > len(listed):
        figure.text(_LEFT, 0.017, f"and {len(failed) - len(listed)} earlier ones", size=9, color=_RED)


def _number(axes: "Axes", number: int, mark: RecordedMark) -> None:
    axes.annotate(
        str(number),
        (_at(mark.at_unix_s), 1.0),
        xycoords=axes.get_xaxis_transform(),
        ha="center",
        va="center",
        size=9,
        color="white",
        bbox={"boxstyle": "circle,pad=0.25", "facecolor": _RED, "edgecolor": "white"},
    )


def _bar(axes: "Axes", span: Span[str], colour: str, window: _Window, height: float = 1.0) -> None:
    """Draw a span, wide enough to be seen, as far as it is in the picture."""
    end_unix_s = max(span.end_unix_s, span.start_unix_s + window.duration_s * _LEAST_PART)
    start, end = _at(max(span.start_unix_s, window.start_unix_s)), _at(end_unix_s)
    axes.broken_barh([(start, end - start)], (0, height), facecolors=colour, edgecolor="white", linewidth=0.6)


def _part(span: Span[Any], window: _Window) -> float:
    """How much of the picture's width a span takes."""
    return span.duration_s / window.duration_s * (_RIGHT - _LEFT)


def _width(text: str) -> float:
    """How much of the picture's width a word takes, about, with some air."""
    return (len(text) + 1) * _CHAR_PART


def _middle(span: Span[Any]) -> float:
    return _at((span.start_unix_s + span.end_unix_s) / 2)


def _lane(axes: "Axes", name: str) -> None:
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_ylabel(name, rotation=0, ha="right", va="center")


def _legend(
    axes: "Axes", colours: Mapping[str, str], title: str, *, at: float, above: bool = True, total_mb: int | None = None
) -> None:
    """Put a legend beside the axes, above or below the height `at` (in parts of the axes)."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[Any] = [Patch(color=colour, label=name) for name, colour in reversed(list(colours.items()))]
    if total_mb is not None:
        entries.insert(0, Line2D([], [], color=_INK, linestyle=_DASHES, label=f"total {total_mb:,} MB"))
    if entries:
        axes.legend(
            handles=entries,
            title=title,
            loc="lower left" if above else "upper left",
            bbox_to_anchor=(1.008, at),
            frameon=False,
            fontsize=9,
            borderaxespad=0,
            alignment="left",
        )


def _finish(axes: "Axes", window: _Window) -> None:
    from matplotlib.dates import AutoDateLocator, DateFormatter

    axes.set_xlim(_at(window.start_unix_s), _at(window.end_unix_s))
    locator = AutoDateLocator(tz=window.zone, minticks=5, maxticks=11)  # type: ignore[no-untyped-call] # matplotlib's
    axes.xaxis.set_major_locator(locator)
    form = DateFormatter("%H:%M:%S", tz=window.zone)  # type: ignore[no-untyped-call] # matplotlib leaves it untyped
    axes.xaxis.set_major_formatter(form)
    for side in axes.figure.axes:
        side.spines[["top", "right"]].set_visible(False)


def _at(unix_s: float) -> float:
    """Convert a Unix time to matplotlib's, in days since 1970."""
    return unix_s / 86400


def _short(text: str) -> str:
    text = _plain(text)
    return text if len(text) <= _LINE_CHARS else f"{text[: _LINE_CHARS - 3]}..."


def _plain(text: str) -> str:
    """Replace characters that matplotlib's own font lacks."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")
