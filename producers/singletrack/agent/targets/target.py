"""What a step of a workflow acts on."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from singletrack.agent.errors import InvalidTarget
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.targets.element import Role


class Target(BaseModel):
    """An element to find, by any of: what was recorded of it, its text, a description in words, its role.

    A role alone names too many elements. Raises `InvalidTarget` if there is nothing else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    anchor: Anchor | None = None
    text: str = ""
    description: str = ""
    role: Role | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.anchor is None and not self.text.strip() and not self.description.strip():
            raise InvalidTarget("A target needs an anchor, a text or a description. Give one of them.")
        return self

    @property
    def name(self) -> str:
        """What people call it: its text, its description, or its place."""
        return self.text or self.description or _recorded_name(self.anchor)


def _recorded_name(anchor: Anchor | None) -> str:
    if anchor is None:
        return ""
    return anchor.text or f"the element at {anchor.box.center.x}, {anchor.box.center.y}"
