"""A stock ledger in a terminal: curses-like boxes, function keys and a table in xterm; a cell is a cell.

This program starts xterm, in which another one draws what it is told through a pipe.
"""

import atexit
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from serving import Options, entry, serve

COLUMNS, ROWS, NARROW_COLUMNS = 168, 54, 142
POINTS = 12
MENUS = ("Stock|Lager", "Orders|Aufträge", "Suppliers|Lieferanten", "Reports|Berichte", "System")
KEYS = (
    "Help|Hilfe",
    "Save|Sichern",
    "View|Zeigen",
    "Edit|Ändern",
    "Copy|Kopie",
    "Move|Umlag.",
    "New|Neu",
    "Delete|Lösch.",
    "Menu|Menü",
    "Quit|Ende",
)
GROUPS = (
    "All|Alle",
    "Bearings|Lager",
    "Belts|Riemen",
    "Bolts|Bolzen",
    "Cables|Kabel",
    "Filters|Filter",
    "Motors|Motoren",
    "Oils|Öle",
    "Pumps|Pumpen",
    "Seals|Dichtungen",
    "Tools|Werkzeug",
    "Valves|Ventile",
)
ITEMS = (
    ("A10-2044", "Ball bearing 6204|Kugellager 6204", "240", "A-03"),
    ("A10-2046", "Ball bearing 6206|Kugellager 6206", "160", "A-03"),
    ("A11-0130", "Roller bearing NU206|Rollenlager NU206", "35", "A-04"),
    ("B02-1250", "V-belt SPA 1250|Keilriemen SPA 1250", "60", "B-11"),
    ("B02-1320", "V-belt SPA 1320|Keilriemen SPA 1320", "42", "B-11"),
    ("C44-0006", "Hex bolt M8x40|Bolzen M8x40", "2000", "C-01"),
    ("C44-0008", "Hex bolt M8x60|Bolzen M8x60", "1500", "C-01"),
    ("D07-3310", "Cable 3x1.5 grey|Kabel 3x1,5 grau", "850", "D-20"),
    ("E19-0042", "Oil filter W712|Ölfilter W712", "18", "E-02"),
    ("E19-0043", "Air filter C2512|Luftfilter C2512", "9", "E-02"),
    ("F31-0750", "Motor 0.75 kW|Motor 0,75 kW", "4", "F-01"),
    ("F31-1500", "Motor 1.5 kW|Motor 1,5 kW", "3", "F-01"),
    ("G05-0220", "Gear oil ISO 220|Getriebeöl ISO 220", "12", "G-07"),
    ("H12-0100", "Pump DN 100|Pumpe DN 100", "2", "H-01"),
    ("K20-0035", "Shaft seal 35x52|Wellendichtring 35x52", "75", "K-09"),
    ("M03-0013", "Torque wrench|Drehmomentschlüssel", "6", "M-15"),
    ("M03-0019", "Feeler gauge|Fühlerlehre", "11", "M-15"),
    ("N08-0500", "Ball valve 1/2|Kugelhahn 1/2", "64", "N-02"),
    ("N08-0750", "Ball valve 3/4|Kugelhahn 3/4", "51", "N-02"),
    ("P14-0001", "Safety gloves|Schutzhandschuhe", "150", "P-30"),
    ("P14-0007", "Safety goggles|Schutzbrille", "44", "P-30"),
    ("R02-0240", "Contactor 24 V|Schütz 24 V", "13", "R-06"),
)
FIELDS = (
    ("number", "Number|Nummer", "A10-2044"),
    ("text", "Text", "Ball bearing 6204|Kugellager 6204"),
    ("place", "Place|Lagerort", "A-03"),
    ("minimum", "Minimum", "100"),
    ("price", "Price|Preis", "3.45"),
    ("supplier", "Supplier|Lieferant", "Nordwerk"),
    ("counted", "Counted|Gezählt", "27.11.2026"),
    ("remark", "Remark|Bemerkung", ""),
)
BOXES = (
    ("blocked", "Blocked|Gesperrt", False),
    ("batch", "Batches|Chargen", True),
    ("imported", "Imported|Import", False),
)
BUTTONS = (("ok", "OK"), ("apply", "Apply|Übernehmen"), ("cancel", "Cancel|Abbrechen"), ("print", "Print|Drucken"))
# Foreground and background of bars, of fields, of what is selected, of the page.
LIGHT = {"bar": "30;46", "field": "30;47", "on": "97;44", "page": "30;107", "line": "34;107"}
DARK = {"bar": "30;42", "field": "97;100", "on": "30;103", "page": "37;40", "line": "32;40"}
ACCENT = {"bar": "97;45", "field": "30;47", "on": "97;41", "page": "30;107", "line": "35;107"}


