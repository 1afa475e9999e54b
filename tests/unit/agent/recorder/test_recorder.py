"""What is recorded of real elements, and what is said against it."""

import io

import pytest
from PIL import Image

from singletrack.agent.errors import InvalidTarget
from singletrack.agent.recorder import Recorder
from singletrack.agent.resolver import Resolver
from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box, Point
from tests.unit.agent.anchors import anchor_of, box_of
from tests.unit.agent.pages import reader, seen_page


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder(Resolver(), reader())


@pytest.mark.parametrize(
    ("page", "name", "text", "role"),
    [
        ("orders", "tab-packed", "Packed", None),
        ("orders", "export", "Export", Role.BUTTON),
        ("orders", "select-30907", "", Role.CHECKBOX),
        ("orders", "refresh", "", Role.ICON),
        ("invoice", "submit", "Submit invoice", Role.BUTTON),
        ("settings", "nav-sound", "Sound", None),
    ],
)
def test_the_element_at_a_point(page: str, name: str, text: str, role: Role | None) -> None:
    anchor, truth = anchor_of(page, name), box_of(page, name)
    assert anchor.text == text
    assert role in (None, anchor.role)
    assert anchor.box.contains(truth.center)
    assert anchor.box.shared_area(truth) >= 0.6 * anchor.box.area
    with Image.open(io.BytesIO(anchor.crop_png)) as picture:
        assert picture.size == (anchor.box.width, anchor.box.height)


def test_twins_by_text_and_by_looks() -> None:
    assert anchor_of("orders", "tab-packed").twins == 2
    assert anchor_of("orders", "show-held").twins == 0
    boxes = anchor_of("orders", "select-30907").twin_boxes
    above = box_of("orders", "select-30909").center
    below = box_of("orders", "select-30906").center
    assert any(box.contains(above) for box in boxes)
    assert any(box.contains(below) for box in boxes)


def test_landmarks_lie_on_all_sides() -> None:
    anchor = anchor_of("orders", "select-30907")
    assert any(mark.text == "30907" and mark.dx > 0 and abs(mark.dy) < 5 for mark in anchor.landmarks)
    assert any(mark.dy > 20 for mark in anchor.landmarks)
    assert any(mark.dy < -20 for mark in anchor.landmarks)
    assert len(anchor.texts) > 80


def test_a_good_anchor_is_enough(recorder: Recorder) -> None:
    screenshot = seen_page("settings").screenshot
    recorded = recorder.record(screenshot, box_of("settings", "apply").center, Role.BUTTON, "applies the changes")
    assert recorded.is_enough, recorded.problems
    assert recorded.anchor.role is Role.BUTTON


def test_a_blank_spot_is_not_enough(recorder: Recorder) -> None:
    screenshot = seen_page("settings").screenshot
    recorded = recorder.record(screenshot, Point(1300, 1250))
    assert not recorded.is_enough
    assert any("not found on the recorded picture" in problem for problem in recorded.problems)


def test_a_point_outside_is_refused(recorder: Recorder) -> None:
    with pytest.raises(InvalidTarget, match="not on the screenshot of 2560 x 1600"):
        recorder.record(seen_page("settings").screenshot, Point(2560, 10))


def test_a_box_stays_on_the_screen() -> None:
    screen = Box(0, 0, 2560, 1600)
    for name in ("close", "minimize"):
        box = anchor_of("invoice", name).box
        assert box.shared_area(screen) == box.area
