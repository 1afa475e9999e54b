"""An order desk in classic Tk, as Motif looked: no ttk, raised buttons, list boxes, scales."""

import tkinter as tk
from collections.abc import Sequence
from tkinter import font as tkfont
from typing import Any

from serving import Options, entry, serve
from tk_common import Area, Page

WIDTH, HEIGHT, NARROW_WIDTH = 1600, 1000, 1420
# Of the list of orders.
SELECTED = 6
MENUS = ("Orders|Aufträge", "Customers|Kunden", "Stock|Lager", "Print|Drucken", "Options|Optionen", "Help|Hilfe")
ORDERS = (
    "10442  Albrecht & Sons|10442  Albrecht & Söhne",
    "10443  Bakery Moser|10443  Bäckerei Moser",
    "10444  City of Trier|10444  Stadt Trier",
    "10445  Dental Lab Prinz|10445  Dentallabor Prinz",
    "10446  Eifel Timber|10446  Eifel-Holz",
    "10447  Farm shop Wolf|10447  Hofladen Wolf",
    "10448  Garage Schmitt|10448  Garage Schmitt",
    "10449  Garage Schmidt|10449  Garage Schmidt",
    "10450  Hotel Porta|10450  Hotel Porta",
    "10451  Ink & Paper|10451  Tinte & Papier",
    "10452  Joinery Thul|10452  Schreinerei Thul",
    "10453  Kindergarten Mosel|10453  Kindergarten Mosel",
    "10454  Lux Transport|10454  Lux Transport",
    "10455  Museum shop|10455  Museumsladen",
    "10456  Nursery Heck|10456  Gärtnerei Heck",
    "10457  Optics Diehl|10457  Optik Diehl",
    "10458  Print shop Zell|10458  Druckerei Zell",
    "10459  Riding club|10459  Reitverein",
)
FIELDS = (
    ("customer", "Customer|Kunde", "Garage Schmitt"),
    ("street", "Street|Straße", "Zurmaiener Str. 114"),
    ("city", "City|Ort", "54292 Trier"),
    ("phone", "Phone|Telefon", "0651 8841"),
    ("order", "Order no.|Auftrag", "10448"),
    ("date", "Date|Datum", "27.11.2026"),
    ("delivery", "Delivery|Lieferung", "04.12.2026"),
    ("clerk", "Clerk|Bearbeiter", "M. Faber"),
    ("discount", "Discount %|Rabatt %", "3"),
    ("project", "Project|Projekt", ""),
)
LINES = (
    ("4401", "Brake pad set, front|Bremsbelagsatz vorn", "2", "48.90"),
    ("4402", "Brake pad set, rear|Bremsbelagsatz hinten", "2", "39.50"),
    ("5120", "Oil filter|Ölfilter", "12", "8.20"),
    ("5121", "Air filter|Luftfilter", "6", "14.75"),
    ("6008", "Wiper blade 600 mm|Wischerblatt 600 mm", "8", "11.30"),
    ("6010", "Wiper blade 650 mm|Wischerblatt 650 mm", "8", "12.10"),
    ("7733", "Battery 70 Ah|Batterie 70 Ah", "1", "104.00"),
    ("7790", "Bulb H7|Lampe H7", "20", "6.40"),
)
HEADS = ("Article|Artikel", "Text", "Qty|Menge", "Price|Preis", "", "")
OPTIONS = (
    ("urgent", "Urgent|Eilig", False),
    ("partial", "Partial delivery|Teillieferung", True),
    ("pickup", "Customer collects|Abholung", False),
    ("insured", "Insured|Versichert", True),
    ("export", "Export", False),
)


