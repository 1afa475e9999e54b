"""A file manager in Qt's Windows style: places, a tree, a list with details, a preview with properties."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QFont, QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenuBar,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QStyle,
    QTabBar,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from qt_common import Page, dark_or_light, run
from serving import Options

WIDTH, HEIGHT, NARROW_WIDTH = 1640, 1024, 1440
MENUS = ("File|Datei", "Edit|Bearbeiten", "View|Ansicht", "Go|Gehe zu", "Tools|Extras", "Help|Hilfe")
TOOLS = (
    ("back", "SP_ArrowLeft"),
    ("forward", "SP_ArrowRight"),
    ("up", "SP_FileDialogToParent"),
    ("new-folder", "SP_FileDialogNewFolder"),
    ("list", "SP_FileDialogListView"),
    ("details", "SP_FileDialogDetailedView"),
    ("contents", "SP_FileDialogContentsView"),
    ("info", "SP_FileDialogInfoView"),
    ("reload", "SP_BrowserReload"),
    ("stop", "SP_BrowserStop"),
    ("trash", "SP_TrashIcon"),
)
PLACES = (
    ("home", "SP_DirHomeIcon", "Home|Persönlich"),
    ("desktop", "SP_DesktopIcon", "Desktop|Schreibtisch"),
    ("computer", "SP_ComputerIcon", "Computer"),
    ("system", "SP_DriveHDIcon", "System (C:)"),
    ("data", "SP_DriveHDIcon", "Data (D:)|Daten (D:)"),
    ("dvd", "SP_DriveDVDIcon", "DVD (E:)"),
    ("net", "SP_DriveNetIcon", "Archive (N:)|Archiv (N:)"),
    ("bin", "SP_TrashIcon", "Recycle bin|Papierkorb"),
)
FOLDERS = (
    ("Projects|Projekte", ("Bridge Kiel|Brücke Kiel", "Depot", "School Lehrte|Schule Lehrte", "Tower B|Turm B")),
    ("Administration|Verwaltung", ("Contracts|Verträge", "Invoices|Rechnungen", "Personnel|Personal", "Travel|Reisen")),
    ("Templates|Vorlagen", ("Letters|Briefe", "Plans|Pläne")),
    ("Pictures|Bilder", ("2024", "2025", "2026")),
)
FILES = (
    ("Calculations|Berechnungen", "", "Folder|Ordner", "26.11.2026 16:02"),
    ("Invoices|Rechnungen", "", "Folder|Ordner", "24.11.2026 09:11"),
    ("Photos|Fotos", "", "Folder|Ordner", "19.11.2026 13:40"),
    ("Plans|Pläne", "", "Folder|Ordner", "27.11.2026 08:15"),
    ("Correspondence|Schriftverkehr", "", "Folder|Ordner", "21.11.2026 17:30"),
    ("bridge_kiel_01.dwg", "4,812 KB", "Drawing|Zeichnung", "12.11.2026 10:04"),
    ("bridge_kiel_02.dwg", "5,020 KB", "Drawing|Zeichnung", "13.11.2026 11:47"),
    ("bridge_kiel_02_old.dwg", "4,990 KB", "Drawing|Zeichnung", "13.11.2026 09:20"),
    ("building_permit.pdf", "1,204 KB", "PDF document|PDF-Dokument", "02.10.2026 14:33"),
    ("cost_estimate.xlsx", "88 KB", "Workbook|Arbeitsmappe", "25.11.2026 18:21"),
    ("cost_estimate_v2.xlsx", "91 KB", "Workbook|Arbeitsmappe", "26.11.2026 12:09"),
    ("letter_city.docx", "34 KB", "Document|Dokument", "20.11.2026 15:55"),
    ("letter_owner.docx", "31 KB", "Document|Dokument", "20.11.2026 16:12"),
    ("load_case_a.csv", "612 KB", "Table|Tabelle", "18.11.2026 09:00"),
    ("load_case_b.csv", "640 KB", "Table|Tabelle", "18.11.2026 09:01"),
    ("minutes_1118.txt", "4 KB", "Text", "18.11.2026 17:44"),
    ("minutes_1125.txt", "5 KB", "Text", "25.11.2026 17:20"),
    ("photo_pier_east.jpg", "3,380 KB", "Picture|Bild", "05.11.2026 12:18"),
    ("photo_pier_west.jpg", "3,415 KB", "Picture|Bild", "05.11.2026 12:20"),
    ("readme.txt", "1 KB", "Text", "01.09.2026 08:00"),
    ("schedule.mpp", "420 KB", "Schedule|Terminplan", "27.11.2026 07:52"),
    ("survey_points.csv", "77 KB", "Table|Tabelle", "14.10.2026 10:38"),
    ("tender.zip", "18,550 KB", "Archive|Archiv", "09.11.2026 19:05"),
)
HEADS = ("Name", "Size|Größe", "Type|Typ", "Changed|Geändert")


class Files(Page):
    """The window."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, (NARROW_WIDTH if options.reflow else WIDTH, HEIGHT))
        self.menus, self.tabs = QMenuBar(), QTabBar()
        self.bars = [self.menus, self.tabs]
        whole = QVBoxLayout(self.window)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(3)
        for title in MENUS:
            self.menus.addAction(QAction(self.say(title), self.window))
        whole.addWidget(self.menus)
        whole.addLayout(self._tool_bar())
        if options.reflow:
            notice = QLabel(self.say("The archive drive is offline.|Das Archivlaufwerk ist offline."))
            notice.setStyleSheet("background: #ffd9a0; color: #222; padding: 9px;")
            whole.addWidget(notice)
        body = QHBoxLayout()
        body.setContentsMargins(4, 0, 4, 0)
        body.addLayout(self._left())
        body.addLayout(self._middle(), 1)
        body.addWidget(self._right())
        whole.addLayout(body, 1)
        whole.addLayout(self._bottom())
        self.present()

    def _icon(self, name: str) -> QIcon:
        return self.window.style().standardIcon(getattr(QStyle.StandardPixmap, name))

    def _tool_bar(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(2)
        for name, icon in TOOLS:
            button = QToolButton()
            button.setIcon(self._icon(icon))
            button.setIconSize(QSize(20, 20))
            button.setAutoRaise(True)
            row.addWidget(self.name(button, f"tool-{name}", "icon", name))
        row.addWidget(QLabel(self.say("Address|Adresse")))
        address = QComboBox()
        address.setEditable(True)
        address.addItem("D:\\Projects\\Bridge Kiel")
        row.addWidget(self.name(address, "address", "dropdown"), 1)
        row.addWidget(self.name(QPushButton(self.say("Go|Öffnen")), "go", "button"))
        search = QLineEdit()
        search.setPlaceholderText(self.say("Search Bridge Kiel|Brücke Kiel durchsuchen"))
        search.setFixedWidth(250)
        row.addWidget(self.name(search, "search", "field"))
        return row

    def _left(self) -> QVBoxLayout:
        column = QVBoxLayout()
        places = QListWidget()
        places.setFixedSize(230, 214)
        for name, icon, title in PLACES:
            item = QListWidgetItem(self._icon(icon), self.say(title))
            item.setSizeHint(QSize(200, 24))
            places.addItem(item)
            self.rows[f"place-{name}"] = (places, item)
        column.addWidget(places)
        tree = QTreeWidget()
        tree.setFixedWidth(230)
        tree.setUniformRowHeights(True)
        tree.setHeaderLabels([self.say("Folders|Ordner")])
        for group, (title, children) in enumerate(FOLDERS):
            branch = QTreeWidgetItem([self.say(title)])
            branch.setIcon(0, self._icon("SP_DirIcon"))
            tree.addTopLevelItem(branch)
            self.branches[f"folder-{group}"] = (tree, branch)
            for number, child in enumerate(children):
                leaf = QTreeWidgetItem([self.say(child)])
                leaf.setIcon(0, self._icon("SP_DirClosedIcon"))
                branch.addChild(leaf)
                self.branches[f"folder-{group}-{number}"] = (tree, leaf)
        tree.expandAll()
        column.addWidget(tree, 1)
        return column

    def _middle(self) -> QVBoxLayout:
        column = QVBoxLayout()
        for title in ("Bridge Kiel|Brücke Kiel", "Invoices|Rechnungen", "Tower B|Turm B"):
            self.tabs.addTab(self.say(title))
        self.tabs.setTabsClosable(False)
        column.addWidget(self.tabs)
        column.addWidget(self._table(), 1)
        return column

    def _table(self) -> QTableWidget:
        table = QTableWidget(len(FILES), len(HEADS))
        table.setHorizontalHeaderLabels([self.say(head) for head in HEADS])
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(25)
        table.setShowGrid(False)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        for row, line in enumerate(FILES):
            for column, text in enumerate(line):
                item = QTableWidgetItem(self.say(text))
                if column == 0:
                    item.setIcon(self._icon("SP_FileIcon" if line[1] else "SP_DirIcon"))
                if column == 1:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                    self.right.add(f"file-{row}-1")
                table.setItem(row, column, item)
                if text:
                    self.cells[f"file-{row}-{column}"] = (table, item)
                if column and (row + column) % 7:
                    self.bystanders.add(f"file-{row}-{column}")
        table.setColumnWidth(0, 330)
        table.setColumnWidth(1, 110)
        table.setColumnWidth(2, 190)
        table.setColumnWidth(3, 180)
        return table

    def _right(self) -> QWidget:
        side = QFrame()
        side.setFrameShape(QFrame.Shape.StyledPanel)
        side.setFixedWidth(350)
        column = QVBoxLayout(side)
        preview = QLabel()
        preview.setPixmap(self._icon("SP_FileIcon").pixmap(QSize(96, 96)))
        preview.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(preview)
        column.addWidget(QLabel("cost_estimate_v2.xlsx"))
        column.addWidget(self._properties())
        column.addWidget(self._attributes())
        column.addWidget(self._sharing())
        column.addStretch(1)
        row = QHBoxLayout()
        for name, title in (("open", "Open|Öffnen"), ("send", "Send|Senden"), ("delete", "Delete|Löschen")):
            row.addWidget(self.name(QPushButton(self.say(title)), f"file-{name}", "button"))
        column.addLayout(row)
        return side

    def _properties(self) -> QGroupBox:
        box = QGroupBox(self.say("Properties|Eigenschaften"))
        grid = QGridLayout(box)
        for row, (name, title, value) in enumerate(
            (
                ("title", "Title|Titel", "Estimate|Schätzung"),
                ("author", "Author|Autor", "J. Brandes"),
                ("tags", "Tags|Schlagwörter", "Kiel; 2026"),
                ("comment", "Comment|Kommentar", ""),
            )
        ):
            grid.addWidget(QLabel(self.say(title)), row, 0)
            grid.addWidget(self.name(QLineEdit(self.say(value)), name, "field", self.say(title)), row, 1)
        return box

    def _attributes(self) -> QGroupBox:
        box = QGroupBox(self.say("Attributes|Attribute"))
        grid = QGridLayout(box)
        for number, (name, title, on) in enumerate(
            (
                ("read-only", "Read-only|Schreibgeschützt", False),
                ("hidden", "Hidden|Versteckt", False),
                ("archive", "Archive|Archiv", True),
                ("indexed", "Indexed|Indiziert", True),
            )
        ):
            check = QCheckBox(self.say(title))
            check.setChecked(on)
            grid.addWidget(self.name(check, name, "checkbox"), number // 2, number % 2)
        return box

    def _sharing(self) -> QGroupBox:
        box = QGroupBox(self.say("Sharing|Freigabe"))
        grid = QGridLayout(box)
        for number, (name, title) in enumerate(
            (("private", "Only me|Nur ich"), ("team", "Team"), ("all", "Everybody|Alle"))
        ):
            button = QRadioButton(self.say(title))
            button.setChecked(number == 1)
            grid.addWidget(self.name(button, f"share-{name}", "radio"), 0, number)
        grid.addWidget(QLabel(self.say("Days|Tage")), 1, 0)
        days = QSpinBox()
        days.setValue(14)
        grid.addWidget(self.name(days, "days", "field"), 1, 1)
        grid.addWidget(self.name(QPushButton(self.say("Copy link|Link kopieren")), "link", "button"), 1, 2)
        return box

    def _bottom(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(6, 0, 6, 4)
        row.addWidget(QLabel(self.say("23 items, 1 selected|23 Elemente, 1 gewählt")))
        row.addStretch(1)
        sort = QComboBox()
        sort.addItem(self.say("Sort by name|Nach Name"))
        row.addWidget(self.name(sort, "sort", "dropdown"))
        for name, title in (("refresh", "Refresh|Aktualisieren"), ("close", "Close|Schließen")):
            row.addWidget(self.name(QPushButton(self.say(title)), name, "button"))
        return row


def open_files(application: QApplication, options: Options) -> Files:
    """Set style, font and colours, and show the window."""
    application.setStyle("Windows")
    application.setFont(QFont("DejaVu Sans" if options.font else "Liberation Sans", 9))
    application.setPalette(dark_or_light(options, "#8e3b8e", "#ecd9ec"))
    return Files(options)


if __name__ == "__main__":
    run(open_files)
