"""The VLM is announced before a step that is sure to need it, and in time."""

import pytest

from singletrack.agent.loop.foresight import Foresight, needs_vlm
from singletrack.agent.loop.worker_use import WorkerUse
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.steps import AnyStep, AskStep, ClickStep, PressStep
from tests.unit.agent.loop.forms import flow

PRESS, ASK = PressStep(keys=("a",)), AskStep(question="How much?", into="total")


class Wishes(WorkerUse):
    """Keeps what is wished."""

    def __init__(self) -> None:
        super().__init__(None)
        self.announced: list[float] = []
        self.withdrawn = 0

    def announce_vlm(self, in_s: float) -> None:
        self.announced.append(in_s)

    def withdraw_vlm(self) -> None:
        self.withdrawn += 1


def played(*steps: AnyStep, took_ms: float = 2000.0, until: int | None = None) -> Wishes:
    """Look ahead before each step, up to the one where the run stops."""
    wishes = Wishes()
    foresight = Foresight(flow(*steps, needs_worker=True), wishes)
    reached = len(steps) if until is None else until
    for index in range(reached):
        foresight.look_ahead(index, [took_ms] * index)
    foresight.end(reached)
    return wishes


@pytest.mark.parametrize(
    ("step", "is_sure"),
    [
        (ASK, True),
        (ClickStep(target=Target(description="the bell")), True),
        (ClickStep(target=Target(text="Save", description="the button")), False),
        (PRESS, False),
    ],
)
def test_some_steps_are_sure_to_need_it(step: AnyStep, is_sure: bool) -> None:
    assert needs_vlm(step) is is_sure


def test_a_need_that_is_near_is_announced_once() -> None:
    assert played(PRESS, PRESS, PRESS, ASK).announced == [9.0]


def test_a_need_that_is_far_is_announced_when_it_comes_near() -> None:
    assert played(*[PRESS] * 15, ASK).announced == [20.0]
    assert played(*[PRESS] * 5, ASK, took_ms=100_000).announced == [15.0]


def test_each_need_is_announced() -> None:
    assert played(PRESS, ASK, PRESS, ASK.model_copy(update={"into": "more"})).announced == [3.0, 2.0]


def test_a_need_at_once_is_not_announced() -> None:
    assert played(ASK, PRESS).announced == []


def test_what_is_not_come_to_is_taken_back() -> None:
    assert played(PRESS, PRESS, ASK, until=2).withdrawn == 1
    assert played(PRESS, PRESS, ASK).withdrawn == 0
    assert played(PRESS, PRESS).withdrawn == 0
