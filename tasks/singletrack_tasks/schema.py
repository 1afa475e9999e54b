"""Validates JSON schemas, and answers against them."""

import json
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from singletrack_tasks.errors import InvalidSchema

JsonSchema = dict[str, Any]

# Resolves references within the schema only: jsonschema's default fetches URLs and files.
_LOCAL_ONLY: Registry[Any] = Registry()
_REFERENCES = ("$ref", "$dynamicRef")
_SHOWN_CHARS = 200


def check_schema(schema: object) -> JsonSchema:
    """Return the schema if it is valid (JSON Schema 2020-12, an object), else raise `InvalidSchema`."""
    if not isinstance(schema, dict):
        raise InvalidSchema(
            f"a schema must be a JSON object or a pydantic model class, not {type(schema).__name__}",
        )
    try:
        json.dumps(schema)
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path) or "its root"
        raise InvalidSchema(f"not a valid JSON schema: at {where}: {error.message}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSchema(f"this schema cannot be serialized as JSON: {error}") from error
    for reference in _references(schema):
        if not str(reference).startswith("#"):
            raise InvalidSchema(
                f"this schema refers to {reference!r}: only references within the schema ('#/...') are supported"
            )
    return schema


def read_answer(text: str, schema: JsonSchema) -> Any:
    """Parse an answer as JSON that fits the schema.

    Raises `ValueError`, which names the place and the rule and never quotes the answer, and `InvalidSchema` for a
    schema with a reference that does not resolve within it.
    """
    try:
        value = json.loads(text)
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


def _references(schema: Any) -> Iterator[object]:
    if isinstance(schema, dict):
        yield from (schema[name] for name in _REFERENCES if isinstance(schema.get(name), str))
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)
