"""Which texts can be typed at all."""

import unicodedata

from singletrack.agent.errors import InputRefused

# A control character, a half of one, one that nobody has given a meaning.
_NOT_TYPABLE = {"Cc", "Cs", "Cn", "Co"}
_KEYS = "\n\r\t"


def check_typable(text: str) -> None:
    """Raise `InputRefused` for a text with characters that no keyboard sends; it does not quote the text."""
    for place, character in enumerate(text, 1):
        if character not in _KEYS and unicodedata.category(character) in _NOT_TYPABLE:
            raise InputRefused(
                f"Character {place} of the text is U+{ord(character):04X}, which cannot be typed. Take it out, or use "
                "press() for keys. Nothing was typed."
            )
