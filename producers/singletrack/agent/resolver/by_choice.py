"""The target by a choice among marks, which has to agree with what was recorded."""

from dataclasses import dataclass
from typing import Final

from singletrack.agent.detector.detector import UIDetector
from singletrack.agent.marks.chooser import MarkChooser
from singletrack.agent.marks.picture import MarkedPicture
from singletrack.agent.resolver.calibration import calibrated
from singletrack.agent.resolver.placing import Place
from singletrack.agent.resolver.rung import Rung
from singletrack.agent.seen import SeenScreen
from singletrack.agent.seen.shapes import shapes_of
from singletrack.agent.targets.element import Element, Role
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.targets.resolution import Method, TargetStatus
from singletrack.agent.targets.target import Target
from singletrack.agent.words.comparing import is_same_text

_CROP_PX: Final = (900, 700)


@dataclass(frozen=True, slots=True)
class MarkQuestion:
    """What is asked about, and what it comes to if the answer is none."""

    target: Target
    seen: SeenScreen
    place: Place | None
    status: TargetStatus
    why: str


def chosen(question: MarkQuestion, chooser: MarkChooser) -> Rung:
    """Ask for a mark among the elements that the recorded text and role allow: no answer can contradict these."""
    allowed = [one for one in elements_of(question.seen) if _may_be(question.target, one)]
    picture = MarkedPicture.of(question.seen.screenshot, allowed, within=_part(question), near=_near(question))
    if not picture.marks:
        return Rung(Method.SOM_VLM, question.status, f"{question.why}; nothing there could be it")
    choice = chooser.choose(picture.pixels, picture.marks, question.target)
    if not choice.asked:
        return Rung(Method.SOM_VLM, TargetStatus.DEGRADED, f"{question.why}; nobody could be asked: {choice.why}")
    if choice.number is None or not 1 <= choice.number <= len(picture.elements):
        return Rung(Method.SOM_VLM, question.status, f"{question.why}; no mark was chosen: {choice.why}")
    box = picture.element(choice.number).box
    why = f"mark {choice.number} was chosen, and nothing recorded speaks against it: {choice.why}"
    return Rung(Method.SOM_VLM, TargetStatus.FOUND, why, calibrated(Method.SOM_VLM, 1.0), box, box.center)


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


def _may_be(target: Target, element: Element) -> bool:
    text = target.text or (target.anchor.text if target.anchor is not None else "")
    role = target.role or (target.anchor.role if target.anchor is not None else None)
    if text:
        return is_same_text(text, element.text)
    return role is None or fits_role(role, element)


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
