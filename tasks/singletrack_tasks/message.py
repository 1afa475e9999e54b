"""The base of every message: frozen, strict about its fields, and versioned."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from singletrack_tasks.errors import InvalidRequest, UnsupportedVersion
from singletrack_tasks.text import cut_line, quoted

# What a message is called by, and what is wrong with it, may be any text and any number of times.
_NAME_CHARS = 50
_PROBLEM_CHARS = 300
_MOST_PROBLEMS = 8


class Message(BaseModel):
    """One frozen message of the contract, of exactly one version."""

    VERSION: ClassVar[int] = 1
    # Inputs are prompts and answers, which no log or traceback may quote.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", hide_input_in_errors=True)

    version: int = 1

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Read a message from a JSON object.

        Raises `UnsupportedVersion` for an unknown version, before reading anything else, and `InvalidRequest`
        or a subclass, which names the invalid fields, for any other problem.
        """
        if isinstance(data, dict) and data.get("version", cls.VERSION) != cls.VERSION:
            raise UnsupportedVersion(
                f"{cls.__name__} of version {quoted(data['version'])} is not supported here (version {cls.VERSION} "
                "is). Install the same release of singletrack at both ends.",
                {"known": cls.VERSION},
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise _kind(error)(describe_problems(cls.__name__, error)) from error

    @classmethod
    def build(cls, **fields: Any) -> Self:
        """Make a message from its fields; raises `InvalidRequest`, which names the invalid ones."""
        return cls.parse(fields)

    def dump(self) -> dict[str, Any]:
        """Return the message as a JSON object."""
        return self.model_dump(mode="json")


def describe_problems(name: str, error: ValidationError) -> str:
    """Say in one line which fields of a message are wrong, and why."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    problems = [
        f"{'.'.join(cut_line(str(part), _NAME_CHARS) for part in problem['loc']) or 'message'}: "
        f"{cut_line(problem['msg'], _PROBLEM_CHARS)}"
        for problem in found[:_MOST_PROBLEMS]
    ]
    if len(found) > _MOST_PROBLEMS:
        problems.append(f"and {len(found) - _MOST_PROBLEMS} more")
    return f"{name} is not valid: {'; '.join(problems)}"


def _kind(error: ValidationError) -> type[InvalidRequest]:
    """Return the kind of `InvalidRequest` that a validator raised, if it is the only problem."""
    raised = [problem.get("ctx", {}).get("error") for problem in error.errors(include_url=False, include_input=False)]
    return type(raised[0]) if len(raised) == 1 and isinstance(raised[0], InvalidRequest) else InvalidRequest
