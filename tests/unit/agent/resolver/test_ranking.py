"""Where a screen has more elements than fit on one picture, those that are most like the recorded one get the marks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from singletrack.agent.marks.candidates import MOST_MARKS
from singletrack.agent.marks.chooser import Choice
from singletrack.agent.resolver.by_choice import Advisers, MarkQuestion, chosen
from singletrack.agent.resolver.ranking import MOST_RANKED, Ranking
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.element import Mark
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.resolution import TargetStatus
from singletrack.agent.targets.target import Target
from tests.unit.agent.anchors import anchor_of, box_of
from tests.unit.agent.pages import seen_page


class PixelRanker:
    """Two pictures are alike if their pixels are, at one size."""

    def rank(self, crop: Pixels, candidates: Sequence[Pixels]) -> Ranking:
        assert len(candidates) <= MOST_RANKED
        small = [cv2.resize(one, (24, 24)).astype(np.float64) for one in (crop, *candidates)]
        return Ranking(tuple(1 - float(np.abs(one - small[0]).mean()) / 255 for one in small[1:]))


class BlindRanker:
    """Cannot tell."""

    def rank(self, crop: Pixels, candidates: Sequence[Pixels]) -> Ranking:
        return Ranking(None, "CLIP is away")


@dataclass
class CountingChooser:
    """Chooses nothing, and keeps what it was shown."""

    shown: list[tuple[Box, ...]] = field(default_factory=list)

    def choose(self, pixels: Pixels, marks: Sequence[Mark], target: Target) -> Choice:
        self.shown.append(tuple(mark.element.box for mark in marks))
        return Choice(None, "none of them")


def question() -> MarkQuestion:
    # Only its looks: a text or a role would tell the elements apart already.
    anchor = anchor_of("orders", "filter").model_copy(update={"text": "", "role": None})
    return MarkQuestion(Target(anchor=anchor), seen_page("orders"), None, TargetStatus.ABSENT, "its place is not known")


def test_without_a_ranker_a_crowded_screen_takes_several_pictures() -> None:
    chooser = CountingChooser()
    chosen(question(), Advisers(chooser))
    assert len(chooser.shown) > 1


def test_with_one_the_most_alike_are_on_one_picture() -> None:
    chooser = CountingChooser()
    rung = chosen(question(), Advisers(chooser, PixelRanker()))
    (boxes,) = chooser.shown
    assert len(boxes) <= MOST_MARKS
    there = box_of("orders", "filter")
    assert any(there.contains(box.center) for box in boxes)
    assert rung.status is TargetStatus.ABSENT


def test_one_that_cannot_tell_is_named_and_nothing_is_left_out() -> None:
    chooser, plain = CountingChooser(), CountingChooser()
    rung = chosen(question(), Advisers(chooser, BlindRanker()))
    chosen(question(), Advisers(plain))
    assert chooser.shown == plain.shown
    assert "not ordered by likeness: CLIP is away" in rung.why
