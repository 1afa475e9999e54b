"""`VlmChooser` through a real worker: right answers are taken, and of wrong ones only those that nobody can tell."""

import json
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path

import pytest

from singletrack import Client
from singletrack.agent.marks.chooser import Choice
from singletrack.agent.marks.picture import MarkedPicture
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.element import Element
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.target import Target
from singletrack.agent.vlm_chooser.chooser import VlmChooser
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.stack import Stack
from singletrack_ops.stand_in.mishaps import Mishap, drawn_script
from tests.integration.agent.scripted_vlm import MODEL, SAMPLES, ScriptedVlm, scripted_vlm

# Far beyond what a busy machine takes for an answer.
PATIENCE_S = 120.0
# Shorter than a slow answer, which takes 15 s.
IMPATIENCE_S = 3.0


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory, redis_url: str, tiny_clip: Path) -> Iterator[ScriptedVlm]:
    with scripted_vlm(tmp_path_factory.mktemp("scripted"), redis_url, "scripted-vlm", tiny_clip) as running:
        yield running


def marked(scene: str, within: Box | None = None) -> tuple[MarkedPicture, dict[str, Box]]:
    told = json.loads((SAMPLES / f"{scene}.json").read_text(encoding="utf-8"))
    boxes = {it["id"]: Box(*it["box"]) for it in told["elements"]}
    elements = [Element(box, score=0.5) for box in boxes.values()]
    return MarkedPicture.of(Screenshot.of(SAMPLES / f"{scene}.png"), elements, within=within), boxes


def choose(vlm: ScriptedVlm, picture: MarkedPicture, target: Target, timeout_s: float = PATIENCE_S) -> Choice:
    return VlmChooser(vlm.client, timeout_s=timeout_s).choose(picture.pixels, picture.marks, target)


FOOT = Box(1000, 1280, 1300, 160)
APPLY = Target(text="Apply")


class TestRightAnswers:
    @pytest.mark.parametrize(
        ("scene", "element"), [("settings", "tray-volume"), ("files", "refresh"), ("orders", "rail-stock")]
    )
    def test_an_icon_without_a_text_is_chosen_by_its_description(
        self, vlm: ScriptedVlm, scene: str, element: str
    ) -> None:
        vlm.answers.follow([])
        picture, boxes = marked(scene)
        choice = choose(vlm, picture, Target(description=element))
        assert choice.number is not None, choice.why
        assert picture.element(choice.number).box == boxes[element]
        assert (choice.asked, choice.model) == (True, MODEL)
        assert choice.took_ms > 0

    def test_a_crop_will_do(self, vlm: ScriptedVlm) -> None:
        vlm.answers.follow([])
        picture, boxes = marked("settings", FOOT)
        choice = choose(vlm, picture, APPLY)
        assert choice.number is not None, choice.why
        assert picture.element(choice.number).box == boxes["apply"]

    def test_what_is_not_there_is_refused(self, vlm: ScriptedVlm) -> None:
        vlm.answers.follow([])
        picture, _ = marked("settings", FOOT)
        choice = choose(vlm, picture, Target(description="the red button that sends the invoice"))
        assert (choice.number, choice.asked) == (None, True)
        assert "none of the marks" in choice.why


