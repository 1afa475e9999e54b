"""What the pages of GTK 3 and 4 share: fonts, colours, boxes; a page chooses the version before it imports this."""

from collections.abc import Sequence
from typing import Any

from gi.repository import Gdk, GLib, Gtk

from serving import Options, entry

IS_4 = Gtk.get_major_version() == 4
# How often the main loop is turned while nothing new is painted.
QUIET_TURNS = 3


def dress(options: Options, css: str) -> None:
    """Set the font, the size of texts (GTK scales icons and paddings by whole numbers only) and a style sheet."""
    settings = Gtk.Settings.get_default()
    settings.set_property("gtk-xft-dpi", round(96 * 1024 * options.scale))
    settings.set_property("gtk-font-name", "DejaVu Sans 10" if options.font else "Noto Sans 10")
    settings.set_property("gtk-enable-animations", False)
    settings.set_property("gtk-cursor-blink", False)
    settings.set_property("gtk-xft-antialias", 1)
    settings.set_property("gtk-xft-rgba", "none")
    provider = Gtk.CssProvider()
    provider.load_from_data(css.encode())
    if IS_4:
        Gtk.StyleContext.add_provider_for_display(Gdk.Display.get_default(), provider, 600)
    else:
        Gtk.StyleContext.add_provider_for_screen(Gdk.Screen.get_default(), provider, 600)


class Page:
    """A window whose widgets are noted as elements; `hide` makes them transparent, which moves nothing."""

    def __init__(self, options: Options, size: tuple[int, int]) -> None:
        self.options = options
        self.say = options.say
        self.window = Gtk.Window()
        self.width, self.height = size
        self.window.set_default_size(*size)
        self.named: list[tuple[str, str, Any, str, str, dict[str, Any]]] = []

    def name(self, widget: Any, element_id: str, role: str, text: str = "", label: str = "", **more: Any) -> Any:
        """Note a widget as an element, and return it."""
        self.named.append((element_id, role, widget, text, label, more))
        return widget

    def present(self) -> None:
        """Show the window, and wait until it is painted."""
        if IS_4:
            self.window.present()
        else:
            self.window.set_decorated(False)
            self.window.show_all()
            self.window.move(0, 0)
            self.window.resize(self.width, self.height)
        self.settle()

    def settle(self) -> None:
        """Wait until the frame clock has painted, and the server has it."""
        context = GLib.MainContext.default()
        clock = self.window.get_frame_clock()
        painted: list[int] = []
        handler = None
        if clock is not None:
            handler = clock.connect("after-paint", lambda *_: painted.append(1))
        self.window.queue_draw()
        for _ in range(QUIET_TURNS):
            before = len(painted)
            while context.pending() or (clock is not None and len(painted) == before):
                context.iteration(True)
            self.window.queue_draw()
        while context.pending():
            context.iteration(False)
        if clock is not None and handler is not None:
            clock.disconnect(handler)
        Gdk.Display.get_default().sync()

    def size(self) -> tuple[int, int]:
        """Width and height in physical pixels."""
        return self.width, self.height

    def box(self, widget: Any) -> tuple[float, float, float, float]:
        """Return left, top, width, height in the window."""
        if IS_4:
            found, bounds = widget.compute_bounds(self.window)
            if not found:
                raise ValueError(f"{widget} is not in the window")
            return bounds.get_x(), bounds.get_y(), bounds.get_width(), bounds.get_height()
        area = widget.get_allocation()
        left, top = widget.translate_coordinates(self.window, 0, 0)
        return left, top, area.width, area.height

    def elements(self) -> list[dict[str, Any]]:
        """What was noted."""
        return [
            entry(element_id, role, text, self.box(widget), label=label, **self._more(widget, more))
            for element_id, role, widget, text, label, more in self.named
        ]

    def _more(self, widget: Any, more: dict[str, Any]) -> dict[str, Any]:
        told = {name: value for name, value in more.items() if name != "on"}
        if "on" in more:
            left, top, width, height = self.box(more["on"])
            told["click"] = [round(left + width / 2), round(top + height / 2)]
        left, top, width, height = self.box(widget)
        told["is_seen"] = left >= 0 and top >= 0 and left + width <= self.width and top + height <= self.height
        return told

    def hide(self, ids: Sequence[str]) -> None:
        """Make some transparent, all others opaque."""
        for element_id, _, widget, _, _, _ in self.named:
            widget.set_opacity(0.0 if element_id in ids else 1.0)
        self.settle()

    def picture(self) -> None:
        """Leave it to the renderer."""
