"""A real application with a form: it keeps a record of what it received, and is as awkward as it is told to be.

Run as a program: form_app.py RECORD.json SCALE TITLE. Each line on stdin is an order: `move X Y`, `dialog`, `disable`.
The record is a JSON file that is replaced as a whole.
"""

import json
import sys
import threading
import tkinter as tk
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from tkinter import font

FIELDS = ("First name", "Last name", "Street", "City")
_EVERY_MS = 20
_SETTLED_STEPS = 15


class FormApp:
    """The window, its fields and its record."""

    def __init__(self, record: Path, scale: float, title: str) -> None:
        self._record_file = record
        self._orders: SimpleQueue[str] = SimpleQueue()
        self._record: dict[str, object] = {"submitted": [], "clicks": [], "orders": [], "keys": 0}
        self._root = tk.Tk()
        self._root.title(title)
        self._root.tk.call("tk", "scaling", scale * 96 / 72)
        self._scale = scale
        self._place, self._steps_there = (0, 0), 0
        for name in ("TkDefaultFont", "TkTextFont", "TkMenuFont"):
            font.nametofont(name).configure(family="DejaVu Sans", size=11)
        self._entries: dict[str, tk.Entry] = {}
        self._widgets: dict[str, tk.Misc] = {}
        self._build(title)
        self._root.geometry(f"+{round(120 * scale)}+{round(90 * scale)}")
        self._root.bind_all("<ButtonPress>", self._on_click)
        self._root.bind_all("<KeyPress>", self._on_key)
        threading.Thread(target=self._read_orders, daemon=True).start()
        self._root.after(_EVERY_MS, self._step)

    def run(self) -> None:
        self._root.mainloop()

    def _px(self, size: int) -> int:
        return round(size * self._scale)

    def _build(self, title: str) -> None:
        frame = tk.Frame(self._root, padx=self._px(24), pady=self._px(18))
        frame.pack()
        tk.Label(frame, text=title).grid(row=0, column=0, columnspan=2, sticky="w", pady=self._px(8))
        for row, name in enumerate(FIELDS, 1):
            tk.Label(frame, text=name).grid(row=row, column=0, sticky="w", padx=self._px(8), pady=self._px(8))
            entry = tk.Entry(frame, width=34)
            entry.grid(row=row, column=1, pady=self._px(8))
            self._entries[name] = self._widgets[name] = entry
        buttons = tk.Frame(frame)
        buttons.grid(row=len(FIELDS) + 1, column=0, columnspan=2, sticky="e", pady=self._px(12))
        for name, command in (("Cancel", self._cancel), ("Save", self._save)):
            button = tk.Button(buttons, text=name, command=command, padx=self._px(16))
            button.pack(side="left", padx=self._px(8))
            self._widgets[name] = button
        self._status = tk.Label(frame, text="Not saved yet")
        self._status.grid(row=len(FIELDS) + 2, column=0, columnspan=2, sticky="w")

    def _values(self) -> dict[str, str]:
        return {name: entry.get() for name, entry in self._entries.items()}

    def _save(self) -> None:
        self._list("submitted").append(self._values())
        self._status.configure(text="The customer is saved")

    def _cancel(self) -> None:
        self._record["cancelled"] = True
        self._status.configure(text="Cancelled")

    def _list(self, name: str) -> list[object]:
        found = self._record[name]
        assert isinstance(found, list)
        return found

    def _on_click(self, event: "tk.Event[tk.Misc]") -> None:
        names = {str(widget): name for name, widget in self._widgets.items()}
        on = names.get(str(event.widget), str(event.widget))
        self._list("clicks").append({"on": on, "x": event.x_root, "y": event.y_root, "button": event.num})

    def _on_key(self, _: "tk.Event[tk.Misc]") -> None:
        self._record["keys"] = int(str(self._record["keys"])) + 1

    def _read_orders(self) -> None:
        for line in sys.stdin:
            self._orders.put(line)

    def _step(self) -> None:
        try:
            order, *words = self._orders.get_nowait().split()
            self._await(order, getattr(self, f"_do_{order}")(*words))
        except Empty:
            pass
        self._write()
        self._root.after(_EVERY_MS, self._step)

    def _await(self, order: str, is_done: Callable[[], bool]) -> None:
        """Record an order once it has had its effect: the window manager takes its time."""
        if is_done():
            self._list("orders").append(order)
        else:
            self._root.after(_EVERY_MS, self._await, order, is_done)

    def _do_move(self, x: str, y: str) -> Callable[[], bool]:
        before = self._root.winfo_rootx(), self._root.winfo_rooty()
        self._root.geometry(f"+{x}+{y}")
        return lambda: (self._root.winfo_rootx(), self._root.winfo_rooty()) != before

    def _do_disable(self) -> Callable[[], bool]:
        self._widgets["Save"].configure(state="disabled")  # type: ignore[call-arg]  # a button, kept as any widget
        return lambda: True

    def _do_dialog(self) -> Callable[[], bool]:
        """Cover the buttons with a question."""
        dialog = tk.Toplevel(self._root)
        dialog.title("Question")
        save = self._widgets["Save"]
        tk.Label(dialog, text="Keep the draft?", padx=self._px(60), pady=self._px(40)).pack()
        button = tk.Button(dialog, text="Discard", padx=self._px(30), pady=self._px(12))
        button.pack(pady=self._px(10))
        self._widgets["Discard"] = button
        dialog.geometry(f"+{save.winfo_rootx() - self._px(160)}+{save.winfo_rooty() - self._px(120)}")
        dialog.transient(self._root)
        dialog.lift()
        return lambda: bool(button.winfo_viewable()) and dialog.focus_displayof() is not None

    def _is_settled(self) -> bool:
        """Whether the window manager has left the window where it is for a while."""
        place = (self._root.winfo_rootx(), self._root.winfo_rooty())
        self._steps_there = self._steps_there + 1 if place == self._place else 0
        self._place = place
        return self._steps_there > _SETTLED_STEPS

    def _write(self) -> None:
        self._record["fields"] = self._values()
        self._record["is_ready"] = self._is_settled() and self._root.focus_displayof() is not None
        self._record["boxes"] = {
            name: [widget.winfo_rootx(), widget.winfo_rooty(), widget.winfo_width(), widget.winfo_height()]
            for name, widget in self._widgets.items()
            if widget.winfo_viewable()
        }
        text = json.dumps(self._record)
        if not self._record_file.exists() or self._record_file.read_text(encoding="utf-8") != text:
            part = self._record_file.with_suffix(".part")
            part.write_text(text, encoding="utf-8")
            part.replace(self._record_file)


if __name__ == "__main__":
    FormApp(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]).run()
