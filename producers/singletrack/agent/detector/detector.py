"""`UIDetector`: the elements of a screenshot."""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from singletrack.agent.detector.available import Available, available
from singletrack.agent.detector.clip_roles import MOST_CROPS, ClipRoles
from singletrack.agent.detector.detection import Detection, DetectionStage, MissingStage
from singletrack.agent.detector.edges import edges_of
from singletrack.agent.detector.grouping import is_read, parts_of
from singletrack.agent.detector.roles import elements_of
from singletrack.agent.detector.rows import PageParts
from singletrack.agent.detector.shapes import shapes_on
from singletrack.agent.detector.unticking import unticked
from singletrack.agent.detector.vlm_roles import VlmRoles
from singletrack.agent.marks.candidates import MOST_MARKS
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.element import Element
from singletrack.agent.words.reader import TextReader
from singletrack.client import Client
from singletrack_tasks.errors import SingletrackError

# A role with a lower score is a guess.
SURE: Final = 0.7
# The height of a text in pixels where there is none to measure.
_USUAL_UNIT: Final = 16.0
_DEFAULT_TIMEOUT_S: Final = 120.0


class UIDetector:
    """Finds the elements of a screenshot by classical vision and OCR, and tells their roles.

    Roles that shape and place leave unsure are weighed by CLIP, if there is a `client` whose track has it; what is
    unsure even then is put to the VLM in one question, if `ask_vlm`. What is missing degrades a detection, and fails
    none. `timeout_s` bounds each request, the queue included.
    """

    def __init__(
        self,
        reader: TextReader,
        client: Client | None = None,
        ask_vlm: bool = False,
        *,
        timeout_s: float = _DEFAULT_TIMEOUT_S,
    ) -> None:
        self._reader = reader
        self._client = client
        self._ask_vlm = ask_vlm
        self._timeout_s = timeout_s

    def detect(self, screenshot: Screenshot) -> Detection:
        """Detect the elements; their boxes are in the screenshot's pixels."""
        watch = _Watch()
        with watch.timing(DetectionStage.READING):
            seen = SeenScreen.of(screenshot, self._reader)
        return self._detect(seen, watch)

    def detect_on(self, seen: SeenScreen) -> Detection:
        """Detect the elements of a screen that was read already."""
        return self._detect(seen, _Watch())

    def _detect(self, seen: SeenScreen, watch: "_Watch") -> Detection:
        with watch.timing(DetectionStage.VISION):
            elements = list(_by_vision(seen))
        there = available(self._client)
        missing = []
        with watch.timing(DetectionStage.CLIP):
            missing += self._weigh(seen.screenshot, elements, there)
        if self._ask_vlm:
            with watch.timing(DetectionStage.VLM):
                missing += self._ask(seen.screenshot, elements, there)
        return Detection(tuple(elements), tuple(missing), MappingProxyType(watch.took_ms))

    def _weigh(self, screenshot: Screenshot, elements: list[Element], there: Available) -> list[MissingStage]:
        """Let CLIP weigh the guesses in `elements`."""
        places = _unsure(elements, MOST_CROPS)
        why = there.no_clip
        if self._client is not None and places and why is None:
            try:
                weighed = ClipRoles(self._client, self._timeout_s).weigh(screenshot, [elements[at] for at in places])
                for place, element in zip(places, weighed, strict=True):
                    elements[place] = element
            except SingletrackError as error:
                why = f"{type(error).__name__}: {error.message}"
        return [] if why is None else [MissingStage(DetectionStage.CLIP, why, _costs(places))]

    def _ask(self, screenshot: Screenshot, elements: list[Element], there: Available) -> list[MissingStage]:
        """Let the VLM tell what is unsure in `elements`."""
        places = _unsure(elements, MOST_MARKS)
        why = there.no_vlm
        if self._client is not None and places and why is None:
            try:
                told = VlmRoles(self._client, self._timeout_s).ask(screenshot, [elements[at] for at in places])
                for place in places:
                    elements[place] = told.get(elements[place], elements[place])
            except SingletrackError as error:
                why = f"{type(error).__name__}: {error.message}"
        return [] if why is None else [MissingStage(DetectionStage.VLM, why, _costs(places))]


class _Watch:
    def __init__(self) -> None:
        self.took_ms: dict[DetectionStage, float] = {}

    @contextmanager
    def timing(self, stage: DetectionStage) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        self.took_ms[stage] = (time.monotonic() - began_s) * 1000


def _by_vision(seen: SeenScreen) -> tuple[Element, ...]:
    pixels, heights = seen.screenshot.pixels, [label.box.height for label in seen.labels if is_read(label)]
    unit = float(statistics.median(heights)) if heights else _USUAL_UNIT
    edges = edges_of(pixels)
    labels = unticked(seen.labels, edges, unit)
    shapes = shapes_on(edges, [label.box for label in labels if is_read(label)], unit)
    return elements_of(PageParts(pixels, shapes.lines, parts_of(labels, shapes, unit), unit))


def _unsure(elements: Sequence[Element], limit: int) -> list[int]:
    """The places of the elements that are the least sure, at most so many."""
    unsure = [place for place, element in enumerate(elements) if element.score < SURE]
    return sorted(unsure, key=lambda place: elements[place].score)[:limit]


def _costs(places: Sequence[int]) -> str:
    return f"the roles of {len(places)} elements are guesses by shape and place"
