"""Whether a score of 0.9 means 0.9: bins of scores against the share that was right, as a table and as a plot."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final

from evaluation.judge import Trial, Verdict

_EDGES: Final = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
_COLOURS: Final = ("#2563eb", "#c2410c", "#15803d")
_SIDE, _LEFT, _TOP = 360, 70, 50
# Where both axes begin: what is clicked scores more.
_FROM = 0.5


@dataclass(frozen=True, slots=True)
class Bin:
    """Found targets of a method with scores between two edges, their mean score, and the share that was right."""

    method: str
    low: float
    high: float
    count: int
    mean_score: float
    right_share: float


def bins_of(trials: Sequence[Trial]) -> list[Bin]:
    """Return the bins that are not empty, of all that was found: what was not there counts as wrong."""
    found = [trial for trial in trials if trial.verdict is not Verdict.REFUSED]
    bins = []
    for method in sorted({trial.method for trial in found}):
        for low, high in pairwise(_EDGES):
            inside = [one for one in found if one.method == method and low <= one.score and _is_below(one.score, high)]
            if inside:
                score = sum(one.score for one in inside) / len(inside)
                right = sum(one.verdict is Verdict.RIGHT for one in inside) / len(inside)
                bins.append(Bin(method, low, high, len(inside), score, right))
    return bins


def table(bins: Sequence[Bin]) -> str:
    """Return the bins as text."""
    lines = [f"{'method':20} {'score':>12} {'found':>7} {'mean score':>11} {'right':>8}"]
    for one in bins:
        span = f"{one.low:.2f}-{one.high:.2f}"
        share = f"{100 * one.right_share:.1f} %"
        lines.append(f"{one.method:20} {span:>12} {one.count:>7} {one.mean_score:>11.3f} {share:>8}")
    return "\n".join(lines)


def data(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return what a calibration is fitted to: method, score, and whether it was right."""
    return [
        {"page": one.page, "method": one.method, "score": one.score, "right": one.verdict is Verdict.RIGHT}
        for one in trials
        if one.verdict is not Verdict.REFUSED
    ]


def plot(bins: Sequence[Bin], title: str) -> str:
    """Return an SVG: mean score to the right, share right upwards, a disc's area by how many were found."""
    methods = sorted({one.method for one in bins})
    parts = [*_frame(title)]
    for method, colour in zip(methods, _COLOURS, strict=False):
        parts += [_disc(one, colour) for one in bins if one.method == method]
        row = methods.index(method)
        y = _TOP + _SIDE - 20 - 20 * row
        parts.append(f'<circle cx="{_LEFT + _SIDE - 130}" cy="{y - 4}" r="5" fill="{colour}" fill-opacity="0.6"/>')
        parts.append(f'<text x="{_LEFT + _SIDE - 118}" y="{y}">{method}</text>')
    width, height = _LEFT + _SIDE + 30, _TOP + _SIDE + 60
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    style = ' font-family="sans-serif" font-size="12" fill="#222">'
    return "\n".join([head + style, f'<rect width="{width}" height="{height}" fill="#fff"/>', *parts, "</svg>\n"])


def as_dicts(bins: Sequence[Bin]) -> list[dict[str, Any]]:
    """Return the bins for JSON."""
    return [asdict(one) for one in bins]


def _is_below(score: float, high: float) -> bool:
    return score < high or high == _EDGES[-1]


def _frame(title: str) -> list[str]:
    bottom, right = _TOP + _SIDE, _LEFT + _SIDE
    parts = [f'<text x="{_LEFT}" y="26" font-size="14" font-weight="bold">{title}</text>']
    for tenth in range(round(_FROM * 10), 11):
        share = tenth / 10
        x, y = _place(share, share)
        parts.append(f'<path d="M{_LEFT} {y}H{right}M{x} {_TOP}V{bottom}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{share:.1f}</text>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{share:.1f}</text>')
    parts.append(f'<path d="M{_LEFT} {bottom}L{right} {_TOP}" stroke="#999" stroke-dasharray="4 4"/>')
    parts.append(f'<text x="{_LEFT + _SIDE / 2}" y="{bottom + 40}" text-anchor="middle">score</text>')
    middle = _TOP + _SIDE / 2
    turned = f'transform="rotate(-90 22 {middle})"'
    parts.append(f'<text x="22" y="{middle}" text-anchor="middle" {turned}>share that was right</text>')
    return parts


def _place(score: float, share: float) -> tuple[float, float]:
    """Return where a score and a share are drawn; what is below the axes lies on them."""
    right, up = (_SIDE * (max(value, _FROM) - _FROM) / (1 - _FROM) for value in (score, share))
    return _LEFT + right, _TOP + _SIDE - up


def _disc(one: Bin, colour: str) -> str:
    x, y = _place(one.mean_score, one.right_share)
    radius = min(3 + one.count**0.5 / 4, 16)
    hint = f"<title>{one.method}: {one.count} found, score {one.mean_score:.2f}, right {one.right_share:.3f}</title>"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.6">{hint}</circle>'
