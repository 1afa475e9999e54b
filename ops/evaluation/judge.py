"""Who was right: where a target was found, against where it is."""

from dataclasses import dataclass
from enum import StrEnum

from evaluation.truth import TrueElement
from singletrack.agent.targets.resolution import Resolution, TargetStatus


class Kind(StrEnum):
    """What there was to be found."""

    PRESENT = "present"
    # Out of view in a narrower window.
    OUT_OF_VIEW = "out of view"
    REMOVED = "removed"
    TWINS_LEFT = "removed, twins left"
    TWIN_ONLY = "removed, one twin left"
    WRONG_SCREEN = "wrong screen"


class Verdict(StrEnum):
    """`FALSE` is a click on something else; `REFUSED` is none, which is right where the target is not there."""

    RIGHT = "right"
    REFUSED = "refused"
    FALSE = "false"


@dataclass(frozen=True, slots=True)
class Trial:
    """A target looked for on one picture: `page` and `target` are what was recorded, `variant` where it was looked for.

    `is_enough` is what the recorder said of its anchor; `point` is where it was found; `cpu_ms` is what resolving took.
    """

    page: str
    target: str
    variant: str
    kind: Kind
    verdict: Verdict
    status: str
    method: str
    score: float
    point: tuple[int, int] | None
    is_enough: bool
    cpu_ms: float
    why: str

    @property
    def needs_vlm(self) -> bool:
        """Whether a VLM would have been asked."""
        return self.status == TargetStatus.DEGRADED


def judge(resolution: Resolution, truth: TrueElement | None) -> Verdict:
    """Judge a resolution; `truth` is None if the target is not on the picture."""
    if not resolution.is_found or resolution.point is None:
        return Verdict.REFUSED
    is_right = truth is not None and truth.box.contains(resolution.point)
    return Verdict.RIGHT if is_right else Verdict.FALSE
