"""What a model says to a question, and who thinks of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from singletrack_ops.stand_in import answers


class Said(NamedTuple):
    """A piece of an answer, or of the thoughts before it."""

    text: str
    thinking: str = ""


@dataclass(frozen=True)
class Reply:
    """The pieces of an answer; `is_cut` if it ends because there is no more room.

    With a `failure` the server answers HTTP 500 and that text instead. Each piece takes `piece_s` (seconds), None for
    the server's own pace.
    """

    pieces: Iterable[Said] = ()
    is_cut: bool = False
    failure: str = ""
    piece_s: float | None = None


class Answerer(Protocol):
    """Thinks of answers."""

    def reply(self, question: Mapping[str, Any]) -> Reply:
        """Answer the body of a request to `/api/chat`."""


class Meaningless:
    """Answers with small values that fit the schema, or with so many words."""

    def __init__(self, words: int) -> None:
        self._words = words

    def reply(self, question: Mapping[str, Any]) -> Reply:
        """Answer without a look at the question."""
        return Reply(self._pieces(question.get("format")))

    def _pieces(self, schema: Any) -> Iterator[Said]:
        return (Said(text) for text in answers.pieces(schema, self._words))


def spoken(text: str, piece_chars: int = 4) -> tuple[Said, ...]:
    """Cut a text into pieces, as a model says it."""
    return tuple(Said(text[at : at + piece_chars]) for at in range(0, len(text), piece_chars))
