"""Which of the recorded texts are on a screen, and where each of them went."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from singletrack.agent.resolver.voting import cast, settled, without_own
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.anchor import ScreenText
from singletrack.agent.words.comparing import are_same_keys, text_key

Edges = NDArray[np.float64]
_LEAST_PAIRS_FOR_SCALE: Final = 3
_FARTHEST_PX: Final = 60.0
_LEAST_TOLERANCE_PX: Final = 12.0
_VOTES_PER_TEXT: Final = 6


@dataclass(frozen=True, eq=False)
class Layout:
    """Recorded texts (edges n x 4: left, top, right, bottom) and the labels they were found again as.

    `found[i]` is the place of text i in the screen's labels, or -1; `scale` is how much larger distances are now.
    """

    keys: tuple[str, ...]
    then: Edges
    found: NDArray[np.intp]
    now: Edges
    scale: float

    @property
    def pairs(self) -> NDArray[np.intp]:
        """Which texts were found again."""
        return np.flatnonzero(self.found >= 0)


def layout_of(texts: tuple[ScreenText, ...], seen: SeenScreen) -> Layout:
    """Find recorded texts again on a screen; what was found out is kept with the screen."""
    name = hash(tuple((text.text, text.box) for text in texts))
    if name not in seen.findings:
        seen.findings[name] = _layout_of(texts, seen)
    found: Layout = seen.findings[name]
    return found


def _layout_of(texts: tuple[ScreenText, ...], seen: SeenScreen) -> Layout:
    keys = tuple(text_key(text.text) for text in texts)
    then = np.array(
        [(text.box.left, text.box.top, text.box.right, text.box.bottom) for text in texts], dtype=np.float64
    ).reshape(-1, 4)
    found = _seeds(keys, seen)
    scale = _scale_of(then, seen.edges, found)
    found = _without_strays(then, seen.edges, found, scale)
    scale = _scale_of(then, seen.edges, found)
    _add_repeated(keys, then, seen, found, scale)
    now = np.zeros_like(then)
    pairs = found >= 0
    now[pairs] = seen.edges[found[pairs]]
    return Layout(keys, then, found, now, scale)


def _seeds(keys: tuple[str, ...], seen: SeenScreen) -> NDArray[np.intp]:
    """Return the pairs of texts that were there once and are there once."""
    counts: dict[str, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    found = np.full(len(keys), -1, dtype=np.intp)
    left_over = []
    for place, key in enumerate(keys):
        there = seen.keys.get(key, ())
        if counts[key] == 1 and len(there) == 1:
            found[place] = there[0]
        elif counts[key] == 1 and not there:
            left_over.append(place)
    _add_nearly_same(keys, left_over, seen, found)
    return found


def _add_nearly_same(keys: tuple[str, ...], places: list[int], seen: SeenScreen, found: NDArray[np.intp]) -> None:
    taken = set(found.tolist())
    free = [there[0] for there in seen.keys.values() if len(there) == 1 and there[0] not in taken]
    if not places or not free:
        return
    theirs = [seen.labels[place].key for place in free]
    ratios = process.cdist([keys[place] for place in places], theirs, scorer=fuzz.ratio, score_cutoff=90)
    for row, place in enumerate(places):
        best = int(np.argmax(ratios[row]))
        if are_same_keys(keys[place], theirs[best]):
            found[place] = free[best]


def _scale_of(then: Edges, now: Edges, found: NDArray[np.intp]) -> float:
    """Return the middle of how distances between pairs have grown; 1 where there are too few."""
    pairs = np.flatnonzero(found >= 0)
    if len(pairs) < _LEAST_PAIRS_FOR_SCALE:
        return 1.0
    before, after = then[pairs], now[found[pairs]]
    # Upper and left edges: a wider font leaves these where they are.
    grown = []
    for axis in (0, 1):
        far = before[:, None, axis] - before[None, :, axis]
        gone = after[:, None, axis] - after[None, :, axis]
        usable = far > 80
        grown.append(gone[usable] / far[usable])
    ratios = np.concatenate(grown)
    return float(np.clip(np.median(ratios), 0.3, 3.5)) if len(ratios) else 1.0


def _without_strays(then: Edges, now: Edges, found: NDArray[np.intp], scale: float) -> NDArray[np.intp]:
    """Drop pairs that none of the others expect where they are."""
    pairs = np.flatnonzero(found >= 0)
    if len(pairs) < 5:
        return found
    before, after = then[pairs], now[found[pairs]]
    place = settled(without_own(cast(before, after, before, scale)), _VOTES_PER_TEXT)
    away = np.maximum(*np.abs(_middles(after) - np.stack([place.x, place.y], axis=1)).T)
    kept = found.copy()
    kept[pairs[away > 3 * (_FARTHEST_PX + np.maximum(place.spread_x, place.spread_y))]] = -1
    return kept


def _add_repeated(keys: tuple[str, ...], then: Edges, seen: SeenScreen, found: NDArray[np.intp], scale: float) -> None:
    """Pair the texts that are there more than once with the copies that lie where the pairs expect them."""
    pairs = np.flatnonzero(found >= 0)
    if len(pairs) < 2:
        return
    before, after = then[pairs], seen.edges[found[pairs]]
    taken = set(found[pairs].tolist())
    repeated = [place for place in np.flatnonzero(found < 0).tolist() if keys[place] in seen.keys]
    if not repeated:
        return
    expected = settled(cast(before, after, then[repeated], scale), _VOTES_PER_TEXT)
    # A text is told from its copies by its row or column: half a row is the most.
    room = 2 * np.stack([expected.spread_x, expected.spread_y], axis=1) + _LEAST_TOLERANCE_PX
    middles = np.stack([expected.x, expected.y], axis=1)
    offers: list[tuple[float, int, int]] = []
    for row, place in enumerate(repeated):
        copies = np.array([copy for copy in seen.keys[keys[place]] if copy not in taken], dtype=np.intp)
        away = np.abs(_middles(seen.edges[copies]) - middles[row])
        fits = (away <= np.minimum(room[row], _FARTHEST_PX)).all(axis=1)
        costs = (away / room[row]).max(axis=1, initial=0.0)
        offers += [(float(costs[one]), place, int(copies[one])) for one in np.flatnonzero(fits)]
    for _, own, copy in sorted(offers):
        if found[own] < 0 and copy not in taken:
            found[own] = copy
            taken.add(copy)


def _middles(edges: Edges) -> NDArray[np.float64]:
    return (edges[:, :2] + edges[:, 2:]) / 2
