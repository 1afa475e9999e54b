"""What pydantic finds wrong with a workflow, in words: line, step, field, what is allowed."""

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.steps import STEP_KINDS

_SHOWN = 5
_VALUE_CHARS = 40
# pydantic's names of wrong shapes, and what is wanted as it is written in YAML.
_WRITTEN = {
    "string_type": "text",
    "tuple_type": "list, like [a, b]",
    "model_type": "mapping, like {text: Save}",
    "model_attributes_type": "mapping, like {do: press, keys: [enter]}",
    "dict_type": "mapping, like {type: number}",
    "float_type": "number",
    "int_type": "whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


class Lines(Protocol):
    """Knows the line of a value."""

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """The line (from 1) of the value at a path, or of the innermost one around it."""


def complain(error: ValidationError, lines: Lines) -> str:
    """Say what is wrong, at most five things."""
    found = [_complaint(one, lines) for one in _in_order(error, lines)]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "; ".join([*found[:_SHOWN], *more])


def _in_order(error: ValidationError, lines: Lines) -> list[Mapping[str, Any]]:
    return sorted(error.errors(include_url=False), key=lambda one: lines.line_of(_in_file(tuple(one["loc"]))))


def _in_file(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A path without what is pydantic's own: the branch of a union."""
    return tuple(part for index, part in enumerate(path) if not (index == 2 and part in STEP_KINDS))


def _complaint(one: Mapping[str, Any], lines: Lines) -> str:
    path = tuple(one["loc"])
    step, field = _step_and_field(path)
    where = (
        f"line {lines.line_of(_in_file(path))}" + (f", step {step}" if step else "") + (f", {field}" if field else "")
    )
    return f"{where}: {_message(one, path)}"


def _step_and_field(path: tuple[str | int, ...]) -> tuple[int | None, str]:
    if len(path) > 1 and path[0] == "steps" and isinstance(path[1], int):
        return path[1] + 1, ".".join(map(str, path[3:]))
    return None, ".".join(map(str, path))


def _message(one: Mapping[str, Any], path: tuple[str | int, ...]) -> str:
    if one["type"] == "extra_forbidden":
        allowed = _fields(path)
        return "there is no such field" + (f"; there are: {', '.join(allowed)}" if allowed else "")
    if one["type"] == "missing":
        return "is missing"
    if path[-1:] == ("secret",):
        # What is there may be one.
        return "it is a reference like ${env:NAME}"
    if one["type"] in _WRITTEN:
        is_quoted = one["type"] == "string_type" and not isinstance(one["input"], dict | list)
        return f"{_told(one['input'])} is no {_WRITTEN[one['type']]}" + (": put it in quotes" if is_quoted else "")
    return str(one["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _told(value: Any) -> str:
    """A value that has the wrong shape, cut."""
    said = repr(value)
    return said if len(said) <= _VALUE_CHARS else f"{said[: _VALUE_CHARS - 3]}..."


def _fields(path: tuple[str | int, ...]) -> list[str]:
    """The fields of the model that a path leads into."""
    model: Any = Workflow
    for part in path[:-1]:
        if part in STEP_KINDS and model is Workflow:
            model = STEP_KINDS[str(part)]
        elif isinstance(part, str) and part != "steps":
            model = _model_of(model, part)
    return sorted(model.model_fields) if model is not None else []


def _model_of(model: Any, field: str) -> Any:
    info = model.model_fields.get(field) if model is not None else None
    kinds = [info.annotation, *getattr(info.annotation, "__args__", ())] if info is not None else []
    return next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
