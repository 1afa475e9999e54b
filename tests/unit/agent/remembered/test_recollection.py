"""Answers are kept for a while and within bounds."""

import numpy as np
import pytest

from singletrack import Answer
from singletrack.agent.remembered import recollection
from singletrack.agent.remembered.kept_screen import KeptScreen
from singletrack.agent.remembered.recollection import KeptAnswer, Recollection
from singletrack.agent.screen.screenshot import Screenshot
from singletrack_tasks.requests.vlm import AskResult
from tests.unit.agent.fusion.hashed_clip import noise


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def answered(clock: Clock, job_id: str, key: str = "key", model: str = "vlm") -> KeptAnswer:
    answer = Answer("42", None, AskResult(text="42", model=model))
    return KeptAnswer(key, answer, job_id, KeptScreen.of(noise(1)), (), 1.0, clock())


def found(kept: Recollection, key: str = "key", model: str = "vlm") -> list[str]:
    return [one.job_id for one in kept.of(key, model)]


def test_the_newest_answer_to_the_same_question_by_the_same_model_comes_first() -> None:
    clock = Clock()
    kept = Recollection(10, 60, clock)
    for job_id, key, model in (("a", "key", "vlm"), ("b", "key", "vlm"), ("c", "other", "vlm"), ("d", "key", "new")):
        kept.keep(answered(clock, job_id, key, model))
    assert found(kept) == ["b", "a"]
    assert found(kept, "other") == ["c"]
    assert found(kept, model="new") == ["d"]
    kept.clear()
    assert (found(kept), len(kept)) == ([], 0)


def test_old_answers_are_forgotten() -> None:
    clock = Clock()
    kept = Recollection(10, 60, clock)
    kept.keep(answered(clock, "a"))
    clock.now_s += 40
    kept.keep(answered(clock, "b"))
    clock.now_s += 20
    assert found(kept) == ["b", "a"]
    clock.now_s += 1
    assert found(kept) == ["b"]
    clock.now_s += 40
    assert (found(kept), len(kept)) == ([], 0)


def test_the_oldest_goes_when_there_is_no_room() -> None:
    clock = Clock()
    kept = Recollection(3, 60, clock)
    for number in range(5):
        kept.keep(answered(clock, str(number)))
    assert found(kept) == ["4", "3", "2"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    screen = KeptScreen.of(Screenshot.of(np.asarray(noise(1).pixels)))
    monkeypatch.setattr(recollection, "MAX_KEPT_BYTES", 2 * screen.size_bytes)
    kept = Recollection(100, 60, clock)
    for number in range(50):
        kept.keep(answered(clock, str(number)))
    assert found(kept) == ["49", "48"]
    monkeypatch.setattr(recollection, "MAX_KEPT_BYTES", 0)
    kept.keep(answered(clock, "too large"))
    assert found(kept) == []
