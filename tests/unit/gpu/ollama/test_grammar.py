"""What a server would write out without end is kept from it; the answer is checked all the same."""

from typing import Any

import pytest

from singletrack_worker.gpu.ollama.grammar import MAX_REPEATS, affordable

MORE = MAX_REPEATS + 1
AS_IT_IS: list[dict[str, Any]] = [
    {},
    {"type": "array", "minItems": 100, "maxItems": MAX_REPEATS - 140, "items": {"type": "string", "maxLength": 40}},
    {"type": "array", "minItems": MAX_REPEATS},
    {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
    {"type": "string", "pattern": "^a{5,}b{,7}c{0}{x}$"},
    # A value, and properties that are called so.
    {"const": {"maxLength": MORE, "pattern": "a{999999}"}},
    {"properties": {"maxLength": {"type": "integer"}, "pattern": {"type": "string"}}},
    {"$defs": {"a": True}, "anyOf": [{"$ref": "#/$defs/a"}, {"type": ["string", "null"]}]},
]
ASKED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "string", "maxLength": 10**9}, {"type": "string"}),
    ({"type": "array", "maxItems": 1e300, "minItems": 2}, {"type": "array", "minItems": 2}),
    ({"minLength": MORE}, {}),
    ({"items": {"anyOf": [{"minItems": 10**400, "title": "x"}]}}, {"items": {"anyOf": [{"title": "x"}]}}),
    ({"type": "string", "pattern": "^a{1,300001}$"}, {"type": "string"}),
    ({"pattern": "^((((a{1,99}){1,99}){99}){99,})$"}, {}),
    ({"pattern": "^(a{600}){,600}$", "enum": ["a"]}, {"enum": ["a"]}),
    (
        {
            "properties": {
                "default": {"maxLength": 10**9},
                "properties": {"maxItems": 10**9, "const": {"maxItems": MORE}},
            }
        },
        {"properties": {"default": {}, "properties": {"const": {"maxItems": MORE}}}},
    ),
    ({"pattern": "^(?:a|b)$", "maxLength": 9}, {"maxLength": 9}),
    ({"items": {"type": "string", "pattern": "(?i)^a$"}}, {"items": {"type": "string"}}),
    # Each could be written out, all of them could not: the smaller ones stay.
    (
        {"prefixItems": [{"maxLength": 60_000}] * 99, "minItems": 90, "maxItems": 99},
        {"prefixItems": [{}] * 99, "minItems": 90, "maxItems": 99},
    ),
]


@pytest.mark.parametrize("schema", AS_IT_IS)
def test_what_a_server_can_write_out_stays(schema: dict[str, Any]) -> None:
    assert affordable(schema) == schema


@pytest.mark.parametrize(("schema", "asked"), ASKED)
def test_what_it_cannot_is_kept_from_it(schema: dict[str, Any], asked: dict[str, Any]) -> None:
    before = repr(schema)
    assert affordable(schema) == asked
    assert repr(schema) == before
