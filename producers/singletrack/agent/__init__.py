"""The agent's side: targets found by sight, clicks that are sure of their target, workflows run and recorded.

Needs the extra `agent`, and `desktop` for a real screen. The names below are imported on first use; one whose package
is not installed raises `MissingExtra`, which says what to install.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from singletrack.agent import errors

if TYPE_CHECKING:
    from singletrack.agent.fusion.engine import FusionEngine
    from singletrack.agent.marks.chooser import MarkChooser
    from singletrack.agent.recorder import Recorded, Recorder
    from singletrack.agent.resolver import Resolver
    from singletrack.agent.resolver.ranking import ClipRanker
    from singletrack.agent.screen.screenshot import Screenshot
    from singletrack.agent.seen import SeenScreen
    from singletrack.agent.targets.anchor import Anchor, Landmark
    from singletrack.agent.targets.anchor_file import load_anchor, save_anchor
    from singletrack.agent.targets.element import Element, Mark, Role
    from singletrack.agent.targets.geometry import Box, Point
    from singletrack.agent.targets.resolution import Attempt, Method, Resolution, TargetStatus
    from singletrack.agent.targets.target import Target
    from singletrack.agent.vlm_chooser.chooser import VlmChooser
    from singletrack.agent.words.engines import default_reader
    from singletrack.agent.words.reader import TextReader

__all__ = [
    "Anchor",
    "Attempt",
    "Box",
    "ClipRanker",
    "Element",
    "FusionEngine",
    "Landmark",
    "Mark",
    "MarkChooser",
    "Method",
    "Point",
    "Recorded",
    "Recorder",
    "Resolution",
    "Resolver",
    "Role",
    "Screenshot",
    "SeenScreen",
    "Target",
    "TargetStatus",
    "TextReader",
    "VlmChooser",
    "default_reader",
    "errors",
    "load_anchor",
    "save_anchor",
]

_HOMES = {
    "Anchor": "targets.anchor",
    "Attempt": "targets.resolution",
    "Box": "targets.geometry",
    "ClipRanker": "resolver.ranking",
    "Element": "targets.element",
    "FusionEngine": "fusion.engine",
    "Landmark": "targets.anchor",
    "Mark": "targets.element",
    "MarkChooser": "marks.chooser",
    "Method": "targets.resolution",
    "Point": "targets.geometry",
    "Recorded": "recorder",
    "Recorder": "recorder",
    "Resolution": "targets.resolution",
    "Resolver": "resolver",
    "Role": "targets.element",
    "Screenshot": "screen.screenshot",
    "SeenScreen": "seen",
    "Target": "targets.target",
    "TargetStatus": "targets.resolution",
    "TextReader": "words.reader",
    "VlmChooser": "vlm_chooser.chooser",
    "default_reader": "words.engines",
    "load_anchor": "targets.anchor_file",
    "save_anchor": "targets.anchor_file",
}
# What the extra `agent` brings.
_PACKAGES = {"cv2", "faster_paddle", "rapidfuzz", "yaml"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise errors.MissingExtra(
            f"The agent's side needs the package {error.name}: pip install 'singletrack[agent]'"
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
