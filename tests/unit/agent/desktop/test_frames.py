"""The screen as it was before a click showed."""

import threading

import numpy as np
import pytest

from singletrack.agent.desktop.frames import RecentFrames
from singletrack.agent.errors import ScreenLocked
from singletrack.agent.screen.screenshot import Screenshot


def screenshot() -> Screenshot:
    return Screenshot(np.zeros((40, 40, 3), np.uint8))


class LockedLater:
    """A display that is locked after its first picture."""

    def __init__(self) -> None:
        self.first = screenshot()
        self.grabs = 0
        self.locked = threading.Event()

    def grab(self) -> Screenshot:
        self.grabs += 1
        if self.grabs > 1:
            self.locked.set()
            raise ScreenLocked("locked")
        return self.first


def test_a_picture_from_right_before_the_news_of_a_click_is_not_trusted() -> None:
    frames, (early, late) = RecentFrames(LockedLater()), (screenshot(), screenshot())
    with pytest.raises(ScreenLocked, match="No picture"):
        frames.before(1.0)
    frames._frames.extend([(1.0, early), (2.0, late)])
    assert frames.before(2.01) is early
    assert frames.before(2.1) is late


def test_a_screen_that_is_locked_meanwhile_is_an_error() -> None:
    display = LockedLater()
    with RecentFrames(display) as frames:
        assert display.locked.wait(60)
    with pytest.raises(ScreenLocked, match="locked"):
        frames.before(1e12)
