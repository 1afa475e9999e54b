"""Questions to the VLM, as an agent puts them and as they are sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from singletrack.wire.limits import DEFAULT_TIMEOUT_S, as_list
from singletrack.wire.link import RedisLink
from singletrack_tasks.errors import ImageTooLarge, InvalidSchema
from singletrack_tasks.payload.image_limits import check_request_pixels
from singletrack_tasks.payload.images import ImageLike, count_pixels, to_file_bytes
from singletrack_tasks.requests.vlm import MAX_IMAGES, Ask, VlmOptions
from singletrack_tasks.schema import JsonSchema, check_schema

MAX_TOTAL_BYTES = 256 * 1024 * 1024

Images = Iterable[ImageLike]
SchemaLike = JsonSchema | type[BaseModel]
OptionsLike = VlmOptions | Mapping[str, Any]


class AskKeywords(TypedDict, total=False):
    """The keywords that every question takes; their defaults are those of `Question`.

    `options` say how the VLM answers: `VlmOptions`, or a dict of its fields. `model` None means the model that the
    track serves. `timeout_s` is the job's deadline in seconds, at most a day.
    """

    options: OptionsLike | None
    model: str | None
    timeout_s: float


@dataclass(frozen=True)
class Question:
    """A question as an agent puts it, unchecked; an unknown keyword is a `TypeError`."""

    prompt: str
    images: Images
    schema: SchemaLike | None
    options: OptionsLike | None = None
    model: str | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S

    def request(self, *, stream: bool = False) -> Ask:
        """Build the request, without its images; raises `InvalidSchema` or `InvalidRequest`."""
        return Ask.build(
            prompt=self.prompt,
            json_schema=None if self.schema is None else _json_schema(self.schema),
            options=_options(self.options),
            model=self.model,
            stream=stream,
        )

    def stored(self, link: RedisLink, *, stream: bool = False) -> Ask:
        """Build the request, and store its images; raises `InvalidSchema`, `InvalidImage` or `InvalidRequest`."""
        ask = self.request(stream=stream)
        images = as_list(self.images, "images", MAX_IMAGES)
        if not images:
            return ask
        payloads = file_payloads(images)
        with link.reaching():
            blobs = tuple(link.blobs.put(payloads, "file", self.timeout_s))
        return ask.model_copy(update={"images": blobs})


def file_payloads(images: Sequence[ImageLike], *, decoded_once: bool = False) -> list[bytes]:
    """Read images as checked files.

    Raises `InvalidImage`, or `ImageTooLarge` for more than 256 MiB or 400 megapixels in all; the pixels of an image
    that comes again do not count again if they are `decoded_once`.
    """
    payloads: list[bytes] = []
    seen: set[bytes] = set()
    total_bytes = total_pixels = 0
    for image in images:
        data = to_file_bytes(image)
        total_bytes += len(data)
        if total_bytes > MAX_TOTAL_BYTES:
            raise ImageTooLarge(
                f"the images have more than {MAX_TOTAL_BYTES} bytes in all: send fewer in one request",
            )
        if not (decoded_once and data in seen):
            total_pixels += count_pixels(data)
            check_request_pixels(total_pixels)
        seen.add(data)
        payloads.append(data)
    return payloads


def _json_schema(schema: SchemaLike) -> JsonSchema:
    if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
        return check_schema(schema)
    try:
        return check_schema(schema.model_json_schema())
    except PydanticInvalidForJsonSchema as error:
        raise InvalidSchema(f"{schema.__name__} cannot be expressed as a JSON schema: {error}") from error


def _options(options: OptionsLike | None) -> VlmOptions:
    if isinstance(options, VlmOptions):
        return options
    return VlmOptions() if options is None else VlmOptions.parse(dict(options))
