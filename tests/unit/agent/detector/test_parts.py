import numpy as np
import pytest
from PIL import Image, ImageDraw

from singletrack.agent.detector.boxes import Boxes
from singletrack.agent.detector.detector import UIDetector
from singletrack.agent.detector.edges import edges_of
from singletrack.agent.detector.grouping import parts_of
from singletrack.agent.detector.looks import look_at
from singletrack.agent.detector.shapes import shapes_on
from singletrack.agent.detector.unticking import unticked
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.label import Label
from tests.unit.agent.detector.drawn_form import DrawnForm, hits

UNIT = 14.0


def page() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (600, 400), (240, 240, 240))
    return picture, ImageDraw.Draw(picture)


def pixels_of(picture: Image.Image) -> Pixels:
    return np.asarray(picture)


class TestShapes:
    def test_a_frame_is_found_once_although_it_has_two_edges(self) -> None:
        picture, draw = page()
        draw.rectangle((100, 100, 300, 140), outline=(90, 90, 90), width=2)
        shapes = shapes_on(edges_of(pixels_of(picture)), [], UNIT)
        (frame,) = shapes.frames
        assert frame.box.overlap(Box(100, 100, 201, 41)) > 0.9
        assert frame.inner == 0

    def test_rounded_corners_are_no_glyphs(self) -> None:
        picture, draw = page()
        draw.rounded_rectangle((50, 50, 500, 350), 12, outline=(150, 150, 150))
        shapes = shapes_on(edges_of(pixels_of(picture)), [], UNIT)
        assert len(shapes.frames) == 1
        assert shapes.glyphs == ()

    def test_adjoining_cells_are_frames_of_their_own(self) -> None:
        picture, draw = page()
        for x in range(3):
            for y in range(3):
                draw.rectangle((50 + 100 * x, 50 + 30 * y, 150 + 100 * x, 80 + 30 * y), outline=(120, 120, 120))
        boxes = [frame.box for frame in shapes_on(edges_of(pixels_of(picture)), [], UNIT).frames]
        for x in range(3):
            for y in range(3):
                cell = Box(50 + 100 * x, 50 + 30 * y, 101, 31)
                assert max(box.overlap(cell) for box in boxes) > 0.85, cell

    def test_a_text_that_reaches_the_lines_of_its_cell_does_not_open_it(self) -> None:
        picture, draw = page()
        draw.rectangle((100, 100, 300, 120), outline=(90, 90, 90))
        shapes = shapes_on(edges_of(pixels_of(picture)), [Box(110, 99, 60, 23)], UNIT)
        assert [it.box.overlap(Box(100, 100, 201, 21)) > 0.8 for it in shapes.frames] == [True]

    def test_a_long_line_is_no_glyph(self) -> None:
        picture, draw = page()
        draw.line((20, 200, 580, 200), fill=(90, 90, 90), width=2)
        shapes = shapes_on(edges_of(pixels_of(picture)), [], UNIT)
        assert shapes.glyphs == ()
        assert shapes.lines[198:203, 100].any()


class TestGrouping:
    def test_the_icon_and_the_text_in_a_button_are_one_part(self) -> None:
        form = DrawnForm()
        box = form.frame(Box(300, 200, 150, 50))
        form.icon(315, 210)
        form.text(360, 212, "Add line")
        (found,) = UIDetector(form).detect(form.screenshot).elements
        assert (found.text, found.role) == ("Add line", Role.BUTTON)
        assert found.box.overlap(box) > 0.9

    def test_texts_far_apart_in_one_frame_stay_elements_of_their_own(self) -> None:
        form = DrawnForm()
        form.frame(Box(100, 200, 700, 50))
        boxes = [form.text(x, 212, text) for x, text in ((110, "login-flow"), (400, "Video"), (700, "48 MB"))]
        elements = UIDetector(form).detect(form.screenshot).elements
        assert all(hits(elements, box) for box in boxes)

    def test_icons_that_were_read_as_letters_are_icons(self) -> None:
        form = DrawnForm()
        icons = [form.icon(100 + 60 * place, 100) for place in range(4)]
        misread = Label("D0 X Q", Box(100, 98, 210, 30), 0.5)
        shapes = shapes_on(edges_of(form.screenshot.pixels), [], UNIT)
        parts = parts_of([misread], shapes, UNIT)
        assert all(hits_of(parts_boxes := [part.box for part in parts], icon) for icon in icons), parts_boxes
        assert not any(part.labels for part in parts)

    def test_a_text_that_is_doubtful_and_no_icons_stays(self) -> None:
        doubtful = Label("Some words", Box(100, 100, 90, 14), 0.6)
        shapes = shapes_on(np.zeros((400, 600), np.uint8), [], UNIT)
        assert [part.labels for part in parts_of([doubtful], shapes, UNIT)] == [(doubtful,)]


def hits_of(boxes: list[Box], truth: Box) -> list[Box]:
    return [box for box in boxes if truth.contains(box.center) and box.area <= 2 * truth.area]


class TestUnticking:
    def label(self, *, with_tick: bool) -> tuple[Label, Pixels, int]:
        picture, draw = page()
        left = 100
        if with_tick:
            draw.rectangle((100, 100, 115, 115), outline=(60, 60, 60))
            left = 124
        for place in range(8):
            draw.rectangle((left + 9 * place, 102, left + 9 * place + 6, 113), fill=(20, 20, 20))
        return Label("Consents", Box(100, 99, left + 69 - 100, 18), 0.99), pixels_of(picture), left

    def test_a_tick_box_is_cut_off(self) -> None:
        label, pixels, left = self.label(with_tick=True)
        (letters,) = unticked([label], edges_of(pixels), UNIT)
        assert abs(letters.box.left - left) <= 1
        assert letters.box.right == label.box.right

    def test_letters_alone_stay_as_they_are(self) -> None:
        label, pixels, _ = self.label(with_tick=False)
        assert unticked([label], edges_of(pixels), UNIT) == [label]


class TestLooks:
    def test_ink_is_what_differs_from_the_ground(self) -> None:
        pixels = np.full((20, 100, 3), 250, np.uint8)
        pixels[5:15, 10:30] = (10, 60, 200)
        look = look_at(pixels, Box(0, 0, 100, 20))
        assert look.ground == (250, 250, 250)
        assert look.ink == (10, 60, 200)
        assert (look.ink_colourfulness, look.ground_colourfulness) == (190, 0)


class TestBoxes:
    BOXES = (Box(0, 0, 10, 10), Box(12, 0, 10, 10), Box(0, 12, 10, 10), Box(200, 1, 10, 10))

    @pytest.mark.parametrize(
        ("question", "expected"),
        [
            (lambda boxes, box: boxes.beside(box, 5), [False, True, False, False]),
            (lambda boxes, box: boxes.stacked(box, 5), [False, False, True, False]),
            (lambda boxes, box: boxes.in_row(box), [True, True, False, True]),
            (lambda boxes, box: boxes.centred_in(box), [True, False, False, False]),
            (lambda boxes, box: boxes.shared_areas(box) > 0, [True, False, False, False]),
        ],
    )
    def test_a_question_is_answered_for_all(self, question: object, expected: list[bool]) -> None:
        assert callable(question)
        assert question(Boxes(self.BOXES), self.BOXES[0]).tolist() == expected

    def test_there_may_be_none(self) -> None:
        assert not Boxes([]).centred_in(Box(0, 0, 10, 10)).any()
