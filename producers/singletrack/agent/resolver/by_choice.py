"""The target by a choice among marks, which has to agree with what was recorded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from singletrack.agent.detector.detector import UIDetector
from singletrack.agent.marks.candidates import MOST_MARKS, choose_candidates
from singletrack.agent.marks.chooser import Choice, MarkChooser
from singletrack.agent.marks.picture import MarkedPicture
from singletrack.agent.marks.sheets import sheets_of
from singletrack.agent.resolver.calibration import calibrated
from singletrack.agent.resolver.placing import Place
from singletrack.agent.resolver.ranking import MOST_RANKED, CropRanker
from singletrack.agent.resolver.recorded_element import colours_of
from singletrack.agent.resolver.rung import Rung
from singletrack.agent.seen import SeenScreen
from singletrack.agent.seen.shapes import shapes_of
from singletrack.agent.targets.element import Element, Role
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.targets.resolution import Method, TargetStatus
from singletrack.agent.targets.target import Target
from singletrack.agent.words.comparing import is_same_text

_CROP_PX: Final = (900, 700)
# Questions to the VLM about one target, each for some seconds.
_MOST_PICTURES: Final = 4


@dataclass(frozen=True, slots=True)
class MarkQuestion:
    """What is asked about, and what it comes to if the answer is none."""

    target: Target
    seen: SeenScreen
    place: Place | None
    status: TargetStatus
    why: str


@dataclass(frozen=True, slots=True)
class Advisers:
    """Who is asked where looks and text do not tell: who chooses among marks, and who orders what may get one."""

    chooser: MarkChooser
    ranker: CropRanker | None = None


def chosen(question: MarkQuestion, advisers: Advisers) -> Rung:
    """Ask for a mark; one whose element contradicts the recorded text or role is refused.

    A screen with too many elements for one picture is asked about in parts, and no more than one may have the target;
    where the elements can be ordered by their likeness to the recorded one, about those that are most like it.
    """
    question, pictures = _pictures(question, advisers.ranker)
    if not any(picture.marks for picture in pictures):
        return Rung(Method.SOM_VLM, question.status, f"{question.why}; there is nothing to choose from, or too much")
    rungs: list[Rung] = []
    for picture in pictures:
        rungs.append(_chosen_on(picture, question, advisers.chooser))
        if rungs[-1].status is TargetStatus.DEGRADED:
            return rungs[-1]
    found = [rung for rung in rungs if rung.status is TargetStatus.FOUND]
    if len(found) > 1:
        return Rung(Method.SOM_VLM, TargetStatus.AMBIGUOUS, f"{question.why}; {len(found)} marks were chosen")
    refused = [rung for rung in rungs if "but it" in rung.why]
    return [*found, *refused, *rungs][0]


def _pictures(question: MarkQuestion, ranker: CropRanker | None) -> tuple[MarkQuestion, tuple[MarkedPicture, ...]]:
    screenshot, elements = question.seen.screenshot, elements_of(question.seen)
    if _near(question) is not None:
        return question, (MarkedPicture.of(screenshot, elements, within=_part(question), near=_near(question)),)
    fitting = [element for element in elements if not _contradiction(question.target, element)]
    if ranker is not None and question.target.anchor is not None:
        question, alike = _most_alike(question, ranker, fitting)
        if alike:
            return question, (MarkedPicture.of(screenshot, alike),)
    sheets = sheets_of(screenshot, elements, _MOST_PICTURES) or sheets_of(screenshot, fitting, _MOST_PICTURES)
    return question, sheets


def _most_alike(
    question: MarkQuestion, ranker: CropRanker, elements: Sequence[Element]
) -> tuple[MarkQuestion, list[Element]]:
    """The elements that are most like the recorded one; none where all fit on one picture, or where nobody can tell."""
    screenshot, anchor = question.seen.screenshot, question.target.anchor
    apart = choose_candidates(elements, within=screenshot.box, limit=MOST_RANKED)
    if anchor is None or len(apart) <= MOST_MARKS:
        return question, []
    ranking = ranker.rank(colours_of(anchor), [screenshot.crop(element.box) for element in apart])
    if ranking.likenesses is None:
        return replace(question, why=f"{question.why}; marks were not ordered by likeness: {ranking.why}"), []
    order = sorted(range(len(apart)), key=lambda index: -(ranking.likenesses or ())[index])
    return question, [apart[index] for index in order[:MOST_MARKS]]


def _chosen_on(picture: MarkedPicture, question: MarkQuestion, chooser: MarkChooser) -> Rung:
    choice = chooser.choose(picture.pixels, picture.marks, question.target)
    if not choice.asked:
        return Rung(Method.SOM_VLM, TargetStatus.DEGRADED, f"{question.why}; nobody could be asked: {choice.why}")
    if choice.number is None or not 1 <= choice.number <= len(picture.elements):
        return Rung(Method.SOM_VLM, question.status, f"{question.why}; no mark was chosen: {choice.why}")
    return _judged(question, picture.element(choice.number), choice)


def elements_of(seen: SeenScreen) -> list[Element]:
    """Return what can be marked: labels, and what the detector sees; without a reader frames and glyphs."""
    if "elements" not in seen.findings:
        labels = [Element(label.box, label.text, score=label.score) for label in seen.labels]
        seen.findings["elements"] = [*labels, *_drawn(seen)]
    elements: list[Element] = seen.findings["elements"]
    return elements


def _drawn(seen: SeenScreen) -> list[Element]:
    if seen.reader is not None:
        return list(UIDetector(seen.reader).detect_on(seen).elements)
    shapes = [box for box in shapes_of(seen) if not any(_is_mostly_in(box, label.box) for label in seen.labels)]
    return [Element(box, score=0.5) for box in shapes]


def _judged(question: MarkQuestion, element: Element, choice: Choice) -> Rung:
    problem = _contradiction(question.target, element)
    if problem:
        return Rung(Method.SOM_VLM, question.status, f"{question.why}; mark {choice.number} was chosen, but {problem}")
    score = calibrated(Method.SOM_VLM, 1.0)
    why = f"mark {choice.number} was chosen, and nothing recorded speaks against it: {choice.why}"
    return Rung(Method.SOM_VLM, TargetStatus.FOUND, why, score, element.box, element.box.center)


def _contradiction(target: Target, element: Element) -> str:
    text = target.text or (target.anchor.text if target.anchor is not None else "")
    role = target.role or (target.anchor.role if target.anchor is not None else None)
    if text and not is_same_text(text, element.text):
        return f"it says {element.text!r}, not {text!r}"
    if not text and role is not None and not fits_role(role, element):
        return f"it does not look like a {role}"
    return ""


def fits_role(role: Role, element: Element) -> bool:
    """Return whether an element may have a role, by its shape and text; a role that is known has to be the same."""
    if element.role is not None:
        return element.role is role
    width, height = element.box.width, element.box.height
    if role in {Role.ICON, Role.CHECKBOX, Role.RADIO}:
        return not element.text and width <= 2.5 * height and height <= 2.5 * width
    if role in {Role.FIELD, Role.DROPDOWN}:
        return width >= 2 * height
    return role is Role.IMAGE or bool(element.text) or width >= height


def _part(question: MarkQuestion) -> Box | None:
    near = _near(question)
    if near is None:
        return None
    return Box(near.x - _CROP_PX[0] // 2, near.y - _CROP_PX[1] // 2, *_CROP_PX)


def _near(question: MarkQuestion) -> Point | None:
    if question.place is None:
        return None
    return Point(round(question.place.x), round(question.place.y))


def _is_mostly_in(shape: Box, label: Box) -> bool:
    return shape.shared_area(label) >= 0.6 * shape.area
