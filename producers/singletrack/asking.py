"""Builds questions to the VLM out of what an agent has."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from singletrack_tasks.errors import ImageTooLarge, InvalidSchema
from singletrack_tasks.payload.images import ImageLike, to_file_bytes
from singletrack_tasks.schema import JsonSchema, check_schema
from singletrack_tasks.vlm import Ask, VlmOptions

MAX_TOTAL_BYTES = 256 * 1024 * 1024

SchemaLike = JsonSchema | type[BaseModel]
OptionsLike = VlmOptions | Mapping[str, Any]


def build_ask(
    prompt: str, schema: SchemaLike | None, options: OptionsLike | None, model: str | None, *, stream: bool = False
) -> Ask:
    """Build a question without its images; raises `InvalidSchema` or `InvalidRequest`."""
    return Ask.build(
        prompt=prompt,
        json_schema=None if schema is None else json_schema(schema),
        options=_options(options),
        model=model,
        stream=stream,
    )


def json_schema(schema: SchemaLike) -> JsonSchema:
    """Give a schema as JSON schema; raises `InvalidSchema`."""
    if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
        return check_schema(schema)
    try:
        return check_schema(schema.model_json_schema())
    except PydanticInvalidForJsonSchema as error:
        raise InvalidSchema(f"{schema.__name__} cannot be said as a JSON schema: {error}") from error


def file_payloads(images: Sequence[ImageLike]) -> list[bytes]:
    """Read images as checked files; raises `InvalidImage`, or `ImageTooLarge` for more than 256 MiB in all."""
    payloads, total = [], 0
    for image in images:
        payloads.append(to_file_bytes(image))
        total += len(payloads[-1])
        if total > MAX_TOTAL_BYTES:
            raise ImageTooLarge(
                f"the images have more than {MAX_TOTAL_BYTES} bytes in all: send fewer in one request",
            )
    return payloads


def _options(options: OptionsLike | None) -> VlmOptions:
    if isinstance(options, VlmOptions):
        return options
    return VlmOptions() if options is None else VlmOptions.parse(dict(options))
