import json
import statistics
from pathlib import Path

import numpy as np
import pytest

from singletrack import Client
from singletrack.agent.detector.clip_roles import crop_of, likelihoods
from singletrack.agent.detector.detection import Detection, DetectionStage
from singletrack.agent.detector.detector import UIDetector
from singletrack.agent.detector.vlm_roles import answer_schema
from singletrack.agent.marks.candidates import numbered
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.element import Element, Role
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.engines import FasterPaddleReader
from singletrack_tasks.schema import check_schema
from tests.addresses import SILENT_REDIS
from tests.unit.agent.detector.drawn_form import DARK, LIGHT, DrawnForm, Theme, hits, noise

SAMPLES = Path(__file__).parents[4] / "ops" / "samples"


def roles_at(form: DrawnForm, box: Box) -> set[Role | None]:
    return {it.role for it in hits(UIDetector(form).detect(form.screenshot).elements, box)}


@pytest.fixture(params=[LIGHT, DARK], ids=["light", "dark"])
def form(request: pytest.FixtureRequest) -> DrawnForm:
    theme: Theme = request.param
    drawn = DrawnForm(theme)
    drawn.text(40, 20, "Some form of our own")
    return drawn


class TestRolesByVision:
    def test_a_button_has_its_text_in_the_middle(self, form: DrawnForm) -> None:
        box = form.button(Box(400, 300, 140, 44), "Apply")
        (found,) = hits(UIDetector(form).detect(form.screenshot).elements, box)
        assert (found.role, found.text) == (Role.BUTTON, "Apply")
        assert found.box.overlap(box) > 0.85

    def test_a_field_has_its_text_at_the_left_or_none(self, form: DrawnForm) -> None:
        filled = form.field(Box(100, 200, 400, 44), "Paper and print")
        empty = form.field(Box(100, 300, 400, 44))
        assert roles_at(form, filled) == {Role.FIELD}
        assert roles_at(form, empty) == {Role.FIELD}

    def test_a_dropdown_has_an_arrow_at_its_right_end(self, form: DrawnForm) -> None:
        box = form.dropdown(Box(100, 200, 300, 44), "Any status")
        found = hits(UIDetector(form).detect(form.screenshot).elements, box)
        assert max(found, key=lambda it: it.box.area).role is Role.DROPDOWN

    @pytest.mark.parametrize("ticked", [False, True])
    def test_a_tick_box_bears_the_label_beside_it(self, form: DrawnForm, ticked: bool) -> None:
        box = form.checkbox(100, 400, "Mark as paid", ticked=ticked)
        (found,) = hits(UIDetector(form).detect(form.screenshot).elements, box)
        assert (found.role, found.text) == (Role.CHECKBOX, "Mark as paid")

    def test_a_radio_button_is_round(self, form: DrawnForm) -> None:
        box = form.radio(100, 400, "Landscape")
        (found,) = hits(UIDetector(form).detect(form.screenshot).elements, box)
        assert (found.role, found.text) == (Role.RADIO, "Landscape")

    def test_an_icon_is_one_element_with_a_tight_box(self, form: DrawnForm) -> None:
        box = form.icon(700, 100)
        (found,) = hits(UIDetector(form).detect(form.screenshot).elements, box)
        assert found.role is Role.ICON
        assert found.box.overlap(box) > 0.6

    def test_a_coloured_text_is_a_link_and_a_grey_one_is_not(self, form: DrawnForm) -> None:
        theme = form._theme
        link, text = form.text(100, 500, "View the history", theme.accent), form.text(600, 600, "Draft saved")
        assert roles_at(form, link) == {Role.LINK}
        assert roles_at(form, text) == {Role.TEXT}

    def test_short_labels_in_the_first_row_are_a_menu(self) -> None:
        form = DrawnForm()
        boxes = [form.text(20 + 90 * place, 12, text) for place, text in enumerate(["File", "Edit", "View", "Help"])]
        form.button(Box(400, 300, 140, 44), "Apply")
        assert [roles_at(form, box) for box in boxes] == [{Role.MENU_ITEM}] * 4

    def test_cells_of_a_table_are_items_of_a_list(self) -> None:
        form = DrawnForm()
        cells = [Box(100 + 180 * x, 200 + 40 * y, 181, 41) for y in range(4) for x in range(3)]
        for number, cell in enumerate(cells):
            form.frame(cell)
            if number % 2:
                form.text(cell.left + 8, cell.top + 8, f"Cell {number}")
        for cell in cells:
            assert roles_at(form, cell) & {Role.LIST_ITEM, Role.TEXT}, cell

    def test_frames_in_a_row_are_tabs_if_they_stand_on_a_line(self) -> None:
        form = DrawnForm()
        tabs = [form.button(Box(100 + 132 * place, 100, 130, 40), f"Sheet {place}") for place in range(4)]
        buttons = [form.button(Box(100 + 132 * place, 400, 130, 40), f"Verb {place}") for place in range(4)]
        form.line(60, 140, 900)
        assert [roles_at(form, box) for box in tabs] == [{Role.TAB}] * 4
        assert [roles_at(form, box) for box in buttons] == [{Role.BUTTON}] * 4

    def test_texts_in_a_row_are_tabs_if_one_is_underlined(self) -> None:
        form = DrawnForm()
        form.text(40, 20, "Some form of our own")
        tabs = [form.text(100 + 150 * place, 300, f"Sheet {place}") for place in range(4)]
        assert {Role.TAB} not in [roles_at(form, box) for box in tabs]
        form.bar(Box(tabs[1].left - 10, tabs[1].bottom + 12, tabs[1].width + 20, 5))
        assert [roles_at(form, box) for box in tabs] == [{Role.TAB}] * 4

    def test_what_is_inside_a_panel_is_found_and_the_panel_is_not(self, form: DrawnForm) -> None:
        panel = form.frame(Box(60, 80, 800, 500), filled=False)
        button = form.button(Box(400, 300, 140, 44), "Apply")
        field = form.field(Box(100, 200, 400, 44), "Paper")
        elements = UIDetector(form).detect(form.screenshot).elements
        assert hits(elements, button)
        assert hits(elements, field)
        assert not [it for it in elements if it.box.overlap(panel) > 0.5]


