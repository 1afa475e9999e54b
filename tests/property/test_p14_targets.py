"""P14: a target that is not on the screen is never found; what is found lies on the screen, and is found again.

What is added to a screen without the target is whatever Hypothesis likes, copies of it included. One thing is left out,
because it is the target to anybody who looks: its text, in a place of its own, on a screen where it was the only one.
"""

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given, settings

from singletrack.agent.recorder.altered import painted_over
from singletrack.agent.recorder.making import anchor_at
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.target import Target
from singletrack.agent.words.comparing import is_same_text
from singletrack.agent.words.engines import FasterPaddleReader
from tests.property.drawn_screens import WITH_TEXT, DrawnReader, Item, Items, Kind, draw, middle, screens, seen

moves = st.tuples(st.integers(0, 30), st.integers(0, 30))


def target_on(content: Items, cell: tuple[int, int], reader: DrawnReader) -> Target:
    return Target(anchor=anchor_at(seen(content, reader), middle(cell, content[cell])))


def is_new_copy(item: Item, target: Item, content: Items) -> bool:
    """Whether an item says what the target alone said."""
    if target.kind not in WITH_TEXT or item.kind not in WITH_TEXT or not is_same_text(item.text, target.text):
        return False
    return sum(one.kind in WITH_TEXT and is_same_text(one.text, target.text) for one in content.values()) == 1


@settings(max_examples=80)
@given(screens, st.data())
def test_a_target_that_is_not_on_the_screen_is_never_found(content: Items, data: st.DataObject) -> None:
    reader = DrawnReader()
    cell = data.draw(st.sampled_from(sorted(content)), "target")
    target = target_on(content, cell, reader)
    more = data.draw(screens, "added")
    gone = data.draw(st.sets(st.sampled_from(sorted(content))), "gone")
    left = {place: item for place, item in content.items() if place not in gone}
    there = {place: item for place, item in more.items() if not is_new_copy(item, content[cell], content)} | left
    there.pop(cell, None)
    assume(there)
    found = Resolver().resolve(target, seen(there, reader, data.draw(moves, "moved")))
    assert not found.is_found, found


@settings(max_examples=30)
@given(screens, st.data())
def test_what_is_found_lies_on_the_screen_and_is_found_again(content: Items, data: st.DataObject) -> None:
    reader = DrawnReader()
    cell = data.draw(st.sampled_from(sorted(content)), "target")
    target = target_on(content, cell, reader)
    screen = seen(content, reader, data.draw(moves, "moved"))
    found = Resolver().resolve(target, screen)
    if found.is_found:
        assert found.box is not None
        assert found.point is not None
        assert found.box.contains(found.point)
        assert found.box.shared_area(screen.screenshot.box) == found.box.area
    again = Resolver().resolve(target, SeenScreen(screen.screenshot, screen.labels, reader))
    assert (again.status, again.box, again.point, again.score, again.why) == (
        found.status, found.box, found.point, found.score, found.why
    )  # fmt: skip


TABLE: Items = {
    **{(0, row): Item(Kind.LABEL, text) for row, text in enumerate(("Open", "General", "30912", "30911", "Delete"))},
    **{(1, row): Item(Kind.CHECKBOX, "") for row in range(5)},
    **{(2, row): Item(Kind.BUTTON, "Open") for row in range(5)},
    (3, 0): Item(Kind.PLUS, ""),
    (3, 1): Item(Kind.ARROW, ""),
    (4, 3): Item(Kind.LABEL, "1,592.00"),
}


@pytest.mark.parametrize("cell", [(0, 1), (1, 2), (2, 3), (3, 0), (4, 3)])
def test_with_the_real_reader(cell: tuple[int, int]) -> None:
    reader = FasterPaddleReader()
    pixels, _ = draw(TABLE)
    screen = SeenScreen.of(Screenshot(pixels), reader)
    target = Target(anchor=anchor_at(screen, middle(cell, TABLE[cell])))
    found = Resolver().resolve(target, screen)
    assert found.point is None or abs(found.point.y - middle(cell, TABLE[cell]).y) < 20
    without = {place: item for place, item in TABLE.items() if place != cell}
    assert not Resolver().resolve(target, SeenScreen.of(Screenshot(draw(without)[0]), reader)).is_found
    assert target.anchor is not None
    gone = SeenScreen.of(Screenshot(painted_over(pixels, target.anchor.box)), reader)
    assert not Resolver().resolve(target, gone).is_found
