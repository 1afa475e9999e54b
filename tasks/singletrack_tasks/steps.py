"""The steps of a transition: each moves one tenant onto the GPU or off it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from singletrack_tasks.result import DegradedCode, StepName


@dataclass(frozen=True)
class StepKind:
    """The tenant that a step moves, the direction, and the consequences of a failure.

    If an `essential` step fails, the steps after it are skipped because they rely on it. `failure` is the reason for
    degraded mode after a failure; `doing` describes the step for people.
    """

    tenant: Literal["vlm", "clip"]
    onto_gpu: bool
    essential: bool
    failure: DegradedCode
    doing: str


# An unload and a promotion are not essential: the steps after them check for room themselves.
STEPS: Mapping[StepName, StepKind] = {
    "unload_vlm": StepKind("vlm", False, False, DegradedCode.VRAM_NOT_RELEASED, "unloading the VLM"),
    "load_vlm": StepKind("vlm", True, True, DegradedCode.VLM_LOAD_FAILED, "loading the VLM"),
    "demote_clip": StepKind("clip", False, True, DegradedCode.CLIP_MIGRATION_FAILED, "moving CLIP to the CPU"),
    "promote_clip": StepKind("clip", True, False, DegradedCode.CLIP_MIGRATION_FAILED, "moving CLIP to the GPU"),
}
