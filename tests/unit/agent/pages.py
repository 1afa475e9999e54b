"""The sample pages, read once by the real OCR engine, with their truth."""

import json
from functools import cache
from pathlib import Path

from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.engines import FasterPaddleReader, RememberingReader

SAMPLES = Path(__file__).parents[3] / "ops" / "samples"


@cache
def reader() -> RememberingReader:
    return RememberingReader(FasterPaddleReader(), kept=64)


@cache
def seen_page(name: str) -> SeenScreen:
    return SeenScreen.of(Screenshot.of(SAMPLES / f"{name}.png"), reader())


@cache
def boxes_of(name: str) -> dict[str, Box]:
    scene = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return {element["id"]: Box(*element["box"]) for element in scene["elements"]}
