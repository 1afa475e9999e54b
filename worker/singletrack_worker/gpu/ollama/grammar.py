"""The schema as an Ollama server gets it: without what would cost it all its memory, or end it.

The server writes a grammar in which a bound of a million is a million rules. It does so where no cancellation ends it,
and crashes at a group with a question mark. The answer is checked against the whole schema afterwards.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

# Of all bounds together, which costs a slow processor some seconds. An answer has 32,768 tokens at most.
MAX_REPEATS = 300_000

_BOUNDS = ("maxItems", "maxLength", "minItems", "minLength")
# Under these there are values, not schemas.
_DATA = ("const", "default", "enum", "examples")
# Under these there are schemas by names, which mean nothing.
_BY_NAME = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
# `(?:a)`, `(?=a)`, `(?i)`: valid, and what a server of 0.9 crashes at.
_CRASHES = "(?"
_REPEATS = re.compile(r"\{([0-9]*)(?:,([0-9]*))?\}")


def affordable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without its worst patterns and largest bounds, as far as those are beyond `MAX_REPEATS`."""
    in_all = 0
    for repeats in sorted(_all_repeats(schema)):
        in_all += repeats
        if in_all > MAX_REPEATS:
            kept: dict[str, Any] = _below(schema, repeats)
            return kept
    return schema


def _all_repeats(part: Any, *, by_name: bool = False) -> Iterator[int]:
    if isinstance(part, list):
        for one in part:
            yield from _all_repeats(one)
    elif isinstance(part, dict):
        for name, value in part.items():
            yield 0 if by_name else _repeats(name, value)
            if by_name or name not in _DATA:
                yield from _all_repeats(value, by_name=not by_name and name in _BY_NAME)


def _below(part: Any, too_many: int, *, by_name: bool = False) -> Any:
    if isinstance(part, list):
        return [_below(one, too_many) for one in part]
    if not isinstance(part, dict):
        return part
    if by_name:
        return {name: _below(value, too_many) for name, value in part.items()}
    kept = {name: value for name, value in part.items() if _repeats(name, value) < too_many}
    return {
        name: value if name in _DATA else _below(value, too_many, by_name=name in _BY_NAME)
        for name, value in kept.items()
    }


def _repeats(name: str, value: Any) -> int:
    """How often a keyword has something repeated; of a pattern, as if all its repetitions were nested."""
    if name in _BOUNDS and isinstance(value, int | float):
        return int(value)
    if name == "pattern" and isinstance(value, str):
        if _CRASHES in value:
            return MAX_REPEATS + 1
        found = _REPEATS.findall(value)
        return math.prod(max(1, *(int(bound or 1) for bound in bounds)) for bounds in found) if found else 0
    return 0
