"""The JSON in an answer, which a model may have wrapped."""

import json
import math
from typing import Any, NoReturn

MAX_ANSWER_DEPTH = 128

_BYTE_ORDER_MARK = "\ufeff"
_THOUGHT, _THOUGHT_ENDS = "<think>", "</think>"
_FENCE = "```"


def find_json(text: str) -> Any:
    """Return the one JSON value of an answer, which may be behind a thought or a byte-order mark, or in a fence.

    Raises `ValueError` if there is none, or more than one, or one that has no JSON: NaN, Infinity, absurd nesting.
    """
    bare = _stripped(text)
    behind = _behind_thought(bare)
    for wrapped in (bare, behind):
        try:
            return _parse(wrapped)
        except json.JSONDecodeError:
            continue
    return _parse(_in_fence(behind))


def _behind_thought(text: str) -> str:
    if not text.startswith(_THOUGHT):
        return text
    _, _, behind = text.partition(_THOUGHT_ENDS)
    return _stripped(behind)


def _in_fence(text: str) -> str:
    """Return what is in the only fence of a text, or the text if it has not one, or other JSON beside it."""
    parts = text.split(_FENCE)
    if len(parts) != len(("before", "inside", "behind")) or any(mark in parts[0] + parts[2] for mark in "{}[]"):
        return text
    language, line_ends, inside = parts[1].partition("\n")
    return inside if line_ends and (not language.strip() or language.strip().isalpha()) else parts[1]


def _stripped(text: str) -> str:
    return text.strip().removeprefix(_BYTE_ORDER_MARK).strip()


def _parse(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _refuse_depth(value)
    return _encodable(value)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"it has {text}, which is not a number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("it has a number that is too large")
    return number


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_ANSWER_DEPTH):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _encodable(value: Any) -> Any:
    """Replace half a surrogate pair, which a model may write as an escape and nobody can send on, by '?'."""
    text = json.dumps(value, ensure_ascii=False)
    return value if text.isascii() else json.loads(text.encode("utf-8", "replace"))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
