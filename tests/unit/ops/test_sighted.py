"""The scripted VLM looks at the picture that it gets, and answers from the truth about it."""

import base64
import io
import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from singletrack.agent.marks.picture import MarkedPicture
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.element import Element, Role
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.target import Target
from singletrack.agent.vlm_chooser.prompt import answer_schema, question
from singletrack_ops.errors import OpsError
from singletrack_ops.stand_in.mishaps import Mishap, Unreliable, drawn_script
from singletrack_ops.stand_in.replies import Answerer
from singletrack_ops.stand_in.sighted import Sighted
from singletrack_ops.stand_in.truth import Truth

SAMPLES = Path(__file__).parents[3] / "ops" / "samples"
SCENES = ("files", "invoice", "orders", "settings")


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth.read(SAMPLES)


def marked(scene: str, within: Box | None = None) -> tuple[MarkedPicture, dict[str, Box]]:
    told = json.loads((SAMPLES / f"{scene}.json").read_text(encoding="utf-8"))
    boxes = {it["id"]: Box(*it["box"]) for it in told["elements"]}
    elements = [Element(box, score=0.5) for box in boxes.values()]
    return MarkedPicture.of(Screenshot.of(SAMPLES / f"{scene}.png"), elements, within=within), boxes


def body(picture: MarkedPicture, target: Target, pixels: Pixels | None = None) -> dict[str, Any]:
    shown = picture.pixels if pixels is None else pixels
    file = io.BytesIO()
    Image.fromarray(shown).save(file, "PNG")
    message = {
        "role": "user",
        "content": question(picture.marks, target, shown.shape[1], shown.shape[0]),
        "images": [base64.b64encode(file.getvalue()).decode()],
    }
    return {"messages": [message], "format": answer_schema(picture.marks)}


def said(answerer: Answerer, asked: dict[str, Any]) -> str:
    return "".join(piece.text for piece in answerer.reply(asked).pieces)


def chosen(answerer: Answerer, picture: MarkedPicture, target: Target, pixels: Pixels | None = None) -> Box | None:
    number = json.loads(said(answerer, body(picture, target, pixels)))["mark"]
    return None if number is None else picture.element(number).box


class TestSighted:
    @pytest.mark.parametrize(
        ("scene", "element"),
        [("settings", "apply"), ("files", "refresh"), ("orders", "rail-stock"), ("invoice", "menu-edit")],
    )
    def test_it_finds_the_element_on_the_whole_screen(self, truth: Truth, scene: str, element: str) -> None:
        picture, boxes = marked(scene)
        assert chosen(Sighted(truth), picture, Target(description=element)) == boxes[element]

    def test_it_finds_the_element_on_a_crop(self, truth: Truth) -> None:
        picture, boxes = marked("settings", Box(1801, 1253, 600, 203))
        assert chosen(Sighted(truth), picture, Target(text="Apply")) == boxes["apply"]

    def test_another_name_can_be_given_to_it(self, truth: Truth) -> None:
        picture, boxes = marked("orders")
        answerer = Sighted(truth, {"the boxes of what is in store": "orders/rail-stock"})
        assert chosen(answerer, picture, Target(description="The boxes of what is in store")) == boxes["rail-stock"]

    def test_what_is_painted_over_is_not_there(self, truth: Truth) -> None:
        picture, boxes = marked("settings")
        pixels, box = picture.pixels.copy(), boxes["apply"]
        pixels[box.top : box.bottom, box.left : box.right] = 255
        assert chosen(Sighted(truth), picture, Target(text="Apply"), pixels) is None

    def test_what_another_scene_shows_is_not_there(self, truth: Truth) -> None:
        picture, _ = marked("files")
        assert chosen(Sighted(truth), picture, Target(text="Apply")) is None

    def test_a_screen_that_it_does_not_know_is_none_of_its_scenes(self, truth: Truth) -> None:
        picture, _ = marked("settings")
        noise = np.random.default_rng(3).integers(0, 255, picture.pixels.shape, np.uint8)
        assert chosen(Sighted(truth), picture, Target(text="Apply"), noise) is None

    def test_of_several_that_bear_the_name_it_chooses_none(self, truth: Truth) -> None:
        picture, boxes = marked("settings")
        assert {"desktop-terminal", "task-terminal"} <= set(boxes)
        assert chosen(Sighted(truth), picture, Target(text="Terminal")) is None

    def test_an_element_without_a_mark_is_not_chosen(self, truth: Truth) -> None:
        _, boxes = marked("settings")
        others = [Element(box, score=0.5) for name, box in boxes.items() if name != "apply"]
        without = MarkedPicture.of(Screenshot.of(SAMPLES / "settings.png"), others)
        assert chosen(Sighted(truth), without, Target(text="Apply")) is None

    def test_it_tells_the_roles_of_marks(self, truth: Truth) -> None:
        picture, _ = marked("invoice", Box(0, 340, 1900, 400))
        asked = body(picture, Target(text="anything"))
        numbers = [str(mark.number) for mark in picture.marks]
        asked["format"] = {"type": "object", "properties": {it: {"enum": [*Role, None]} for it in numbers}}
        roles = json.loads(said(Sighted(truth), asked))
        told = json.loads((SAMPLES / "invoice.json").read_text(encoding="utf-8"))["elements"]
        names = {"input": "field"}
        expected = {Box(*it["box"]): names.get(it["role"], it["role"]) for it in told}
        assert {picture.element(int(it)).box: role for it, role in roles.items()} == {
            it.box: expected[it.box] for it in picture.elements
        }
        assert {"field", "dropdown"} <= set(roles.values())

    def test_a_question_without_marks_gets_an_answer_without_a_meaning(self, truth: Truth) -> None:
        assert said(Sighted(truth), {"messages": [{"content": "hello"}]}).startswith("word0")

    def test_a_folder_without_scenes_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(OpsError, match="no scene"):
            Truth.read(tmp_path)


class TestMishaps:
    @pytest.mark.parametrize("mishap", list(Mishap))
    def test_each_spoils_its_answer_and_no_other(self, truth: Truth, mishap: Mishap) -> None:
        picture, _ = marked("settings", Box(1801, 1253, 600, 203))
        asked = body(picture, Target(text="Apply"))
        good = said(Sighted(truth), asked)
        unreliable = Unreliable(Sighted(truth), [mishap])
        reply, after = unreliable.reply(asked), said(unreliable, asked)
        text = "".join(piece.text for piece in reply.pieces)
        assert after == good
        assert unreliable.mishaps == [mishap, None]
        assert text != good or reply.piece_s
        assert reply.is_cut == (mishap in (Mishap.CUT, Mishap.ONLY_THOUGHT))
        assert bool(reply.failure) == (mishap is Mishap.HTTP_500)

    def test_a_wrong_answer_is_one_that_the_schema_allows(self, truth: Truth) -> None:
        picture, _ = marked("settings", Box(1801, 1253, 600, 203))
        asked = body(picture, Target(text="Apply"))
        wrong = json.loads(said(Unreliable(Sighted(truth), [Mishap.WRONG]), asked))
        assert wrong["mark"] in asked["format"]["properties"]["mark"]["enum"]
        assert wrong["mark"] is not None

    def test_a_script_is_drawn_again_from_its_seed(self) -> None:
        one, other = (list(islice(drawn_script(5, 0.5), 200)) for _ in range(2))
        assert one == other
        assert set(one) == {None, *Mishap}
        assert 60 < sum(it is None for it in one) < 140
        assert list(islice(drawn_script(6, 0.5), 200)) != one
