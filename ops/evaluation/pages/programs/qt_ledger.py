"""A ledger in Qt's Fusion style: menu, tool bar, tree, tabs, a form and a table."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QFont
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QCheckBox,
    QComboBox,
    QDateEdit,
    QDoubleSpinBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenuBar,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QStyle,
    QTabBar,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from qt_common import Page, dark_or_light, run
from serving import Options

WIDTH, HEIGHT, NARROW_WIDTH = 1600, 1000, 1380
ACCOUNTS = (
    ("Assets|Aktiva", ("Cash|Kasse", "Bank", "Receivables|Forderungen", "Inventory|Vorräte", "Machines|Maschinen")),
    ("Liabilities|Passiva", ("Payables|Verbindlichkeiten", "Loans|Darlehen", "Tax|Steuern", "Equity|Eigenkapital")),
    ("Income|Erträge", ("Sales|Verkauf", "Services|Leistungen", "Interest|Zinsen", "Other|Sonstige")),
    ("Expenses|Aufwand", ("Wages|Löhne", "Rent|Miete", "Energy|Energie", "Travel|Reisen", "Other|Sonstige")),
)
TOOLS = (
    ("new", "SP_FileIcon"),
    ("open", "SP_DirOpenIcon"),
    ("save", "SP_DialogSaveButton"),
    ("undo", "SP_ArrowBack"),
    ("redo", "SP_ArrowForward"),
    ("up", "SP_ArrowUp"),
    ("reload", "SP_BrowserReload"),
    ("stop", "SP_BrowserStop"),
    ("apply", "SP_DialogApplyButton"),
    ("drop", "SP_DialogCancelButton"),
    ("trash", "SP_TrashIcon"),
    ("computer", "SP_ComputerIcon"),
    ("drive", "SP_DriveHDIcon"),
    ("help", "SP_DialogHelpButton"),
)
HEADS = ("Date|Datum", "Voucher|Beleg", "Text", "Account|Konto", "Debit|Soll", "Credit|Haben", "Balance|Saldo", "User")
LINES = (
    ("Opening balance|Anfangsbestand", "Bank"),
    ("Office chairs|Bürostühle", "Inventory|Vorräte"),
    ("Rent November|Miete November", "Rent|Miete"),
    ("Invoice 20418|Rechnung 20418", "Receivables|Forderungen"),
    ("Invoice 20419|Rechnung 20419", "Receivables|Forderungen"),
    ("Train tickets|Fahrkarten", "Travel|Reisen"),
    ("Wages October|Löhne Oktober", "Wages|Löhne"),
    ("Loan instalment|Darlehensrate", "Loans|Darlehen"),
    ("Electricity|Strom", "Energy|Energie"),
    ("Coffee machine|Kaffeemaschine", "Machines|Maschinen"),
    ("Interest|Zinsen", "Interest|Zinsen"),
    ("Invoice 20420|Rechnung 20420", "Receivables|Forderungen"),
    ("Refund|Erstattung", "Other|Sonstige"),
    ("Stamps|Briefmarken", "Other|Sonstige"),
    ("Cash sale|Barverkauf", "Cash|Kasse"),
    ("Cash sale|Barverkauf", "Cash|Kasse"),
    ("Advance for trip to Lyon|Vorschuss Reise Lyon", "Travel|Reisen"),
    ("VAT prepayment|Umsatzsteuer-Vorauszahlung", "Tax|Steuern"),
    ("Invoice 20421|Rechnung 20421", "Receivables|Forderungen"),
    ("Gas and heating|Gas und Heizung", "Energy|Energie"),
    ("Paper and toner|Papier und Toner", "Other|Sonstige"),
    ("Consulting, October|Beratung, Oktober", "Services|Leistungen"),
    ("Supplier Nordwerk|Lieferant Nordwerk", "Payables|Verbindlichkeiten"),
    ("Repair of the press|Reparatur der Presse", "Machines|Maschinen"),
    ("Dividend|Dividende", "Equity|Eigenkapital"),
    ("Closing entry|Abschlussbuchung", "Bank"),
)


class Ledger(Page):
    """The window."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, (NARROW_WIDTH if options.reflow else WIDTH, HEIGHT))
        self.menus, self.tabs = QMenuBar(), QTabBar()
        self.bars = [self.menus, self.tabs]
        self._lay_out()
        self.present()

    def _lay_out(self) -> None:
        whole = QVBoxLayout(self.window)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(4)
        names = (
            "File|Datei",
            "Edit|Bearbeiten",
            "View|Ansicht",
            "Booking|Buchung",
            "Reports|Berichte",
            "Window|Fenster",
        )
        for name in (*names, "Help|Hilfe"):
            self.menus.addAction(QAction(self.say(name), self.window))
        whole.addWidget(self.menus)
        whole.addLayout(self._tool_bar())
        if self.options.reflow:
            notice = QLabel(self.say("A backup has not been made for 12 days.|Seit 12 Tagen keine Sicherung."))
            notice.setStyleSheet("background: #f6d55c; color: #222; padding: 8px;")
            whole.addWidget(notice)
        middle = QHBoxLayout()
        middle.setContentsMargins(6, 0, 6, 0)
        middle.addWidget(self._tree())
        middle.addLayout(self._right(), 1)
        whole.addLayout(middle, 1)
        whole.addLayout(self._bottom())

    def _tool_bar(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(6, 0, 6, 0)
        row.setSpacing(3)
        for name, icon in TOOLS:
            button = QToolButton()
            button.setIcon(self.window.style().standardIcon(getattr(QStyle.StandardPixmap, icon)))
            button.setAutoRaise(True)
            row.addWidget(self.name(button, f"tool-{name}", "icon", name))
        row.addSpacing(20)
        row.addWidget(QLabel(self.say("Period|Periode")))
        period = QComboBox()
        period.addItems(["11 / 2026"])
        row.addWidget(self.name(period, "period", "dropdown"))
        search = QLineEdit()
        search.setPlaceholderText(self.say("Search bookings|Buchungen suchen"))
        row.addWidget(self.name(search, "search", "field"))
        row.addWidget(self.name(QPushButton(self.say("Search|Suchen")), "search-go", "button"))
        return row

    def _tree(self) -> QTreeWidget:
        self.tree = QTreeWidget()
        self.tree.setFixedWidth(230)
        self.tree.setHeaderLabels([self.say("Accounts|Konten")])
        for group, (title, children) in enumerate(ACCOUNTS):
            branch = QTreeWidgetItem([self.say(title)])
            self.branches[f"account-{group}"] = (self.tree, branch)
            self.tree.addTopLevelItem(branch)
            for number, child in enumerate(children):
                leaf = QTreeWidgetItem([self.say(child)])
                self.branches[f"account-{group}-{number}"] = (self.tree, leaf)
                branch.addChild(leaf)
        self.tree.expandAll()
        return self.tree

    def _right(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(6)
        for title in (
            "Bookings|Buchungen",
            "Open items|Offene Posten",
            "Budget|Plan",
            "Documents|Belege",
            "Notes|Notizen",
        ):
            self.tabs.addTab(self.say(title))
        column.addWidget(self.tabs)
        column.addWidget(self._form())
        column.addWidget(self._table(), 1)
        return column

    def _form(self) -> QGroupBox:
        box = QGroupBox(self.say("New booking|Neue Buchung"))
        grid = QGridLayout(box)
        date, amount, voucher = QDateEdit(), QDoubleSpinBox(), QLineEdit("B-2204")
        amount.setMaximum(99999)
        amount.setValue(1284.5)
        debit, credit, tax = QComboBox(), QComboBox(), QComboBox()
        debit.addItem(self.say("Bank"))
        credit.addItem(self.say("Receivables|Forderungen"))
        tax.addItem("19 %")
        text, cost = QLineEdit(self.say("Invoice 20421|Rechnung 20421")), QLineEdit()
        fields = (
            ("date", "Date|Datum", date, "field"),
            ("voucher", "Voucher|Beleg", voucher, "field"),
            ("debit", "Debit|Soll", debit, "dropdown"),
            ("credit", "Credit|Haben", credit, "dropdown"),
            ("amount", "Amount|Betrag", amount, "field"),
            ("tax", "Tax|Steuer", tax, "dropdown"),
            ("text", "Text", text, "field"),
            ("cost", "Cost centre|Kostenstelle", cost, "field"),
        )
        for number, (name, title, widget, role) in enumerate(fields):
            row, column = divmod(number, 4)
            grid.addWidget(QLabel(self.say(title)), row, column * 2)
            grid.addWidget(self.name(widget, name, role, self.say(title)), row, column * 2 + 1)
        grid.addLayout(self._choices(), 2, 0, 1, 8)
        return box

    def _choices(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for name, title in (
            ("recurring", "Recurring|Wiederkehrend"),
            ("paid", "Paid|Bezahlt"),
            ("locked", "Locked|Gesperrt"),
        ):
            row.addWidget(self.name(QCheckBox(self.say(title)), name, "checkbox"))
        for number, title in enumerate(("Gross|Brutto", "Net|Netto")):
            button = QRadioButton(self.say(title))
            button.setChecked(number == 0)
            row.addWidget(self.name(button, title.partition("|")[0].lower(), "radio"))
        row.addStretch(1)
        for name, title in (
            ("clear", "Clear|Leeren"),
            ("template", "As template|Als Vorlage"),
            ("book", "Book|Buchen"),
        ):
            row.addWidget(self.name(QPushButton(self.say(title)), name, "button"))
        return row

    def _table(self) -> QTableWidget:
        self.table = QTableWidget(len(LINES), len(HEADS))
        self.table.setHorizontalHeaderLabels([self.say(head) for head in HEADS])
        self.table.setAlternatingRowColors(True)
        self.table.verticalHeader().setDefaultSectionSize(26)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        balance = 18200.0
        for row, (text, account) in enumerate(LINES):
            amount = round(40 + (row * 7919) % 2300 + row * 0.35, 2)
            is_credit = row % 3 == 1
            balance += amount if is_credit else -amount
            sums = ("", f"{amount:,.2f}") if is_credit else (f"{amount:,.2f}", "")
            user = ("hm", "ks", "ab")[row % 3]
            line = (
                f"{1 + row:02}.11.2026",
                f"B-{2180 + row}",
                self.say(text),
                self.say(account),
                *sums,
                f"{balance:,.2f}",
                user,
            )
            for column, shown in enumerate(line):
                self._cell(row, column, shown)
        self.table.resizeColumnsToContents()
        self.table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        return self.table

    def _cell(self, row: int, column: int, shown: str) -> None:
        item = QTableWidgetItem(shown)
        name = f"cell-{row}-{column}"
        if shown:
            self.cells[name] = (self.table, item)
        if (row * 8 + column) % 9:
            self.bystanders.add(name)
        if column in (4, 5, 6):
            self.right.add(name)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.table.setItem(row, column, item)

    def _bottom(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(6, 0, 6, 6)
        bar = QProgressBar()
        bar.setValue(62)
        bar.setFixedWidth(240)
        row.addWidget(QLabel(self.say("Period closed to 62 %|Periode zu 62 % abgeschlossen")))
        row.addWidget(bar)
        row.addStretch(1)
        for name, title in (("print", "Print|Drucken"), ("export", "Export|Ausgeben"), ("close", "Close|Schließen")):
            row.addWidget(self.name(QPushButton(self.say(title)), name, "button"))
        return row


def open_ledger(application: QApplication, options: Options) -> Ledger:
    """Set style, font and colours, and show the window."""
    application.setStyle("Fusion")
    application.setFont(QFont("Liberation Sans" if options.font else "Noto Sans", 10 if options.font else 9))
    application.setPalette(dark_or_light(options, "#b5651d", "#f1e2cf"))
    return Ledger(options)


if __name__ == "__main__":
    run(open_ledger)
