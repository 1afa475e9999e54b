"""The JSON schemas that answers may have to fit."""

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from singletrack_tasks.errors import InvalidSchema
from singletrack_tasks.schema_budget import check_budget

JsonSchema = dict[str, Any]

_SHOWN_CHARS = 500


def check_schema(schema: object) -> JsonSchema:
    """Return the schema if it is valid (JSON Schema 2020-12, an object) and within its budget.

    Raises `InvalidSchema`. No pattern of the schema is tried here, and no reference is followed.
    """
    if not isinstance(schema, dict):
        raise InvalidSchema(
            f"a schema must be a JSON object or a pydantic model class, not {type(schema).__name__}",
        )
    check_budget(schema)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path) or "its root"
        raise InvalidSchema(f"not a valid JSON schema: at {where}: {error.message}"[:_SHOWN_CHARS]) from error
    except RecursionError as error:
        raise InvalidSchema("not a valid JSON schema: it is nested too deeply") from error
    return schema
