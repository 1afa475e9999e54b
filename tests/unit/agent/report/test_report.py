"""Reports: JSON, a table, a page that needs nothing else."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from singletrack.agent.errors import ReportNotWritten
from singletrack.agent.report.model import RunReport
from singletrack.agent.report.page import report_page
from singletrack.agent.report.pictures import place_picture, whole_picture
from singletrack.agent.report.saving import save_report
from singletrack.agent.report.table import report_table
from singletrack.agent.report.words import mean_score
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box, Point
from tests.unit.agent.report.reports import HOSTILE, jpeg, report


class Tags(HTMLParser):
    """The elements of a page, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_no_other_file() -> None:
    page = Tags(report_page(report()))
    assert page.links
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert "link" not in page.tags
    assert not re.search(r"https?:|@import|url\(", report_page(report()))


def test_the_page_shows_hostile_texts_and_does_not_run_them() -> None:
    page = Tags(report_page(report()))
    assert "script" not in page.tags
    assert page.text.count("<script>alert('x')</script>") >= 5


def test_the_page_tells_each_step() -> None:
    text = Tags(report_page(report())).text
    for part in ("Step 4: Look at 'Pay'.", "anchor_template", "0.80", "812 ms, 40 of them queued", "eyes 1, vlm 2",
                 "not reached", "unproven: seen before", "no worker: it is away", "0.70"):  # fmt: skip
        assert part in text
    assert base64.b64encode(jpeg()).decode() in report_page(report())


def test_the_page_follows_dark_mode_and_paper() -> None:
    page = report_page(report())
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert "Content-Security-Policy" in page


def test_the_table_has_a_row_a_step_and_no_control_characters() -> None:
    shown = io.StringIO()
    Console(file=shown, width=220, no_color=True).print(report_table(report()))
    text = shown.getvalue()
    assert "\x1b" not in text
    assert [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")] == list("12345")
    assert "2 of 5" not in text
    assert "3 of 5 steps" in text


def test_json_is_read_back_without_pictures(tmp_path: Path) -> None:
    saved = save_report(report(), tmp_path / "new" / "folder")
    data = json.loads(saved.data.read_text(encoding="utf-8"))
    assert "picture" not in data["steps"][0]
    again = RunReport.model_validate(data)
    assert again.steps[0].target == report().steps[0].target
    assert again.steps[0].name == HOSTILE
    assert saved.page.read_text(encoding="utf-8") == report_page(report())


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ReportNotWritten, match="cannot be written"):
        save_report(report(), tmp_path / "file" / "folder")


def test_the_mean_score_is_that_of_what_was_done() -> None:
    assert mean_score(report()) == pytest.approx(0.7)
    assert mean_score(report().model_copy(update={"steps": ()})) is None


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def grey_screen() -> Screenshot:
    pixels = np.full((600, 1000, 3), 200, np.uint8)
    pixels[300:340, 400:500] = 90
    return Screenshot(pixels)


def test_the_picture_of_a_place_has_its_mark() -> None:
    box = Box(400, 300, 100, 40)
    picture = opened(place_picture(grey_screen(), box, box.center))
    red, green, _ = picture.getpixel((picture.width // 2, picture.height // 2 + 10))  # type: ignore[misc]
    assert picture.size == (720, 400)
    assert red > green + 80


@pytest.mark.parametrize("box", [Box(0, 0, 20, 20), Box(990, 590, 10, 10), Box(0, 0, 1000, 600)])
def test_a_place_at_the_edge_has_a_picture(box: Box) -> None:
    assert opened(place_picture(grey_screen(), box, box.center)).width >= 720


def test_what_is_hidden_is_black() -> None:
    hidden = (Box(400, 300, 100, 40),)
    place = opened(place_picture(grey_screen(), Box(300, 200, 20, 20), Point(310, 210), hidden))
    whole = opened(whole_picture(grey_screen(), hidden))
    assert whole.width == 960
    for picture in (place, whole):
        assert 0 < (np.asarray(picture).max(axis=2) < 16).sum() / picture.width / picture.height < 0.2
    assert (np.asarray(opened(whole_picture(grey_screen()))).max(axis=2) > 16).all()
