"""A screen with more elements than there can be marks, as several pictures."""

from collections.abc import Iterable
from typing import Final

from singletrack.agent.marks.candidates import MOST_MARKS, choose_candidates
from singletrack.agent.marks.picture import MarkedPicture
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.element import Element
from singletrack.agent.targets.geometry import Box

# Above and below the marked elements of a picture: what they belong to.
_MARGIN_PX: Final = 60


def sheets_of(screenshot: Screenshot, elements: Iterable[Element], most: int) -> tuple[MarkedPicture, ...]:
    """Mark all elements that are apart, on as few pictures as that takes, from the top to the bottom of the screen.

    Each is a band of the screen, as wide as it is. None if it takes more than `most` pictures.
    """
    apart = choose_candidates(elements, within=screenshot.box, limit=most * MOST_MARKS + 1)
    count = -(-len(apart) // MOST_MARKS)
    if count > most:
        return ()
    share = -(-len(apart) // max(count, 1))
    return tuple(_sheet(screenshot, apart[first : first + share]) for first in range(0, len(apart), max(share, 1)))


def _sheet(screenshot: Screenshot, elements: tuple[Element, ...]) -> MarkedPicture:
    top = max(min(it.box.top for it in elements) - _MARGIN_PX, 0)
    bottom = min(max(it.box.bottom for it in elements) + _MARGIN_PX, screenshot.height)
    return MarkedPicture.of(screenshot, elements, within=Box(0, top, screenshot.width, bottom - top))
