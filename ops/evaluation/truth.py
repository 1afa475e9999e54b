"""What is true of a rendered page, as its toolkit told it; stored as JSON beside the pictures."""

from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box, Point

TRUTH_FILE: Final = "page.json"


class Half(StrEnum):
    """The half of the pages that may be tuned on, and the other."""

    TUNING = "tuning"
    HELD_OUT = "held_out"


class TrueElement(BaseModel):
    """An element of a page, in physical pixels; `twins` are the others with its label or, without one, its looks.

    `click` is where a person would click: in the middle, or in a wide row on its text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    role: Role
    label: str
    text: str
    box: Box
    click: Point
    is_target: bool = True
    is_seen: bool = True
    twins: tuple[str, ...] = ()


class Shot(BaseModel):
    """A picture of a page in one variant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str
    picture: str
    width: int
    height: int
    elements: tuple[TrueElement, ...]

    def element(self, element_id: str) -> TrueElement | None:
        """Return an element that is seen, or None."""
        return next((one for one in self.elements if one.id == element_id and one.is_seen), None)

    def shows_part_of(self, element_id: str) -> bool:
        """Return whether anything of an element may be in the picture."""
        picture = Box(0, 0, self.width, self.height)
        return any(one.id == element_id and one.box.shared_area(picture) > 0 for one in self.elements)

    @property
    def targets(self) -> tuple[TrueElement, ...]:
        """What is recorded and looked for."""
        return tuple(one for one in self.elements if one.is_target and one.is_seen)


class Removal(BaseModel):
    """The base with some elements taken away: `patch` is what changed, to be laid over the base at `at`.

    `target` is the one that is looked for; `twins_left` are those of its twins that are still there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    gone: tuple[str, ...]
    twins_left: int
    patch: str
    at: Point


class PageTruth(BaseModel):
    """A page with all its pictures; `left_out` says why a variant was not made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page: str
    toolkit: str
    style: str
    half: Half
    base_percent: int
    shots: tuple[Shot, ...]
    removals: tuple[Removal, ...]
    left_out: dict[str, str] = {}

    def shot(self, variant: str) -> Shot:
        """Return the picture of a variant; raises `KeyError`."""
        for shot in self.shots:
            if shot.variant == variant:
                return shot
        raise KeyError(f"{self.page} was not rendered as {variant}")

    def save(self, folder: Path) -> None:
        """Write the truth beside the pictures."""
        (folder / TRUTH_FILE).write_text(self.model_dump_json(indent=1), encoding="utf-8")


def load_truth(folder: Path) -> PageTruth:
    """Read the truth of a page from its folder."""
    return PageTruth.model_validate_json((folder / TRUTH_FILE).read_text(encoding="utf-8"))
