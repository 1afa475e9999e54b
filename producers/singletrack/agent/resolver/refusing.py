"""Why a target was not found: a status, and whether a choice among marks could still find it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.resolver.layout import Layout
from singletrack.agent.resolver.placing import Place, edges_of
from singletrack.agent.resolver.recorded_element import RecordedElement
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.resolution import TargetStatus
from singletrack.agent.templates.matching import is_flat

_AROUND_PX: Final = 260.0
_FEWEST_AROUND: Final = 3
_GONE_AROUND: Final = 0.7
_SAME_PLACE_PX: Final = 8.0
_RENAMED: Final = 0.5


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a target that neither its picture nor its text found."""

    element: RecordedElement
    place: Place | None
    layout: Layout
    seen: SeenScreen
    copies: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status, a sentence, and whether somebody who can see may still find the target."""

    status: TargetStatus
    why: str
    could_be_chosen: bool


def refusal_of(evidence: Evidence, *, has_chooser: bool) -> Refusal:
    """Say which status it is."""
    if _is_covered(evidence):
        return Refusal(
            TargetStatus.OCCLUDED, "what was around it is gone: something lies over it", could_be_chosen=False
        )
    if evidence.place is None:
        return _lost(evidence, has_chooser)
    if evidence.copies and (evidence.element.anchor.twins or evidence.copies > 1):
        why = f"{evidence.copies} labels say the same, and its surroundings do not tell which one is meant"
        return Refusal(TargetStatus.AMBIGUOUS, why, could_be_chosen=False)
    if _is_blank(evidence):
        return Refusal(TargetStatus.ABSENT, "its place is known, and nothing is there", could_be_chosen=False)
    if has_chooser:
        return Refusal(TargetStatus.ABSENT, "what is at its place is not like it", could_be_chosen=True)
    why = "something is at its place that is not like it; a VLM could tell, and none is there to ask"
    return Refusal(TargetStatus.DEGRADED, why, could_be_chosen=True)


def _lost(evidence: Evidence, has_chooser: bool) -> Refusal:
    if evidence.copies:
        why = "its label had twins, and too little of its surroundings is here to tell which one is meant"
        return Refusal(TargetStatus.AMBIGUOUS, why, could_be_chosen=has_chooser)
    why = "too little of its surroundings is here to tell its place"
    if has_chooser:
        return Refusal(TargetStatus.ABSENT, why, could_be_chosen=True)
    return Refusal(TargetStatus.DEGRADED, f"{why}; a VLM could look for it, and none is there to ask", True)


def _is_covered(evidence: Evidence) -> bool:
    """Return whether the recorded texts around it are gone, while those farther away are not."""
    layout, box = evidence.layout, edges_of(evidence.element.box)
    away = np.maximum(
        np.maximum(layout.then[:, 0] - box[2], box[0] - layout.then[:, 2]),
        np.maximum(layout.then[:, 1] - box[3], box[1] - layout.then[:, 3]),
    )
    around = (away > 0) & (away <= _AROUND_PX)
    if around.sum() < _FEWEST_AROUND or (~around).sum() < _FEWEST_AROUND:
        return False
    gone = layout.found < 0
    if _is_renamed(layout, evidence.seen, around & gone):
        return False
    return bool(gone[around].mean() >= _GONE_AROUND and gone[~around].mean() <= 0.5 * gone[around].mean())


def _is_renamed(layout: Layout, seen: SeenScreen, gone: NDArray[np.bool_]) -> bool:
    """Return whether where texts are gone others begin: another language, and nothing that lies over them."""
    if not gone.any() or not len(seen.edges):
        return False
    then, now = layout.then[gone], seen.edges
    begins = np.abs(then[:, None, 0] - now[None, :, 0]) <= _SAME_PLACE_PX
    middles = np.abs((then[:, 1] + then[:, 3])[:, None] - (now[:, 1] + now[:, 3])[None, :]) <= 2 * _SAME_PLACE_PX
    return bool((begins & middles).any(axis=1).mean() >= _RENAMED)


def _is_blank(evidence: Evidence) -> bool:
    place = evidence.place
    if place is None:
        return False
    box = evidence.element.sought_box
    width, height = round(box.width * place.scale), round(box.height * place.scale)
    there = Box(round(place.x - width / 2), round(place.y - height / 2), width, height)
    grey = evidence.seen.grey[max(there.top, 0) : max(there.bottom, 0), max(there.left, 0) : max(there.right, 0)]
    return grey.size == 0 or is_flat(grey)
