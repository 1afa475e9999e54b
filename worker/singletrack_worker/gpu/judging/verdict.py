"""Whether an answer fits its schema; runs what the caller wrote, hence only where it can be ended."""

import json
from typing import Any

from jsonschema import Draft202012Validator
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
    schema with a reference that does not resolve within it.
    """
    value = find_json(text)
    try:
        Draft202012Validator(schema, registry=_LOCAL_ONLY).validate(value)
    except ValidationError as error:
        where = "/".join(_named(part, schema) for part in error.absolute_path) or "its root"
        rule = json.dumps(error.validator_value)[:_SHOWN_CHARS]
        raise ValueError(f"at {where}: it breaks the rule {error.validator!r}: {rule}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except Unresolvable as error:
        raise InvalidSchema(f"this schema has an unresolvable reference: {error}") from error
    return value


def _named(part: str | int, schema: JsonSchema) -> str:
    """Return one part of a path, or '*' for a name that only the answer has: that would quote the answer."""
    return str(part) if isinstance(part, int) or json.dumps(part) in json.dumps(schema) else "*"
