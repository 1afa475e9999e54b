"""When two texts are the same."""

import pytest

from singletrack.agent.words.comparing import is_same_text, is_telling


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Save as...", "save as"),
        ("Show enclosing folder", "Show enclosing foIder"),
        ("Adjust brightness to the light", "Adjust brightness to the lght"),
        ("1,592.00", "1.592,00"),
        ("New order", "Neworder"),
        ("Cancellation policy", "Cancelation policy"),
        ("Bestätigung senden", "Bestatigung senden"),
        ("+5", "5"),
    ],
)
def test_a_reader_would_call_these_the_same(one: str, other: str) -> None:
    assert is_same_text(one, other)
    assert is_same_text(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("General", "Général"),
        ("Files", "File"),
        ("Keyboard", "15 keyboards"),
        ("Export", "Exporter"),
        ("Select order 30912", "Select order 30911"),
        ("Tax rate in line number 1", "Tax rate in line number 11"),
        ("1.5", "15"),
        ("7 %", "7"),
        ("", ""),
        ("...", "!"),
        ("Select all messages", "Unselect all messages"),
        ("Turn on automatic updates", "Turn off automatic updates"),
        ("Import customers from spreadsheet", "Export customers from spreadsheet"),
        ("Sign in with password", "Sign on with password"),
        ("Mark as important", "Mark as unimportant"),
        ("Remove men's sizes", "Remove women's sizes"),
        ("Delete customer", "Delete customers"),
        ("+5", "-5"),
        ("Zoom +", "Zoom -"),
    ],
)
def test_a_reader_would_not_call_these_the_same(one: str, other: str) -> None:
    assert not is_same_text(one, other)
    assert not is_same_text(other, one)


@pytest.mark.parametrize(("text", "tells"), [("OK", True), ("7", True), ("0", False), ("X", False), ("", False)])
def test_one_sign_alone_may_be_an_icon(text: str, tells: bool) -> None:
    assert is_telling(text) is tells
