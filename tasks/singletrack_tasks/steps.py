"""The steps of a transition: each moves one tenant onto the GPU or off it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from singletrack_tasks.result import DegradedCode, StepName


@dataclass(frozen=True)
class StepKind:
    """What a step moves, and in which direction; what follows from its failure.

    With `essential` the steps after it rely on it: they are not made once it has failed. `failure` is the reason for
    degraded mode then; `doing` says what happens, for people.
    """

    tenant: Literal["vlm", "clip"]
    onto_gpu: bool
    essential: bool
    failure: DegradedCode
    doing: str


# What comes after an unload or a promotion looks for itself whether there is room.
STEPS: Mapping[StepName, StepKind] = {
    "unload_vlm": StepKind("vlm", False, False, DegradedCode.VRAM_NOT_RELEASED, "unloading the VLM"),
    "load_vlm": StepKind("vlm", True, True, DegradedCode.VLM_LOAD_FAILED, "loading the VLM"),
    "demote_clip": StepKind("clip", False, True, DegradedCode.CLIP_MIGRATION_FAILED, "moving CLIP to the CPU"),
    "promote_clip": StepKind("clip", True, False, DegradedCode.CLIP_MIGRATION_FAILED, "moving CLIP to the GPU"),
}