class Sheet:
    """What stands where, in columns and rows; `spots` are the elements."""

    def __init__(self, options: Options) -> None:
        self.say = options.say
        self.columns = NARROW_COLUMNS if options.reflow else COLUMNS
        self.colours = DARK if options.dark else ACCENT if options.accent else LIGHT
        self.down = 1 if options.reflow else 0
        self.runs: list[tuple[int, int, str, str, str]] = []
        self.spots: list[tuple[str, str, str, int, int, int, bool]] = []
        self.captions: dict[str, str] = {}
        self._bars(options)
        self._groups()
        self._items()
        self._form()

    def put(self, row: int, column: int, text: str, colour: str, owner: str = "") -> None:
        """Write a text; `owner` is the element that it belongs to."""
        self.runs.append((row, column, text, self.colours[colour], owner))

    def spot(
        self,
        name: str,
        role: str,
        row: int,
        column: int,
        shown: str,
        colour: str,
        text: str = "",
        is_target: bool = True,
    ) -> None:
        """Write an element; `text` is what it says, `shown` with its brackets and blanks."""
        self.put(row, column, shown, colour, name)
        self.spots.append((name, role, text or shown.strip(), row, column, len(shown), is_target))

    def frame(self, row: int, column: int, height: int, width: int, title: str) -> None:
        """Draw a box of lines."""
        title = f" {self.say(title)} "
        top = "┌─" + title + "─" * (width - len(title) - 3) + "┐"
        self.put(row, column, top, "line")
        for line in range(1, height - 1):
            self.put(row + line, column, "│", "line")
            self.put(row + line, column + width - 1, "│", "line")
        self.put(row + height - 1, column, "└" + "─" * (width - 2) + "┘", "line")

    def _bars(self, options: Options) -> None:
        self.put(0, 0, " " * self.columns, "bar")
        column = 2
        for number, title in enumerate(MENUS):
            shown = f" {self.say(title)} "
            self.spot(f"menu-{number}", "menu_item", 0, column, shown, "bar")
            column += len(shown) + 2
        if options.reflow:
            text = self.say(" Stocktaking begins on Monday at 6 |  Inventur beginnt Montag um 6 ")
            self.put(1, 0, text.ljust(self.columns), "on")
        self.put(ROWS - 1, 0, " " * self.columns, "bar")
        for number, title in enumerate(KEYS):
            column = number * (self.columns // len(KEYS))
            self.put(ROWS - 1, column, f"{number + 1:2}", "page")
            self.spot(f"key-{number + 1}", "button", ROWS - 1, column + 2, f" {self.say(title)} ", "bar")

    def _groups(self) -> None:
        top = 2 + self.down
        self.frame(top, 1, ROWS - 4 - self.down, 22, "Groups|Gruppen")
        for number, title in enumerate(GROUPS):
            colour = "on" if number == 1 else "page"
            self.spot(f"group-{number}", "list_item", top + 2 + number, 3, f" {self.say(title)} ", colour)

    def _items(self) -> None:
        top = 2 + self.down
        width = self.columns - 26
        self.frame(top, 24, len(ITEMS) + 6, width, "Items|Artikel")
        heads = ((26, "Number|Nummer"), (38, "Text"), (68, "Qty|Menge"), (78, "Place|Lagerort"), (90, ""))
        for column, title in heads:
            self.put(top + 1, column, self.say(title), "line")
        for number, (code, text, quantity, place) in enumerate(ITEMS):
            row = top + 3 + number
            colour = "on" if number == 0 else "page"
            self.spot(f"code-{number}", "list_item", row, 26, code, colour, is_target=number % 3 == 0)
            self.spot(f"name-{number}", "list_item", row, 38, self.say(text), colour, is_target=number % 2 == 0)
            self.spot(
                f"quantity-{number}", "list_item", row, 74 - len(quantity), quantity, colour, is_target=number % 5 == 0
            )
            self.spot(f"place-{number}", "list_item", row, 78, place, colour, is_target=False)
            title = self.say("Open|Öffnen")
            self.spot(f"open-{number}", "button", row, 90, f"[{title}]", colour, title, is_target=number % 4 == 0)

    def _form(self) -> None:
        top = 9 + len(ITEMS) + self.down
        width = self.columns - 26
        self.frame(top, 24, ROWS - 2 - top, width, "Details")
        for number, (name, title, value) in enumerate(FIELDS):
            row, half = top + 2 + number // 2 * 2, number % 2
            column = 26 + half * (width // 2)
            self.put(row, column, self.say(title), "page")
            shown = self.say(value).ljust(28)
            self.spot(f"field-{name}", "field", row, column + 14, shown, "field", self.say(value))
            self.captions[f"field-{name}"] = self.say(title)
        column = 26
        for name, title, on in BOXES:
            shown = f"[{'x' if on else ' '}] {self.say(title)}"
            self.spot(f"box-{name}", "checkbox", top + 11, column, shown, "page", self.say(title))
            column += len(shown) + 4
        column = 26
        for name, title in BUTTONS:
            shown = f"< {self.say(title)} >"
            self.spot(f"button-{name}", "button", top + 13, column, shown, "bar", self.say(title))
            column += len(shown) + 3

    def drawn(self, hidden: Sequence[str]) -> str:
        """Return what a terminal is sent; what is hidden is as empty as the page."""
        page = self.colours["page"]
        lines = [f"\x1b[?25l\x1b[{page}m\x1b[2J"]
        for row, column, text, colour, owner in self.runs:
            is_bar = owner.startswith(("menu-", "key-"))
            look = (self.colours["bar"] if is_bar else page) if owner in hidden and owner else colour
            shown = " " * len(text) if owner in hidden and owner else text
            lines.append(f"\x1b[{row + 1};{column + 1}H\x1b[{look}m{shown}")
        return "".join(lines)


class Terminal:
    """xterm, and pipes to and from the program that draws in it."""

    def __init__(self, options: Options) -> None:
        self.sheet = Sheet(options)
        self.folder = pathlib.Path(options.folder)
        face = "Liberation Mono" if options.font else "DejaVu Sans Mono"
        for name in ("told", "done"):
            (self.folder / name).unlink(missing_ok=True)
            os.mkfifo(self.folder / name)
        size = f"{self.sheet.columns}x{ROWS}+0+0"
        settings = ["-fa", face, "-fs", str(POINTS * options.scale), "-geometry", size, "-b", "0", "+sb", "-bw", "0"]
        settings += ["-xrm", "xterm*allowWindowOps: true", "-xrm", "xterm*dynamicColors: true", "-u8", "-bc", "+bc"]
        program = pathlib.Path(__file__).with_name("xterm_drawing.py")
        drawer = [sys.executable, str(program), str(self.folder / "told"), str(self.folder / "done")]
        self.xterm = subprocess.Popen(["xterm", *settings, "-e", *drawer])
        self.told = (self.folder / "told").open("w", encoding="utf-8")
        self.done = (self.folder / "done").open(encoding="utf-8")
        self.cell = json.loads(self.done.readline())
        atexit.register(self._close)

    def _close(self) -> None:
        """End xterm before its display goes."""
        self.told.close()
        self.xterm.wait()

    def size(self) -> tuple[int, int]:
        """Width and height in physical pixels."""
        return self.sheet.columns * self.cell[0], ROWS * self.cell[1]

    def elements(self) -> list[dict[str, Any]]:
        """What stands in the cells."""
        width, height = self.cell
        told = []
        for name, role, text, row, column, length, is_target in self.sheet.spots:
            box = (column * width, row * height, length * width, height)
            told.append(entry(name, role, text, box, label=self.sheet.captions.get(name, ""), is_target=is_target))
        loose = [run for run in self.sheet.runs if not run[4] and any(letter.isalnum() for letter in run[2])]
        for number, (row, column, text, _, _) in enumerate(loose):
            start = len(text) - len(text.lstrip(" ┌─"))
            shown = text.strip(" ┌─┐")
            box = ((column + start) * width, row * height, len(shown) * width, height)
            told.append(entry(f"text-{number}", "text", shown, box, is_target=False))
        return told

    def hide(self, ids: Sequence[str]) -> None:
        """Draw all but these."""
        self.told.write(json.dumps(self.sheet.drawn(ids)) + "\n")
        self.told.flush()
        self.done.readline()

    def picture(self) -> None:
        """Leave it to the renderer."""


if __name__ == "__main__":
    serve(Terminal)
