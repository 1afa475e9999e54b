"""A choice among marks is taken only where nothing recorded speaks against it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from singletrack.agent.marks.chooser import Choice
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.element import Mark, Role
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.resolution import Method, TargetStatus
from singletrack.agent.targets.target import Target
from tests.unit.agent.anchors import box_of
from tests.unit.agent.pages import seen_page


@dataclass
class PointingChooser:
    """Knows where the target is on the whole screen, and chooses the mark there."""

    box: Box
    asked: bool = True

    def choose(self, pixels: Pixels, marks: Sequence[Mark], target: Target) -> Choice:
        assert len(marks) <= 60
        assert pixels.ndim == 3
        there = [mark.number for mark in marks if self.box.contains(mark.element.box.center)]
        return Choice(there[0] if there and self.asked else None, "it is there", self.asked)


@dataclass
class FixedChooser:
    """Says a number, whatever it is shown."""

    number: int | None

    def choose(self, pixels: Pixels, marks: Sequence[Mark], target: Target) -> Choice:
        return Choice(self.number, "it says so")


def test_one_of_two_same_texts_is_chosen() -> None:
    box = box_of("orders", "tab-packed")
    found = Resolver(PointingChooser(box)).resolve(Target(text="Packed", description="the tab"), seen_page("orders"))
    assert found.method is Method.SOM_VLM
    assert found.point is not None
    assert box.contains(found.point)
    assert 0 < found.score < 0.9


def test_a_mark_with_another_text_is_refused() -> None:
    chooser = PointingChooser(box_of("orders", "tab-returns"))
    found = Resolver(chooser).resolve(Target(text="Packed", description="the tab"), seen_page("orders"))
    assert found.status is TargetStatus.AMBIGUOUS
    assert "'Returns', not 'Packed'" in found.why


def test_a_mark_of_another_role_is_refused() -> None:
    chooser = PointingChooser(box_of("orders", "tab-returns"))
    found = Resolver(chooser).resolve(Target(description="refresh", role=Role.ICON), seen_page("orders"))
    assert found.status is TargetStatus.ABSENT
    assert "does not look like" in found.why


@pytest.mark.parametrize("number", [None, 0, -1, 61, 10_000])
def test_no_mark_and_a_mark_that_was_not_drawn_find_nothing(number: int | None) -> None:
    found = Resolver(FixedChooser(number)).resolve(Target(description="the bell"), seen_page("orders"))
    assert found.status is TargetStatus.ABSENT


def test_where_nobody_could_be_asked_it_is_degraded() -> None:
    chooser = PointingChooser(box_of("orders", "tab-packed"), asked=False)
    found = Resolver(chooser).resolve(Target(description="the tab"), seen_page("orders"))
    assert found.status is TargetStatus.DEGRADED
