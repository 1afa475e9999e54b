"""What the pages of Tk share: widgets are noted as elements, and covered without moving the others."""

import tkinter as tk
from collections.abc import Sequence
from tkinter import ttk
from typing import Any

from serving import Options, entry

Area = tuple[int, int, int, int]


class Page:
    """A window at the left upper corner of the screen; `back` is the colour of what lies behind widgets."""

    back = ""

    def __init__(self, options: Options, size: tuple[int, int]) -> None:
        self.options = options
        self.say = options.say
        self.root = tk.Tk()
        # Tk measures in points of 1/72 inch.
        self.root.tk.call("tk", "scaling", options.scale * 96 / 72)
        self._size = (self.px(size[0]), self.px(size[1]))
        self.root.geometry(f"{self._size[0]}x{self._size[1]}+0+0")
        self.named: list[tuple[str, str, tk.Misc, str, str]] = []
        self.covers: list[tk.Frame] = []

    def px(self, size: int) -> int:
        """Return a size in physical pixels."""
        return round(size * self.options.scale)

    def size(self) -> tuple[int, int]:
        """Width and height in physical pixels."""
        return self._size

    def name(self, widget: Any, element_id: str, role: str, text: str = "", label: str = "") -> Any:
        """Note a widget as an element, and return it."""
        self.named.append((element_id, role, widget, text, label))
        return widget

    def elements(self) -> list[dict[str, Any]]:
        """Widgets, what a page has besides, and labels."""
        told = [
            entry(element_id, role, text, box_of(widget), label=label, is_target=self.is_target(element_id))
            for element_id, role, widget, text, label in self.named
        ]
        return told + self.parts() + self._labels()

    def is_target(self, element_id: str) -> bool:
        """Return whether a widget is looked for."""
        return bool(element_id)

    def parts(self) -> list[dict[str, Any]]:
        """Return the elements that are no widgets."""
        return []

    def _labels(self) -> list[dict[str, Any]]:
        known = {widget for _, _, widget, _, _ in self.named}
        pending: list[list[tk.Widget | tk.Toplevel]] = [self.root.winfo_children()]
        told: list[dict[str, Any]] = []
        while pending:
            for widget in pending.pop():
                pending.append(widget.winfo_children())
                if isinstance(widget, (ttk.Label, tk.Label)) and widget not in known and widget.cget("text"):
                    text = str(widget.cget("text"))
                    told.append(entry(f"text-{len(told)}", "text", text, box_of(widget), is_target=False))
        return told

    def hide(self, ids: Sequence[str]) -> None:
        """Lay the colour of what is behind over widgets: that moves nothing. Returns once it is painted."""
        while self.covers:
            self.covers.pop().destroy()
        for element_id, _, widget, _, _ in self.named:
            if element_id in ids:
                self.cover(box_of(widget))
        self.hide_parts(ids)
        self.root.update()
        # The server has painted all that was asked for before it answers this.
        self.root.winfo_pointerxy()

    def hide_parts(self, ids: Sequence[str]) -> None:
        """Hide what is no widget."""

    def cover(self, box: Area) -> None:
        """Hide an area of the window."""
        cover = tk.Frame(self.root, background=self.back)
        left, top = box[0] - self.root.winfo_rootx(), box[1] - self.root.winfo_rooty()
        cover.place(x=left, y=top, width=box[2], height=box[3])
        self.covers.append(cover)

    def picture(self) -> None:
        """Leave it to the renderer."""


def box_of(widget: tk.Misc) -> Area:
    """Return where a widget is on the screen."""
    return widget.winfo_rootx(), widget.winfo_rooty(), widget.winfo_width(), widget.winfo_height()
