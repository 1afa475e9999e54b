"""What the pages of Qt share: widgets and items are noted as elements, and hidden without moving the others."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QColor, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDateEdit,
    QDoubleSpinBox,
    QGraphicsOpacityEffect,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenuBar,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QTabBar,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from serving import Options, entry, serve

# PySide6 6.12 gives back a reference to None with each call that returns nothing, of which Python 3.11 has so many and
# no more: below 3.12, None is counted like any other object.
SPARE_NONES = [None] * 2_000_000
# An icon before the text of an item, with its margin.
_ICON_PX = 20


class Page:
    """A window of fixed size."""

    def __init__(self, options: Options, size: tuple[int, int]) -> None:
        self.options = options
        self.say = options.say
        self.window = QWidget()
        self.window.setFixedSize(*size)
        self.named: list[tuple[str, str, QWidget, str]] = []
        self.bars: list[QMenuBar | QTabBar] = []
        self.covers: list[QWidget] = []
        self.branches: dict[str, tuple[QTreeWidget, QTreeWidgetItem]] = {}
        self.cells: dict[str, tuple[QTableWidget, QTableWidgetItem]] = {}
        self.rows: dict[str, tuple[QListWidget, QListWidgetItem]] = {}
        self.texts: dict[str, str] = {}
        self.icons: dict[str, QIcon] = {}
        self.right: set[str] = set()
        self.bystanders: set[str] = set()

    def present(self) -> None:
        """Show the window."""
        self.window.show()
        QApplication.processEvents()

    def name(self, widget: QWidget, element_id: str, role: str, label: str = "") -> QWidget:
        """Note a widget as an element, and return it."""
        self.named.append((element_id, role, widget, label))
        return widget

    def size(self) -> tuple[int, int]:
        """Width and height in physical pixels."""
        picture = self.window.grab()
        return picture.width(), picture.height()

    def elements(self) -> list[dict[str, Any]]:
        """Widgets, menu entries, tabs, items of trees, tables and lists, and labels."""
        told = [self._widget(*one) for one in self.named]
        for element_id, role, text, bar, area in self._parts():
            told.append(self._told(element_id, role, text, bar, area))
        for name, (tree, branch) in self.branches.items():
            indent = _ICON_PX if not branch.icon(0).isNull() else 0
            told.append(self._item(name, branch.text(0), tree.viewport(), tree.visualItemRect(branch), indent))
        for name, (table, cell) in self.cells.items():
            indent = _ICON_PX if not cell.icon().isNull() else 0
            told.append(self._item(name, cell.text(), table.viewport(), table.visualItemRect(cell), indent))
        for name, (rows, row) in self.rows.items():
            indent = _ICON_PX if not row.icon().isNull() else 0
            told.append(self._item(name, row.text(), rows.viewport(), rows.visualItemRect(row), indent))
        return told + self._labels()

    def _parts(self) -> list[tuple[str, str, str, QMenuBar | QTabBar, QRect]]:
        parts: list[tuple[str, str, str, QMenuBar | QTabBar, QRect]] = []
        for bar in self.bars:
            if isinstance(bar, QMenuBar):
                for number, action in enumerate(bar.actions()):
                    parts.append((f"menu-{number}", "menu_item", action.text(), bar, bar.actionGeometry(action)))
            else:
                for number in range(bar.count()):
                    parts.append((f"tab-{number}", "tab", bar.tabText(number), bar, bar.tabRect(number)))
        return parts

    def _widget(self, element_id: str, role: str, widget: QWidget, label: str) -> dict[str, Any]:
        return self._told(element_id, role, text_of(widget), widget, widget.rect(), label=label)

    def _item(self, element_id: str, text: str, view: QWidget, area: QRect, indent: int) -> dict[str, Any]:
        """Return an item of a view, clicked on its text: figures stand at the right, all others at the left."""
        told = self._told(element_id, "list_item", text, view, area, is_target=element_id not in self.bystanders)
        told["is_seen"] = view.rect().contains(area)
        scale = self.window.devicePixelRatio()
        half_text = view.fontMetrics().horizontalAdvance(text) * scale / 2 + 4 * scale
        left, _, width, _ = told["box"]
        at_left = left + indent * scale + half_text
        told["click"][0] = round(left + width - half_text if element_id in self.right else at_left)
        return told

    def _labels(self) -> list[dict[str, Any]]:
        labels = [label for label in self.window.findChildren(QLabel) if label.isVisible() and label.text()]
        return [
            self._told(f"text-{number}", "text", label.text(), label, label.rect(), is_target=False)
            for number, label in enumerate(labels)
        ]

    def _told(self, element_id: str, role: str, text: str, inside: QWidget, area: QRect, **more: Any) -> dict[str, Any]:
        corner = inside.mapTo(self.window, QPoint(area.x(), area.y()))
        scale = self.window.devicePixelRatio()
        box = [value * scale for value in (corner.x(), corner.y(), area.width(), area.height())]
        return entry(element_id, role, text, box, **more)

    def hide(self, ids: Sequence[str]) -> None:
        """Make widgets transparent, cover tabs and menu entries, empty items: none of it moves the others."""
        for element_id, _, widget, _ in self.named:
            if element_id in ids:
                effect = QGraphicsOpacityEffect(widget)
                effect.setOpacity(0)
                widget.setGraphicsEffect(effect)
            elif widget.graphicsEffect() is not None:
                widget.setGraphicsEffect(None)  # type: ignore[arg-type]  # Qt takes null, its stub does not say so
        self._cover(ids)
        for name, (_, branch) in self.branches.items():
            branch.setText(0, "" if name in ids else self.texts.setdefault(name, branch.text(0)))
            branch.setIcon(0, self._no_icon(name) if name in ids else self.icons.setdefault(name, branch.icon(0)))
        for name, (_, cell) in self.cells.items():
            cell.setText("" if name in ids else self.texts.setdefault(name, cell.text()))
            cell.setIcon(self._no_icon(name) if name in ids else self.icons.setdefault(name, cell.icon()))
        for name, (_, row) in self.rows.items():
            row.setText("" if name in ids else self.texts.setdefault(name, row.text()))
            row.setIcon(self._no_icon(name) if name in ids else self.icons.setdefault(name, row.icon()))
        QApplication.processEvents()

    def _no_icon(self, name: str) -> QIcon:
        """Return nothing in the place of an icon, which keeps it; a null icon if there was none."""
        if self.icons[name].isNull():
            return QIcon()
        empty = QPixmap(64, 64)
        empty.fill(QColor(0, 0, 0, 0))
        return QIcon(empty)

    def _cover(self, ids: Sequence[str]) -> None:
        while self.covers:
            self.covers.pop().setParent(None)
        for element_id, _, _, bar, area in self._parts():
            if element_id in ids:
                cover = QWidget(bar)
                cover.setAutoFillBackground(True)
                cover.setGeometry(area)
                cover.show()
                self.covers.append(cover)

    def picture(self) -> str:
        """Write the window's pixels."""
        path = os.path.join(self.options.folder, "qt.bmp")  # noqa: PTH118 - a plain string for Qt
        self.window.grab().save(path)
        return path


