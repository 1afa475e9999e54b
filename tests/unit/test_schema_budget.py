"""A schema that costs too much is refused before it is sent, and again before it is used."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from singletrack_tasks.errors import InvalidSchema
from singletrack_tasks.requests.vlm import Ask
from singletrack_tasks.schema import check_schema
from singletrack_tasks.schema_budget import (
    MAX_CASELESS_RANGES,
    MAX_EXPANSIONS,
    MAX_PATTERN_CHARS,
    MAX_PATTERN_CHARS_IN_ALL,
    MAX_SCHEMA_BYTES,
    MAX_SCHEMA_DEPTH,
    MAX_SCHEMA_NODES,
)


def doubling(levels: int) -> dict[str, Any]:
    """A schema of some lines that stands for 2 ** levels schemas."""
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for level in range(levels):
        definitions[f"d{level + 1}"] = {"allOf": [{"$ref": f"#/$defs/d{level}"}] * 2}
    return {"$defs": definitions, "$ref": f"#/$defs/d{levels}"}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth - 1):
        schema = {"not": schema}
    return schema


def shared(levels: int) -> list[Any]:
    """A value that is small in memory, and has 2 ** levels parts."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value, value]
    return value


def circular() -> dict[str, Any]:
    schema: dict[str, Any] = {}
    schema["not"] = schema
    return schema


