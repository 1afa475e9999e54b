"""What is rendered is true: boxes lie in the picture, what was removed is gone, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

from evaluation.album import Album
from evaluation.catalogue import PAGES, Page
from evaluation.looks import BASE, CHANGES, Look
from evaluation.made import made
from evaluation.render import render_page
from evaluation.stages.stage import Missing, Stage
from evaluation.truth import Half, Removal
from singletrack.agent.targets.geometry import Box
from tests.unit.evaluation.drawn import DrawnStage, drawn_page


@pytest.fixture
def album(rendered: Path) -> Album:
    return Album(rendered / "tuning" / "drawn")


def test_all_variants_are_there_or_left_out_with_a_reason(album: Album) -> None:
    variants = {shot.variant for shot in album.truth.shots}
    # The base is at 100 %.
    assert variants | set(album.truth.left_out) == set(CHANGES) - {"scale_100"}
    assert album.truth.left_out == {"font": "looks the same as the base in this toolkit"}


def test_the_table_tells_what_was_made(album: Album) -> None:
    row = next(line for line in made([album.truth]).splitlines() if line.startswith("drawn"))
    assert row.split()[:5] == ["drawn", "640x400", "100", "8", "11"]
    assert "".join(row.split()[5:]) == "xxxxxx-=xxxxx"
    assert "11 removals, 6 of them with a twin left" in made([album.truth])
    assert "drawn has no font: looks the same as the base in this toolkit" in made([album.truth])


def test_pictures_are_as_large_as_their_truth_says_and_boxes_lie_in_them(album: Album) -> None:
    for shot in album.truth.shots:
        screen = album.picture(shot.variant)
        assert (screen.width, screen.height) == (shot.width, shot.height)
        assert len(shot.targets) == 8
        for target in shot.targets:
            assert target.box.shared_area(screen.box) == target.box.area > 0
            assert target.box.contains(target.click)
            assert target.label


@pytest.mark.parametrize("variant", ["moved", "half_pixel", "jpeg_70", "low_resolution", "scale_150", "dark"])
def test_boxes_go_where_the_pixels_go(album: Album, variant: str) -> None:
    screen = album.picture(variant)
    for target in album.truth.shot(variant).targets:
        inside = screen.crop(target.box).astype(int)
        # A button's frame lies at the very edge of its box.
        assert np.ptp(inside[:2].mean(axis=2)) + np.ptp(inside[:, :2].mean(axis=2)) > 60


def test_a_removal_takes_away_its_target_and_nothing_else(album: Album) -> None:
    base = album.picture(BASE).pixels
    assert {one.target for one in album.truth.removals} == {one.id for one in album.truth.shot(BASE).targets}
    for removal in album.truth.removals:
        changed = np.any(album.without(removal).pixels != base, axis=2)
        for element in album.truth.shot(BASE).elements:
            inside = changed[element.box.top : element.box.bottom, element.box.left : element.box.right]
            assert bool(inside.any()) is (element.id in removal.gone)
        assert np.unique(album.without(removal).crop(element_box(album, removal))).size == 1


def element_box(album: Album, removal: Removal) -> Box:
    element = album.truth.shot(BASE).element(removal.target)
    assert element is not None
    return element.box


def test_twins_are_left_all_and_then_the_nearest_alone(album: Album) -> None:
    left = {(one.target, one.twins_left, one.gone) for one in album.truth.removals}
    assert ("save", 2, ("save",)) in left
    assert ("save", 1, ("save", "third-save")) in left
    assert ("archive", 0, ("archive",)) in left


def test_a_target_that_stays_when_hidden_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="save is still there when it is hidden"):
        render_page(drawn_page(DrawnStage(hides=False)), tmp_path)


def test_a_page_that_moves_when_something_is_hidden_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hiding save changed the page at"):
        render_page(drawn_page(DrawnStage(moves_others=True)), tmp_path)


@pytest.mark.parametrize(
    ("stage", "problem"),
    [(DrawnStage(label=" "), "print has no label"), (DrawnStage(left=600), "print reaches out of the picture")],
)
def test_a_wrong_truth_is_refused(tmp_path: Path, stage: DrawnStage, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        render_page(drawn_page(stage), tmp_path)


def test_what_a_machine_lacks_is_left_out_with_its_reason(tmp_path: Path) -> None:
    def lacking() -> Stage:
        raise Missing("no such toolkit here")

    page = Page("lacking", "none", "none", Half.TUNING, 100, lacking)
    assert render_page(page, tmp_path) == "left out: no such toolkit here"
    assert list(tmp_path.rglob("*.json")) == []


def test_the_halves_share_no_page_and_have_different_toolkits_each() -> None:
    names = [page.name for page in PAGES]
    assert len(names) == len(set(names)) >= 12
    for half in Half:
        assert len({page.toolkit for page in PAGES if page.half is half}) >= 4
    assert len({page.style for page in PAGES}) >= 12


def test_a_real_toolkit_tells_where_its_widgets_are() -> None:
    page = next(page for page in PAGES if page.name == "qt_ledger")
    with page.open() as stage:
        scene = stage.show(Look())
        gone = stage.without(["save-none", "book"])
    boxes = {one.id: one.box for one in scene.elements}
    changed = np.any(gone != scene.pixels, axis=2)
    book = boxes["book"]
    assert changed[book.top : book.bottom, book.left : book.right].mean() > 0.05
    changed[book.top - 4 : book.bottom + 4, book.left - 4 : book.right + 4] = False
    assert not changed.any()
    assert len(boxes) > 200
