"""The target by its text, where the surroundings agree."""

from dataclasses import dataclass
from typing import Final

from singletrack.agent.resolver.placing import Place, is_nearer_than_twins
from singletrack.agent.resolver.recorded_element import RecordedElement
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.comparing import are_same_keys
from singletrack.agent.words.label import Label

# Letters of a text that is trusted without its surroundings.
_TELLS_ALONE: Final = 4
_CLOSER_BY: Final = 2.5
_AROUND_PX: Final = 6
_ROOM_OF_A_RARE_TEXT_PX: Final = 70


@dataclass(frozen=True, slots=True)
class LabelFound:
    """A label with the target's text: where it is expected, or elsewhere and the only one. None: why not."""

    label: Label | None
    is_in_place: bool
    copies: int
    why: str


def same_labels(keys: tuple[str, ...], seen: SeenScreen) -> list[Label]:
    """Return the labels of a screen that say the same as one of some readings."""
    same = [theirs for theirs in seen.keys if any(are_same_keys(key, theirs) for key in keys)]
    return [seen.labels[place] for theirs in same for place in seen.keys[theirs]]


def label_of(element: RecordedElement, place: Place | None, seen: SeenScreen) -> LabelFound:
    """Choose the label that is the element's; the surroundings decide where there are several, or were."""
    labels = same_labels(element.keys, seen)
    if place is not None and not any(_is_near(element, place, label) for label in labels):
        labels += _read_again(element, place, seen)
    if not labels:
        return LabelFound(None, False, 0, f"no label says {element.anchor.text!r}")
    if place is None:
        return _without_a_place(element, labels)
    near = sorted(
        (label for label in labels if _is_near(element, place, label)), key=lambda one: _off(element, place, one)
    )
    if near and (len(near) == 1 or _off(element, place, near[1]) > _CLOSER_BY * _off(element, place, near[0]) + 8):
        if element.anchor.twins and not place.is_vouched:
            return LabelFound(None, False, len(labels), "nothing beside it tells it from those with the same label")
        return LabelFound(near[0], True, len(labels), "its text lies where its surroundings expect it")
    if near:
        return LabelFound(None, False, len(labels), f"{len(near)} labels with its text lie near its place")
    if place.is_tight:
        return LabelFound(None, False, len(labels), "its place is known, and its text is not there")
    return _without_a_place(element, labels)


def _read_again(element: RecordedElement, place: Place, seen: SeenScreen) -> list[Label]:
    """Read where the text is expected from near, and return the labels that say the same."""
    half_x = place.scale * element.text_box.width / 2 + place.room_x + _AROUND_PX
    half_y = place.scale * element.text_box.height / 2 + place.room_y + _AROUND_PX
    left, top = round(place.x - half_x), round(place.y - half_y)
    part = Box(left, top, round(2 * half_x), round(2 * half_y))
    again = seen.read_closely(part)
    return [label for label in again if any(are_same_keys(key, label.key) for key in element.keys)]


def _without_a_place(element: RecordedElement, labels: list[Label]) -> LabelFound:
    if len(labels) > 1:
        return LabelFound(None, False, len(labels), f"{len(labels)} labels say {element.anchor.text!r}")
    if element.anchor.twins:
        return LabelFound(None, False, 1, "its label had twins, and nothing around it tells which one this is")
    if not _is_rare(element):
        return LabelFound(None, False, 1, "its text is too short to be trusted without its surroundings")
    return LabelFound(labels[0], False, 1, "no other label says the same")


def _is_near(element: RecordedElement, place: Place, label: Label) -> bool:
    x, y = _middle_by(element, place, label)
    if not is_nearer_than_twins(element, place, x, y):
        return False
    if place.has_room_for(x, y, slack=1.5):
        return True
    off = _off(element, place, label)
    return _is_rare(element) and off <= _ROOM_OF_A_RARE_TEXT_PX * max(place.scale, 1)


def _is_rare(element: RecordedElement) -> bool:
    """Return whether its text alone tells it from everything that was on the recorded screen."""
    return not element.anchor.twins and len(element.key) >= _TELLS_ALONE and not element.key.isdigit()


def _off(element: RecordedElement, place: Place, label: Label) -> float:
    dx, dy = place.offset_of(*_middle_by(element, place, label))
    return max(abs(dx), abs(dy))


def _middle_by(element: RecordedElement, place: Place, label: Label) -> tuple[float, float]:
    """Return a label's middle as that of its edge says which fits best: other type makes a label wider at one end."""
    half = element.text_box.width * place.scale / 2
    box = label.box
    x = min((box.left + box.width / 2, box.left + half, box.right - half), key=lambda one: abs(one - place.x))
    return x, box.top + box.height / 2
