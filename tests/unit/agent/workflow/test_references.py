"""References in texts."""

import pytest
from pydantic import ValidationError

from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.references import fill_in, is_one_secret, references
from singletrack.agent.workflow.steps import AskStep, TypeStep

NAME = Target(text="Name")


def test_references_are_found_and_filled_in() -> None:
    template = "a ${env:USER} b ${var:total} ${var:total}"
    assert list(references(template, "env")) == ["USER"]
    assert list(references(template, "var")) == ["total", "total"]
    assert fill_in(template, lambda source, name: f"<{source} {name}>") == "a <env USER> b <var total> <var total>"


def test_what_a_value_holds_is_no_reference() -> None:
    assert fill_in("${var:a}", lambda _source, _name: "${env:PASSWORD}") == "${env:PASSWORD}"


@pytest.mark.parametrize(
    ("template", "is_one"), [("${env:A}", True), ("${env:A} ", False), ("${var:A}", False), ("A", False), ("", False)]
)
def test_a_secret_is_a_reference_alone(template: str, is_one: bool) -> None:
    assert is_one_secret(template) is is_one


def test_a_workflow_names_its_secrets() -> None:
    typed = (TypeStep(into=NAME, secret="${env:PASSWORD}"), TypeStep(into=NAME, text="${env:USER}@example.org"))
    assert Workflow(name="x", steps=typed).secrets == {"PASSWORD", "USER"}


def test_a_variable_is_asked_for_before_it_is_typed() -> None:
    ask, typed = AskStep(question="How much?", into="total"), TypeStep(into=NAME, text="${var:total}")
    assert Workflow(name="x", steps=(ask, typed)).asks
    with pytest.raises(ValidationError, match="step 1 types the variable total"):
        Workflow(name="x", steps=(typed, ask))
