"""What lies around an application: a window over the whole screen that records clicks which miss.

Run as a program: backdrop_app.py RECORD.json. The order `steal X Y` on stdin brings a window of its own to the front,
with the keyboard.
"""

import json
import sys
import threading
import tkinter as tk
from pathlib import Path
from queue import Empty, SimpleQueue

_EVERY_MS = 20


class BackdropApp:
    """The backdrop, and the thief of the focus."""

    def __init__(self, record: Path) -> None:
        self._record_file = record
        self._orders: SimpleQueue[str] = SimpleQueue()
        self._clicks: list[list[int]] = []
        self._keys = 0
        self._done: list[str] = []
        self._root = tk.Tk()
        self._root.title("Backdrop")
        self._root.configure(background="#3b4a5a")
        self._root.geometry(f"{self._root.winfo_screenwidth()}x{self._root.winfo_screenheight()}+0+0")
        self._root.overrideredirect(boolean=True)
        self._root.lower()
        tk.Label(self._root, text="Inventory of the workshop", font=("DejaVu Sans", 16)).place(x=40, y=760)
        self._root.bind_all("<ButtonPress>", self._on_click)
        self._root.bind_all("<KeyPress>", self._on_key)
        threading.Thread(target=self._read_orders, daemon=True).start()
        self._root.after(_EVERY_MS, self._step)

    def run(self) -> None:
        self._root.mainloop()

    def _on_click(self, event: "tk.Event[tk.Misc]") -> None:
        self._clicks.append([event.x_root, event.y_root])

    def _on_key(self, _: "tk.Event[tk.Misc]") -> None:
        self._keys += 1

    def _read_orders(self) -> None:
        for line in sys.stdin:
            self._orders.put(line)

    def _step(self) -> None:
        try:
            _, x, y = self._orders.get_nowait().split()
            self._steal(x, y)
        except Empty:
            pass
        self._write()
        self._root.after(_EVERY_MS, self._step)

    def _steal(self, x: str, y: str) -> None:
        thief = tk.Toplevel(self._root)
        thief.title("New message")
        tk.Label(thief, text="You have mail", padx=30, pady=20).pack()
        entry = tk.Entry(thief, width=30)
        entry.pack(padx=20, pady=20)
        thief.geometry(f"+{x}+{y}")
        thief.lift()
        entry.focus_force()
        entry.bind("<FocusIn>", lambda _: self._done.append("steal"))

    def _write(self) -> None:
        record = {"clicks": self._clicks, "keys": self._keys, "orders": self._done}
        part = self._record_file.with_suffix(".part")
        part.write_text(json.dumps(record), encoding="utf-8")
        part.replace(self._record_file)


if __name__ == "__main__":
    BackdropApp(Path(sys.argv[1])).run()
