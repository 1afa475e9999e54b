"""Asks the VLM only what it has not answered for this very screen."""

import copy
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from singletrack.agent.errors import InvalidMemory
from singletrack.agent.fusion.engine import DEFAULT_TIMEOUT_S, FusionEngine
from singletrack.agent.fusion.weights import FusionWeights
from singletrack.agent.remembered.kept_screen import KeptScreen
from singletrack.agent.remembered.question import ScreenQuestion
from singletrack.agent.remembered.recollection import KeptAnswer, Recollection
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.answers import Answer, answer_to
from singletrack.client import Client
from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.status import GPUResourceStatus, ModelState

DEFAULT_THRESHOLD: Final = 0.99
MAX_KEEP_S: Final = 24 * 3600.0
MAX_CAPACITY: Final = 1000
_CLIP_LIMIT_S = 30.0
_IMAGE_ALONE = FusionWeights(image=1, text=0, title=0, elements=0)


@dataclass(frozen=True)
class RememberedAnswer:
    """An answer, and where it comes from: the job `job_id` asked the VLM.

    `from_memory` says that this was for an earlier question, `age_s` seconds ago, whose screen's state had the cosine
    `similarity` to this one's (None if it was not compared). `why` says in a few words what decided.
    """

    answer: Answer[Any]
    from_memory: bool
    job_id: str
    why: str
    age_s: float = 0.0
    similarity: float | None = None

    @property
    def text(self) -> str:
        """The answer as the VLM wrote it."""
        return self.answer.text

    @property
    def value(self) -> Any:
        """The answer as the schema wants it, None without one."""
        return self.answer.value


@dataclass(frozen=True)
class MemorySavings:
    """What a gate has saved: questions answered from memory of those asked, seconds, and loads of the VLM.

    The seconds are those that the VLM worked for the first answer, and its usual load where it was not loaded, less
    what the gate took.
    """

    asked: int = 0
    remembered: int = 0
    saved_s: float = 0.0
    loads_avoided: int = 0


