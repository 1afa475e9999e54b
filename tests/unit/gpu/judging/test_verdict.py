"""Whoever is to blame when an answer cannot be checked hears of it: the model or the schema, never the worker."""

import json
from typing import Any

import pytest

from singletrack_tasks.errors import InvalidSchema
from singletrack_tasks.schema import JsonSchema, check_schema
from singletrack_worker.gpu.judging.verdict import read_answer

HUGE = "1" + "0" * 400
# Valid by the letter, and nonsense: what is wrong shows only when an answer is checked.
NONSENSE: dict[str, tuple[JsonSchema, str]] = {
    "an address that is none": ({"$id": "http://[", "$ref": "#/$defs/a", "$defs": {"a": {"$id": "http://[::"}}}, "1"),
    "a reference to a constant": ({"$ref": "#/const", "const": {"properties": 5}}, "{}"),
    "an unknown type in a constant": ({"$ref": "#/enum/0", "enum": [{"type": "secret"}]}, "{}"),
    "an old draft": (
        {"properties": {"a": {"$schema": "http://json-schema.org/draft-03/schema#", "extends": 5}}},
        '{"a": 1}',
    ),
    "patterns that cannot be joined": (
        {"patternProperties": {"(?i)a": {}, "(?i)b": {}}, "additionalProperties": False},
        '{"A": 1}',
    ),
}
TOO_LARGE: dict[str, tuple[JsonSchema, str]] = {
    "an integer and a float": ({"multipleOf": 0.5}, HUGE),
    "a float and an integer": ({"multipleOf": 10**400}, "1.5"),
}
UNIQUE: dict[str, tuple[str, bool]] = {
    "numbers": ("[1, 2]", True),
    "the same numbers": ("[1, 1.0]", False),
    "a number and a truth": ("[1, true, 0, false]", True),
    "a number and a truth deeper": ('[[{"a": 1}], [{"a": true}]]', True),
    "objects in another order": ('[{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}]', False),
    "lists in another order": ("[[1, 2], [2, 1]]", True),
    "an empty list and an empty object": ("[[], {}]", True),
    "kinds": ('[null, "null", "", "1", 1]', True),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_a_schema_that_is_nonsense_is_its_callers_error(name: str) -> None:
    schema, answer = NONSENSE[name]
    check_schema(schema)
    with pytest.raises(InvalidSchema) as refused:
        read_answer(answer, schema)
    assert answer not in refused.value.message


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_number_that_is_too_large_is_the_answers_fault(name: str) -> None:
    schema, answer = TOO_LARGE[name]
    check_schema(schema)
    with pytest.raises(ValueError, match="too large") as misfit:
        read_answer(answer, schema)
    assert not isinstance(misfit.value, InvalidSchema)


@pytest.mark.parametrize("name", UNIQUE)
def test_items_are_unique_as_json_has_it(name: str) -> None:
    answer, unique = UNIQUE[name]
    if unique:
        assert read_answer(answer, {"uniqueItems": True}) == json.loads(answer)
    else:
        with pytest.raises(ValueError, match="uniqueItems"):
            read_answer(answer, {"uniqueItems": True})
    assert read_answer(answer, {"uniqueItems": False}) == json.loads(answer)


class Counted(str):
    """A text that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)


def test_many_objects_are_not_compared_each_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[Any] = [{"label": Counted(f"button {number}")} for number in range(500)]
    monkeypatch.setattr("singletrack_worker.gpu.judging.verdict.find_json", lambda text: items)
    assert read_answer("", {"items": {"uniqueItems": True}, "uniqueItems": True}) is items
    assert Counted.compared < len(items)


@pytest.mark.parametrize("answer", ['"\\ud83d"', '{"\\ud83d": 1}', '[["\\ude00\\ud83d"]]'])
def test_half_a_character_can_be_sent_on(answer: str) -> None:
    value = read_answer(answer, {})
    assert "?" in json.dumps(value, ensure_ascii=False).encode().decode()


def test_a_whole_character_is_left_alone() -> None:
    assert read_answer('"\\ud83d\\ude00 \u00e9"', {}) == "\U0001f600 \u00e9"
