"""What every message has in common: it is frozen, strict about its fields, and carries a version."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from singletrack_tasks.errors import InvalidRequest, UnsupportedVersion


class Message(BaseModel):
    """One frozen message of the contract, of exactly one version."""

    VERSION: ClassVar[int] = 1
    # Inputs are prompts and answers, which no log and no traceback is to quote.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", hide_input_in_errors=True)

    version: int = 1

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Read a message from a JSON object.

        Raises `UnsupportedVersion` for a version that is not known, before anything else of it is read,
        and `InvalidRequest`, or a kind of it, which names the fields, for everything else that is wrong with it.
        """
        if isinstance(data, dict) and data.get("version", cls.VERSION) != cls.VERSION:
            raise UnsupportedVersion(
                f"{cls.__name__} of version {data['version']!r} is not known here (version {cls.VERSION} is). "
                "Install the same release of singletrack at both ends.",
                {"known": cls.VERSION},
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise _kind(error)(describe_problems(cls.__name__, error)) from error

    @classmethod
    def build(cls, **fields: Any) -> Self:
        """Make a message from its fields; raises `InvalidRequest`, which names what is wrong."""
        return cls.parse(fields)

    def dump(self) -> dict[str, Any]:
        """Give the message as a JSON object."""
        return self.model_dump(mode="json")


def describe_problems(name: str, error: ValidationError) -> str:
    """Say in one line which fields of a message are wrong, and why."""
    problems = (
        f"{'.'.join(str(part) for part in problem['loc']) or 'message'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    )
    return f"{name} is not valid: {'; '.join(problems)}"


def _kind(error: ValidationError) -> type[InvalidRequest]:
    """Return the kind of `InvalidRequest` that a validator raised, if that is all that is wrong."""
    raised = [problem.get("ctx", {}).get("error") for problem in error.errors(include_url=False, include_input=False)]
    return type(raised[0]) if len(raised) == 1 and isinstance(raised[0], InvalidRequest) else InvalidRequest
