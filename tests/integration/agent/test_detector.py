"""`UIDetector` with a real worker: CLIP and VLM tell what vision leaves unsure, and what is missing is told."""

import json
import shutil
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from singletrack.agent.detector.detection import DetectionStage
from singletrack.agent.detector.detector import SURE, UIDetector
from singletrack.agent.resolver.ranking import ClipRanker, Ranking
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.element import Element
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.engines import FasterPaddleReader
from singletrack_ops.stand_in.mishaps import Mishap
from singletrack_tasks.status import ModelState
from tests.integration.agent.scripted_vlm import SAMPLES, ScriptedVlm, scripted_vlm
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import events_since, last_event_id, running_worker, worker_environ

READER = FasterPaddleReader()
ROLES = {"input": "field", "menu": "menu_item", "toggle": "checkbox"}


@pytest.fixture(scope="module")
def seen() -> SeenScreen:
    return SeenScreen.of(Screenshot.of(SAMPLES / "invoice.png"), READER)


@pytest.fixture(scope="module")
def trained_clip(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Path:
    """The tiny CLIP as if its weights meant something."""
    folder = tmp_path_factory.mktemp("clip") / "trained"
    shutil.copytree(tiny_clip, folder)
    file = folder / "open_clip_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["singletrack"]["trained"] = True
    file.write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory, redis_url: str, trained_clip: Path) -> Iterator[ScriptedVlm]:
    with scripted_vlm(tmp_path_factory.mktemp("detector"), redis_url, "detector", trained_clip) as running:
        yield running


def true_role(element: Element) -> str | None:
    """The role of the smallest true element under an element's centre."""
    told = json.loads((SAMPLES / "invoice.json").read_text(encoding="utf-8"))["elements"]
    under = [(Box(*it["box"]).area, it["role"]) for it in told if Box(*it["box"]).contains(element.box.center)]
    return ROLES.get(min(under)[1], min(under)[1]) if under else None


class TestWithEverything:
    def test_the_vlm_tells_in_one_question_what_is_unsure(self, vlm: ScriptedVlm, seen: SeenScreen) -> None:
        vlm.answers.follow([])
        without = UIDetector(READER).detect_on(seen)
        detection = UIDetector(READER, vlm.client, ask_vlm=True).detect_on(seen)
        assert detection.degraded == ()
        assert len(vlm.answers.mishaps) == 1
        assert [it.box for it in detection.elements] == [it.box for it in without.elements]
        told = [it for it, before in zip(detection.elements, without.elements, strict=True) if before.score < SURE]
        judged = [(it.role, role) for it in told if it.score == 0.8 and (role := true_role(it)) is not None]
        assert len(judged) >= 5
        assert [role for role, right in judged if role != right] == []

    def test_what_vision_is_sure_of_stays(self, vlm: ScriptedVlm, seen: SeenScreen) -> None:
        vlm.answers.follow([])
        without = UIDetector(READER).detect_on(seen)
        detection = UIDetector(READER, vlm.client).detect_on(seen)
        sure = [
            (one, other) for one, other in zip(without.elements, detection.elements, strict=True) if one.score >= SURE
        ]
        assert len(sure) > 20
        assert all(one == other for one, other in sure)
        assert vlm.answers.mishaps == []

    def test_clip_orders_candidates_by_likeness(self, vlm: ScriptedVlm, seen: SeenScreen) -> None:
        crops = [seen.screenshot.crop(label.box) for label in seen.labels[:8]]
        ranking = ClipRanker(vlm.client).rank(crops[3], crops)
        assert ranking.likenesses is not None
        assert max(range(len(crops)), key=lambda index: (ranking.likenesses or ())[index]) == 3
        with pytest.raises(ValueError, match="leave out the farthest"):
            ClipRanker(vlm.client).rank(crops[3], crops * 100)

    def test_crops_that_were_embedded_are_not_sent_again(self, vlm: ScriptedVlm, seen: SeenScreen) -> None:
        detector = UIDetector(READER, vlm.client)
        first = detector.detect_on(seen)
        since = last_event_id(vlm.client)
        assert detector.detect_on(seen).elements == first.elements
        assert events_since(vlm.client, since) == []


class TestDegraded:
    @pytest.mark.parametrize(
        ("mishap", "why"),
        [(Mishap.ONLY_THOUGHT, "OnlyThought"), (Mishap.CUT, "AnswerOutsideSchema"), (Mishap.HTTP_500, "OllamaFailure")],
    )
    def test_an_answer_that_is_none_changes_nothing_and_is_told(
        self, vlm: ScriptedVlm, seen: SeenScreen, mishap: Mishap, why: str
    ) -> None:
        vlm.answers.follow(repeat(mishap))
        detection = UIDetector(READER, vlm.client, ask_vlm=True).detect_on(seen)
        (missing,) = detection.degraded
        assert missing.stage is DetectionStage.VLM
        assert missing.why.startswith(f"{why}: ")
        assert detection.elements == UIDetector(READER, vlm.client).detect_on(seen).elements

    def test_without_ollama_and_with_an_untrained_clip_nobody_is_asked(
        self, tmp_path: Path, redis_url: str, tiny_clip: Path, seen: SeenScreen
    ) -> None:
        environ = worker_environ(redis_url, "blind", None, clip_weights=f"local-dir:{tiny_clip}", tick_interval_s=0.5)
        with running_worker(tmp_path / "blind", environ) as (_, client):
            wait_for(lambda: client.status().vlm.state is ModelState.UNAVAILABLE, "Ollama is known to be missing")
            since = last_event_id(client)
            detection = UIDetector(READER, client, ask_vlm=True).detect_on(seen)
            crop = seen.screenshot.crop(seen.labels[0].box)
            ranking = ClipRanker(client).rank(crop, [crop])
            assert events_since(client, since) == []
        clip, vlm = detection.degraded
        assert ranking == Ranking(None, clip.why)
        assert (clip.stage, vlm.stage) == (DetectionStage.CLIP, DetectionStage.VLM)
        assert "untrained" in clip.why
        assert "Ollama" in vlm.why
        assert "guesses" in clip.costs
        assert detection.elements == UIDetector(READER).detect_on(seen).elements
