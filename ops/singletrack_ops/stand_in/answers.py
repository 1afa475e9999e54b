"""Answers without a meaning, piece by piece: small values that fit simple JSON schemas, or plain words."""

import json
from collections.abc import Iterator
from typing import Any


def pieces(schema: Any, words: int) -> Iterator[str]:
    """Write an answer: JSON for a schema (types, enum, const, local references, alternatives, bounds), else `words`."""
    if isinstance(schema, dict):
        yield from _json(schema, schema)
    else:
        yield from (f"word{number} " for number in range(words))


def _json(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield from _json(_resolved(str(schema["$ref"]), root), root)
    elif "const" in schema or "enum" in schema:
        yield json.dumps(schema["const"] if "const" in schema else schema["enum"][0])
    elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
        yield from _json(alternatives[0], root)
    else:
        yield from _of_type(schema, root)


def _of_type(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            yield from _joined("{}", _required(schema), root)
        case "array":
            yield from _joined("[]", [("", schema.get("items", {}))] * int(schema.get("minItems", 0)), root)
        case "string":
            yield json.dumps("x" * int(schema.get("minLength", 1)))
        case "integer" | "number":
            yield json.dumps(schema.get("minimum", min(0, schema.get("maximum", 0))))
        case "boolean":
            yield "false"
        case _:
            yield "null"


def _joined(brackets: str, parts: list[tuple[str, dict[str, Any]]], root: dict[str, Any]) -> Iterator[str]:
    yield brackets[0]
    for number, (before, schema) in enumerate(parts):
        yield f"{', ' if number else ''}{before}"
        yield from _json(schema, root)
    yield brackets[1]


def _required(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    properties = schema.get("properties", {})
    return [(f"{json.dumps(name)}: ", properties.get(name, {})) for name in schema.get("required", ())]


def _resolved(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found
