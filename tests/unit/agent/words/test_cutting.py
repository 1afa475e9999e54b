"""Labels are whole and alone, whatever an engine's lines were."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.cutting import labels_of
from singletrack.agent.words.reader import TextLine
from tests.unit.agent.pages import seen_page

FONT = ImageFont.load_default(24)


def drawn(*texts: tuple[str, int]) -> tuple[Pixels, Box]:
    """A row of texts, each at its x, and the box of the whole row."""
    picture = Image.new("RGB", (900, 60), "white")
    draw = ImageDraw.Draw(picture)
    for text, x in texts:
        draw.text((x, 16), text, font=FONT, fill="black")
    last, x = texts[-1]
    return np.asarray(picture), Box(texts[0][1] - 4, 10, x + width(last) - texts[0][1] + 8, 40)


def width(text: str) -> int:
    return int(FONT.getlength(text))


def test_a_menu_that_was_read_as_one_line_is_cut() -> None:
    pixels, box = drawn(("File", 20), ("Edit", 110), ("Page layout", 200))
    labels = labels_of([TextLine("File Edit Page layout", box, 0.9)], pixels)
    assert [label.text for label in labels] == ["File", "Edit", "Page layout"]
    assert [abs(label.box.left - left) <= 3 for label, left in zip(labels, (20, 110, 200), strict=True)] == [True] * 3


def test_words_of_one_label_stay_together() -> None:
    pixels, box = drawn(("Remind before the due date", 20))
    assert [one.text for one in labels_of([TextLine("Remind before the due date", box, 0.9)], pixels)] == [
        "Remind before the due date"
    ]


def test_a_label_that_was_read_in_two_is_joined() -> None:
    pixels, _ = drawn(("Save draft", 20))
    cut = 20 + width("Save ")
    lines = [
        TextLine("Save", Box(16, 10, cut - 18, 40), 0.9),
        TextLine("draft", Box(cut - 2, 10, width("draft") + 8, 40), 0.8),
    ]
    (label,) = labels_of(lines, pixels)
    assert (label.text, label.score) == ("Save draft", 0.8)


def test_an_icon_that_was_read_as_a_sign_is_no_part_of_the_label() -> None:
    pixels, box = drawn(("E", 20), ("Print", 60))
    assert [one.text for one in labels_of([TextLine("母 Print", box, 0.9)], pixels)] == ["Print"]


@pytest.mark.parametrize("text", ["0", "V", "←", "母"])
def test_a_lone_sign_is_no_label(text: str) -> None:
    pixels, box = drawn((text, 20))
    assert labels_of([TextLine(text, box, 0.6)], pixels) == ()


def test_a_box_that_leaves_the_picture_is_cut_to_it() -> None:
    pixels, _ = drawn(("Print", 0))
    (label,) = labels_of([TextLine("Print", Box(-20, -20, 200, 100), 0.9)], pixels)
    assert label.box.left >= 0
    assert label.box.bottom <= 60


def test_labels_of_a_real_page_are_whole() -> None:
    texts = [label.text for label in seen_page("invoice").labels]
    for text in (
        "File",
        "Edit",
        "View",
        "Help",
        "Remind before the due date",
        "Submit invoice",
        "Needs a second approval",
    ):
        assert text in texts
