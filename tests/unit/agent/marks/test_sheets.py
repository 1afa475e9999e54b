import numpy as np

from singletrack.agent.marks.sheets import sheets_of
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.element import Element
from singletrack.agent.targets.geometry import Box

SCREEN = Screenshot.of(np.random.default_rng(1).integers(0, 255, (1000, 1600, 3), np.uint8))


def grid(columns: int, rows: int) -> list[Element]:
    return [Element(Box(20 + x * 100, 20 + y * 50, 80, 40), score=0.5) for y in range(rows) for x in range(columns)]


def test_every_element_is_on_one_sheet() -> None:
    elements = grid(15, 10)
    sheets = sheets_of(SCREEN, elements, 4)
    assert [len(sheet.marks) for sheet in sheets] == [50, 50, 50]
    shown = [element for sheet in sheets for element in sheet.elements]
    assert sorted(shown, key=str) == sorted(elements, key=str)


def test_a_sheet_is_a_band_with_its_marks_on_it() -> None:
    for sheet in sheets_of(SCREEN, grid(15, 10), 4):
        height, width = sheet.pixels.shape[:2]
        assert width == 1600
        assert height < 400
        for mark in sheet.marks:
            assert Box(0, 0, width, height).shared_area(mark.element.box) == mark.element.box.area


def test_few_elements_are_on_one_sheet() -> None:
    (sheet,) = sheets_of(SCREEN, grid(3, 2), 4)
    assert len(sheet.marks) == 6


def test_too_many_are_on_none() -> None:
    assert sheets_of(SCREEN, grid(15, 18), 4) == ()
    assert sheets_of(SCREEN, [], 4) == ()
