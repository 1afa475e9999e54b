"""A system's settings in GTK 3: a header bar, a list of panels, groups of rows, and a dense panel for a network."""

from typing import Any

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402 - the version is chosen first

from gtk_common import Page, dress  # noqa: E402
from serving import Options, serve  # noqa: E402

WIDTH, HEIGHT, NARROW_WIDTH = 1680, 1050, 1480
PANELS = (
    ("wifi", "network-wireless-symbolic", "Wi-Fi|WLAN"),
    ("net", "network-wired-symbolic", "Network|Netzwerk"),
    ("bluetooth", "bluetooth-active-symbolic", "Bluetooth"),
    ("display", "video-display-symbolic", "Displays|Bildschirme"),
    ("sound", "audio-speakers-symbolic", "Sound|Klang"),
    ("power", "battery-good-symbolic", "Power|Energie"),
    ("multi", "view-grid-symbolic", "Workspaces|Arbeitsflächen"),
    ("look", "preferences-desktop-wallpaper-symbolic", "Appearance|Erscheinungsbild"),
    ("notify", "preferences-system-notifications-symbolic", "Notifications|Mitteilungen"),
    ("search", "system-search-symbolic", "Search|Suche"),
    ("accounts", "goa-panel-symbolic", "Online accounts|Online-Konten"),
    ("share", "folder-publicshare-symbolic", "Sharing|Freigabe"),
    ("mouse", "input-mouse-symbolic", "Mouse|Maus"),
    ("keyboard", "input-keyboard-symbolic", "Keyboard|Tastatur"),
    ("printers", "printer-symbolic", "Printers|Drucker"),
    ("colour", "preferences-color-symbolic", "Colour|Farbe"),
    ("region", "preferences-desktop-locale-symbolic", "Region"),
    ("users", "system-users-symbolic", "Users|Benutzer"),
    ("time", "preferences-system-time-symbolic", "Date and time|Datum und Zeit"),
    ("about", "help-about-symbolic", "About|Info"),
)
NETWORKS = (
    ("Nordwind-5G", "network-wireless-signal-excellent-symbolic", True),
    ("Nordwind-Guest", "network-wireless-signal-good-symbolic", False),
    ("FRITZ!Box 7590", "network-wireless-signal-good-symbolic", True),
    ("Cafe Olympia", "network-wireless-signal-ok-symbolic", False),
    ("Studio 4", "network-wireless-signal-weak-symbolic", True),
    ("Studio 5", "network-wireless-signal-weak-symbolic", True),
)
SWITCHES = (
    ("wifi-on", "Wireless network|Drahtlosnetz", True),
    ("flight", "Flight mode|Flugmodus", False),
    ("hotspot", "Hotspot", False),
    ("auto", "Connect automatically|Automatisch verbinden", True),
    ("metered", "Metered connection|Getaktete Verbindung", False),
    ("shared", "Available to other users|Für andere Benutzer", True),
)
FIELDS = (
    ("address", "Address|Adresse", "192.168.178.41"),
    ("mask", "Netmask|Netzmaske", "255.255.255.0"),
    ("gateway", "Gateway", "192.168.178.1"),
    ("dns", "DNS", "192.168.178.1, 9.9.9.9"),
    ("search-domain", "Search domains|Suchdomänen", "fritz.box"),
    ("mac", "Hardware address|Hardware-Adresse", "A4:5E:60:C2:19:7B"),
    ("mtu", "MTU", "1500"),
    ("proxy", "Proxy", ""),
)


