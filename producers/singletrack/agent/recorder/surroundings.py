"""The texts around an element."""

from typing import Final

from singletrack.agent.recorder.element_at import ElementAt
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.anchor import Landmark, ScreenText
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.label import Label

_MOST_TEXTS: Final = 400
_LANDMARKS: Final = 12
_PER_SIDE: Final = 3


def texts_of(element: ElementAt, seen: SeenScreen) -> tuple[ScreenText, ...]:
    """Return the screen's texts, at most 400, those nearest to the element."""
    near = sorted(seen.labels, key=lambda label: _gap(label.box, element.box))[:_MOST_TEXTS]
    kept = sorted(near, key=lambda label: (label.box.top, label.box.left, label.text))
    return tuple(ScreenText(text=label.text, box=label.box) for label in kept)


def landmarks_of(element: ElementAt, seen: SeenScreen) -> tuple[Landmark, ...]:
    """Return the texts nearest to an element: some of every side, then the nearest of all."""
    others = sorted(
        (label for label in seen.labels if label is not element.label and not element.box.contains(label.box.center)),
        key=lambda label: (_gap(label.box, element.box), label.box.top, label.box.left),
    )
    chosen: list[Label] = []
    for side in ("left", "right", "above", "below"):
        chosen += [label for label in others if _side(label.box, element.box) == side][:_PER_SIDE]
    chosen += [label for label in others if label not in chosen][: _LANDMARKS - len(chosen)]
    middle = element.box.center
    return tuple(
        Landmark(text=label.text, dx=label.box.center.x - middle.x, dy=label.box.center.y - middle.y)
        for label in chosen
    )


def _side(box: Box, own: Box) -> str:
    across = max(box.left - own.right, own.left - box.right)
    down = max(box.top - own.bottom, own.top - box.bottom)
    if across >= down:
        return "left" if box.center.x < own.center.x else "right"
    return "above" if box.center.y < own.center.y else "below"


def _gap(box: Box, own: Box) -> int:
    across = max(box.left - own.right, own.left - box.right, 0)
    down = max(box.top - own.bottom, own.top - box.bottom, 0)
    return across + down
