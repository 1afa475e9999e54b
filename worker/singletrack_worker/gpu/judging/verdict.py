"""Whether an answer fits its schema; runs what the caller wrote, hence only where it can be ended."""

import json
import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from singletrack_tasks.errors import InvalidSchema
from singletrack_tasks.schema import JsonSchema
from singletrack_worker.gpu.judging.answer_text import find_json

# Resolves references within the schema only: jsonschema's default fetches URLs and files.
_LOCAL_ONLY: Registry[Any] = Registry()
_SHOWN_CHARS = 200


def read_answer(text: str, schema: JsonSchema) -> Any:
    """Return the JSON of an answer, which fits the schema.

    Raises `ValueError`, which names the place and the rule and never quotes the answer, and `InvalidSchema` for a
    schema that turns out to be none.
    """
    value = find_json(text)
    try:
        _Validator(schema, registry=_LOCAL_ONLY).validate(value)
    except ValidationError as error:
        where = "/".join(_named(part, schema) for part in error.absolute_path) or "its root"
        rule = json.dumps(error.validator_value)[:_SHOWN_CHARS]
        raise ValueError(f"at {where}: it breaks the rule {error.validator!r}: {rule}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except OverflowError as error:
        raise ValueError("it has a number that is too large for its rules") from error
    except Unresolvable as error:
        raise InvalidSchema(f"this schema has an unresolvable reference: {error}") from error
    except re.error as error:
        raise InvalidSchema(f"the patterns of this schema cannot be used together: {error}") from error
    except MemoryError:
        raise
    # What is valid by the letter can be nonsense to the validator: a reference to a constant, the rules of old drafts.
    except Exception as error:
        raise InvalidSchema(f"this schema cannot be used to check an answer ({type(error).__name__})") from error
    return value


def _has_unique_items(_: Any, wanted: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
    # jsonschema compares each item with each other one: half a minute for some thousand objects.
    if wanted and isinstance(instance, list) and len({_identity(item) for item in instance}) < len(instance):
        yield ValidationError("two items are alike")


def _identity(value: Any) -> Any:
    """Return what two values have in common if and only if they are equal as JSON."""
    if isinstance(value, dict):
        return dict, frozenset((name, _identity(part)) for name, part in value.items())
    if isinstance(value, list):
        return list, tuple(_identity(item) for item in value)
    return isinstance(value, bool), value


_extended: Any = validators.extend  # it has no types
_Validator = _extended(Draft202012Validator, {"uniqueItems": _has_unique_items})


def _named(part: str | int, schema: JsonSchema) -> str:
    """Return one part of a path, or '*' for a name that only the answer has: that would quote the answer."""
    return str(part) if isinstance(part, int) or json.dumps(part) in json.dumps(schema) else "*"