class Settings(Page):
    """The window."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, (NARROW_WIDTH if options.reflow else WIDTH, HEIGHT))
        whole = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
        self.window.add(whole)
        whole.pack_start(self._header(), False, False, 0)
        if options.reflow:
            whole.pack_start(self._notice(), False, False, 0)
        body = Gtk.Box()
        whole.pack_start(body, True, True, 0)
        body.pack_start(self._panels(), False, False, 0)
        body.pack_start(Gtk.Separator(), False, False, 0)
        body.pack_start(self._middle(), True, True, 18)
        body.pack_start(self._details(), False, False, 18)
        self.present()

    def _header(self) -> Any:
        bar = Gtk.HeaderBar(title=self.say("Settings|Einstellungen"), subtitle=self.say("Wi-Fi|WLAN"))
        bar.set_show_close_button(False)
        for element_id, icon in (("back", "go-previous-symbolic"), ("find", "system-search-symbolic")):
            bar.pack_start(self._icon(element_id, icon))
        for element_id, icon in (
            ("close", "window-close-symbolic"),
            ("maximize", "window-maximize-symbolic"),
            ("minimize", "window-minimize-symbolic"),
            ("menu", "open-menu-symbolic"),
            ("refresh", "view-refresh-symbolic"),
        ):
            bar.pack_end(self._icon(element_id, icon))
        return bar

    def _icon(self, element_id: str, icon: str) -> Any:
        button = Gtk.Button.new_from_icon_name(icon, Gtk.IconSize.BUTTON)
        return self.name(button, element_id, "icon", label=element_id)

    def _text(self, text: str, **properties: Any) -> Any:
        label = Gtk.Label(label=self.say(text), xalign=0, **properties)
        number = sum(one[0].startswith("text-") for one in self.named)
        return self.name(label, f"text-{number}", "text", self.say(text), is_target=False)

    def _notice(self) -> Any:
        bar = Gtk.InfoBar(message_type=Gtk.MessageType.WARNING)
        text = (
            "Updates need a restart. Save your work first.|Aktualisierungen brauchen einen Neustart. Bitte speichern."
        )
        bar.get_content_area().add(self._text(text))
        return bar

    def _panels(self) -> Any:
        panels = Gtk.ListBox()
        panels.set_size_request(250, -1)
        for number, (element_id, icon, title) in enumerate(PANELS):
            row = Gtk.Box(spacing=12, margin=9)
            row.pack_start(Gtk.Image.new_from_icon_name(icon, Gtk.IconSize.MENU), False, False, 0)
            text = Gtk.Label(label=self.say(title), xalign=0)
            row.pack_start(text, False, False, 0)
            holder = Gtk.ListBoxRow()
            holder.add(row)
            panels.add(holder)
            self.name(holder, f"panel-{element_id}", "list_item", self.say(title), on=text)
            if number == 0:
                panels.select_row(holder)
        return panels

    def _middle(self) -> Any:
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin_top=16)
        column.pack_start(self._text("Wi-Fi|WLAN"), False, False, 0)
        column.pack_start(self._switches(), False, False, 0)
        column.pack_start(self._text("Visible networks|Sichtbare Netze"), False, False, 6)
        column.pack_start(self._networks(), False, False, 0)
        row = Gtk.Box(spacing=8)
        for element_id, title in (
            ("hidden-net", "Connect to hidden network|Verborgenes Netz"),
            ("known", "Known networks|Bekannte Netze"),
            ("hotspot-on", "Turn on hotspot|Hotspot einschalten"),
        ):
            row.pack_start(self._button(element_id, title), False, False, 0)
        column.pack_start(row, False, False, 0)
        column.pack_start(self._text("Wired|Kabel"), False, False, 6)
        column.pack_start(self._wired(), False, False, 0)
        return column

    def _button(self, element_id: str, title: str, style: str = "") -> Any:
        button = Gtk.Button(label=self.say(title))
        if style:
            button.get_style_context().add_class(style)
        return self.name(button, element_id, "button", self.say(title))

    def _switches(self) -> Any:
        rows = Gtk.ListBox(selection_mode=Gtk.SelectionMode.NONE)
        rows.get_style_context().add_class("frame")
        for element_id, title, on in SWITCHES:
            row = Gtk.Box(margin=7, spacing=8)
            row.pack_start(self._text(title), True, True, 0)
            switch = Gtk.Switch(active=on, valign=Gtk.Align.CENTER)
            row.pack_start(self.name(switch, element_id, "checkbox", label=self.say(title)), False, False, 0)
            rows.add(row)
        return rows

    def _networks(self) -> Any:
        rows = Gtk.ListBox(selection_mode=Gtk.SelectionMode.NONE)
        rows.get_style_context().add_class("frame")
        for number, (title, icon, locked) in enumerate(NETWORKS):
            row = Gtk.Box(margin=6, spacing=10)
            row.pack_start(Gtk.Image.new_from_icon_name(icon, Gtk.IconSize.MENU), False, False, 0)
            name = Gtk.Label(label=title, xalign=0)
            row.pack_start(self.name(name, f"network-{number}", "list_item", title), False, False, 0)
            if locked:
                lock = Gtk.Image.new_from_icon_name("network-wireless-encrypted-symbolic", Gtk.IconSize.MENU)
                row.pack_start(lock, False, False, 0)
            gear = self._icon(f"gear-{number}", "emblem-system-symbolic")
            row.pack_end(gear, False, False, 0)
            act = "Disconnect|Trennen" if number == 0 else "Connect|Verbinden"
            row.pack_end(self._button(f"connect-{number}", act), False, False, 0)
            rows.add(row)
        return rows

    def _wired(self) -> Any:
        rows = Gtk.ListBox(selection_mode=Gtk.SelectionMode.NONE)
        rows.get_style_context().add_class("frame")
        for element_id, title, speed in (
            ("eth0", "Dock, port 1|Dock, Anschluss 1", "1000 Mb/s"),
            ("eth1", "USB adapter|USB-Adapter", "100 Mb/s"),
        ):
            row = Gtk.Box(margin=6, spacing=10)
            row.pack_start(self._text(title), False, False, 0)
            row.pack_start(self._text(speed), False, False, 0)
            row.pack_end(self._icon(f"{element_id}-gear", "emblem-system-symbolic"), False, False, 0)
            switch = Gtk.Switch(active=element_id == "eth0", valign=Gtk.Align.CENTER)
            row.pack_end(self.name(switch, f"{element_id}-on", "checkbox", label=self.say(title)), False, False, 0)
            rows.add(row)
        return rows

    def _details(self) -> Any:
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin_top=16)
        column.set_size_request(480, -1)
        column.pack_start(self._tabs(), False, False, 0)
        grid = Gtk.Grid(row_spacing=7, column_spacing=10)
        for row, (element_id, title, value) in enumerate(FIELDS):
            grid.attach(self._text(title), 0, row, 1, 1)
            field = Gtk.Entry(text=value, hexpand=True, can_focus=False)
            grid.attach(self.name(field, element_id, "field", value, self.say(title)), 1, row, 1, 1)
        column.pack_start(grid, False, False, 0)
        column.pack_start(self._text("Addresses|Adressen"), False, False, 4)
        column.pack_start(self._radios(), False, False, 0)
        column.pack_start(self._text("Security|Sicherheit"), False, False, 4)
        column.pack_start(self._security(), False, False, 0)
        ends = Gtk.Box(spacing=8, halign=Gtk.Align.END)
        for element_id, title, style in (
            ("forget", "Forget|Vergessen", "destructive-action"),
            ("cancel", "Cancel|Abbrechen", ""),
            ("apply", "Apply|Anwenden", "suggested-action"),
        ):
            ends.pack_start(self._button(element_id, title, style), False, False, 0)
        column.pack_start(ends, False, False, 12)
        return column

    def _tabs(self) -> Any:
        row = Gtk.Box(halign=Gtk.Align.CENTER)
        row.get_style_context().add_class("linked")
        for number, title in enumerate(("Details", "Identity|Identität", "IPv4", "IPv6", "Security|Sicherheit")):
            button = Gtk.ToggleButton(label=self.say(title), active=number == 2)
            row.pack_start(self.name(button, f"tab-{number}", "tab", self.say(title)), False, False, 0)
        return row

    def _radios(self) -> Any:
        row = Gtk.Box(spacing=14)
        first = None
        for element_id, title in (
            ("dhcp", "Automatic|Automatisch"),
            ("manual", "Manual|Manuell"),
            ("off", "Disabled|Aus"),
        ):
            button = Gtk.RadioButton(label=self.say(title), group=first)
            first = first or button
            row.pack_start(self.name(button, element_id, "radio", self.say(title)), False, False, 0)
        return row

    def _security(self) -> Any:
        grid = Gtk.Grid(row_spacing=7, column_spacing=10)
        grid.attach(self._text("Method|Verfahren"), 0, 0, 1, 1)
        method = Gtk.ComboBoxText(hexpand=True)
        method.append_text("WPA2 / WPA3")
        method.set_active(0)
        grid.attach(self.name(method, "method", "dropdown", "WPA2 / WPA3"), 1, 0, 1, 1)
        grid.attach(self._text("Password|Passwort"), 0, 1, 1, 1)
        password = Gtk.Entry(text="correct horse", visibility=False, can_focus=False)
        grid.attach(self.name(password, "password", "field", label=self.say("Password|Passwort")), 1, 1, 1, 1)
        for number, (element_id, title) in enumerate(
            (("show", "Show password|Passwort zeigen"), ("keep", "Remember|Merken"), ("vpn", "Use VPN|VPN nutzen"))
        ):
            box = Gtk.CheckButton(label=self.say(title), active=number == 1, halign=Gtk.Align.START)
            grid.attach(self.name(box, element_id, "checkbox", self.say(title)), 1, 2 + number, 1, 1)
        return grid


def open_page(options: Options) -> Settings:
    """Dress and show the window."""
    css = "headerbar { background: #d9c2ea; } switch:checked { background: #7a3fa0; }" if options.accent else ""
    css += "* { transition: none; }"
    if options.accent:
        css += "@define-color theme_selected_bg_color #7a3fa0; row:selected { background: #7a3fa0; }"
        css += "button.suggested-action { background: #7a3fa0; color: white; }"
    dress(options, css)
    return Settings(options)


if __name__ == "__main__":
    serve(open_page)
