"""Pages are tried with the real recorder, resolver and OCR; the half that is held out is not run by accident."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.album import Album, albums
from evaluation.false_clicks import describe, draw
from evaluation.held_out import figures, note_run
from evaluation.judge import Kind, Verdict
from evaluation.readings import KeptReader
from evaluation.truth import Half
from evaluation.trying import PageResult, PageTrial, Wanted
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.engines import default_reader
from singletrack.agent.words.reader import TextLine
from tests.unit.evaluation.test_judge import trial


class CountingReader:
    name = "counting 1"

    def __init__(self) -> None:
        self.count = 0

    def read(self, pixels: Pixels) -> list[TextLine]:
        self.count += 1
        return [TextLine("Save", Box(1, 2, 3, 4), 0.5)]


@pytest.fixture
def album(rendered: Path) -> Album:
    return Album(rendered / "tuning" / "drawn")


@pytest.fixture(scope="module")
def tried(rendered: Path) -> PageResult:
    reader = KeptReader(default_reader(), rendered / "readings")
    wanted = Wanted(variants=("base", "moved"))
    return PageTrial(Album(rendered / "tuning" / "drawn"), [], reader, Resolver()).run(wanted)


def test_each_target_is_tried_on_each_picture_and_each_removal(tried: PageResult, album: Album) -> None:
    kinds = [one.kind for one in tried.trials]
    assert kinds.count(Kind.PRESENT) == 16
    assert kinds.count(Kind.REMOVED) == 5
    assert kinds.count(Kind.TWINS_LEFT) == kinds.count(Kind.TWIN_ONLY) == 3
    assert len(tried.costs) == 2 + len(album.truth.removals)
    assert all(cost.ocr_ms > 0 for cost in tried.costs)


def test_unique_buttons_are_found_where_they_are_and_no_removed_one_is(tried: PageResult) -> None:
    unique = [one for one in tried.trials if one.kind is Kind.PRESENT and "save" not in one.target]
    assert [one.verdict for one in unique] == [Verdict.RIGHT] * len(unique)
    removed = [one for one in tried.trials if one.kind is not Kind.PRESENT]
    assert [one for one in removed if one.verdict is Verdict.FALSE] == []


def test_a_picture_is_read_once(tmp_path: Path, album: Album) -> None:
    engine = CountingReader()
    pixels = album.picture("base").pixels
    first = KeptReader(engine, tmp_path).read(pixels)
    assert KeptReader(engine, tmp_path).read(pixels) == first == engine.read(pixels)
    assert engine.count == 2
    KeptReader(engine, tmp_path).read(pixels[:-1])
    assert engine.count == 3


def test_a_false_click_is_drawn_and_described(tmp_path: Path, album: Album) -> None:
    clicked = [replace(trial(verdict, 0.9), target="save") for verdict in (Verdict.FALSE, Verdict.RIGHT)]
    draw(clicked, {"drawn": album}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["000-drawn-save-dark.png"]
    assert describe(clicked).startswith("drawn save: present on dark, clicked (1, 2)")


def test_runs_on_the_held_out_half_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    trials = [trial(Verdict.RIGHT, 0.9), trial(Verdict.FALSE, 0.9, Kind.TWIN_ONLY)]
    assert [note_run(trials, ["drawn"], file), note_run(trials, ["drawn"], file)] == [1, 2]
    first = json.loads(file.read_text(encoding="utf-8"))[0]
    assert first["figures"] == figures(trials)
    assert figures(trials)["theme or font"] == {"right": 1, "refused": 0, "false": 0}
    assert figures(trials)["removed, one twin left"] == {"right": 0, "refused": 0, "false": 1}


def test_a_held_out_page_is_not_run_without_saying_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluation", "run", "--set", str(tmp_path), "--pages", "web_shop"])
    assert main() == 2
    assert "web_shop is held out: --held-out runs it, and notes that it did" in capsys.readouterr().err


def test_without_pictures_the_error_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="python -m evaluation render"):
        albums(tmp_path, Half.TUNING)
