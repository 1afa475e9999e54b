"""Secrets stay out of texts, however they were read or quoted; answers are typed only if they are safe to type."""

import pytest

from singletrack.agent.loop.parts import Surroundings
from singletrack.agent.loop.stopping import Unsure
from singletrack.agent.loop.values import Values
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.steps import TypeStep
from tests.unit.agent.loop.forms import flow


def values(secret: str) -> Values:
    step = TypeStep(into=Target(text="Pin"), secret="${env:PIN}")
    return Values(flow(step), {"PIN": secret})


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("hunter2", "it shows hunter2"),
        ("hunter2", "it shows 'HUNTER2'"),
        ("hunter2", "it shows hunter 2"),
        ("pass-l0rd", "it shows pass-1ord"),
        ("a'b\\c\"d", f"it shows {chr(39)}{chr(97)}{chr(92)}{chr(39)}b{chr(92)}{chr(92)}c{chr(34)}d{chr(39)}"),
        ("correct horse", "it shows correct\nhorse"),
        ("!!!!", "it shows !!!!"),
    ],
)
def test_a_secret_is_told_in_no_way(secret: str, text: str) -> None:
    assert "[secret]" in values(secret).redact(text)
    left = values(secret).redact(text).lower()
    assert not any(part in left for part in ("unter", "ord", "horse", 'c"d', "!!"))


def test_other_texts_are_left_as_they_are() -> None:
    text = "Step 2: the field shows 'hunter', 7 of 22 (a.b)"
    assert values("hunter2!").redact(text) == text
    assert values(".*x").redact("any text x") == "any text x"


def test_the_environment_is_not_in_what_debuggers_and_logs_show() -> None:
    assert "hunter2" not in repr(Surroundings({"PIN": "hunter2"}))
    assert "hunter2" not in repr(values("hunter2"))


@pytest.mark.parametrize("answer", ["a\nb", "a\x1b[31m", "a\u202eb", "a\x00"])
def test_an_answer_that_would_press_keys_is_not_kept(answer: str) -> None:
    kept = values("hunter2")
    with pytest.raises(Unsure, match="has line ends or control characters"):
        kept.keep("total", answer)
