"""What was recorded of an element, so that it is found again."""

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box, Point

ANCHOR_VERSION: Final = 1
_MOST_TEXTS: Final = 2_000
_MOST_NEAR: Final = 100
_LONGEST_TEXT: Final = 1_000


class Landmark(BaseModel):
    """A text near an element: its middle lies `dx`, `dy` pixels from the element's middle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(max_length=_LONGEST_TEXT)
    dx: int
    dy: int


class ScreenText(BaseModel):
    """A text on the recorded screen, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(max_length=_LONGEST_TEXT)
    box: Box


class Anchor(BaseModel):
    """An element as it was recorded.

    `crop_png` holds its pixels and lies in a PNG file beside the JSON. `point` is where a person clicked, None for the
    middle. `text_box` is where its text is, which may lie beside its box, and `readings` are what else it was read as.
    `twins` is how many other elements of that screen bore the same label, or looked the same where it has none;
    `twin_boxes` are the nearest of these, and of what may be read alike. `texts` are the screen's, for telling the
    right screen from a wrong one, and where things are on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = ANCHOR_VERSION
    box: Box
    crop_png: bytes = Field(exclude=True, repr=False)
    point: Point | None = None
    text: str = Field(default="", max_length=_LONGEST_TEXT)
    text_box: Box | None = None
    readings: tuple[str, ...] = Field(default=(), max_length=_MOST_NEAR)
    role: Role | None = None
    landmarks: tuple[Landmark, ...] = Field(default=(), max_length=_MOST_NEAR)
    twins: int = Field(default=0, ge=0)
    twin_boxes: tuple[Box, ...] = Field(default=(), max_length=_MOST_NEAR)
    texts: tuple[ScreenText, ...] = Field(default=(), max_length=_MOST_TEXTS)
    screen_width: int = Field(gt=0)
    screen_height: int = Field(gt=0)

    @model_validator(mode="after")
    def _lies_on_its_screen(self) -> Self:
        box = self.box
        inside = 0 <= box.left < box.right <= self.screen_width and 0 <= box.top < box.bottom <= self.screen_height
        if not inside:
            raise ValueError("an element's box has an area, and lies on its screen")
        if self.text_box is not None and min(self.text_box.width, self.text_box.height) < 1:
            raise ValueError("a text's box has an area")
        return self
