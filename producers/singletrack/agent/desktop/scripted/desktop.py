"""A desktop made of pictures, for tests and demonstrations: it reacts as its script says, and is its own judge."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from singletrack.agent.desktop.scripted.drawing import draw_field, draw_focus, painted
from singletrack.agent.desktop.scripted.script import DesktopScript, ScriptedField, ScriptedMove, ScriptedState
from singletrack.agent.errors import InvalidDesktop, InvalidScreenshot
from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.geometry import Point

_SELECT_ALL = ({"ctrl", "a"}, {"cmd", "a"}, {"shift", "home"})


@dataclass(frozen=True, slots=True)
class Received:
    """Something that the desktop received: in which state, where (desktop's pixels), and what it hit.

    `hit` names a field, a move, or the state that a move led to; it is empty for what hit nothing.
    """

    kind: Literal["click", "type", "press", "scroll"]
    state: str
    hit: str
    point: Point | None = None
    text: str = ""


class ScriptedDesktop:
    """A `Display` and `Hands` of pictures; `folder` is where the script's pictures lie.

    `received` tells everything that came, `typed` what each field holds. Raises `InvalidDesktop` if a picture is
    missing or a box lies outside it.
    """

    def __init__(self, script: DesktopScript, folder: Path) -> None:
        self._script = script
        self._states = {state.name: state for state in script.states}
        self._pixels = {state.name: _pixels_of(state, folder) for state in script.states}
        self._state = script.states[0]
        self._focus: ScriptedField | None = None
        self._all_selected = False
        self.typed: dict[str, str] = {}
        self.received: list[Received] = []

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `desktop.json` in a folder; raises `InvalidDesktop`."""
        return cls(DesktopScript.load(folder / "desktop.json"), folder)

    @property
    def state(self) -> str:
        """The name of the state that is shown."""
        return self._state.name

    @property
    def strays(self) -> tuple[Received, ...]:
        """The clicks and texts that hit nothing."""
        return tuple(one for one in self.received if one.kind in {"click", "type"} and not one.hit)

    def show(self, state: str) -> None:
        """Show another state, as a desktop does by itself."""
        self._state = self._states[state]
        if self._focus is not None and self._focus.name not in {field.name for field in self._state.fields}:
            self._focus = None

    def grab(self) -> Screenshot:
        """Take a picture of the state with what was typed."""
        pixels = self._pixels[self._state.name].copy()
        for field in self._state.fields:
            is_focused = self._focus is not None and self._focus.name == field.name
            if field.name in self.typed or is_focused:
                self._draw(pixels, field, is_focused=is_focused)
        return Screenshot(pixels, self._script.origin, self._script.scale, self._state.title)

    def click(self, point: Point, button: MouseButton = MouseButton.LEFT, count: int = 1) -> None:
        """Follow the move, or focus the field, that lies there."""
        here = self._here(point)
        move = self._move("click", here, button=button, count=count)
        field = next((field for field in self._state.fields if field.box.contains(here)), None)
        self._note("click", (move.name or move.to) if move else field.name if field else "", point)
        self._all_selected = False
        self._focus = field if move is None else None
        if move is not None:
            self.show(move.to)

    def type_text(self, text: str) -> None:
        """Type into the field with the focus."""
        field = self._focus
        self._note("type", field.name if field else "", text=text)
        if field is None:
            return
        kept = "" if self._all_selected else self.typed.get(field.name, field.text)
        self.typed[field.name] = (kept + text)[: field.max_chars]
        self._all_selected = False

    def press(self, *keys: str) -> None:
        """Select all, delete, or follow a move."""
        pressed = {key.lower() for key in keys}
        move = next((move for move in self._moves("press") if {key.lower() for key in move.keys} == pressed), None)
        self._note("press", (move.name or move.to) if move else "", text="+".join(keys))
        if move is not None:
            self.show(move.to)
        elif pressed in _SELECT_ALL:
            self._all_selected = self._focus is not None
        elif pressed <= {"backspace", "delete"} and self._focus is not None:
            self._delete(self._focus)

    def scroll(self, point: Point, notches: int) -> None:
        """Follow the move that lies there."""
        move = self._move("scroll", self._here(point))
        self._note("scroll", (move.name or move.to) if move else "", point, str(notches))
        if move is not None:
            self.show(move.to)

    def _delete(self, field: ScriptedField) -> None:
        kept = "" if self._all_selected else self.typed.get(field.name, field.text)[:-1]
        self.typed[field.name] = kept
        self._all_selected = False

    def _draw(self, pixels: Pixels, field: ScriptedField, *, is_focused: bool) -> None:
        if field.name in self.typed:
            draw_field(pixels, field, self.typed[field.name])
        if is_focused:
            draw_focus(pixels, field)

    def _here(self, point: Point) -> Point:
        return point.moved(-self._script.origin.x, -self._script.origin.y)

    def _moves(self, on: str) -> tuple[ScriptedMove, ...]:
        return tuple(move for move in self._state.moves if move.on == on)

    def _move(
        self, on: str, here: Point, *, button: MouseButton = MouseButton.LEFT, count: int = 1
    ) -> ScriptedMove | None:
        wanted = (button, count)
        there = (move for move in self._moves(on) if move.box is not None and move.box.contains(here))
        return next((move for move in there if (move.button, move.count) == wanted), None)

    def _note(
        self, kind: Literal["click", "type", "press", "scroll"], hit: str, point: Point | None = None, text: str = ""
    ) -> None:
        self.received.append(Received(kind, self.state, hit, point, text))


def _pixels_of(state: ScriptedState, folder: Path) -> Pixels:
    """A state's picture with what is painted over it."""
    try:
        screenshot = Screenshot.of(folder / state.picture)
    except InvalidScreenshot as error:
        raise InvalidDesktop(f"State {state.name!r}: {error.message}") from error
    boxes = [*(patch.box for patch in state.patches), *(field.box for field in state.fields)]
    for box in (*boxes, *(move.box for move in state.moves if move.box is not None)):
        if box.shared_area(screenshot.box) < box.area or not box.area:
            raise InvalidDesktop(f"State {state.name!r}: {box} lies outside its picture {state.picture}.")
    return painted(screenshot.pixels, state.patches)
