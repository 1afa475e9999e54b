"""A music library in GTK 4: a header bar, a sidebar, an album's tracks, a form for tags, a player below."""

from typing import Any

import gi

gi.require_version("Gtk", "4.0")
from gi.repository import Gtk  # noqa: E402 - the version is chosen first

from gtk_common import Page, dress  # noqa: E402
from library_records import LISTS, SOURCES, TAGS, TRACKS  # noqa: E402
from serving import Options, serve  # noqa: E402

WIDTH, HEIGHT, NARROW_WIDTH = 1720, 1060, 1500


class Library(Page):
    """The window."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, (NARROW_WIDTH if options.reflow else WIDTH, HEIGHT))
        self.window.set_decorated(False)
        whole = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
        whole.set_size_request(self.width, self.height)
        whole.append(self._header())
        if options.reflow:
            text = (
                "The library moved to another drive. Paths were updated.|Die Sammlung liegt auf einem anderen Laufwerk."
            )
            notice = Gtk.Box()
            notice.add_css_class("notice")
            notice.append(self._text(text))
            whole.append(notice)
        body = Gtk.Box(vexpand=True)
        body.append(self._sidebar())
        body.append(Gtk.Separator())
        body.append(self._album())
        body.append(Gtk.Separator())
        body.append(self._tags())
        whole.append(body)
        whole.append(self._player())
        self.window.set_child(whole)
        self.present()

    def _icon(self, element_id: str, icon: str, *, flat: bool = True) -> Any:
        button = Gtk.Button.new_from_icon_name(icon)
        button.set_has_frame(not flat)
        button.set_valign(Gtk.Align.CENTER)
        return self.name(button, element_id, "icon", label=element_id)

    def _button(self, element_id: str, title: str, style: str = "") -> Any:
        button = Gtk.Button(label=self.say(title))
        if style:
            button.add_css_class(style)
        return self.name(button, element_id, "button", self.say(title))

    def _text(self, text: str, style: str = "") -> Any:
        label = Gtk.Label(label=self.say(text), xalign=0, halign=Gtk.Align.START)
        if style:
            label.add_css_class(style)
        number = sum(one[0].startswith("text-") for one in self.named)
        return self.name(label, f"text-{number}", "text", self.say(text), is_target=False)

    def _header(self) -> Any:
        bar = Gtk.Box(spacing=6)
        bar.add_css_class("bar")
        for element_id, icon in (
            ("side", "view-dual-symbolic"),
            ("back", "go-previous-symbolic"),
            ("add", "list-add-symbolic"),
        ):
            bar.append(self._icon(element_id, icon))
        views = Gtk.Box(hexpand=True, halign=Gtk.Align.CENTER)
        views.add_css_class("linked")
        for number, title in enumerate(
            ("Library|Sammlung", "Queue|Warteschlange", "Discover|Entdecken", "Charts|Hitliste")
        ):
            button = Gtk.ToggleButton(label=self.say(title), active=number == 0)
            views.append(self.name(button, f"view-{number}", "tab", self.say(title)))
        bar.append(views)
        search = Gtk.SearchEntry(placeholder_text=self.say("Search music|Musik suchen"), can_focus=False)
        search.set_size_request(240, -1)
        bar.append(self.name(search, "search", "field", self.say("Search music|Musik suchen")))
        for element_id, icon in (
            ("menu", "open-menu-symbolic"),
            ("minimize", "window-minimize-symbolic"),
            ("maximize", "window-maximize-symbolic"),
            ("close", "window-close-symbolic"),
        ):
            bar.append(self._icon(element_id, icon))
        return bar

    def _row(self, rows: Any, element_id: str, title: str, icon: str) -> None:
        row = Gtk.Box(spacing=10, margin_top=4, margin_bottom=4, margin_start=6)
        row.append(Gtk.Image.new_from_icon_name(icon))
        text = Gtk.Label(label=self.say(title), xalign=0)
        row.append(text)
        holder = Gtk.ListBoxRow(child=row)
        rows.append(holder)
        self.name(holder, element_id, "list_item", self.say(title), on=text)

    def _sidebar(self) -> Any:
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
        column.set_size_request(230, -1)
        sources = Gtk.ListBox()
        sources.add_css_class("navigation-sidebar")
        for element_id, icon, title in SOURCES:
            self._row(sources, f"source-{element_id}", title, icon)
        column.append(sources)
        head = Gtk.Box(margin_start=12, margin_top=6)
        head.append(self._text("Playlists|Wiedergabelisten", "heading"))
        head.append(self._icon("list-new", "list-add-symbolic"))
        column.append(head)
        lists = Gtk.ListBox()
        lists.add_css_class("navigation-sidebar")
        for number, title in enumerate(LISTS):
            self._row(lists, f"list-{number}", title, "view-list-symbolic")
        column.append(lists)
        return column

    def _album(self) -> Any:
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=10, hexpand=True)
        for side in ("top", "bottom", "start", "end"):
            getattr(column, f"set_margin_{side}")(18)
        head = Gtk.Box(spacing=18)
        cover = Gtk.Image.new_from_icon_name("media-optical-symbolic")
        cover.set_pixel_size(112)
        head.append(cover)
        words = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        words.append(self._text("Seven bridges|Sieben Brücken", "title-1"))
        words.append(self._text("Lena Hartung · 2023 · 11 songs|Lena Hartung · 2023 · 11 Titel"))
        acts = Gtk.Box(spacing=8)
        for element_id, title, style in (
            ("play-all", "Play|Abspielen", "suggested-action"),
            ("shuffle", "Shuffle|Zufall", ""),
            ("queue", "Add to queue|Anhängen", ""),
            ("download", "Download|Laden", ""),
        ):
            acts.append(self._button(element_id, title, style))
        acts.append(self._icon("album-more", "view-more-symbolic", flat=False))
        words.append(acts)
        head.append(words)
        column.append(head)
        column.append(self._tracks())
        return column

    def _tracks(self) -> Any:
        grid = Gtk.Grid(row_spacing=6, column_spacing=14)
        for column, title in enumerate(("", "#", "Title|Titel", "Artist|Interpret", "Length|Dauer", "", "")):
            if title:
                grid.attach(self._text(title, "heading"), column, 0, 1, 1)
        for row, (title, artist, length) in enumerate(TRACKS, 1):
            check = Gtk.CheckButton(active=row == 2)
            grid.attach(
                self.name(check, f"pick-{row}", "checkbox", label="select", is_target=row % 3 == 1), 0, row, 1, 1
            )
            grid.attach(self._text(str(row)), 1, row, 1, 1)
            name = Gtk.Label(label=self.say(title), xalign=0, halign=Gtk.Align.START)
            grid.attach(self.name(name, f"track-{row}", "list_item", self.say(title)), 2, row, 1, 1)
            grid.attach(self._text(artist), 3, row, 1, 1)
            grid.attach(self._text(length), 4, row, 1, 1)
            star = self._icon(f"star-{row}", "starred-symbolic" if row in (2, 8) else "non-starred-symbolic")
            grid.attach(star, 5, row, 1, 1)
            grid.attach(self._icon(f"more-{row}", "view-more-symbolic"), 6, row, 1, 1)
        self.named = [self._thinned(one) for one in self.named]
        return grid

    @staticmethod
    def _thinned(one: tuple[str, str, Any, str, str, dict[str, Any]]) -> tuple[str, str, Any, str, str, dict[str, Any]]:
        """Let some of the many same icons be bystanders."""
        kind, _, number = one[0].partition("-")
        if kind in ("star", "more") and number.isdigit() and int(number) % 3:
            return (*one[:5], {**one[5], "is_target": False})
        return one

    def _tags(self) -> Any:
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8)
        column.set_size_request(430, -1)
        for side in ("top", "bottom", "start", "end"):
            getattr(column, f"set_margin_{side}")(18)
        column.append(self._text("Tags|Angaben", "title-3"))
        grid = Gtk.Grid(row_spacing=7, column_spacing=10)
        for row, (element_id, title, value) in enumerate(TAGS):
            grid.attach(self._text(title), 0, row, 1, 1)
            field = Gtk.Entry(text=self.say(value), hexpand=True, can_focus=False)
            grid.attach(self.name(field, f"tag-{element_id}", "field", self.say(value), self.say(title)), 1, row, 1, 1)
        column.append(grid)
        self._playback(column)
        ends = Gtk.Box(spacing=8, halign=Gtk.Align.END)
        for element_id, title, style in (
            ("tag-fetch", "Fetch|Nachschlagen", ""),
            ("tag-revert", "Revert|Verwerfen", ""),
            ("tag-save", "Save|Speichern", "suggested-action"),
        ):
            ends.append(self._button(element_id, title, style))
        column.append(ends)
        return column

    def _playback(self, column: Any) -> None:
        column.append(self._text("Playback|Wiedergabe", "title-3"))
        for element_id, title, on in (
            ("gapless", "Gapless|Ohne Pause", True),
            ("normalise", "Same loudness|Gleiche Lautstärke", True),
            ("skip", "Skip when shuffling|Bei Zufall überspringen", False),
            ("explicit", "Explicit|Anstößig", False),
        ):
            row = Gtk.Box(spacing=8)
            label = self._text(title)
            label.set_hexpand(True)
            row.append(label)
            switch = Gtk.Switch(active=on, valign=Gtk.Align.CENTER)
            row.append(self.name(switch, f"switch-{element_id}", "checkbox", label=self.say(title)))
            column.append(row)
        first = None
        row = Gtk.Box(spacing=12)
        for element_id, title in (
            ("quality-low", "Low|Niedrig"),
            ("quality-mid", "Medium|Mittel"),
            ("quality-high", "High|Hoch"),
        ):
            button = Gtk.CheckButton(label=self.say(title), group=first, active=first is None)
            first = first or button
            row.append(self.name(button, element_id, "radio", self.say(title)))
        column.append(row)
        device = Gtk.DropDown.new_from_strings([self.say("Loudspeaker|Lautsprecher")])
        column.append(self.name(device, "device", "dropdown", self.say("Loudspeaker|Lautsprecher")))

    def _player(self) -> Any:
        bar = Gtk.Box(spacing=6)
        bar.add_css_class("bar")
        for element_id, icon in (
            ("previous", "media-skip-backward-symbolic"),
            ("play", "media-playback-start-symbolic"),
            ("next", "media-skip-forward-symbolic"),
            ("stop", "media-playback-stop-symbolic"),
        ):
            bar.append(self._icon(element_id, icon, flat=False))
        bar.append(self._text("Harbour lights|Hafenlichter", "heading"))
        bar.append(self._text("1:22"))
        bar.append(Gtk.ProgressBar(fraction=0.29, hexpand=True, valign=Gtk.Align.CENTER))
        bar.append(self._text("4:47"))
        for element_id, icon in (
            ("repeat", "media-playlist-repeat-symbolic"),
            ("mix", "media-playlist-shuffle-symbolic"),
            ("volume", "audio-volume-high-symbolic"),
            ("cast", "video-display-symbolic"),
        ):
            bar.append(self._icon(element_id, icon))
        return bar


def open_page(options: Options) -> Library:
    """Dress and show the window."""
    line, back = ("#1c1c1c", "#303030") if options.dark else ("#cfcac4", "#ebe8e6")
    css = "* { transition: none; animation: none; }"
    css += f".bar {{ padding: 7px; background: {back}; border: 0 solid {line}; border-width: 1px 0; }}"
    css += ".notice { padding: 10px 16px; background: #f8e45c; color: #222; }"
    if options.accent:
        css += "button.suggested-action { background: #c64600; color: white; } switch:checked { background: #c64600; }"
        css += "progress { background: #c64600; } checkbutton check:checked { background: #c64600; }"
        css += ".bar { background: #f3ddd0; }" if not options.dark else ""
    dress(options, css)
    return Library(options)


if __name__ == "__main__":
    serve(open_page)
