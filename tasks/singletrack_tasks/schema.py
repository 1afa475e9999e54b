"""JSON schemas of answers: is it a schema at all, and does an answer fit it?"""

import json
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from singletrack_tasks.errors import InvalidSchema

JsonSchema = dict[str, Any]


def check_schema(schema: object) -> JsonSchema:
    """Return the schema if it is one (JSON Schema 2020-12, an object), else raise `InvalidSchema`."""
    if not isinstance(schema, dict):
        raise InvalidSchema(
            f"a schema is a JSON object or a pydantic model class, not {type(schema).__name__}",
        )
    try:
        json.dumps(schema)
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path) or "its root"
        raise InvalidSchema(f"this is no JSON schema: at {where}: {error.message}") from error
    except TypeError as error:
        raise InvalidSchema(f"this schema cannot be written as JSON: {error}") from error
    return schema


def read_answer(text: str, schema: JsonSchema) -> Any:
    """Read an answer as JSON that fits the schema; raises `ValueError`, which says where it does not."""
    value = json.loads(text)
    try:
        Draft202012Validator(schema).validate(value)
    except ValidationError as error:
        where = "/".join(str(part) for part in error.absolute_path) or "its root"
        raise ValueError(f"at {where}: {error.message}") from error
    return value
