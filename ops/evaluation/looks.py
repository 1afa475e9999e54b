"""The ways in which a page is shown, and which of them leave what as it was."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class Look:
    """How a toolkit is to show a page."""

    scale_percent: int = 100
    dark: bool = False
    accent: bool = False
    font: bool = False
    german: bool = False
    reflow: bool = False

    @property
    def scale(self) -> float:
        """Physical pixels in one of the toolkit's own."""
        return self.scale_percent / 100

    @property
    def switches(self) -> dict[str, bool]:
        """All but the scale."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, bool)}


class Change(StrEnum):
    """What a variant changes: the goals are set by it."""

    NOTHING = "layout unchanged"
    THEME = "theme or font"
    SCALE = "scale"
    LAYOUT = "reflow"
    LANGUAGE = "language"


SCALES_PERCENT: Final = (100, 125, 150)
SWITCHES: Final = {"dark": "dark", "accent": "accent", "font": "font", "reflow": "reflow", "language": "german"}
BASE: Final = "base"
# Made of the base's pixels.
ALTERED: Final = ("jpeg_70", "half_pixel", "moved", "low_resolution")

CHANGES: Final[Mapping[str, Change]] = {
    BASE: Change.NOTHING,
    "jpeg_70": Change.NOTHING,
    "half_pixel": Change.NOTHING,
    "moved": Change.NOTHING,
    "dark": Change.THEME,
    "accent": Change.THEME,
    "font": Change.THEME,
    **{f"scale_{percent}": Change.SCALE for percent in SCALES_PERCENT},
    "low_resolution": Change.SCALE,
    "reflow": Change.LAYOUT,
    "language": Change.LANGUAGE,
}


def looks_of(base_percent: int) -> dict[str, Look]:
    """Return the looks that a toolkit renders, the base first."""
    base = Look(scale_percent=base_percent)
    looks = {BASE: base}
    for percent in SCALES_PERCENT:
        if percent != base_percent:
            looks[f"scale_{percent}"] = replace(base, scale_percent=percent)
    return looks | {name: replace(base, **{switch: True}) for name, switch in SWITCHES.items()}