class RememberedAnswers:
    """Answers a question from memory if the VLM answered it for a screen that has not changed.

    The same question has the same words, schema, options, model and boxes. The same screen has, outside the boxes that
    the caller ignores, no pixel that differs by more than 2 of 255 levels, and its state has at least the cosine
    `threshold` to the kept one: CLIP alone takes two amounts for one, pixels alone know nothing of an ignored box.
    `fusion` makes the states, of the image alone by default. Up to `capacity` answers are kept for `keep_s` seconds,
    none that was cut. Safe to use from several threads. Raises `InvalidMemory` for a setting out of bounds.
    """

    def __init__(
        self,
        client: Client,
        fusion: FusionEngine | None = None,
        *,
        threshold: float = DEFAULT_THRESHOLD,
        keep_s: float = 600.0,
        capacity: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check("threshold", threshold, 0.5, 1.0)
        _check("keep_s", keep_s, 0.0, MAX_KEEP_S)
        _check("capacity", capacity, 1, MAX_CAPACITY)
        self._client = client
        # An engine that knows no states is false.
        self._fusion = FusionEngine(client, _IMAGE_ALONE) if fusion is None else fusion
        self._threshold = threshold
        self._clock = clock
        self._recollection = Recollection(int(capacity), keep_s, clock)
        self._lock = threading.Lock()
        self._savings = MemorySavings()

    @property
    def savings(self) -> MemorySavings:
        """What was saved so far."""
        return self._savings

    def __len__(self) -> int:
        """How many answers are kept."""
        return len(self._recollection)

    def forget(self) -> None:
        """Forget all answers, as when something happened that no screen shows."""
        self._recollection.clear()

    def ask(
        self,
        question: ScreenQuestion | str,
        screenshot: Screenshot,
        *,
        fresh: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> RememberedAnswer:
        """Put a question about a screenshot to memory and, if that has no answer, to the VLM.

        `fresh` always asks the VLM: for checks, whose answer must be of now. Raises what `Client.ask` raises, and
        `InvalidMemory` for a region outside the screenshot.
        """
        asked = ScreenQuestion(question) if isinstance(question, str) else question
        _check("timeout_s", timeout_s, 0.001, MAX_KEEP_S)
        began_s = self._clock()
        until_s = time.monotonic() + timeout_s
        picture, key = asked.picture(screenshot), asked.key
        found: RememberedAnswer | str = "asked afresh" if fresh else "no valid question"
        if key is not None and not fresh:
            found = self._recall(key, asked, picture, began_s, until_s)
        if isinstance(found, RememberedAnswer):
            return found
        self._count()
        return self._ask(key, asked, picture, until_s, why=found)

    def _recall(
        self, key: str, question: ScreenQuestion, picture: Screenshot, began_s: float, until_s: float
    ) -> RememberedAnswer | str:
        """Answer from memory, or say why not."""
        try:
            status = self._client.status()
            kept = self._recollection.of(key, question.model or status.vlm.model)
            if not kept:
                return "never asked before, or too long ago"
            ignored = question.ignored_in_picture()
            same = next((one for one in kept if one.screen.is_same(picture.pixels, ignored)), None)
            if same is None:
                return "the screen has changed"
            similarity = self._similarity(same, picture, question, until_s)
        except SingletrackError as error:
            return f"memory could not be used: {error}"
        if similarity < self._threshold:
            return f"the screen is not alike enough: {similarity:.4f} of {self._threshold:g}"
        self._count(same, status, began_s)
        return RememberedAnswer(
            copy.deepcopy(same.answer),
            from_memory=True,
            job_id=same.job_id,
            why="the VLM answered this for the same screen",
            age_s=max(0.0, self._clock() - same.answered_s),
            similarity=similarity,
        )

    def _similarity(self, kept: KeptAnswer, picture: Screenshot, question: ScreenQuestion, until_s: float) -> float:
        """Compare the states; equal screens have one."""
        if kept.texts == question.texts and kept.screen.is_equal(picture):
            return 1.0
        then = self._fusion.state_of(kept.screen.screenshot(), kept.texts, timeout_s=_share_of(until_s))
        return self._fusion.state_of(picture, question.texts, timeout_s=_share_of(until_s)).similarity(then)

    def _ask(
        self, key: str | None, question: ScreenQuestion, picture: Screenshot, until_s: float, *, why: str
    ) -> RememberedAnswer:
        job = self._client.submit_ask(
            question.prompt,
            [picture.pixels],
            schema=question.schema,
            options=question.options,
            model=question.model,
            timeout_s=max(until_s - time.monotonic(), 0.001),
        )
        try:
            answer = answer_to(question.schema)(job.result())
        except KeyboardInterrupt:
            job.cancel()
            raise
        if key is not None and answer.truncated is None:
            moved_s = sum(receipt.duration_s for receipt in answer.result.receipts)
            worked_s = max(0.0, answer.result.duration_s - moved_s)
            kept = copy.deepcopy(answer)
            screen = KeptScreen.of(picture)
            self._recollection.keep(KeptAnswer(key, kept, job.id, screen, question.texts, worked_s, self._clock()))
        return RememberedAnswer(answer, from_memory=False, job_id=job.id, why=why)

    def _count(
        self, kept: KeptAnswer | None = None, status: GPUResourceStatus | None = None, began_s: float = 0.0
    ) -> None:
        with self._lock:
            before = self._savings
            self._savings = replace(before, asked=before.asked + 1)
            if kept is None or status is None:
                return
            load = status.vlm.state not in (ModelState.LOADED, ModelState.LOADING)
            loading_s = status.durations_s.get("load_vlm", 0.0) if load else 0.0
            self._savings = MemorySavings(
                asked=before.asked + 1,
                remembered=before.remembered + 1,
                saved_s=before.saved_s + kept.worked_s + loading_s - (self._clock() - began_s),
                loads_avoided=before.loads_avoided + load,
            )


def _share_of(until_s: float) -> float:
    """What CLIP may take of the time that is left: the VLM may have to be asked after all."""
    return max(0.001, min(_CLIP_LIMIT_S, (until_s - time.monotonic()) / 2))


def _check(name: str, value: float, least: float, most: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not least <= value <= most:
        raise InvalidMemory(f"{name} is {least:g} to {most:g}, not {value!r}.")
