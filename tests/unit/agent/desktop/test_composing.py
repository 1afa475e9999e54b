"""What a person did, from single events."""

from collections.abc import Iterable

import numpy as np
import pytest

from singletrack.agent.desktop.composing import ActionComposer, ClickEvent, KeyEvent
from singletrack.agent.screen.person import PersonAct, PersonClicked, PersonPressed, PersonTyped
from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Point

SCREEN = Screenshot(np.zeros((40, 40, 3), np.uint8))


def click(at: float, x: int = 10, button: MouseButton = MouseButton.LEFT) -> ClickEvent:
    return ClickEvent(at, PersonClicked(SCREEN, Point(x, 10), button))


def typed(text: str) -> list[KeyEvent]:
    return [KeyEvent(1.0, True, character=character) for character in text]


def named(name: str, *, down: bool = True) -> KeyEvent:
    return KeyEvent(1.0, down, name=name)


def composed(events: Iterable[ClickEvent | KeyEvent], *, secret_below: int = 100) -> list[PersonAct]:
    composer = ActionComposer(lambda one: one.point.x > secret_below)
    acts: list[PersonAct] = []
    for event in events:
        acts += composer.clicked(event) if isinstance(event, ClickEvent) else composer.key(event)
    return acts + list(composer.flush())


def test_clicks_that_follow_closely_are_one() -> None:
    assert [act.count for act in composed([click(1.0), click(1.3), click(1.5)]) if isinstance(act, PersonClicked)] == [
        3
    ]


@pytest.mark.parametrize("second", [click(1.7), click(1.1, x=30), click(1.1, button=MouseButton.RIGHT)])
def test_other_clicks_are_clicks_of_their_own(second: ClickEvent) -> None:
    assert composed([click(1.0), second]) == [click(1.0).click, second.click]


def test_a_click_between_texts_is_never_a_double_click() -> None:
    acts = composed([click(1.0), *typed("ab"), click(1.2), *typed("c")])
    assert acts == [click(1.0).click, PersonTyped("ab"), click(1.2).click, PersonTyped("c")]


def test_backspace_takes_back_what_was_typed_and_is_a_key_without_it() -> None:
    assert composed([*typed("ab"), named("backspace"), *typed("c"), named("enter"), named("backspace")]) == [
        PersonTyped("ac"),
        PersonPressed(("enter",)),
        PersonPressed(("backspace",)),
    ]


def test_keys_that_are_held_combine_until_they_are_let_go() -> None:
    events = [named("ctrl_l"), named("shift"), *typed("A"), named("ctrl_l", down=False), *typed("B")]
    assert composed(events) == [PersonPressed(("ctrl", "a")), PersonTyped("B")]
    assert composed([named("shift"), named("tab")]) == [PersonPressed(("shift", "tab"))]


def test_alt_gr_makes_characters_and_no_combination() -> None:
    assert composed([named("alt_gr"), *typed("€")]) == [PersonTyped("€")]


def test_what_is_typed_into_a_secret_field_is_not_kept() -> None:
    acts = composed([click(1.0, x=30), *typed("hunter2"), click(2.0), *typed("open")], secret_below=20)
    assert acts == [click(1.0, x=30).click, PersonTyped("", is_secret=True), click(2.0).click, PersonTyped("open")]


def test_one_hidden_character_hides_the_text() -> None:
    hidden = KeyEvent(1.0, True, is_hidden=True)
    assert composed([*typed("ab"), hidden, *typed("c")]) == [PersonTyped("", is_secret=True)]


def test_a_click_is_given_once_no_second_can_come() -> None:
    composer = ActionComposer(lambda _: False)
    assert list(composer.clicked(click(1.0))) == []
    assert list(composer.waits_no_longer(1.4)) == []
    assert list(composer.waits_no_longer(1.6)) == [click(1.0).click]
    assert list(composer.flush()) == []
