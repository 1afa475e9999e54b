"""A recorded element, looked for in each way: picture, text, a choice among marks."""

from collections.abc import Iterator
from typing import Final

from singletrack.agent.resolver.by_choice import Advisers, MarkQuestion, chosen
from singletrack.agent.resolver.by_template import SURE_BY_LIGHTNESS, TemplateFound, look_at, look_for
from singletrack.agent.resolver.by_text import LabelFound, label_of
from singletrack.agent.resolver.calibration import calibrated
from singletrack.agent.resolver.gate import gate_of
from singletrack.agent.resolver.layout import Layout, layout_of
from singletrack.agent.resolver.placing import Place, place_of
from singletrack.agent.resolver.projecting import box_beside, point_beside, point_in
from singletrack.agent.resolver.recorded_element import RecordedElement, recorded_element
from singletrack.agent.resolver.refusing import Evidence, refusal_of
from singletrack.agent.resolver.rung import Rung
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.resolution import Method, TargetStatus
from singletrack.agent.targets.target import Target

_SURE_TEXT: Final = 0.93


def by_anchor(target: Target, seen: SeenScreen, advisers: Advisers | None) -> Iterator[Rung]:
    """Look for a target with an anchor; the last outcome has a status."""
    if target.anchor is None:
        raise ValueError("the target has no anchor")
    element = recorded_element(target.anchor)
    layout = layout_of(target.anchor.texts, seen)
    gate = gate_of(layout, seen)
    if not gate.is_open:
        why = f"{gate.share:.0%} of what the recorded screen says is here: this is another screen"
        yield Rung(Method.ANCHOR_TEMPLATE, TargetStatus.WRONG_SCREEN, why)
        return
    place = place_of(element, layout)
    if element.key:
        yield from _with_text(element, place, layout, seen, target, advisers)
    else:
        yield from _without_text(element, place, layout, seen, target, advisers)


def _with_text(
    element: RecordedElement,
    place: Place | None,
    layout: Layout,
    seen: SeenScreen,
    target: Target,
    advisers: Advisers | None,
) -> Iterator[Rung]:
    found = label_of(element, place, seen)
    if found.label is None:
        yield Rung(Method.SOM_TEXT_MATCH, None, found.why)
        evidence = Evidence(element, place, layout, seen, found.copies)
        yield from _chosen_or_refused(evidence, target, advisers)
        return
    box = box_beside(element, found.label.box, layout.scale, seen.screenshot.box)
    look = look_at(element, box, layout.scale, seen)
    if found.is_in_place and look.score >= SURE_BY_LIGHTNESS:
        yield _found(Method.ANCHOR_TEMPLATE, element, found, box, look.score, layout.scale)
        return
    yield Rung(Method.ANCHOR_TEMPLATE, None, look.why, look.score)
    yield _found(Method.SOM_TEXT_MATCH, element, found, box, _score_of(found, look), layout.scale)


def _score_of(found: LabelFound, look: TemplateFound) -> float:
    raw = found.label.score if found.label is not None else 0.0
    return raw * (1.0 if found.is_in_place else 0.8) * (0.9 + 0.1 * look.score)


def _found(method: Method, element: RecordedElement, found: LabelFound, box: Box, raw: float, scale: float) -> Rung:
    if found.label is None:
        raise ValueError("nothing was found")
    point = point_beside(element, found.label.box, scale, box)
    return Rung(method, TargetStatus.FOUND, found.why, calibrated(method, raw), box, point)


def _without_text(
    element: RecordedElement,
    place: Place | None,
    layout: Layout,
    seen: SeenScreen,
    target: Target,
    advisers: Advisers | None,
) -> Iterator[Rung]:
    if element.anchor.role is None:
        yield Rung(Method.ANCHOR_TEMPLATE, None, "nothing was recognised there when it was recorded")
    elif place is None:
        yield Rung(Method.ANCHOR_TEMPLATE, None, "too little of its surroundings is here to tell its place")
    else:
        look = look_for(element, place, seen)
        if look.box is not None:
            point = point_in(element, look.box)
            score = calibrated(Method.ANCHOR_TEMPLATE, look.score)
            yield Rung(Method.ANCHOR_TEMPLATE, TargetStatus.FOUND, look.why, score, look.box, point)
            return
        yield Rung(Method.ANCHOR_TEMPLATE, None, look.why, look.score)
    yield from _chosen_or_refused(Evidence(element, place, layout, seen, 0), target, advisers)


def _chosen_or_refused(evidence: Evidence, target: Target, advisers: Advisers | None) -> Iterator[Rung]:
    refusal = refusal_of(evidence, has_chooser=advisers is not None)
    if advisers is None or not refusal.could_be_chosen:
        yield Rung(Method.SOM_VLM, refusal.status, refusal.why)
        return
    question = MarkQuestion(target, evidence.seen, evidence.place, refusal.status, refusal.why)
    yield chosen(question, advisers)
