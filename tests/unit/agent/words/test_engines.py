"""The engines: real readings, what is remembered, and what is missing."""

import sys

import numpy as np
import pytest

from singletrack.agent.errors import MissingExtra
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.engines import RapidOcrReader, RememberingReader, default_reader
from singletrack.agent.words.reader import TextLine
from tests.unit.agent.pages import SAMPLES, seen_page


class CountingReader:
    """Reads the same line everywhere, and counts."""

    name = "counting"

    def __init__(self) -> None:
        self.count = 0

    def read(self, pixels: Pixels) -> list[TextLine]:
        self.count += 1
        return [TextLine("Save", Box(0, 0, pixels.shape[1], 10), 1.0)]


def blank(shade: int) -> Pixels:
    return np.full((40, 40, 3), shade, dtype=np.uint8)


def test_the_default_reader_reads_a_real_page() -> None:
    assert default_reader().name.startswith("faster-paddle")
    labels = {label.text: label for label in seen_page("settings").labels}
    box = labels["Reset to defaults"].box
    assert SAMPLES.exists()
    assert box.width > 5 * box.height


def test_what_was_read_is_not_read_again_until_it_is_forgotten() -> None:
    counting = CountingReader()
    remembering = RememberingReader(counting, kept=2)
    for shade in (1, 1, 2, 1, 3, 1):
        assert [line.text for line in remembering.read(blank(shade))] == ["Save"]
    assert counting.count == 3
    remembering.read(blank(2))
    assert counting.count == 4


def test_one_who_changes_what_was_read_changes_it_alone() -> None:
    remembering = RememberingReader(CountingReader())
    remembering.read(blank(1)).clear()
    assert len(remembering.read(blank(1))) == 1


def test_without_an_engine_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(MissingExtra, match="pip install rapidocr"):
        RapidOcrReader()
    monkeypatch.setitem(sys.modules, "faster_paddle", None)
    with pytest.raises(MissingExtra, match=r"pip install 'singletrack\[agent\]'"):
        default_reader()