class TestOnTheSamples:
    @pytest.mark.parametrize(("scene", "least_role"), [("settings", 0.55), ("invoice", 0.85)])
    def test_every_element_can_be_clicked_by_what_is_found(self, scene: str, least_role: float) -> None:
        told = json.loads((SAMPLES / f"{scene}.json").read_text(encoding="utf-8"))["elements"]
        detection = UIDetector(FasterPaddleReader()).detect(Screenshot.of(SAMPLES / f"{scene}.png"))
        missed = [it["id"] for it in told if not hits(detection.elements, Box(*it["box"]))]
        assert len(missed) <= 1, missed
        assert len(detection.elements) < 4 * len(told)
        names = {"input": "field", "menu": "menu_item", "toggle": "checkbox"}
        right = [
            any(hit.role == names.get(it["role"], it["role"]) for hit in hits(detection.elements, Box(*it["box"])))
            for it in told
        ]
        assert statistics.mean(right) >= least_role

    def test_the_same_screenshot_gives_the_same_elements(self) -> None:
        reader = FasterPaddleReader()
        screenshot = Screenshot.of(SAMPLES / "settings.png")
        one, other = (UIDetector(reader).detect(screenshot) for _ in range(2))
        assert one.elements == other.elements

    def test_boxes_lie_on_the_screen(self) -> None:
        form = DrawnForm()
        form.frame(Box(-20, 600, 300, 60))
        form.icon(980, 680)
        for screenshot in (form.screenshot, noise(4)):
            for element in UIDetector(form).detect(screenshot).elements:
                assert screenshot.box.shared_area(element.box) == element.box.area > 0

    def test_a_picture_of_thousands_of_shapes_has_a_bounded_number_of_elements(self) -> None:
        blocks = np.random.default_rng(1).integers(0, 255, (100, 150, 3), np.uint8)
        elements = UIDetector(DrawnForm()).detect(Screenshot.of(blocks.repeat(8, axis=0).repeat(8, axis=1))).elements
        assert 1000 < len(elements) <= 6000


class TestMissing:
    def detect(self, client: Client | None, *, ask_vlm: bool) -> Detection:
        form = DrawnForm()
        form.text(100, 500, "Perhaps a text, perhaps not")
        return UIDetector(form, client, ask_vlm).detect(form.screenshot)

    def test_without_a_client_it_says_what_is_missing_and_what_that_costs(self) -> None:
        detection = self.detect(None, ask_vlm=True)
        assert [it.stage for it in detection.degraded] == [DetectionStage.CLIP, DetectionStage.VLM]
        assert {it.why for it in detection.degraded} == {"no client was given"}
        assert detection.degraded[0].costs.startswith("the roles of 1 elements")
        assert detection.elements

    def test_what_was_not_asked_for_is_not_missed(self) -> None:
        assert [it.stage for it in self.detect(None, ask_vlm=False).degraded] == [DetectionStage.CLIP]

    def test_a_redis_that_does_not_answer_is_told(self) -> None:
        with Client(SILENT_REDIS, "nobody") as client:
            detection = self.detect(client, ask_vlm=True)
        assert len(detection.degraded) == 2
        assert all(it.why.startswith("RedisUnavailable: ") for it in detection.degraded)

    def test_each_stage_says_how_long_it_took(self) -> None:
        detection = self.detect(None, ask_vlm=True)
        assert list(detection.took_ms) == list(DetectionStage)
        assert detection.took_ms[DetectionStage.VISION] > 0
        assert list(self.detect(None, ask_vlm=False).took_ms) == list(DetectionStage)[:3]


class TestClip:
    def test_an_image_is_likeliest_what_its_prompts_say(self) -> None:
        prompts = np.eye(4, dtype=np.float32)[:, np.newaxis, :].repeat(2, axis=1)
        images = np.array([[0, 1, 0, 0], [0.6, 0, 0.8, 0]], np.float32)
        likely = likelihoods(images, prompts)
        assert likely.argmax(axis=1).tolist() == [1, 2]
        assert np.allclose(likely.sum(axis=1), 1)

    def test_a_crop_has_some_surroundings_and_a_least_size(self) -> None:
        form = DrawnForm()
        assert crop_of(form.screenshot, Box(500, 300, 100, 40)).shape == (64, 124, 3)
        assert min(crop_of(form.screenshot, Box(500, 300, 6, 6)).shape[:2]) >= 16
        assert crop_of(form.screenshot, Box(990, 690, 10, 10)).size > 0


def test_the_vlm_can_only_answer_with_roles() -> None:
    schema = check_schema(answer_schema(numbered([Element(Box(0, 0, 9, 9)), Element(Box(20, 0, 9, 9))])))
    assert schema["required"] == ["1", "2"]
    assert set(schema["properties"]["1"]["enum"]) == {*Role, None}
    assert schema["additionalProperties"] is False
