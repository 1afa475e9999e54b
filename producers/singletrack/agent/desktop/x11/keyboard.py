"""Keys on X11, sent as a keyboard would: characters that the layout lacks get a key that it does not use.

Applications fetch the layout anew when they are told that it has changed, which is some time after. So a key that was
given a character keeps it as long as possible, and nothing is typed right after a change.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from singletrack.agent.desktop.keys import named_key
from singletrack.agent.errors import InputRefused

_FIRST_KEYCODE: Final = 8
_KEYCODES: Final = 248
# A character that X11 has no name for is its code point plus this.
_UNICODE: Final = 0x01000000
_LATIN_1_END: Final = 0x100
_LEVELS: Final = 2
_GROUP_SHIFT: Final = 13
_GROUPS_IN_TABLE: Final = 2
_SETTLE_S: Final = 0.15
_BETWEEN_KEYS_S: Final = 0.004
_RELEASED_WITHIN_S: Final = 3.0
_POLL_S: Final = 0.02
_CONTROL_KEYS: Final = {"\n": "enter", "\r": "enter", "\t": "tab"}

# A keycode, and whether Shift goes with it.
_Stroke = tuple[int, bool]


class X11Keyboard:
    """Sends keys through the XTEST extension of a connection of python-xlib."""

    def __init__(self, connection: Any) -> None:
        from Xlib import X
        from Xlib.ext import xtest

        self._x, self._xtest = X, xtest
        self._connection = connection
        self._lent: dict[int, int] = {}

    def check_modifiers(self) -> None:
        """Raise `InputRefused` if Caps Lock is on, or a person does not let go of Shift, Ctrl, Alt or Super."""
        held = self._x.ShiftMask | self._x.ControlMask | self._x.Mod1Mask | self._x.Mod4Mask
        deadline = time.monotonic() + _RELEASED_WITHIN_S
        while (state := self._state()) & held:
            if time.monotonic() > deadline:
                raise InputRefused("Shift, Ctrl, Alt or Super is held down and would change what is typed: let go.")
            time.sleep(_POLL_S)
        if state & self._x.LockMask:
            raise InputRefused("Caps Lock is on and would change what is typed. Switch it off.")

    def type_text(self, text: str) -> None:
        """Type a text; a line break is Enter, a tab Tab."""
        for part in self._parts(text):
            strokes = self._strokes({character: _keysym(character) for character in part})
            for character in part:
                self._tap(*strokes[character])
                time.sleep(_BETWEEN_KEYS_S)

    def press(self, *keys: str) -> None:
        """Press keys together and release them in the opposite order; raises `InputRefused` before the first."""
        wanted = {key: named_key(key) for key in keys}
        strokes = self._strokes(
            {
                key: _keysym(key) if len(key) == 1 else int(getattr(found, "value", found).vk)
                for key, found in wanted.items()
            }
        )
        with self._held([strokes[key] for key in keys[:-1]]):
            self._tap(*strokes[keys[-1]])

    def give_back(self) -> None:
        """Take the characters back from the keys that the layout does not use."""
        if not self._lent:
            return
        time.sleep(_SETTLE_S)
        for keycode in self._lent.values():
            self._connection.change_keyboard_mapping(keycode, [(0,)])
        self._lent = {}
        self._connection.sync()

    def _parts(self, text: str) -> Iterator[str]:
        """Cut a text so that the characters which the layout lacks find keys in each part."""
        known, spare = self._table(), len(self._spare(self._table()))
        part, lacking = "", set[int]()
        for character in text:
            keysym = _keysym(character)
            if keysym not in known and keysym not in lacking and len(lacking) == spare:
                yield part
                part, lacking = "", set()
            if keysym not in known:
                lacking.add(keysym)
            part += character
        yield part

    def _strokes(self, keysyms: dict[str, int]) -> dict[str, _Stroke]:
        known = self._table()
        lacking = list(dict.fromkeys(keysym for keysym in keysyms.values() if keysym not in known))
        if any(keysym not in self._lent for keysym in lacking):
            self._lend(lacking, known)
        return {name: known.get(keysym) or (self._lent[keysym], False) for name, keysym in keysyms.items()}

    def _lend(self, lacking: list[int], known: dict[int, _Stroke]) -> None:
        """Give keys to characters; those that were lent to others are taken back last, and after a while."""
        spare = self._spare(known)
        taken = {self._lent[keysym] for keysym in lacking if keysym in self._lent}
        unused = [code for code in spare if code not in self._lent.values()]
        others = [code for code in self._lent.values() if code not in taken]
        free = unused + others
        wanted = [keysym for keysym in lacking if keysym not in self._lent]
        if len(wanted) > len(free):
            raise InputRefused("This keyboard has no unused key for the characters that its layout lacks.")
        if len(wanted) > len(unused):
            time.sleep(_SETTLE_S)
        given = dict(zip(wanted, free, strict=False))
        self._lent = {sym: code for sym, code in self._lent.items() if code not in given.values()} | given
        for keysym, keycode in given.items():
            self._connection.change_keyboard_mapping(keycode, [(keysym,) * (_LEVELS * _GROUPS_IN_TABLE)])
        self._connection.sync()
        time.sleep(_SETTLE_S)

    def _table(self) -> dict[int, _Stroke]:
        """The characters of the active layout: without Shift, or with it; what is lent is left out."""
        group = (self._state() >> _GROUP_SHIFT) & 3
        if group >= _GROUPS_IN_TABLE:
            return {}
        table: dict[int, _Stroke] = {}
        for keycode, keysyms in enumerate(self._mapping(), _FIRST_KEYCODE):
            if keycode in self._lent.values():
                continue
            levels = keysyms[_LEVELS * group : _LEVELS * (group + 1)]
            for shifted, keysym in enumerate(levels):
                if keysym:
                    table.setdefault(keysym, (keycode, bool(shifted)))
        return table

    def _spare(self, known: dict[int, _Stroke]) -> list[int]:
        lent = set(self._lent.values())
        mapping = enumerate(self._mapping(), _FIRST_KEYCODE)
        return [keycode for keycode, keysyms in mapping if keycode in lent or not any(keysyms)]

    def _mapping(self) -> list[Any]:
        return list(self._connection.get_keyboard_mapping(_FIRST_KEYCODE, _KEYCODES))

    def _state(self) -> int:
        return int(self._connection.screen().root.query_pointer().mask)

    def _tap(self, keycode: int, shifted: bool) -> None:
        with self._held([self._shift()] if shifted else []):
            self._send(self._x.KeyPress, keycode)
            self._send(self._x.KeyRelease, keycode)

    def _shift(self) -> _Stroke:
        return self._connection.keysym_to_keycode(named_key("shift").value.vk), False

    @contextmanager
    def _held(self, strokes: list[_Stroke]) -> Iterator[None]:
        pressed: list[int] = []
        try:
            for keycode, _ in strokes:
                pressed.append(keycode)
                self._send(self._x.KeyPress, keycode)
            yield
        finally:
            for keycode in reversed(pressed):
                self._send(self._x.KeyRelease, keycode)

    def _send(self, kind: int, keycode: int) -> None:
        self._xtest.fake_input(self._connection, kind, keycode)
        self._connection.sync()


def _keysym(character: str) -> int:
    if character in _CONTROL_KEYS:
        return int(named_key(_CONTROL_KEYS[character]).value.vk)
    code = ord(character)
    return code if code < _LATIN_1_END else code | _UNICODE