class TestBadAnswers:
    @pytest.mark.parametrize(
        ("mishap", "why"),
        [
            (Mishap.REFUSAL, "none of the marks"),
            (Mishap.ONLY_THOUGHT, "OnlyThought"),
            (Mishap.CUT, "cut|AnswerOutsideSchema"),
            (Mishap.OUTSIDE_SCHEMA, "AnswerOutsideSchema"),
            (Mishap.PROSE, "AnswerOutsideSchema"),
        ],
    )
    def test_each_ends_without_a_number_and_says_why(self, vlm: ScriptedVlm, mishap: Mishap, why: str) -> None:
        vlm.answers.follow(repeat(mishap))
        picture, _ = marked("settings", FOOT)
        choice = choose(vlm, picture, APPLY)
        assert choice.number is None
        assert choice.asked
        assert any(it in choice.why for it in why.split("|")), choice.why
        assert vlm.answers.mishaps

    def test_a_server_that_fails_answered_nobody(self, vlm: ScriptedVlm) -> None:
        vlm.answers.follow(repeat(Mishap.HTTP_500))
        picture, _ = marked("settings", FOOT)
        choice = choose(vlm, picture, APPLY)
        assert (choice.number, choice.asked) == (None, False)
        assert choice.why.startswith("OllamaFailure: ")

    def test_a_slow_answer_is_not_waited_for(self, vlm: ScriptedVlm) -> None:
        vlm.answers.follow(repeat(Mishap.SLOW))
        picture, _ = marked("settings", FOOT)
        choice = choose(vlm, picture, APPLY, IMPATIENCE_S)
        assert (choice.number, choice.asked) == (None, False)
        assert choice.why.startswith("DeadlinePassed: ")

    def test_an_answer_outside_the_schema_gets_a_second_chance(self, vlm: ScriptedVlm) -> None:
        vlm.answers.follow([Mishap.OUTSIDE_SCHEMA])
        picture, boxes = marked("settings", FOOT)
        choice = choose(vlm, picture, APPLY)
        assert choice.number is not None, choice.why
        assert picture.element(choice.number).box == boxes["apply"]
        assert vlm.answers.mishaps[:2] == [Mishap.OUTSIDE_SCHEMA, None]

    def test_a_wrong_number_is_not_confirmed(self, vlm: ScriptedVlm) -> None:
        vlm.answers.follow([Mishap.WRONG])
        picture, _ = marked("settings", FOOT)
        choice = choose(vlm, picture, APPLY)
        assert (choice.number, choice.asked) == (None, True)
        assert "did not confirm it" in choice.why
        assert vlm.answers.mishaps == [Mishap.WRONG, None]

    def test_a_right_number_that_is_denied_is_not_taken(self, vlm: ScriptedVlm) -> None:
        vlm.answers.follow([None, Mishap.WRONG])
        picture, _ = marked("settings", FOOT)
        choice = choose(vlm, picture, APPLY)
        assert (choice.number, choice.asked) == (None, True)

    def test_with_one_look_a_wrong_number_is_told_as_it_came(self, vlm: ScriptedVlm) -> None:
        """Nobody can tell it here: whoever asks compares it with what was recorded."""
        vlm.answers.follow([Mishap.WRONG])
        picture, boxes = marked("settings", FOOT)
        chooser = VlmChooser(vlm.client, timeout_s=PATIENCE_S, looks_twice=False)
        choice = chooser.choose(picture.pixels, picture.marks, APPLY)
        assert choice.number is not None
        assert picture.element(choice.number).box != boxes["apply"]
        assert vlm.answers.mishaps == [Mishap.WRONG]

    def test_in_a_drawn_mixture_each_choice_is_right_or_none(self, vlm: ScriptedVlm) -> None:
        script = (it for it in drawn_script(11, 0.6) if it is not Mishap.SLOW)
        picture, boxes = marked("settings", FOOT)
        kinds, right = set(), 0
        for mishap in islice(script, 10):
            vlm.answers.follow([mishap])
            choice = choose(vlm, picture, APPLY)
            if choice.number is not None:
                assert picture.element(choice.number).box == boxes["apply"], (mishap, choice)
                right += 1
            kinds.add(mishap)
        assert {None, Mishap.WRONG, Mishap.HTTP_500} <= kinds
        assert 2 <= right < 10


class TestNobody:
    def test_a_track_without_a_worker_is_told(self, redis_url: str) -> None:
        picture, _ = marked("settings", FOOT)
        with Client(redis_url, "nobody-serves-this", worker_grace_s=1) as client:
            choice = VlmChooser(client, timeout_s=PATIENCE_S).choose(picture.pixels, picture.marks, APPLY)
        assert (choice.number, choice.asked) == (None, False)
        assert choice.why.startswith("NoWorker: ")

    def test_another_model_than_the_tracks_is_told(self, vlm: ScriptedVlm) -> None:
        picture, _ = marked("settings", FOOT)
        chooser = VlmChooser(vlm.client, timeout_s=PATIENCE_S, model="somebody-elses")
        choice = chooser.choose(picture.pixels, picture.marks, APPLY)
        assert (choice.number, choice.asked) == (None, False)
        assert choice.why.startswith("UnknownModel: ")


@pytest.mark.ollama
def test_a_real_ollama_keeps_to_the_marks(ollama: EmbeddedOllama, stack: Stack) -> None:
    """The sandbox's model knows nothing: whatever it says is a mark that was drawn, or none."""
    picture, _ = marked("settings", FOOT)
    with stack.client() as client:
        choice = VlmChooser(client, timeout_s=PATIENCE_S).choose(picture.pixels, picture.marks, APPLY)
    assert choice.asked, choice.why
    assert choice.number is None or 1 <= choice.number <= len(picture.marks)
    assert choice.model == ollama.model
