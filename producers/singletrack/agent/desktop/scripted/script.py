"""The script of a desktop made of pictures: what each picture reacts to."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from singletrack.agent.errors import InvalidDesktop
from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.targets.geometry import ORIGIN, Box, Point

_FILE_BYTES_MAX = 1024 * 1024


def _box(value: Any) -> Any:
    """A box may be written as [left, top, width, height]."""
    return Box(*value) if isinstance(value, list | tuple) and len(value) == 4 else value


def _point(value: Any) -> Any:
    return Point(*value) if isinstance(value, list | tuple) and len(value) == 2 else value


WrittenBox = Annotated[Box, BeforeValidator(_box)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class _Scripted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScriptedField(_Scripted):
    """A field that is typed into: its text is drawn `text_px` high, `inset_px` from its left edge.

    Fields of one name are one field, whatever picture they are on. It keeps at most `max_chars` of what is typed; a
    `secret` one shows dots.
    """

    name: str = Field(min_length=1)
    box: WrittenBox
    text: str = ""
    text_px: int = Field(default=26, ge=8, le=200)
    inset_px: int = Field(default=22, ge=0)
    max_chars: int = Field(default=10_000, ge=0)
    secret: bool = False


class ScriptedMove(_Scripted):
    """What leads to another picture: `count` clicks in a box, keys pressed together, or the wheel over a box."""

    to: str
    on: Literal["click", "press", "scroll"] = "click"
    name: str = ""
    box: WrittenBox | None = None
    keys: tuple[str, ...] = ()
    button: MouseButton = MouseButton.LEFT
    count: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _has_a_cause(self) -> Self:
        if (self.box is None) == (self.on != "press") or bool(self.keys) == (self.on != "press"):
            raise ValueError("a click and a scroll have a box, a press has keys")
        return self


class ScriptedPatch(_Scripted):
    """What is painted over a picture: a colour, and a text on it."""

    box: WrittenBox
    fill: Colour
    text: str = ""
    ink: Colour = "#000000"
    text_px: int = Field(default=26, ge=8, le=200)


class ScriptedState(_Scripted):
    """A picture (a file's path, relative to the script's folder), what is painted over it, and what it reacts to.

    Of moves that overlap, the first counts; a move counts before a field.
    """

    name: str = Field(min_length=1)
    picture: str
    title: str = ""
    patches: tuple[ScriptedPatch, ...] = ()
    fields: tuple[ScriptedField, ...] = ()
    moves: tuple[ScriptedMove, ...] = ()


class DesktopScript(_Scripted):
    """All states, the first of them to begin with; `origin` and `scale` are the screen's."""

    states: tuple[ScriptedState, ...] = Field(min_length=1)
    origin: Annotated[Point, BeforeValidator(_point)] = ORIGIN
    scale: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        names = [state.name for state in self.states]
        if len(set(names)) < len(names):
            raise ValueError("two states have one name")
        if missing := {move.to for move in _moves(self.states)} - set(names):
            raise ValueError(f"a move leads to {min(missing)!r}, which is no state")
        return self

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read a JSON file; raises `InvalidDesktop`."""
        try:
            if file.stat().st_size > _FILE_BYTES_MAX:
                raise InvalidDesktop(f"{file} is larger than {_FILE_BYTES_MAX} bytes: it is no desktop's script.")
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise InvalidDesktop(f"{file} cannot be read: {error.strerror or error}.") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise InvalidDesktop(f"{file}: {where}: {first['msg']}.") from error


def _moves(states: Iterable[ScriptedState]) -> Iterable[ScriptedMove]:
    return (move for state in states for move in state.moves)
