"""Workflows into files: YAML, and the anchors beside it."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pydantic import BaseModel

from singletrack.agent.errors import InvalidWorkflow, MissingExtra
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.steps import AnyStep, target_of

ANCHORS_FOLDER = "anchors"
_NAME_CHARS = 40

AnchorSaver = Callable[[Anchor, Path], object]


def save_workflow(workflow: Workflow, file: Path, save_anchor: AnchorSaver | None = None) -> None:
    """Write a workflow, and its anchors into the folder `anchors` beside it.

    Raises `InvalidWorkflow` if the file is there already or cannot be written; `MissingExtra` without PyYAML.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingExtra("Workflows in YAML need PyYAML: pip install 'singletrack[agent]'") from error
    check_new(file)
    save = save_anchor or _save_anchor
    try:
        (file.parent / ANCHORS_FOLDER).mkdir(parents=True, exist_ok=True)
        steps = [_written_step(number, step, file.parent, save) for number, step in enumerate(workflow.steps, 1)]
        head = {"name": workflow.name} | ({} if workflow.needs_worker else {"needs_worker": False})
        text = yaml.safe_dump(
            {"version": workflow.version, **head, "steps": steps}, sort_keys=False, allow_unicode=True, width=110
        )
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidWorkflow(f"{file} cannot be written: {error.strerror or error}.") from error


def check_new(file: Path) -> None:
    """Raise `InvalidWorkflow` if a file is there already, or could not be written; its folder is made."""
    if os.path.lexists(file):
        raise InvalidWorkflow(f"{file} is there already. Choose another name, or remove it.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise InvalidWorkflow(f"{file} cannot be written: {error.strerror or error}. Choose another place.") from error


def _save_anchor(anchor: Anchor, file: Path) -> None:
    from singletrack.agent.targets.anchor_file import save_anchor

    save_anchor(anchor, file)


def _written_step(number: int, step: AnyStep, folder: Path, save: AnchorSaver) -> dict[str, Any]:
    names = _anchor_names(number, step)
    return _written(step, lambda anchor: _saved(anchor, folder, next(names), save))


def _written(part: BaseModel, save: Callable[[Anchor], str]) -> dict[str, Any]:
    """A step or a part of one as plain values, what is as usual left out."""
    written: dict[str, Any] = {}
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        if name != "do" and value == info.get_default():
            continue
        written[name] = _plain(value, save)
    # What a step does comes first.
    return {"do": written.pop("do"), **written} if "do" in written else written


def _plain(value: Any, save: Callable[[Anchor], str]) -> Any:
    if isinstance(value, Anchor):
        return save(value)
    if isinstance(value, BaseModel):
        return _written(value, save)
    if isinstance(value, tuple):
        return [_plain(item, save) for item in value]
    return str(value) if isinstance(value, str) else value


def _saved(anchor: Anchor, folder: Path, name: str, save: AnchorSaver) -> str:
    path = f"{ANCHORS_FOLDER}/{name}.json"
    save(anchor, folder / path)
    return path


def _anchor_names(number: int, step: AnyStep) -> Iterator[str]:
    """Names for the anchors of a step: its number, and what its target is called."""
    target: Target | None = target_of(step)
    name = f"{number:02}-{_slug(target.name if target is not None else step.do)}"
    yield name
    yield from (f"{name}-{more}" for more in range(2, 10))


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_NAME_CHARS].strip("-") or "target"
