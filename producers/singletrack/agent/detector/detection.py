"""What was detected on a screenshot, and what was missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from singletrack.agent.targets.element import Element


class DetectionStage(StrEnum):
    """What a detection is made of, in its order."""

    READING = "reading"
    VISION = "vision"
    CLIP = "clip"
    VLM = "vlm"


@dataclass(frozen=True, slots=True)
class MissingStage:
    """A stage that was left out: why, and what that costs."""

    stage: DetectionStage
    why: str
    costs: str


@dataclass(frozen=True, slots=True)
class Detection:
    """The elements of a screenshot, `degraded` by the stages that were missing; `took_ms` is by stage."""

    elements: tuple[Element, ...]
    degraded: tuple[MissingStage, ...]
    took_ms: Mapping[DetectionStage, float]
