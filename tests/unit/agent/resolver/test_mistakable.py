"""Things that are easily taken for another: rows of recurring texts, icons that differ by a stroke."""

import pytest

from singletrack.agent.recorder.altered import ALTERATIONS
from singletrack.agent.recorder.making import anchor_at
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Point
from singletrack.agent.targets.target import Target
from tests.unit.agent.drawn import COLUMNS, drawn_page, row_at, tool_at
from tests.unit.agent.pages import reader

# Each text is there twice or more: only all of a row's texts tell it from the others.
ROWS = (
    ("Anna", "Paris", "Paid"),
    ("Anna", "Berlin", "Open"),
    ("Otto", "Paris", "Open"),
    ("Otto", "Berlin", "Paid"),
    ("Nora", "Paris", "Paid"),
    ("Nora", "Berlin", "Open"),
)


def in_row(place: int, column: int | None) -> Point:
    return row_at(place) if column is None else Point(COLUMNS[column] + 12, row_at(place).y)


@pytest.mark.parametrize("column", [None, 0, 2])
@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_row_that_is_gone_is_not_taken_for_the_next_one(place: int, column: int | None) -> None:
    page = drawn_page(ROWS)
    target = Target(anchor=anchor_at(page, in_row(place, column)))
    found = Resolver().resolve(target, page)
    assert found.box is not None, found
    assert found.box.contains(in_row(place, column))
    without = drawn_page((*ROWS[:place], *ROWS[place + 1 :]))
    assert not Resolver().resolve(target, without).is_found


@pytest.mark.parametrize("rows", [ROWS[::-1], (("Anna", "Berlin", "Paid"), *ROWS)])
def test_no_other_row_is_taken_where_rows_are_inserted_or_sorted(rows: tuple[tuple[str, ...], ...]) -> None:
    for place, row in enumerate(ROWS):
        found = Resolver().resolve(Target(anchor=anchor_at(drawn_page(ROWS), row_at(place))), drawn_page(rows))
        assert found.box is None or found.box.contains(row_at(rows.index(row))), (row, found)


@pytest.mark.parametrize(("recorded", "now"), [("plus", "cross"), ("plus", "minus"), ("minus", "plus"), ("", "minus")])
def test_an_icon_with_other_strokes_at_its_place_is_not_taken(recorded: str, now: str) -> None:
    page = drawn_page(ROWS, ("cross", recorded, "cross"))
    target = Target(anchor=anchor_at(page, tool_at(1)))
    found = Resolver().resolve(target, page)
    assert found.box is not None, found
    assert found.box.contains(tool_at(1))
    assert not Resolver().resolve(target, drawn_page(ROWS, ("cross", now, "cross"))).is_found


@pytest.mark.parametrize("alteration", ["as a JPEG", "half a pixel away", "in other light"])
def test_an_icon_is_found_in_another_rendering(alteration: str) -> None:
    page = drawn_page(ROWS, ("cross", "plus", "minus"))
    target = Target(anchor=anchor_at(page, tool_at(1)))
    alter, _ = ALTERATIONS[alteration]
    found = Resolver().resolve(target, SeenScreen.of(Screenshot(alter(page.screenshot.pixels)), reader()))
    assert found.box is not None, found
    assert found.box.contains(tool_at(1))
