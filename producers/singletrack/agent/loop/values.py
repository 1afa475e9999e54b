"""What a run knows and types: variables, and secrets, which nobody else gets to see."""

import re
from collections.abc import Iterable, Iterator, Mapping

from singletrack.agent.errors import InvalidWorkflow
from singletrack.agent.loop.stopping import Unsure
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.comparing import text_key
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.references import fill_in, references

_NOTHING = re.compile(r"(?!)")
_HIDDEN = "[secret]"
# A shorter secret is part of too many words; the text that holds it is never quoted either.
_SHORTEST = 3
# What engines take for one another.
_MISREAD = ("0oO", "1lI|", "5sS", "8B", "2zZ")


class Values:
    """The variables and secrets of a run.

    Raises `InvalidWorkflow` if the environment lacks a secret that the workflow types.
    """

    def __init__(self, workflow: Workflow, environment: Mapping[str, str]) -> None:
        missing = sorted(name for name in workflow.secrets if not environment.get(name))
        if missing:
            raise InvalidWorkflow(f"The environment has no {', '.join(missing)}. Set what the workflow types.")
        self._secrets = {name: environment[name] for name in workflow.secrets}
        self._variables: dict[str, str] = {}
        self._regions: list[Box] = []

    def keep(self, name: str, value: str) -> None:
        """Keep a variable; raises `Unsure` if it could not be typed safely."""
        if not value.isprintable():
            raise Unsure(f"The answer for {name} has line ends or control characters. Look at the question.")
        self._variables[name] = value

    def fill(self, template: str) -> str:
        """Return a text with its references replaced."""
        return fill_in(template, lambda source, name: (self._secrets if source == "env" else self._variables)[name])

    def is_secret(self, template: str) -> bool:
        """Whether a text holds a secret."""
        return any(references(template, "env"))

    def hide(self, box: Box) -> None:
        """Remember where a secret was typed: pictures never show that place again."""
        self._regions.append(box)

    def redact(self, text: str) -> str:
        """Return a text without secrets, also as an engine may have read them and a message has quoted them."""
        for secret in self._long_secrets():
            text = _as_read(secret).sub(_HIDDEN, text.replace(secret, _HIDDEN))
        return text

    def hidden(self, seen: SeenScreen) -> Iterable[Box]:
        """What pictures of a screen must not show."""
        keys = [text_key(secret) for secret in self._long_secrets()]
        shown = [label.box for label in seen.labels if any(key and key in text_key(label.text) for key in keys)]
        return (*self._regions, *shown)

    def _long_secrets(self) -> Iterator[str]:
        return (secret for secret in sorted(self._secrets.values(), key=len, reverse=True) if len(secret) >= _SHORTEST)


def _as_read(secret: str) -> re.Pattern[str]:
    """A pattern of a secret's letters and digits: in any case, taken for others, with any marks and blanks between."""
    letters = [char for char in secret if char.isalnum()]
    if len(letters) < _SHORTEST:
        return _NOTHING
    return re.compile(r"[\W_]{0,3}".join(map(_lookalikes, letters)), re.IGNORECASE)


def _lookalikes(char: str) -> str:
    return f"[{re.escape(next((group for group in _MISREAD if char in group), char))}]"
