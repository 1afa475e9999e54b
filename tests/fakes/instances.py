"""Small values that fit simple JSON schemas."""

from typing import Any

from singletrack_tasks.schema import JsonSchema


def minimal_instance(schema: JsonSchema, root: JsonSchema | None = None) -> Any:
    """Make a small value that fits a simple schema: types, enum, const, local references, alternatives, bounds."""
    root = root or schema
    if "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[part]
        return minimal_instance(target, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            return minimal_instance(schema[alternatives][0], root)
    return _of_type(schema, root)


def _of_type(schema: JsonSchema, root: JsonSchema) -> Any:
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: minimal_instance(properties.get(name, {}), root) for name in schema.get("required", ())}
        case "array":
            return [minimal_instance(schema.get("items", {}), root)] * schema.get("minItems", 0)
        case "string":
            return "x" * schema.get("minLength", 1)
        case "integer" | "number":
            return schema.get("minimum", min(0, schema.get("maximum", 0)))
        case "boolean":
            return False
        case _:
            return None
