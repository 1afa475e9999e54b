"""The agent's side: targets found by sight, clicks that are sure of their target, workflows run and recorded.

Needs the extra `agent`, and `desktop` for a real screen. The names below are imported on first use; one whose package
is not installed raises `MissingExtra`, which says what to install.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from singletrack.agent import errors

if TYPE_CHECKING:
    from singletrack.agent.desktop.scripted import ScriptedDesktop
    from singletrack.agent.detector.detector import UIDetector
    from singletrack.agent.fusion.engine import FusionEngine
    from singletrack.agent.loop.assembly import standard_loop, standard_recorder
    from singletrack.agent.loop.execution_loop import ExecutionLoop
    from singletrack.agent.loop.parts import Desk, Eyes, Pace, Surroundings
    from singletrack.agent.loop.worker_use import OnDemandChooser, WorkerUse
    from singletrack.agent.marks.chooser import MarkChooser
    from singletrack.agent.recorder import Recorded, Recorder
    from singletrack.agent.remembered.gate import RememberedAnswers
    from singletrack.agent.report.model import RunOutcome, RunReport, StepReport
    from singletrack.agent.report.saving import save_report
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
    from singletrack.agent.workflow.loading import load_workflow
    from singletrack.agent.workflow.model import Workflow
    from singletrack.agent.workflow.steps import (
        AskStep,
        CheckStep,
        ClickStep,
        PressStep,
        ScrollStep,
        StepExpectation,
        TypeStep,
        WaitStep,
    )
    from singletrack.agent.workflow.writing import save_workflow

__all__ = [
    "Anchor",
    "AskStep",
    "Attempt",
    "Box",
    "CheckStep",
    "ClickStep",
    "ClipRanker",
    "Desk",
    "Element",
    "ExecutionLoop",
    "Eyes",
    "FusionEngine",
    "Landmark",
    "Mark",
    "MarkChooser",
    "Method",
    "OnDemandChooser",
    "Pace",
    "Point",
    "PressStep",
    "Recorded",
    "Recorder",
    "RememberedAnswers",
    "Resolution",
    "Resolver",
    "Role",
    "RunOutcome",
    "RunReport",
    "Screenshot",
    "ScriptedDesktop",
    "ScrollStep",
    "SeenScreen",
    "StepExpectation",
    "StepReport",
    "Surroundings",
    "Target",
    "TargetStatus",
    "TextReader",
    "TypeStep",
    "UIDetector",
    "VlmChooser",
    "WaitStep",
    "WorkerUse",
    "Workflow",
    "default_reader",
    "errors",
    "load_anchor",
    "load_workflow",
    "save_anchor",
    "save_report",
    "save_workflow",
    "standard_loop",
    "standard_recorder",
]

_HOMES = {
    "Anchor": "targets.anchor",
    "AskStep": "workflow.steps",
    "Attempt": "targets.resolution",
    "Box": "targets.geometry",
    "CheckStep": "workflow.steps",
    "ClickStep": "workflow.steps",
    "ClipRanker": "resolver.ranking",
    "Desk": "loop.parts",
    "Element": "targets.element",
    "ExecutionLoop": "loop.execution_loop",
    "Eyes": "loop.parts",
    "FusionEngine": "fusion.engine",
    "Landmark": "targets.anchor",
    "Mark": "targets.element",
    "MarkChooser": "marks.chooser",
    "Method": "targets.resolution",
    "OnDemandChooser": "loop.worker_use",
    "Pace": "loop.parts",
    "Point": "targets.geometry",
    "PressStep": "workflow.steps",
    "Recorded": "recorder",
    "Recorder": "recorder",
    "RememberedAnswers": "remembered.gate",
    "Resolution": "targets.resolution",
    "Resolver": "resolver",
    "Role": "targets.element",
    "RunOutcome": "report.model",
    "RunReport": "report.model",
    "Screenshot": "screen.screenshot",
    "ScriptedDesktop": "desktop.scripted",
    "ScrollStep": "workflow.steps",
    "SeenScreen": "seen",
    "StepExpectation": "workflow.steps",
    "StepReport": "report.model",
    "Surroundings": "loop.parts",
    "Target": "targets.target",
    "TargetStatus": "targets.resolution",
    "TextReader": "words.reader",
    "TypeStep": "workflow.steps",
    "UIDetector": "detector.detector",
    "VlmChooser": "vlm_chooser.chooser",
    "WaitStep": "workflow.steps",
    "WorkerUse": "loop.worker_use",
    "Workflow": "workflow.model",
    "default_reader": "words.engines",
    "load_anchor": "targets.anchor_file",
    "load_workflow": "workflow.loading",
    "save_anchor": "targets.anchor_file",
    "save_report": "report.saving",
    "save_workflow": "workflow.writing",
    "standard_loop": "loop.assembly",
    "standard_recorder": "loop.assembly",
}
# What the extra `agent` brings.
_PACKAGES = {"cv2", "faster_paddle", "rapidfuzz", "yaml"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        raise errors.MissingExtra(
            f"The agent's side needs the package {package}: pip install 'singletrack[agent]'"
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
