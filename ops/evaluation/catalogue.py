"""The pages, and which half each belongs to: fixed before the first run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evaluation.stages.program import ProgramPage, ProgramStage
from evaluation.stages.stage import Stage
from evaluation.stages.web import WebSize, WebStage
from evaluation.truth import Half

_PAGES: Final = Path(__file__).parent / "pages"


@dataclass(frozen=True, slots=True)
class Page:
    """A page: how it is opened, and the scale of its base in percent."""

    name: str
    toolkit: str
    style: str
    half: Half
    base_percent: int
    open: Callable[[], Stage]


def _web(name: str, style: str, half: Half, base_percent: int, size: WebSize) -> Page:
    file = _PAGES / "web" / f"{name}.html"
    return Page(f"web_{name}", "web", style, half, base_percent, lambda: WebStage(file, size))


def _program(name: str, style: str, half: Half, base_percent: int, needs: str) -> Page:
    toolkit = name.partition("_")[0]
    binary = "xterm" if toolkit == "xterm" else ""
    page = ProgramPage(_PAGES / "programs" / f"{name}.py", needs, binary, on_screen=toolkit != "qt")
    return Page(name, toolkit, style, half, base_percent, lambda: ProgramStage(page))


PAGES: Final = (
    _web("mail", "material", Half.TUNING, 150, WebSize(1700, 1060)),
    _web("erp", "dense form", Half.TUNING, 100, WebSize(1600, 1000)),
    _web("sheet", "spreadsheet", Half.TUNING, 125, WebSize(2048, 1280)),
    _program("qt_ledger", "Fusion", Half.TUNING, 100, "PySide6.QtWidgets"),
    _program("gtk3_settings", "Adwaita 3", Half.TUNING, 100, "gi:Gtk:3.0"),
    _program("tk_clinic", "ttk clam", Half.TUNING, 125, "tkinter"),
    _web("shop", "Bootstrap", Half.HELD_OUT, 125, WebSize(1760, 1010)),
    _web("tickets", "data grid", Half.HELD_OUT, 100, WebSize(1920, 1120)),
    _web("writer", "ribbon", Half.HELD_OUT, 150, WebSize(1700, 1060)),
    _program("qt_files", "Qt Windows", Half.HELD_OUT, 125, "PySide6.QtWidgets"),
    _program("gtk4_library", "Adwaita 4", Half.HELD_OUT, 100, "gi:Gtk:4.0"),
    _program("tk_orders", "classic Tk", Half.HELD_OUT, 100, "tkinter"),
    _program("xterm_stock", "terminal", Half.HELD_OUT, 100, "curses"),
)
