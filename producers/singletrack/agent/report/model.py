"""What came of a run of a workflow, as data."""

from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from singletrack.agent.targets.resolution import Attempt, Method, TargetStatus

REPORT_VERSION: Final = 1


class StepOutcome(StrEnum):
    """What came of a step; `PLANNED` is a dry run's, `NOT_REACHED` that of the steps after the one that stopped."""

    DONE = "done"
    STOPPED = "stopped"
    PLANNED = "planned"
    NOT_REACHED = "not_reached"


class RunOutcome(StrEnum):
    """What came of a run: all steps done, or a stop because something was unsure, or by a person; or a dry run."""

    COMPLETED = "completed"
    UNSURE = "unsure"
    STOPPED_BY_PERSON = "stopped_by_person"
    DRY_RUN = "dry_run"


class VerifiedAs(StrEnum):
    """Whether a step had its effect.

    `UNPROVEN`: what was expected is seen, but was seen before the step already. `NOT_ASKED`: the step expects nothing.
    """

    VERIFIED = "verified"
    UNPROVEN = "unproven"
    FAILED = "failed"
    NOT_ASKED = "not_asked"


class _Reported(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verification(_Reported):
    """Whether a step had its effect, and how that was seen."""

    outcome: VerifiedAs = VerifiedAs.NOT_ASKED
    how: str = ""


class TargetReport(_Reported):
    """How a step's target was looked for: `looks` are the screenshots that it took, `took_ms` the resolver's time.

    `point` is where it was, x and y in pixels of the screenshot; `score` is 0 to 1.
    """

    name: str
    status: TargetStatus
    why: str
    method: Method | None = None
    score: float = Field(default=0.0, ge=0, le=1)
    point: tuple[int, int] | None = None
    attempts: tuple[Attempt, ...] = ()
    looks: int = Field(default=1, ge=0)
    took_ms: float = Field(default=0.0, ge=0)


class StepReport(_Reported):
    """What came of one step; numbers begin with 1.

    `took_ms` is all of its time, `queued_ms` what of it was spent in the worker's queue. `models` are what read, looked
    and answered. `why` says why it stopped. `picture` is a JPEG of the place with the mark drawn.
    """

    number: int = Field(ge=1)
    kind: str
    name: str
    outcome: StepOutcome
    why: str = ""
    target: TargetReport | None = None
    verification: Verification = Verification()
    retries: int = Field(default=0, ge=0)
    took_ms: float = Field(default=0.0, ge=0)
    queued_ms: float = Field(default=0.0, ge=0)
    models: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    answer: str = ""
    picture: bytes | None = Field(default=None, exclude=True, repr=False)


class RunReport(_Reported):
    """What came of a run; `why` is a sentence for people. Times are Unix seconds and milliseconds."""

    version: Literal[1] = REPORT_VERSION
    workflow: str
    outcome: RunOutcome
    why: str = ""
    began_unix_s: float
    took_ms: float = Field(ge=0)
    mode_before: str = ""
    degraded: tuple[str, ...] = ()
    steps: tuple[StepReport, ...]

    @property
    def found(self) -> tuple[TargetReport, ...]:
        """The targets that were found and acted on."""
        done = (step for step in self.steps if step.outcome in {StepOutcome.DONE, StepOutcome.PLANNED})
        return tuple(step.target for step in done if step.target and step.target.method)

    @property
    def retries(self) -> int:
        """How often an action was done again."""
        return sum(step.retries for step in self.steps)
