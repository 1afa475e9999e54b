"""A question about a screen, and what makes two questions the same one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from singletrack.agent.errors import InvalidMemory
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box
from singletrack_tasks.schema import JsonSchema


@dataclass(frozen=True)
class ScreenQuestion:
    """A question about a screenshot, or about a `region` of it, which is then all that the VLM sees.

    `ignored` boxes (pixels of the screenshot), such as a clock, may change: the caller vouches that the answer does not
    depend on them. `texts` of the screen go into its state. `schema`, `options` and `model` are those of `Client.ask`.
    """

    prompt: str
    schema: JsonSchema | type[BaseModel] | None = None
    region: Box | None = None
    ignored: tuple[Box, ...] = ()
    texts: tuple[str, ...] = ()
    options: Mapping[str, Any] | None = None
    model: str | None = None

    @property
    def key(self) -> str | None:
        """What two questions have in common if they are the same; None for one that no client would accept."""
        boxes = [None if box is None else _sides(box) for box in (self.region, *self.ignored)]
        asked = {"prompt": self.prompt, "options": self.options and dict(self.options), "boxes": boxes}
        try:
            text = json.dumps(asked | _schema(self.schema), sort_keys=True)
        except (TypeError, ValueError, RecursionError, PydanticInvalidForJsonSchema):
            return None
        return hashlib.sha256(text.encode()).hexdigest()

    def picture(self, screenshot: Screenshot) -> Screenshot:
        """Return what the VLM sees; raises `InvalidMemory` for a region that is empty or not inside the screenshot."""
        if self.region is None:
            return screenshot
        if self.region.area <= 0 or screenshot.box.shared_area(self.region) != self.region.area:
            raise InvalidMemory(f"The region {_sides(self.region)} is not inside the screenshot. Name one that is.")
        return Screenshot(screenshot.crop(self.region), title=screenshot.title)

    def ignored_in_picture(self) -> list[Box]:
        """Return the ignored boxes in pixels of the picture."""
        if self.region is None:
            return list(self.ignored)
        return [box.moved(-self.region.left, -self.region.top) for box in self.ignored]


def _sides(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.width, box.height


def _schema(schema: JsonSchema | type[BaseModel] | None) -> dict[str, Any]:
    """Two classes of one schema may make different values of one answer: the class counts, too."""
    if isinstance(schema, type):
        return {"schema": schema.model_json_schema(), "class": f"{schema.__module__}.{schema.__qualname__}"}
    return {"schema": schema, "class": None}
