"""What goes wrong with models and servers, mixed into good answers by a script."""

import json
import random
import threading
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from singletrack_ops.stand_in.replies import Answerer, Reply, Said, spoken

_THOUGHTS = 12
_SLOW_PIECE_S = 5.0
_BEYOND_ALL = 1000


class Mishap(StrEnum):
    """How an answer goes wrong."""

    WRONG = "wrong"  # another value that the schema allows
    REFUSAL = "refusal"  # null
    ONLY_THOUGHT = "only_thought"  # thoughts until there is no more room
    CUT = "cut"  # the first half of the answer
    OUTSIDE_SCHEMA = "outside_schema"  # JSON that the schema forbids
    PROSE = "prose"  # no JSON
    HTTP_500 = "http_500"
    SLOW = "slow"  # the right answer, seconds a piece


class Unreliable:
    """An answerer whose answers go wrong as a script says, one item a question; None leaves an answer as it is.

    After the script's end all answers are left as they are. `mishaps` counts what was done.
    """

    def __init__(self, answerer: Answerer, script: Iterable[Mishap | None] = ()) -> None:
        self._answerer = answerer
        self._script: Iterator[Mishap | None] = iter(script)
        self._lock = threading.Lock()
        self.mishaps: list[Mishap | None] = []

    def follow(self, script: Iterable[Mishap | None]) -> None:
        """Go on with another script, and count anew."""
        with self._lock:
            self._script, self.mishaps = iter(script), []

    def reply(self, question: Mapping[str, Any]) -> Reply:
        """Answer the body of a request to `/api/chat`."""
        with self._lock:
            mishap = next(self._script, None)
            self.mishaps.append(mishap)
        if mishap is Mishap.HTTP_500:
            return Reply(failure="llama runner process has terminated: exit status 2")
        if mishap is Mishap.ONLY_THOUGHT:
            return Reply([Said("", f"Hmm, {number}? ") for number in range(_THOUGHTS)], is_cut=True)
        good = self._answerer.reply(question)
        return good if mishap is None else _spoilt(good, mishap, question.get("format") or {})


def drawn_script(seed: int, share: float) -> Iterator[Mishap | None]:
    """Draw an endless script in which so large a share of answers goes wrong; the same for the same seed."""
    draw, kinds = random.Random(seed), list(Mishap)  # noqa: S311 # to be repeated, not to be secret
    while True:
        yield draw.choice(kinds) if draw.random() < share else None


def _spoilt(good: Reply, mishap: Mishap, schema: Mapping[str, Any]) -> Reply:
    text = "".join(said.text for said in good.pieces)
    properties: Mapping[str, Any] = schema.get("properties", {})
    match mishap:
        case Mishap.WRONG:
            return Reply(spoken(_another(text, properties)))
        case Mishap.REFUSAL:
            return Reply(spoken(json.dumps(dict.fromkeys(properties))))
        case Mishap.OUTSIDE_SCHEMA:
            return Reply(spoken(json.dumps(dict.fromkeys(properties, _BEYOND_ALL))))
        case Mishap.CUT:
            return Reply(spoken(text[: len(text) // 2]), is_cut=True)
        case Mishap.PROSE:
            return Reply(spoken("I see many elements on this screen. Click at (812, 440)."))
        case _:
            return Reply(good.pieces, piece_s=_SLOW_PIECE_S)


def _another(text: str, properties: Mapping[str, Any]) -> str:
    """The answer with other allowed values, so far as the schema lists any."""
    answer = json.loads(text)
    for name, schema in properties.items():
        if schema.get("type") == "boolean":
            answer[name] = not answer.get(name)
            continue
        others = [it for it in schema.get("enum", ()) if it is not None and it != answer.get(name)]
        answer[name] = others[0] if others else answer.get(name)
    return json.dumps(answer)
