"""The names of keys, as pynput has them on any system."""

from typing import Final

_MODIFIERS: Final = (
    *("alt", "alt_gr", "alt_l", "alt_r", "cmd", "cmd_l", "cmd_r", "ctrl", "ctrl_l", "ctrl_r"),
    *("shift", "shift_l", "shift_r", "caps_lock", "num_lock", "scroll_lock"),
)
_MOVES: Final = ("up", "down", "left", "right", "home", "end", "page_up", "page_down", "tab")
_OTHERS: Final = ("backspace", "delete", "enter", "esc", "insert", "menu", "pause", "print_screen", "space")
_MEDIA: Final = ("next", "play_pause", "previous", "stop", "volume_down", "volume_mute", "volume_up")
KEY_NAMES: Final = frozenset(
    (*_MODIFIERS, *_MOVES, *_OTHERS, *(f"media_{name}" for name in _MEDIA), *(f"f{number}" for number in range(1, 25)))
)
