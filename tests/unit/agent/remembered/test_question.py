"""Which questions are the same, and what of a screen they are about."""

from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, create_model

from singletrack.agent.errors import InvalidMemory
from singletrack.agent.remembered.question import ScreenQuestion
from singletrack.agent.targets.geometry import Box
from tests.unit.agent.fusion.hashed_clip import noise

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}


class Total(BaseModel):
    total: float


class Sum(BaseModel):
    total: float


def test_the_same_question_has_the_same_key() -> None:
    first, second = (
        ScreenQuestion("What?", dict(reversed(SCHEMA.items())), options={"seed": 1, "top_k": 2}),
        ScreenQuestion("What?", SCHEMA, options={"top_k": 2, "seed": 1}),
    )
    assert first.key == second.key is not None
    assert ScreenQuestion("What?", Total).key == ScreenQuestion("What?", Total).key


def test_whatever_may_change_the_answer_changes_the_key() -> None:
    questions = [
        ScreenQuestion("What?"),
        ScreenQuestion("what?"),
        ScreenQuestion("What?", SCHEMA),
        ScreenQuestion("What?", SCHEMA | {"title": "Total"}),
        ScreenQuestion("What?", Total),
        ScreenQuestion("What?", Sum),
        ScreenQuestion("What?", options={"seed": 1}),
        ScreenQuestion("What?", region=Box(0, 0, 40, 40)),
        ScreenQuestion("What?", region=Box(0, 0, 40, 41)),
        ScreenQuestion("What?", ignored=(Box(0, 0, 40, 40),)),
    ]
    assert len({question.key for question in questions}) == len(questions)


def test_two_classes_of_one_schema_make_two_questions() -> None:
    namesake = create_model("Total", total=(float, ...), __module__="elsewhere")
    assert namesake.model_json_schema() == Total.model_json_schema()
    assert ScreenQuestion("What?", namesake).key != ScreenQuestion("What?", Total).key


def test_what_no_client_accepts_has_no_key() -> None:
    nested: dict[str, Any] = {}
    for _ in range(100_000):
        nested = {"not": nested}
    for question in (
        ScreenQuestion("What?", {"enum": {1}}),
        ScreenQuestion("What?", nested),
        ScreenQuestion("What?", options={"seed": object()}),
    ):
        assert question.key is None


def test_a_region_is_all_that_the_vlm_sees() -> None:
    screen = noise(1)
    question = ScreenQuestion("What?", region=Box(10, 5, 40, 33), ignored=(Box(12, 7, 3, 3),))
    np.testing.assert_array_equal(question.picture(screen).pixels, screen.pixels[5:38, 10:50])
    assert question.ignored_in_picture() == [Box(2, 2, 3, 3)]
    assert ScreenQuestion("What?").picture(screen) is screen


@pytest.mark.parametrize(
    "box", [Box(0, 0, 0, 5), Box(-1, 0, 5, 5), Box(60, 0, 5, 5), Box(0, 0, 64, 49), Box(9, 9, -3, -3)]
)
def test_a_region_lies_inside_the_screenshot(box: Box) -> None:
    with pytest.raises(InvalidMemory, match="inside the screenshot"):
        ScreenQuestion("What?", region=box).picture(noise(1))
