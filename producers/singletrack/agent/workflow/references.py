"""References in texts that are typed: `${env:NAME}` to a secret of the environment, `${var:NAME}` to a variable."""

import re
from collections.abc import Callable, Iterator
from typing import Literal

VARIABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
_REFERENCE = re.compile(r"\$\{(env|var):([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_OPENING = re.compile(r"\$\{")

Source = Literal["env", "var"]


def check_references(template: str) -> None:
    """Raise `ValueError` if something looks like a reference and is none."""
    if len(_OPENING.findall(template)) != len(_REFERENCE.findall(template)):
        raise ValueError("a reference is ${env:NAME} or ${var:NAME}")


def has_references(text: str) -> bool:
    """Whether a text holds a reference."""
    return _REFERENCE.search(text) is not None


def is_one_secret(template: str) -> bool:
    """Whether a text is a reference to a secret and nothing else."""
    match = _REFERENCE.fullmatch(template)
    return match is not None and match[1] == "env"


def references(template: str, source: Source) -> Iterator[str]:
    """The names that a text refers to."""
    return (name for kind, name in _REFERENCE.findall(template) if kind == source)


def fill_in(template: str, value_of: Callable[[str, str], str]) -> str:
    """Replace each reference by `value_of(source, name)`."""
    return _REFERENCE.sub(lambda match: value_of(match[1], match[2]), template)