def text_of(widget: QWidget) -> str:
    """Return the text that a widget shows."""
    if isinstance(widget, QComboBox):
        return widget.currentText()
    if isinstance(widget, QLineEdit):
        return widget.text() or widget.placeholderText()
    if isinstance(widget, (QDateEdit, QDoubleSpinBox, QSpinBox, QPushButton, QCheckBox, QRadioButton)):
        return widget.text()
    return widget.text() if isinstance(widget, QToolButton) else ""


def dark_or_light(options: Options, highlight: str, button: str) -> QPalette:
    """Return the colours of a look; `highlight` and `button` are those of an accent."""
    palette = QPalette(QColor("#2f3136")) if options.dark else QPalette(QColor("#efefef"))
    palette.setColor(QPalette.ColorRole.Base, QColor("#1f2124" if options.dark else "#ffffff"))
    palette.setColor(QPalette.ColorRole.AlternateBase, QColor("#26292d" if options.dark else "#f5f7fa"))
    palette.setColor(QPalette.ColorRole.Highlight, QColor(highlight if options.accent else "#308cc6"))
    if options.accent and not options.dark:
        palette.setColor(QPalette.ColorRole.Button, QColor(button))
    return palette


def run(open_page: Callable[[QApplication, Options], Page]) -> NoReturn:
    """Show a page and serve."""
    application = QApplication(sys.argv[:1])
    serve(lambda options: open_page(application, options))
    # Without Python's own cleaning up, which would miss the references that were given back too often.
    os._exit(0)
