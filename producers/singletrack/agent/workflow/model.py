"""A workflow."""

from collections import Counter
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from singletrack.agent.workflow.references import references
from singletrack.agent.workflow.steps import LABEL_CHARS_MAX, AnyStep, AskStep, TypeStep

WORKFLOW_VERSION: Final = 1
STEPS_MAX = 1000


class Workflow(BaseModel):
    """Steps that an agent takes, one after the other.

    With `needs_worker: false` it runs without a worker too, degraded; then it may not ask the VLM.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = WORKFLOW_VERSION
    name: str = Field(min_length=1, max_length=LABEL_CHARS_MAX)
    needs_worker: bool = True
    steps: tuple[AnyStep, ...] = Field(max_length=STEPS_MAX)

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the secrets that it types."""
        typed = (step for step in self.steps if isinstance(step, TypeStep))
        return frozenset(name for step in typed for name in references(step.template, "env"))

    @property
    def asks(self) -> bool:
        """Whether it has questions for the VLM."""
        return any(isinstance(step, AskStep) for step in self.steps)

    @model_validator(mode="after")
    def _has_steps(self) -> Self:
        if not self.steps:
            raise ValueError("it has no steps")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        counts = Counter(step.name for step in self.steps if step.name)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"two steps are named {twice[0]!r}")
        return self

    @model_validator(mode="after")
    def _variables_are_known(self) -> Self:
        known: set[str] = set()
        for number, step in enumerate(self.steps, 1):
            if isinstance(step, AskStep):
                known.add(step.into)
            elif isinstance(step, TypeStep) and (unknown := set(references(step.template, "var")) - known):
                raise ValueError(f"step {number} types the variable {min(unknown)}, which no earlier step asks for")
        return self

    @model_validator(mode="after")
    def _questions_need_a_worker(self) -> Self:
        if self.asks and not self.needs_worker:
            raise ValueError("it asks the VLM, so needs_worker cannot be false")
        return self
