"""Elements of a screen, and the marks that are drawn on them."""

from dataclasses import dataclass
from enum import StrEnum

from singletrack.agent.targets.geometry import Box


class Role(StrEnum):
    """What an element is to a user."""

    BUTTON = "button"
    FIELD = "field"
    CHECKBOX = "checkbox"
    RADIO = "radio"
    DROPDOWN = "dropdown"
    LINK = "link"
    TAB = "tab"
    MENU_ITEM = "menu_item"
    LIST_ITEM = "list_item"
    ICON = "icon"
    HEADING = "heading"
    TEXT = "text"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Element:
    """Something on a screen: its box, what it says, what it is (None: not known), and how sure that is, 0 to 1."""

    box: Box
    text: str = ""
    role: Role | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A candidate with a number that is drawn beside it; numbers begin with 1."""

    number: int
    element: Element
