"""How a page that is a program talks to the renderer; needs the standard library alone, as a system's Python has it."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Options:
    """How the page is to look: what the renderer gave on the command line."""

    def __init__(self) -> None:
        told = json.loads(sys.argv[1])
        self.scale: float = told["scale_percent"] / 100
        self.dark: bool = told["dark"]
        self.accent: bool = told["accent"]
        self.font: bool = told["font"]
        self.german: bool = told["german"]
        self.reflow: bool = told["reflow"]
        self.folder: str = told["folder"]

    def say(self, text: str) -> str:
        """Return the half of `English|Deutsch` that is wanted."""
        english, _, german = text.partition("|")
        return german if self.german and german else english


class Shown(Protocol):
    """A page that is on its screen."""

    def size(self) -> tuple[int, int]:
        """Width and height in physical pixels."""

    def elements(self) -> list[dict[str, Any]]:
        """What is on it: see `entry`."""

    def hide(self, ids: Sequence[str]) -> None:
        """Hide these and show all others; returns once it is painted."""

    def picture(self) -> str | None:
        """Return the file of a picture, None if the renderer photographs the screen."""


def entry(element_id: str, role: str, text: str, box: Sequence[float], **more: Any) -> dict[str, Any]:
    """Return an element as the renderer reads it; `box` is left, top, width, height."""
    left, top = round(box[0]), round(box[1])
    width, height = round(box[0] + box[2]) - left, round(box[1] + box[3]) - top
    middle = [left + width // 2, top + height // 2]
    told = {"id": element_id, "role": role, "text": text, "label": more.pop("label", "") or text}
    return {**told, "box": [left, top, width, height], "click": more.pop("click", middle), **more}


def serve(open_page: Callable[[Options], Shown]) -> None:
    """Show the page, then do what standard input says until it ends."""
    page = open_page(Options())
    page.hide([])
    width, height = page.size()
    _tell({"width": width, "height": height, "elements": page.elements(), "picture": page.picture()})
    for line in sys.stdin:
        page.hide(json.loads(line)["hide"])
        _tell({"picture": page.picture()})


def _tell(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
