"""What came of looking for a target."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from singletrack.agent.targets.geometry import Box, Point


class Method(StrEnum):
    """The ways in which a target is looked for, in their order."""

    ANCHOR_TEMPLATE = "anchor_template"
    SOM_TEXT_MATCH = "som_text_match"
    SOM_VLM = "som_vlm"


class TargetStatus(StrEnum):
    """How looking for a target ended; only `FOUND` may be clicked."""

    FOUND = "found"
    ABSENT = "absent"
    AMBIGUOUS = "ambiguous"
    WRONG_SCREEN = "wrong_screen"
    OCCLUDED = "occluded"
    DEGRADED = "degraded"


class Attempt(BaseModel):
    """One way that was tried: its best score (0 to 1; 0 without a candidate), and why it was taken or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method
    score: float = Field(ge=0, le=1)
    took_ms: float = Field(ge=0)
    why: str


class Resolution(BaseModel):
    """Where a target is, or why it cannot be told; `why` is a sentence for people.

    `score` is calibrated: of the resolutions with 0.9, 9 of 10 are right. `box`, `point` and `method` are there if, and
    only if, the target was found; the point lies in the box.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: TargetStatus
    why: str
    score: float = Field(default=0.0, ge=0, le=1)
    method: Method | None = None
    box: Box | None = None
    point: Point | None = None
    attempts: tuple[Attempt, ...] = ()
    took_ms: float = Field(default=0.0, ge=0)

    @property
    def is_found(self) -> bool:
        """Whether the target may be clicked."""
        return self.status is TargetStatus.FOUND

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.is_found != (self.box is not None and self.point is not None and self.method is not None):
            raise ValueError("a resolution has a box, a point and a method if it was found, and only then")
        if self.box is not None and self.point is not None and not self.box.contains(self.point):
            raise ValueError("the point of a resolution lies in its box")
        return self
