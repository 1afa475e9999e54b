"""What was recorded of an element, so that it is found again."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box

ANCHOR_VERSION: Final = 1


class Landmark(BaseModel):
    """A text near an element: its middle lies `dx`, `dy` pixels from the element's middle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    dx: int
    dy: int


class ScreenText(BaseModel):
    """A text on the recorded screen, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    box: Box


class Anchor(BaseModel):
    """An element as it was recorded.

    `crop_png` holds its pixels and lies in a PNG file beside the JSON. `twins` is how many other elements of that
    screen bore the same label, or looked the same where it has none. `texts` are the screen's, for telling the right
    screen from a wrong one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = ANCHOR_VERSION
    box: Box
    crop_png: bytes = Field(exclude=True, repr=False)
    text: str = ""
    role: Role | None = None
    landmarks: tuple[Landmark, ...] = ()
    twins: int = Field(default=0, ge=0)
    texts: tuple[ScreenText, ...] = ()
    screen_width: int = Field(gt=0)
    screen_height: int = Field(gt=0)
