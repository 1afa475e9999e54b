"""Workflows from YAML files: everything that is wrong is said, with its line, before anything is clicked."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Protocol

from pydantic import ValidationError

from singletrack.agent.errors import AgentError, InvalidWorkflow, MissingExtra
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.workflow.complaints import Lines, complain
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.steps import STEP_KINDS

FILE_BYTES_MAX = 512 * 1024
# Where steps hold targets: a path below the step.
_TARGETS = (("target",), ("into",), ("at",), ("expect", "target"))

AnchorLoader = Callable[[Path], Anchor]


class Document(Lines, Protocol):
    """A document's values, and their lines."""

    @property
    def data(self) -> Any:
        """The values."""


def load_workflow(file: Path, load_anchor: AnchorLoader | None = None) -> Workflow:
    """Read a workflow and the anchors that it names, by paths relative to it.

    Raises `InvalidWorkflow`, which names line, step, field and what is allowed; `MissingExtra` without PyYAML.
    """
    try:
        from singletrack.agent.workflow.yaml_lines import read_yaml
    except ModuleNotFoundError as error:
        raise MissingExtra("Workflows in YAML need PyYAML: pip install 'singletrack[agent]'") from error
    try:
        document = read_yaml(_text(file))
        data = _with_anchors(document, file.parent, load_anchor or _anchor_in)
        return Workflow.model_validate(data)
    except ValidationError as error:
        raise InvalidWorkflow(f"{file.name}: {complain(error, document)}") from error
    except InvalidWorkflow as error:
        raise InvalidWorkflow(f"{file.name}: {error.message}") from error


def _anchor_in(file: Path) -> Anchor:
    from singletrack.agent.targets.anchor_file import load_anchor

    return load_anchor(file)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidWorkflow(f"It cannot be read: {reason}. Name a workflow's YAML file.") from error
    if len(data) > FILE_BYTES_MAX:
        raise InvalidWorkflow(f"It is larger than {FILE_BYTES_MAX // 1024} KiB. Split it into several workflows.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidWorkflow(f"It is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error


def _with_anchors(document: Document, folder: Path, load: AnchorLoader) -> Any:
    """Put anchors in the place of their files' names; what has another shape is left to the model to refuse."""
    data = document.data
    if not isinstance(data, dict):
        raise InvalidWorkflow("A workflow is a mapping with name and steps.")
    steps = data.get("steps")
    if not isinstance(steps, list):
        return data
    loaded = []
    for number, step in enumerate(steps, 1):
        try:
            loaded.append(_loaded(step, folder, load))
        except InvalidWorkflow as error:
            line = document.line_of(("steps", number - 1))
            raise InvalidWorkflow(f"line {line}, step {number}: {error.message}") from error
    return {**data, "steps": loaded}


def _loaded(step: Any, folder: Path, load: AnchorLoader) -> Any:
    if not isinstance(step, dict):
        return step
    if not isinstance(step.get("do"), str) or step["do"] not in STEP_KINDS:
        raise InvalidWorkflow(f"do is {step.get('do')!r}. It is one of: {', '.join(STEP_KINDS)}.")
    for path in _TARGETS:
        step = _replaced(step, path, lambda name: _anchor(name, folder, load))
    return step


def _replaced(part: Any, path: tuple[str, ...], load: Callable[[Any], Anchor]) -> Any:
    """A copy of a step with the anchor of one of its targets loaded."""
    if not isinstance(part, Mapping):
        return part
    if not path:
        return {**part, "anchor": load(part["anchor"])} if part.get("anchor") is not None else part
    return {**part, path[0]: _replaced(part[path[0]], path[1:], load)} if path[0] in part else part


def _anchor(name: Any, folder: Path, load: AnchorLoader) -> Anchor:
    if not isinstance(name, str) or not _stays_below(name):
        raise InvalidWorkflow(f"anchor is {name!r}. It is the path of a file in the workflow's folder, with '/'.")
    try:
        _check_place(folder / name, folder)
        return load(folder / name)
    except AgentError as error:
        raise InvalidWorkflow(f"the anchor {name}: {error.message}") from error


def _check_place(file: Path, folder: Path) -> None:
    """Refuse links that lead elsewhere, and what would never end to be read; what is missing is left to the loader."""
    try:
        place = file.resolve()
        is_file = place.is_file() or not place.exists()
    except (OSError, ValueError) as error:
        raise InvalidWorkflow(f"It is no path of a file: {error}.") from error
    if not place.is_relative_to(folder.resolve()):
        raise InvalidWorkflow("It leads out of the workflow's folder. Copy the file there.")
    if not is_file:
        raise InvalidWorkflow("It is no file.")


def _stays_below(name: str) -> bool:
    """Whether a path is relative and does not climb, on any system."""
    windows = PureWindowsPath(name)
    return (
        bool(name) and not (windows.drive or windows.root) and ".." not in (*windows.parts, *PurePosixPath(name).parts)
    )
