"""Targets of real pages: found where they are, refused where they are not."""

import numpy as np
import pytest

from singletrack.agent.recorder.altered import inverted, painted_over
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.resolution import Method, TargetStatus
from singletrack.agent.targets.target import Target
from tests.unit.agent.anchors import anchor_of, box_of, target_of
from tests.unit.agent.pages import reader, seen_page

# A label, a button with an icon, an icon, a checkbox and an icon with a dozen twins, a field, a row's blank middle.
TARGETS = [
    ("orders", "tab-packed"),
    ("orders", "export"),
    ("orders", "refresh"),
    ("orders", "select-30907"),
    ("orders", "edit-30905"),
    ("invoice", "tool-print"),
    ("settings", "nav-sound"),
]
each_target = pytest.mark.parametrize(("page", "name"), TARGETS)


def moved(pixels: Pixels, dx: int, dy: int) -> Pixels:
    there = np.full_like(pixels, 90)
    there[dy:, dx:] = pixels[:-dy, :-dx]
    return there


@each_target
def test_a_target_is_found_on_its_own_screen(page: str, name: str) -> None:
    found = Resolver().resolve(target_of(page, name), seen_page(page))
    assert found.is_found, found
    assert found.point is not None
    assert box_of(page, name).contains(found.point)
    assert found.method is Method.ANCHOR_TEMPLATE
    assert found.score > 0.9


@each_target
def test_a_target_that_is_painted_over_is_not_found(page: str, name: str) -> None:
    seen, box = seen_page(page), box_of(page, name)
    pixels = painted_over(seen.screenshot.pixels, box)
    labels = tuple(label for label in seen.labels if not box.contains(label.box.center))
    found = Resolver().resolve(target_of(page, name), SeenScreen(Screenshot(pixels), labels, reader()))
    assert found.status in {TargetStatus.ABSENT, TargetStatus.AMBIGUOUS}
    assert found.point is None


@each_target
def test_a_target_is_not_found_on_another_screen(page: str, name: str) -> None:
    for other in {"orders", "invoice", "settings", "files"} - {page}:
        assert Resolver().resolve(target_of(page, name), seen_page(other)).status is TargetStatus.WRONG_SCREEN


@pytest.mark.parametrize("change", ["moved", "inverted"])
def test_targets_are_found_on_a_changed_screen(change: str) -> None:
    pixels = seen_page("orders").screenshot.pixels
    dx, dy = (53, 37) if change == "moved" else (0, 0)
    seen = SeenScreen.of(Screenshot(moved(pixels, dx, dy) if change == "moved" else inverted(pixels)), reader())
    for page, name in TARGETS:
        if page == "orders":
            found = Resolver().resolve(target_of(page, name), seen)
            assert found.point is not None, (name, found)
            assert box_of(page, name).moved(dx, dy).contains(found.point)


def test_the_same_input_gives_the_same_result() -> None:
    target, seen = target_of("orders", "select-30907"), seen_page("orders")
    first, second = (Resolver().resolve(target, seen) for _ in range(2))
    times = {"attempts": (), "took_ms": 0.0}
    assert first.model_copy(update=times) == second.model_copy(update=times)
    assert [one.why for one in first.attempts] == [one.why for one in second.attempts]


def test_a_row_that_moved_is_followed() -> None:
    seen = seen_page("orders")
    row, below = box_of("orders", "select-30907").top - 20, 480
    pixels = seen.screenshot.pixels.copy()
    pixels[row + 74 : row + below + 74] = seen.screenshot.pixels[row : row + below]
    now = SeenScreen.of(Screenshot(pixels), reader())
    found = Resolver().resolve(target_of("orders", "select-30907"), now)
    assert found.point is not None, found
    assert box_of("orders", "select-30907").moved(0, 74).contains(found.point)


def test_a_dialog_over_the_target_is_told() -> None:
    seen, box = seen_page("orders"), box_of("orders", "select-30907")
    pixels = seen.screenshot.pixels.copy()
    pixels[box.top - 400 : box.top + 400, 100:1700] = 255
    pixels[box.top - 400 : box.top + 400 : 799, 100:1700] = 0
    found = Resolver().resolve(target_of("orders", "select-30907"), SeenScreen.of(Screenshot(pixels), reader()))
    assert found.status is TargetStatus.OCCLUDED


def test_a_text_alone_is_found_where_it_is_there_once() -> None:
    seen = seen_page("orders")
    found = Resolver().resolve(Target(text="review holds"), seen)
    assert found.method is Method.SOM_TEXT_MATCH
    assert found.point is not None
    assert box_of("orders", "show-held").contains(found.point)
    assert Resolver().resolve(Target(text="Packed"), seen).status is TargetStatus.AMBIGUOUS
    assert Resolver().resolve(Target(text="Delete everything"), seen).status is TargetStatus.ABSENT


def test_a_description_alone_needs_somebody_to_ask() -> None:
    found = Resolver().resolve(Target(description="the bell"), seen_page("orders"))
    assert found.status is TargetStatus.DEGRADED
    assert "VLM" in found.why


def test_a_place_is_looked_at_again_before_the_click() -> None:
    seen, resolver = seen_page("orders"), Resolver()
    found = resolver.resolve(target_of("orders", "export"), seen)
    assert found.box is not None
    same = Screenshot(seen.screenshot.pixels.copy())
    assert resolver.is_still_there(found, seen, same)
    assert not resolver.is_still_there(found, seen, Screenshot(moved(seen.screenshot.pixels, 5, 3)))
    assert not resolver.is_still_there(found, seen, Screenshot(painted_over(same.pixels, found.box)))
    assert not resolver.is_still_there(found, seen, Screenshot(same.pixels[:-10]))
    elsewhere = painted_over(same.pixels, Box(100, 1000, 200, 200))
    assert resolver.is_still_there(found, seen, Screenshot(elsewhere))


def test_what_was_not_found_is_not_there() -> None:
    absent = Resolver().resolve(Target(text="Delete everything"), seen_page("orders"))
    assert not Resolver().is_still_there(absent, seen_page("orders"), seen_page("orders").screenshot)


def test_a_text_with_twins_is_refused_without_its_surroundings() -> None:
    anchor = anchor_of("orders", "tab-packed").model_copy(update={"texts": (), "landmarks": ()})
    assert anchor.twins
    assert Resolver().resolve(Target(anchor=anchor), seen_page("orders")).status is TargetStatus.AMBIGUOUS