class Orders(Page):
    """The window."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, (NARROW_WIDTH if options.reflow else WIDTH, HEIGHT))
        self._dress()
        self._lay_out()
        self.root.update()

    def _dress(self) -> None:
        face = "DejaVu Sans" if self.options.font else "Liberation Sans"
        for name in ("TkDefaultFont", "TkTextFont", "TkMenuFont", "TkFixedFont"):
            tkfont.nametofont(name).configure(family=face, size=10, weight="normal")
        self.back = "#3b4045" if self.options.dark else "#cfcfc4" if self.options.accent else "#d9d9d9"
        self.ink = "#ececec" if self.options.dark else "#000000"
        self.field = "#24272a" if self.options.dark else "#ffffff"
        self.root.tk_setPalette(background=self.back, foreground=self.ink)
        self.root.option_add("*Entry.background", self.field)
        self.root.option_add("*Listbox.background", self.field)
        self.root.option_add("*Text.background", self.field)
        self.root.option_add("*selectColor", "#7a1f1f" if self.options.accent else self.field)
        self.root.option_add(
            "*Button.background", "#c9b48a" if self.options.accent and not self.options.dark else self.back
        )
        self.root.option_add("*font", "TkDefaultFont")

    def _button(self, inside: tk.Misc, element_id: str, title: str) -> Any:
        text = self.say(title)
        return self.name(tk.Button(inside, text=text, padx=self.px(8), pady=self.px(2)), element_id, "button", text)

    def _lay_out(self) -> None:
        bar = tk.Frame(self.root, relief="raised", borderwidth=2)
        bar.pack(fill="x")
        for number, title in enumerate(MENUS):
            text = self.say(title)
            item = tk.Label(bar, text=text, padx=self.px(10), pady=self.px(3))
            self.name(item, f"menu-{number}", "menu_item", text).pack(side="left")
        if self.options.reflow:
            text = self.say("Prices change on 1 December.|Am 1. Dezember ändern sich die Preise.")
            tk.Label(self.root, text=text, background="#ffdf80", foreground="#222222").pack(fill="x", ipady=self.px(7))
        body = tk.Frame(self.root)
        body.pack(fill="both", expand=True, padx=self.px(8), pady=self.px(6))
        self._list(body)
        right = tk.Frame(body)
        right.pack(side="left", fill="both", expand=True, padx=(self.px(10), 0))
        self._form(right)
        self._choices(right)
        self._lines(right)
        self._notes(right)
        self._ends(right)

    def _list(self, body: tk.Frame) -> None:
        left = tk.Frame(body)
        left.pack(side="left", fill="y")
        tk.Label(left, text=self.say("Open orders|Offene Aufträge"), anchor="w").pack(fill="x")
        self.orders = tk.Listbox(left, width=32, activestyle="none", exportselection=False)
        for line in ORDERS:
            self.orders.insert("end", self.say(line))
        self.orders.selection_set(SELECTED)
        self.orders.pack(fill="both", expand=True)
        row = tk.Frame(left)
        row.pack(fill="x", pady=self.px(5))
        for element_id, title in (("first", "|<"), ("previous", "<"), ("next", ">"), ("last", ">|")):
            button = tk.Button(row, text=title, width=3)
            self.name(button, element_id, "button", title).pack(side="left", padx=self.px(2))
        self._button(row, "find", "Find...|Suchen...").pack(side="right")

    def _form(self, right: tk.Frame) -> None:
        frame = tk.LabelFrame(right, text=self.say("Order|Auftrag"), padx=self.px(8), pady=self.px(6))
        frame.pack(fill="x")
        for number, (element_id, title, value) in enumerate(FIELDS):
            row, column = divmod(number, 2)
            tk.Label(frame, text=self.say(title), anchor="e").grid(
                row=row, column=column * 3, sticky="e", padx=self.px(4)
            )
            field = tk.Entry(frame, width=30)
            field.insert(0, value)
            self.name(field, element_id, "field", value, self.say(title))
            field.grid(row=row, column=column * 3 + 1, sticky="ew", pady=self.px(2))
            frame.columnconfigure(column * 3 + 1, weight=1)
            if element_id in ("customer", "date", "delivery", "clerk"):
                button = tk.Button(frame, text="...", pady=0)
                self.name(button, f"{element_id}-pick", "button", "...").grid(row=row, column=column * 3 + 2)

    def _choices(self, right: tk.Frame) -> None:
        row = tk.Frame(right)
        row.pack(fill="x", pady=self.px(6))
        self.states = {}
        for element_id, title, on in OPTIONS:
            text = self.say(title)
            self.states[element_id] = tk.BooleanVar(value=on)
            box = tk.Checkbutton(row, text=text, variable=self.states[element_id])
            self.name(box, element_id, "checkbox", text).pack(side="left", padx=(0, self.px(6)))
        self.way = tk.StringVar(value="van")
        for value, title in (("post", "Post"), ("van", "Van|Wagen"), ("rail", "Rail|Bahn")):
            text = self.say(title)
            dot = tk.Radiobutton(row, text=text, value=value, variable=self.way)
            self.name(dot, f"way-{value}", "radio", text).pack(side="left")
        text = self.say("30 days net|30 Tage netto")
        self.terms = tk.StringVar(value=text)
        menu = tk.OptionMenu(row, self.terms, text)
        self.name(menu, "terms", "dropdown", text).pack(side="right")
        tk.Label(row, text=self.say("Terms|Zahlung")).pack(side="right")

    def _lines(self, right: tk.Frame) -> None:
        frame = tk.LabelFrame(right, text=self.say("Lines|Positionen"), padx=self.px(8), pady=self.px(6))
        frame.pack(fill="x")
        for column, title in enumerate(HEADS):
            tk.Label(frame, text=self.say(title), anchor="w").grid(row=0, column=column, sticky="w")
        for row, line in enumerate(LINES, 1):
            for column, (width, value) in enumerate(zip((9, 44, 7, 10), line, strict=True)):
                field = tk.Entry(frame, width=width, justify="right" if column > 1 else "left")
                field.insert(0, self.say(value))
                self.name(field, f"line-{row}-{column}", "field", self.say(value))
                field.grid(row=row, column=column, sticky="ew", padx=self.px(1), pady=self.px(1))
            for column, (element_id, title) in enumerate((("edit", "Edit|Ändern"), ("drop", "X")), 4):
                text = self.say(title)
                button = tk.Button(frame, text=text, pady=0, padx=self.px(6))
                self.name(button, f"line-{row}-{element_id}", "button", text).grid(
                    row=row, column=column, padx=self.px(2)
                )
        frame.columnconfigure(1, weight=1)

    def _notes(self, right: tk.Frame) -> None:
        row = tk.Frame(right)
        row.pack(fill="both", expand=True, pady=self.px(6))
        for element_id, title, value in (
            ("note-order", "Note on the order|Auftragsnotiz", "Ring before delivery.|Vor Lieferung anrufen."),
            ("note-internal", "Internal|Intern", "Pays late.|Zahlt spät."),
        ):
            frame = tk.LabelFrame(row, text=self.say(title), padx=self.px(6), pady=self.px(4))
            frame.pack(side="left", fill="both", expand=True)
            note = tk.Text(frame, width=30, height=4)
            note.insert("1.0", self.say(value))
            self.name(note, element_id, "field", self.say(value), self.say(title)).pack(fill="both", expand=True)
        frame = tk.LabelFrame(row, text=self.say("Priority|Vorrang"), padx=self.px(6))
        frame.pack(side="left", fill="y")
        scale = tk.Scale(frame, from_=1, to=9, orient="horizontal", length=self.px(150))
        scale.set(4)
        self.name(scale, "priority", "field", "4", self.say("Priority|Vorrang")).pack()
        self._button(frame, "priority-reset", "Reset|Zurück").pack(pady=self.px(4))

    def _ends(self, right: tk.Frame) -> None:
        row = tk.Frame(right)
        row.pack(fill="x")
        for element_id, title in (
            ("save", "Save|Speichern"),
            ("confirm", "Confirm|Bestätigen"),
            ("invoice", "Invoice|Rechnung"),
            ("copy", "Copy|Kopieren"),
            ("cancel", "Cancel order|Stornieren"),
        ):
            self._button(row, element_id, title).pack(side="left", padx=(0, self.px(6)))
        self._button(row, "close", "Close|Schließen").pack(side="right")
        tk.Label(row, text=self.say("Total 733.55 EUR|Summe 733,55 EUR")).pack(side="right", padx=self.px(20))

    def is_target(self, element_id: str) -> bool:
        """Let two of three lines of the form be bystanders."""
        kind, _, rest = element_id.partition("-")
        return kind != "line" or int(rest[0]) % 3 == 1

    def parts(self) -> list[dict[str, Any]]:
        """Return the lines of the list."""
        told = []
        for number in range(self.orders.size()):
            text = str(self.orders.get(number))
            box = self._line_box(number)
            click = [box[0] + tkfont.nametofont("TkDefaultFont").measure(text) // 2, box[1] + box[3] // 2]
            told.append(entry(f"listed-{number}", "list_item", text, box, click=click))
        return told

    def _line_box(self, number: int) -> Area:
        area = self.orders.bbox(number)
        if area is None:
            raise ValueError(f"line {number} of the list is out of view")
        left, top, width, height = area
        return self.orders.winfo_rootx() + left, self.orders.winfo_rooty() + top, width, height

    def hide_parts(self, ids: Sequence[str]) -> None:
        """Empty lines of the list."""
        for number, line in enumerate(ORDERS):
            wanted = "" if f"listed-{number}" in ids else self.say(line)
            if self.orders.get(number) != wanted:
                self.orders.delete(number)
                self.orders.insert(number, wanted)
        # A line that was put back is not selected.
        self.orders.selection_set(SELECTED)


if __name__ == "__main__":
    serve(Orders)