RECURSIVE = {
    "$defs": {"tree": {"properties": {"left": {"$ref": "#/$defs/tree"}, "right": {"$ref": "#/$defs/tree"}}}},
    "$ref": "#/$defs/tree",
}
WITHIN = {
    "an empty one": {},
    "as many values": {"enum": list(range(MAX_SCHEMA_NODES - 2))},
    "as deep": nested(MAX_SCHEMA_DEPTH),
    "as long": {"title": "x" * (MAX_SCHEMA_BYTES - len('{"title": ""}'))},
    "as many references": doubling(10),
    "as long a pattern": {"pattern": "a" * MAX_PATTERN_CHARS},
    "a recursive one": RECURSIVE,
    "a circle": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    "data that looks like a reference": {
        "examples": [{"$ref": "#/nowhere"}],
        "properties": {"a": {"enum": [{"$ref": "#b"}]}},
    },
    "as many caseless ranges": {"pattern": "(?i)" + "[a-z]" * 39, "items": {"pattern": "(?i:[a-z])"}},
    "ranges by their case": {"pattern": "[a-z]" * 40, "items": {"pattern": "[a-z]" * 40}},
    "itself": {"properties": {"next": {"$ref": "#"}}},
    "a property called pattern": {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}},
}
BEYOND: dict[str, tuple[Any, str, str]] = {
    "values": ({"properties": {f"p{n}": {} for n in range(5_000)}}, "/properties/p", f"{MAX_SCHEMA_NODES} values"),
    "shared values": ({"const": shared(40)}, "/const/", f"{MAX_SCHEMA_NODES} values"),
    "depth": (nested(MAX_SCHEMA_DEPTH + 1), "/not/not", f"{MAX_SCHEMA_DEPTH} deep"),
    "absurd depth": (nested(200_000), "/not/not", f"{MAX_SCHEMA_DEPTH} deep"),
    "a circle in memory": (circular(), "/not/not", f"{MAX_SCHEMA_DEPTH} deep"),
    "length": ({"title": "x" * (MAX_SCHEMA_BYTES - 8)}, "", f"limit is {MAX_SCHEMA_BYTES}"),
    "escaped length": ({"title": "\u00e9" * (MAX_SCHEMA_BYTES // 2)}, "", f"limit is {MAX_SCHEMA_BYTES}"),
    "text": ({"title": "x" * 10_000_000}, "/title", f"{MAX_SCHEMA_BYTES} bytes"),
    "names": ({"properties": {"x" * MAX_SCHEMA_BYTES: {}}}, "/properties", f"{MAX_SCHEMA_BYTES} bytes"),
    "references": (doubling(20), "/$defs/d", f"more than {MAX_EXPANSIONS}"),
    "many more references": (doubling(150), "/$defs/d", f"more than {MAX_EXPANSIONS}"),
    "a pattern": ({"items": {"pattern": "a" * (MAX_PATTERN_CHARS + 1)}}, "/items/pattern", f"{MAX_PATTERN_CHARS} char"),
    "patterns": (
        {"allOf": [{"pattern": f"{n:03}" + "a" * 150} for n in range(20)]},
        "/allOf/13/pattern",
        f"{MAX_PATTERN_CHARS_IN_ALL}",
    ),
    "a name that is a pattern": ({"patternProperties": {"a" * 201: {}}}, "/patternProperties/a", "too long"),
    "no pattern": ({"properties": {"a/b": {"pattern": "(a"}}}, "/properties/a~1b/pattern", "cannot|can compile"),
    "no pattern as a name": ({"patternProperties": {"[": {}}}, "/patternProperties/[", "can compile"),
    "a reference elsewhere": ({"not": {"$ref": "http://evil/"}}, "/not", "only references within"),
    "a dynamic one elsewhere": ({"not": {"$dynamicRef": "file:///etc"}}, "/not", "only references within"),
    "a NUL": ({"items": {"enum": ["a\0b"]}}, "/items/enum/0", "NUL"),
    "a NUL in a name": ({"properties": {"a\0": {}}}, "/properties", "NUL"),
    "a reference to nowhere": ({"not": {"$ref": "#/anyOf/1"}, "anyOf": [{}]}, "/not", "has no schema"),
    "an absurd index": ({"$ref": "#/anyOf/" + "9" * 5_000, "anyOf": [{}]}, "", "has no schema"),
    "an odd index": ({"$ref": "#/anyOf/\u0663", "anyOf": [{}]}, "", "has no schema"),
    "an unknown anchor": ({"$dynamicRef": "#here"}, "", "has no schema"),
    "a reference to a text": ({"$ref": "#/title", "title": "x"}, "", "has no schema"),
    "a reference to a list": ({"$ref": "#/anyOf", "anyOf": [{}]}, "", "has no schema"),
    "caseless ranges": (
        {"allOf": [{"pattern": "(?i)" + "[\1-\uffff]" * 39}] * 2},
        "/allOf/1/pattern",
        f"more than {MAX_CASELESS_RANGES} ranges",
    ),
    "a name that is no string": ({"properties": {1: {}}}, "/properties", "no string"),
}


@pytest.mark.parametrize("name", WITHIN)
def test_what_is_within_the_budget_is_accepted(name: str) -> None:
    schema = WITHIN[name]
    assert check_schema(schema) is schema


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_beyond_a_bound_is_refused_by_bound_and_place(name: str) -> None:
    schema, pointer, says = BEYOND[name]
    with pytest.raises(InvalidSchema, match=says) as refused:
        check_schema(schema)
    assert refused.value.details["pointer"].startswith(pointer)
    assert len(refused.value.message) < 1_000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", "\ud800", {"\ud800": 1}])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidSchema, match="serialized"):
        check_schema({"const": value})


def test_the_worker_refuses_what_a_client_of_its_own_making_sends() -> None:
    schemas: list[dict[str, Any]] = [
        doubling(20),
        {"properties": {f"p{n}": {} for n in range(5_000)}},
        {"pattern": "("},
    ]
    for schema in schemas:
        sent = json.loads(json.dumps({"prompt": "what?", "json_schema": schema}))
        with pytest.raises(InvalidSchema, match="this schema cannot be used"):
            Ask.parse(sent)


REFERENCES: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "a path": ("#/properties/a~1b", lambda costly: {"properties": {"a/b": costly}}),
    "an escaped path": ("#/properties/a%20b", lambda costly: {"properties": {"a b": costly}}),
    "an index": ("#/anyOf/0", lambda costly: {"anyOf": [costly]}),
    "an anchor": ("#here", lambda costly: {"not": {"$anchor": "here", **costly}}),
    "a dynamic anchor": ("#here", lambda costly: {"not": {"$dynamicAnchor": "here", **costly}}),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_references_of_every_kind_are_followed(name: str) -> None:
    reference, around = REFERENCES[name]
    inner = doubling(8)
    schema = {**around({"allOf": [{"$ref": inner["$ref"]}] * 8}), "$defs": inner["$defs"]}
    check_schema(schema)
    with pytest.raises(InvalidSchema, match="expand"):
        check_schema({**schema, "oneOf": [{"$ref": reference}] * 2})


def test_a_reference_is_relative_to_the_resource_that_it_is_in() -> None:
    inner = doubling(12)
    embedded = {"$id": "http://of.its/own", "$defs": {"d": {}}, "allOf": [{"$ref": "#/$defs/d"}] * 4}
    check_schema({"not": embedded, "$defs": {"d": {"type": "string"}}})
    with pytest.raises(InvalidSchema, match="expand"):
        check_schema({"not": {"$id": "http://of.its/own", **inner}})
