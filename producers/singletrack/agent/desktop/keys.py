"""Keys by their names, as pynput calls them."""

from typing import TYPE_CHECKING, Final

from singletrack.agent.desktop.extra import desktop_extra
from singletrack.agent.errors import InputRefused

if TYPE_CHECKING:
    from pynput.keyboard import Key, KeyCode

ESCAPE: Final = "esc"


def checked_names(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in lower case, as keyboards bear them; raises `InputRefused` if there are none."""
    if not keys:
        raise InputRefused("No key is named. Name at least one, for example press('ctrl', 'a').")
    return tuple(key.lower() for key in keys)


def named_key(name: str) -> "Key | KeyCode":
    """Return pynput's key for a name or a single character; raises `InputRefused`."""
    with desktop_extra():
        from pynput.keyboard import Key, KeyCode
    if len(name) == 1:
        return KeyCode.from_char(name)
    if name not in Key.__members__:
        known = ", ".join(sorted(Key.__members__))
        raise InputRefused(f"There is no key {name!r}. Use one character, or one of: {known}.")
    return Key[name]
