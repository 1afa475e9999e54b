"""A practice's desk in Tk: ttk's clam theme, a patient list, a form, appointments and a notebook."""

import tkinter as tk
from collections.abc import Sequence
from tkinter import font as tkfont
from tkinter import ttk
from typing import Any

from clinic_records import FIELDS, HEADS, PATIENTS, VISITS
from serving import Options, entry, serve
from tk_common import Area, Page

WIDTH, HEIGHT, NARROW_WIDTH = 1640, 1020, 1430


class Clinic(Page):
    """The window."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, (NARROW_WIDTH if options.reflow else WIDTH, HEIGHT))
        self.cells: dict[str, tuple[ttk.Treeview, str, int, str]] = {}
        self._dress()
        self._lay_out()
        self.root.update()

    def _dress(self) -> None:
        dark, accent = self.options.dark, self.options.accent
        self.back, self.ink = ("#33363b", "#e6e6e6") if dark else ("#dcdad5", "#1a1a1a")
        self.field = "#26282c" if dark else "#ffffff"
        face = "Liberation Sans" if self.options.font else "DejaVu Sans"
        for name in ("TkDefaultFont", "TkTextFont", "TkHeadingFont", "TkMenuFont"):
            tkfont.nametofont(name).configure(family=face, size=10 if self.options.font else 9)
        self.root.configure(background=self.back)
        style = ttk.Style(self.root)
        style.theme_use("clam")
        style.configure(".", background=self.back, foreground=self.ink, fieldbackground=self.field)
        style.configure("TButton", padding=self.px(3), background="#b9cfc0" if accent else self.back)
        style.configure("Treeview", rowheight=self.px(22), background=self.field, fieldbackground=self.field)
        style.configure("Treeview.Heading", background="#9fb8a7" if accent else self.back, padding=self.px(2))
        style.map("Treeview", background=[("selected", "#2e7d4f" if accent else "#4a6984")])
        style.configure("TNotebook.Tab", padding=(self.px(10), self.px(3)))
        if dark:
            style.configure(".", bordercolor="#585c63", lightcolor="#44484e", darkcolor="#2a2c30")
            for name in ("TButton", "TCheckbutton", "TRadiobutton", "TNotebook.Tab"):
                style.map(name, background=[("selected", "#44484e"), ("!selected", "#3a3d43")])

    def _lay_out(self) -> None:
        self._menu()
        if self.options.reflow:
            text = self.say(
                "The card reader is offline. Cards are read again later.|Kartenleser offline: später einlesen."
            )
            bar = tk.Label(self.root, text=text, background="#f3d36b", foreground="#222222", anchor="w")
            bar.pack(fill="x", ipady=self.px(6), ipadx=self.px(8))
        body = ttk.Frame(self.root, padding=self.px(6))
        body.pack(fill="both", expand=True)
        self._patients(body)
        right = ttk.Frame(body)
        right.pack(side="left", fill="both", expand=True, padx=(self.px(8), 0))
        self._tabs(right)
        self._form(right)
        self._visits(right)
        self._note(right)

    def _menu(self) -> None:
        bar = ttk.Frame(self.root)
        bar.pack(fill="x")
        names = (
            "Practice|Praxis",
            "Patient",
            "Visit|Termin",
            "Billing|Abrechnung",
            "Reports|Berichte",
            "Window|Fenster",
        )
        for number, title in enumerate((*names, "Help|Hilfe")):
            text = self.say(title)
            item = tk.Label(bar, text=text, background=self.back, foreground=self.ink, padx=self.px(9), pady=self.px(4))
            item.pack(side="left")
            self.name(item, f"menu-{number}", "menu_item", text)
        tools = ttk.Frame(self.root, padding=(self.px(6), 0))
        tools.pack(fill="x")
        for element_id, title in (
            ("new", "New patient|Neuer Patient"),
            ("card", "Read card|Karte lesen"),
            ("label", "Print label|Etikett"),
            ("wait", "To waiting room|Wartezimmer"),
            ("recipe", "Prescription|Rezept"),
            ("letter", "Letter|Brief"),
            ("lock", "Lock|Sperren"),
        ):
            self._button(tools, element_id, title).pack(side="left", padx=self.px(2), pady=self.px(3))

    def _button(self, inside: tk.Misc, element_id: str, title: str) -> ttk.Button:
        text = self.say(title)
        button = ttk.Button(inside, text=text)
        self.name(button, element_id, "button", text)
        return button

    def _entry(self, inside: tk.Misc, element_id: str, title: str, value: str, width: int = 20) -> ttk.Entry:
        box = ttk.Entry(inside, width=width)
        box.insert(0, self.say(value))
        self.name(box, element_id, "field", self.say(value), self.say(title))
        return box

    def _patients(self, body: ttk.Frame) -> None:
        left = ttk.Frame(body)
        left.pack(side="left", fill="y")
        seek = ttk.Frame(left)
        seek.pack(fill="x", pady=(0, self.px(4)))
        self._entry(seek, "find", "Find patient|Patient suchen", "").pack(side="left", fill="x", expand=True)
        self._button(seek, "find-go", "Find|Suchen").pack(side="left", padx=(self.px(3), 0))
        heads = ("Name", "Born|Geboren", "Group|Gruppe")
        self.people = self._table(left, "person", heads, PATIENTS, (170, 90, 60), 34)
        self.people.pack(fill="both", expand=True)
        ends = ttk.Frame(left)
        ends.pack(fill="x", pady=(self.px(4), 0))
        for element_id, title in (("add", "Add|Neu"), ("merge", "Merge|Vereinen"), ("delete", "Delete|Löschen")):
            self._button(ends, element_id, title).pack(side="left", padx=(0, self.px(3)))

    def _table(
        self,
        inside: tk.Misc,
        prefix: str,
        heads: Sequence[str],
        lines: Sequence[Sequence[str]],
        widths: Sequence[int],
        height: int,
    ) -> ttk.Treeview:
        table = ttk.Treeview(inside, columns=[str(n) for n in range(len(heads))], show="headings", height=height)
        for number, (head, width) in enumerate(zip(heads, widths, strict=True)):
            table.heading(str(number), text=self.say(head), anchor="w")
            table.column(str(number), width=self.px(width), anchor="w", stretch=number == len(heads) - 1)
        for row, line in enumerate(lines):
            shown = [self.say(cell) for cell in line]
            table.insert("", "end", iid=str(row), values=shown)
            for column, text in enumerate(shown):
                self.cells[f"{prefix}-{row}-{column}"] = (table, str(row), column, text)
        return table

    def _tabs(self, right: ttk.Frame) -> None:
        self.book = ttk.Notebook(right, height=1)
        self.book.pack(fill="x")
        self.tabs = [
            self.say(title)
            for title in (
                "Person",
                "Insurance|Kasse",
                "History|Verlauf",
                "Findings|Befunde",
                "Letters|Briefe",
                "Bills|Rechnungen",
            )
        ]
        for title in self.tabs:
            self.book.add(ttk.Frame(self.book, height=1), text=title)

    def _form(self, right: ttk.Frame) -> None:
        frame = ttk.LabelFrame(right, text=self.say("Patient data|Patientendaten"), padding=self.px(8))
        frame.pack(fill="x", pady=self.px(6))
        for number, (element_id, title, value) in enumerate(FIELDS):
            row, column = divmod(number, 3)
            ttk.Label(frame, text=self.say(title)).grid(row=row, column=column * 2, sticky="e", padx=self.px(5))
            box = self._entry(frame, element_id, title, value, 26)
            box.grid(row=row, column=column * 2 + 1, sticky="ew", pady=self.px(3))
            frame.columnconfigure(column * 2 + 1, weight=1)
        choices = ttk.Frame(frame)
        choices.grid(row=9, column=0, columnspan=6, sticky="ew", pady=(self.px(8), 0))
        self._choices(choices)

    def _choices(self, inside: ttk.Frame) -> None:
        for element_id, title, on in (
            ("private", "Private patient|Privatpatient", False),
            ("consent", "Consent signed|Einwilligung", True),
            ("remind", "Remind by text|SMS-Erinnerung", True),
            ("blocked", "Blocked|Gesperrt", False),
        ):
            text = self.say(title)
            box = ttk.Checkbutton(inside, text=text)
            box.state(["!alternate", "selected" if on else "!selected"])
            box.pack(side="left", padx=(0, self.px(12)))
            self.name(box, element_id, "checkbox", text)
        self.sex = tk.StringVar(value="m")
        for value, title in (("f", "Female|Weiblich"), ("m", "Male|Männlich"), ("d", "Other|Divers")):
            text = self.say(title)
            dot = ttk.Radiobutton(inside, text=text, value=value, variable=self.sex)
            dot.pack(side="left", padx=(0, self.px(8)))
            self.name(dot, f"sex-{value}", "radio", text)
        for element_id, title in (("save", "Save|Speichern"), ("undo", "Undo|Zurück"), ("copy", "Copy|Kopieren")):
            self._button(inside, element_id, title).pack(side="right", padx=(self.px(4), 0))

    def _visits(self, right: ttk.Frame) -> None:
        frame = ttk.LabelFrame(right, text=self.say("Visits|Termine"), padding=self.px(8))
        frame.pack(fill="x")
        self.calls = self._table(frame, "visit", HEADS, VISITS, (110, 80, 220, 160, 120), len(VISITS))
        self.calls.pack(fill="x")
        row = ttk.Frame(frame)
        row.pack(fill="x", pady=(self.px(6), 0))
        for element_id, title in (("book", "Book|Buchen"), ("move", "Move|Verlegen"), ("cancel", "Cancel|Absagen")):
            self._button(row, element_id, title).pack(side="left", padx=(0, self.px(4)))
        room = ttk.Combobox(row, values=[self.say("Room 1|Zimmer 1")], width=14)
        room.current(0)
        room.pack(side="right")
        self.name(room, "room", "dropdown", self.say("Room 1|Zimmer 1"))
        ttk.Label(row, text=self.say("Room|Zimmer")).pack(side="right", padx=self.px(5))

    def _note(self, right: ttk.Frame) -> None:
        frame = ttk.LabelFrame(right, text=self.say("Note|Notiz"), padding=self.px(8))
        frame.pack(fill="both", expand=True, pady=(self.px(6), 0))
        note = tk.Text(frame, height=4, background=self.field, foreground=self.ink, relief="sunken", borderwidth=1)
        text = self.say("Comes by bus, prefers mornings.|Kommt mit dem Bus, lieber vormittags.")
        note.insert("1.0", text)
        row = ttk.Frame(frame)
        row.pack(side="bottom", fill="x", pady=(self.px(6), 0))
        note.pack(fill="both", expand=True)
        self.name(note, "note", "field", text)
        for element_id, title in (
            ("note-save", "Save|Speichern"),
            ("note-undo", "Undo|Zurück"),
            ("note-print", "Print|Drucken"),
        ):
            self._button(row, element_id, title).pack(side="right", padx=(self.px(4), 0))

    def parts(self) -> list[dict[str, Any]]:
        """Return tabs and cells."""
        told = [entry(f"tab-{number}", "tab", title, self._tab_box(number)) for number, title in enumerate(self.tabs)]
        for number, (element_id, cell) in enumerate(self.cells.items()):
            told.append(self._cell(element_id, cell, is_target=number % 7 == 0))
        return told

    def _cell(self, element_id: str, cell: tuple[ttk.Treeview, str, int, str], *, is_target: bool) -> dict[str, Any]:
        table, row, column, text = cell
        area = table.bbox(row, str(column))
        if isinstance(area, str):
            raise TypeError(f"{element_id} is out of view")
        left, top, width, height = area
        box = (table.winfo_rootx() + left, table.winfo_rooty() + top, width, height)
        half_text = tkfont.nametofont("TkDefaultFont").measure(text) // 2 + self.px(4)
        click = [box[0] + half_text, box[1] + height // 2]
        return entry(element_id, "list_item", text, box, click=click, is_target=is_target)

    def _tab_box(self, number: int) -> Area:
        """Ask the notebook, pixel by pixel, where a tab is: it tells in no other way."""
        book = self.book

        def is_tab(x: int, y: int) -> bool:
            return bool(book.tk.call(book, "index", f"@{x},{y}") == number)

        columns = [x for x in range(book.winfo_width()) if is_tab(x, self.px(12))]
        x = (columns[0] + columns[-1]) // 2
        rows = [y for y in range(book.winfo_height()) if is_tab(x, y)]
        left, top = book.winfo_rootx() + columns[0], book.winfo_rooty() + rows[0]
        return left, top, columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1

    def hide_parts(self, ids: Sequence[str]) -> None:
        """Cover tabs, and empty cells."""
        for number in range(len(self.tabs)):
            if f"tab-{number}" in ids:
                self.cover(self._tab_box(number))
        for element_id, (table, row, column, text) in self.cells.items():
            wanted = "" if element_id in ids else text
            if table.set(row, str(column)) != wanted:
                table.set(row, str(column), wanted)


if __name__ == "__main__":
    serve(Clinic)
