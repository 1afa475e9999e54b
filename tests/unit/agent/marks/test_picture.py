import json
from pathlib import Path

import numpy as np
import pytest

from singletrack.agent.marks.drawing import draw_marks
from singletrack.agent.marks.picture import MarkedPicture
from singletrack.agent.marks.plates import place_plates
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.element import Element, Mark
from singletrack.agent.targets.geometry import Box

SAMPLES = Path(__file__).parents[4] / "ops" / "samples"
SCENES = ("files", "invoice", "orders", "settings")


def scene(name: str) -> tuple[Screenshot, list[Element]]:
    told = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    elements = [Element(Box(*it["box"]), it["label"], score=0.5) for it in told["elements"]]
    return Screenshot.of(SAMPLES / f"{name}.png"), elements


def even(value: int) -> Pixels:
    return np.full((300, 400, 3), value, np.uint8)


class TestPicture:
    def test_boxes_are_those_of_the_crop_and_elements_those_of_the_screen(self) -> None:
        screenshot, elements = scene("settings")
        apply = next(it for it in elements if it.text == "Apply")
        picture = MarkedPicture.of(screenshot, elements, within=Box(1800, 1250, 500, 200))
        mark = next(mark for mark in picture.marks if mark.element.text == "Apply")
        assert picture.pixels.shape == (200, 500, 3)
        assert mark.element.box == apply.box.moved(-1800, -1250)
        assert picture.element(mark.number) == apply

    def test_a_box_that_sticks_out_is_cut_at_the_edge(self) -> None:
        screenshot = Screenshot.of(np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8))
        picture = MarkedPicture.of(screenshot, [Element(Box(-20, 50, 100, 40))], within=Box(0, 0, 200, 200))
        assert picture.marks[0].element.box == Box(0, 50, 80, 40)

    def test_the_screenshot_stays_as_it_was(self) -> None:
        screenshot, elements = scene("invoice")
        before = screenshot.pixels.copy()
        MarkedPicture.of(screenshot, elements)
        assert np.array_equal(screenshot.pixels, before)

    def test_what_is_inside_a_box_is_still_to_be_seen(self) -> None:
        screenshot, elements = scene("orders")
        picture = MarkedPicture.of(screenshot, elements)
        kept = []
        for element in picture.elements:
            same = (
                screenshot.crop(element.box)
                == picture.pixels[element.box.top : element.box.bottom, element.box.left : element.box.right]
            )
            kept.append(same.all(axis=2).mean())
        assert min(kept) > 0.7
        assert np.mean(kept) > 0.98


class TestPlates:
    @pytest.mark.parametrize("name", SCENES)
    def test_no_two_plates_overlap_on_dense_pages(self, name: str) -> None:
        screenshot, elements = scene(name)
        picture = MarkedPicture.of(screenshot, elements)
        boxes = [mark.element.box for mark in picture.marks]
        plates = place_plates(screenshot.pixels, boxes, [(26, 20)] * len(boxes))
        pairs = [(one, other) for index, one in enumerate(plates) for other in plates[:index]]
        assert [pair for pair in pairs if pair[0].shared_area(pair[1])] == []

    def test_plates_stay_on_the_picture(self) -> None:
        boxes = [Box(0, 0, 400, 300), Box(0, 0, 20, 20), Box(380, 280, 20, 20)]
        for plate in place_plates(even(255), boxes, [(26, 20)] * 3):
            assert plate.left >= 0
            assert plate.top >= 0
            assert plate.right <= 400
            assert plate.bottom <= 300

    def test_a_plate_moves_off_a_text_that_bears_no_mark(self) -> None:
        pixels = even(255)
        box = Box(200, 100, 80, 40)
        (free,) = place_plates(pixels, [box], [(26, 20)])
        pixels[free.top : free.bottom, free.left : free.right : 2] = 0
        (moved,) = place_plates(pixels, [box], [(26, 20)])
        assert moved.shared_area(free) == 0


class TestDrawing:
    @pytest.mark.parametrize("ground", [0, 128, 255])
    def test_frame_and_plate_stand_out_from_any_ground(self, ground: int) -> None:
        box = Box(150, 100, 100, 50)
        drawn = draw_marks(even(ground), [Mark(7, Element(box))])
        assert np.array_equal(drawn[box.top : box.bottom, box.left : box.right], even(ground)[:50, :100])
        row = drawn[box.center.y, box.right : box.right + 5].astype(int)
        assert np.abs(row - ground).max() > 100
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 5

    def test_each_number_looks_its_own_way(self) -> None:
        box = Box(150, 100, 100, 50)
        one, other = (draw_marks(even(255), [Mark(number, Element(box))]) for number in (3, 11))
        assert not np.array_equal(one, other)
