"""The resolver with a VLM that answers from the truth, or wrong: what it finds is right, whatever it is told."""

import json
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from singletrack import Client
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.resolution import Method, Resolution, TargetStatus
from singletrack.agent.targets.target import Target
from singletrack.agent.vlm_chooser.chooser import VlmChooser
from singletrack.agent.words.engines import FasterPaddleReader
from singletrack_ops.stand_in.mishaps import Mishap, drawn_script
from tests.integration.agent.scripted_vlm import SAMPLES, ScriptedVlm, scripted_vlm

PATIENCE_S = 120.0
# Icons: nothing but a look tells them.
ICONS = (("settings", "tray-volume"), ("orders", "rail-stock"), ("invoice", "tool-print"))


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory, redis_url: str, tiny_clip: Path) -> Iterator[ScriptedVlm]:
    with scripted_vlm(tmp_path_factory.mktemp("resolving"), redis_url, "resolving", tiny_clip) as running:
        yield running


@pytest.fixture(scope="module")
def screens() -> dict[str, SeenScreen]:
    reader = FasterPaddleReader()
    return {scene: SeenScreen.of(Screenshot.of(SAMPLES / f"{scene}.png"), reader) for scene, _ in ICONS}


def true_box(scene: str, element: str) -> Box:
    told = json.loads((SAMPLES / f"{scene}.json").read_text(encoding="utf-8"))["elements"]
    return next(Box(*it["box"]) for it in told if it["id"] == element)


def resolve(client: Client, seen: SeenScreen, element: str) -> Resolution:
    chooser = VlmChooser(client, timeout_s=PATIENCE_S)
    return Resolver(chooser).resolve(Target(description=element, role=Role.ICON), seen)


@pytest.mark.parametrize(("scene", "element"), ICONS)
def test_an_icon_that_only_its_description_tells_is_found(
    vlm: ScriptedVlm, screens: dict[str, SeenScreen], scene: str, element: str
) -> None:
    vlm.answers.follow([])
    found = resolve(vlm.client, screens[scene], element)
    assert found.method is Method.SOM_VLM, found.why
    assert found.point is not None
    assert true_box(scene, element).contains(found.point)


@pytest.mark.parametrize(
    "mishap", [it for it in Mishap if it not in (Mishap.SLOW, Mishap.WRONG)], ids=lambda mishap: mishap.value
)
def test_an_answer_that_is_none_finds_nothing(vlm: ScriptedVlm, screens: dict[str, SeenScreen], mishap: Mishap) -> None:
    vlm.answers.follow(repeat(mishap))
    ended = resolve(vlm.client, screens["settings"], "tray-volume")
    assert ended.status in (TargetStatus.ABSENT, TargetStatus.DEGRADED)
    assert ended.point is None
    assert ended.attempts[-1].method is Method.SOM_VLM


def test_what_is_not_on_the_screen_is_not_found(vlm: ScriptedVlm, screens: dict[str, SeenScreen]) -> None:
    vlm.answers.follow([])
    assert resolve(vlm.client, screens["settings"], "rail-stock").status is TargetStatus.ABSENT


def no_two_lies(script: Iterator[Mishap | None]) -> Iterator[Mishap | None]:
    """A wrong answer that the next one confirms cannot be told from a right one."""
    for mishap in script:
        if mishap is not Mishap.SLOW:
            yield mishap
        if mishap is Mishap.WRONG:
            yield None


def test_whatever_else_goes_wrong_what_is_found_is_right(vlm: ScriptedVlm, screens: dict[str, SeenScreen]) -> None:
    vlm.answers.follow(no_two_lies(drawn_script(3, 0.3)))
    found = 0
    for scene, element in ICONS * 2:
        ended = resolve(vlm.client, screens[scene], element)
        if ended.point is not None:
            assert true_box(scene, element).contains(ended.point), (ended.why, vlm.answers.mishaps)
            found += 1
    assert Mishap.WRONG in vlm.answers.mishaps
    assert 1 <= found < 6


def test_without_a_worker_it_is_degraded(redis_url: str, screens: dict[str, SeenScreen]) -> None:
    with Client(redis_url, "nobody-serves-this", worker_grace_s=1) as client:
        ended = resolve(client, screens["settings"], "tray-volume")
    assert ended.status is TargetStatus.DEGRADED
    assert "NoWorker" in ended.why
