"""The steps of a workflow."""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from singletrack.agent.desktop.typable import check_typable
from singletrack.agent.errors import InputRefused
from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.key_names import KEY_NAMES
from singletrack.agent.workflow.references import VARIABLE_NAME, check_references, has_references, is_one_secret
from singletrack_tasks.errors import InvalidSchema
from singletrack_tasks.schema import check_schema

LABEL_CHARS_MAX = 200
TEXT_CHARS_MAX = 5000


def _is_readable(text: str) -> str:
    """Refuse a text that no reader compares: that it is gone would always hold."""
    if text and not any(char.isalnum() or char in "%|" for char in text):
        raise ValueError(f"{text!r} has no letter and no digit, so it cannot be looked for")
    return _is_plain(text)


def _is_plain(text: str) -> str:
    if has_references(text):
        raise ValueError("references are filled in only where something is typed")
    return text


def _names_plainly(target: Target) -> Target:
    _is_plain(target.text + target.description)
    return target


# What is put to the VLM, and what is looked for on the screen.
Words = Annotated[str, Field(min_length=1, max_length=TEXT_CHARS_MAX), AfterValidator(_is_plain)]
SoughtWords = Annotated[str, Field(max_length=TEXT_CHARS_MAX), AfterValidator(_is_readable)]
PlainTarget = Annotated[Target, AfterValidator(_names_plainly)]
# Strict: true is no number.
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepExpectation(_Part):
    """What must be seen after a step, within `within_s` seconds: texts, a target; or texts that must be gone."""

    seen: tuple[SoughtWords, ...] = ()
    gone: tuple[SoughtWords, ...] = ()
    target: PlainTarget | None = None
    within_s: Seconds = 10.0

    @field_validator("seen", "gone", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if "" in (*self.seen, *self.gone) or not (self.seen or self.gone or self.target):
            raise ValueError("an expectation needs seen, gone or target")
        return self


class WorkflowStep(_Part):
    """What every step has.

    `timeout_s` is how long (seconds) its target is looked for, `retries` how often an action without any effect is
    done again, `expect` what must be seen afterwards.
    """

    name: str = Field(default="", max_length=LABEL_CHARS_MAX)
    expect: StepExpectation | None = None
    timeout_s: Seconds = 20.0
    retries: int = Field(default=1, ge=0, le=10, strict=True)


class ClickStep(WorkflowStep):
    """Click a target."""

    do: Literal["click"] = "click"
    target: PlainTarget
    button: MouseButton = MouseButton.LEFT
    count: int = Field(default=1, ge=1, le=3, strict=True)


class TypeStep(WorkflowStep):
    """Click a field and type into it; `clear` replaces what is in it.

    `text` may name variables (`${var:NAME}`) and the environment's secrets (`${env:NAME}`); `secret` is one of those
    alone. `read_back` compares what the field shows afterwards; of secrets only that it shows something.
    """

    do: Literal["type"] = "type"
    into: PlainTarget
    text: str = Field(default="", max_length=TEXT_CHARS_MAX)
    secret: str = ""
    clear: bool = True
    read_back: bool = True

    @property
    def template(self) -> str:
        """The text with its references."""
        return self.secret or self.text

    @model_validator(mode="after")
    def _types_something(self) -> Self:
        if bool(self.text) == bool(self.secret):
            raise ValueError("give either text or secret")
        if self.secret and not is_one_secret(self.secret):
            raise ValueError("secret is a reference like ${env:NAME}, never the secret itself")
        check_references(self.template)
        try:
            check_typable(self.text)
        except InputRefused as error:
            raise ValueError(error.message) from error
        return self


class WaitStep(WorkflowStep):
    """Wait until a target is seen, for `timeout_s`."""

    do: Literal["wait_until_seen"] = "wait_until_seen"
    target: PlainTarget


class CheckStep(WorkflowStep):
    """Check that a text or a target is on the screen, or with `there: false` that it is not."""

    do: Literal["check"] = "check"
    text: SoughtWords = ""
    target: PlainTarget | None = None
    there: bool = True

    @model_validator(mode="after")
    def _checks_one_thing(self) -> Self:
        if bool(self.text.strip()) == (self.target is not None):
            raise ValueError("give either text or target")
        return self


class AskStep(WorkflowStep):
    """Ask the VLM about the screen; the answer, which fits `answer_schema` if there is one, becomes a variable."""

    do: Literal["ask"] = "ask"
    question: Words
    into: str = Field(pattern=VARIABLE_NAME)
    answer_schema: dict[str, Any] | None = None
    timeout_s: Seconds = 120.0

    @field_validator("answer_schema")
    @classmethod
    def _is_a_schema(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            return schema if schema is None else check_schema(schema)
        except InvalidSchema as error:
            raise ValueError(error.message) from error


class PressStep(WorkflowStep):
    """Press keys together."""

    do: Literal["press"] = "press"
    keys: tuple[str, ...] = Field(min_length=1, max_length=5)

    @field_validator("keys")
    @classmethod
    def _are_names(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if key not in KEY_NAMES and not (len(key) == 1 and key.isprintable() and key != " "):
                raise ValueError(f"{key!r} is no key: write one sign, or one of {', '.join(sorted(KEY_NAMES))}")
        return keys


class ScrollStep(WorkflowStep):
    """Turn the wheel over a target; downwards if `notches` is negative."""

    do: Literal["scroll"] = "scroll"
    at: PlainTarget
    notches: int = Field(ge=-100, le=100, strict=True)

    @field_validator("notches")
    @classmethod
    def _turns(cls, notches: int) -> int:
        if not notches:
            raise ValueError("notches is not 0")
        return notches


AnyStep: TypeAlias = Annotated[
    ClickStep | TypeStep | WaitStep | CheckStep | AskStep | PressStep | ScrollStep, Field(discriminator="do")
]
STEP_KINDS: dict[str, type[WorkflowStep]] = {
    "click": ClickStep,
    "type": TypeStep,
    "wait_until_seen": WaitStep,
    "check": CheckStep,
    "ask": AskStep,
    "press": PressStep,
    "scroll": ScrollStep,
}


def target_of(step: WorkflowStep) -> Target | None:
    """The target that a step looks for first."""
    match step:
        case ClickStep(target=target) | WaitStep(target=target) | CheckStep(target=target):
            return target
        case TypeStep(into=target) | ScrollStep(at=target):
            return target
    return None
