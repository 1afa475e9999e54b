"""From where a text or a picture is now to the element's box and the point to click."""

from singletrack.agent.resolver.recorded_element import RecordedElement
from singletrack.agent.targets.geometry import Box, Point


def box_beside(element: RecordedElement, label: Box, scale: float, screen: Box) -> Box:
    """Return the element's box, whose text is at `label` now, cut to the screen."""
    then, text = element.box, element.text_box
    left = label.left - scale * (text.left - then.left)
    top = label.center.y - scale * (text.center.y - then.top)
    right = label.right + scale * (then.right - text.right)
    bottom = top + scale * then.height
    return _within(left, top, right, bottom, screen)


def point_beside(element: RecordedElement, label: Box, scale: float, box: Box) -> Point:
    """Return the point to click: on the text where it was on the text, else as far from it as it was."""
    text, then = element.text_box, element.point
    if then.x < text.left:
        x = label.left - scale * (text.left - then.x)
    elif then.x >= text.right:
        x = label.right + scale * (then.x - text.right)
    else:
        x = label.left + label.width * (then.x - text.left) / text.width
    y = label.top + label.height / 2 + scale * (then.y - text.top - text.height / 2)
    return _nearest_in(box, x, y)


def point_in(element: RecordedElement, box: Box) -> Point:
    """Return the point to click in the element's box."""
    then = element.box
    x = box.left + box.width * (element.point.x - then.left) / then.width
    y = box.top + box.height * (element.point.y - then.top) / then.height
    return _nearest_in(box, x, y)


def _nearest_in(box: Box, x: float, y: float) -> Point:
    return Point(
        min(max(round(x), box.left), box.right - 1),
        min(max(round(y), box.top), box.bottom - 1),
    )


def _within(left: float, top: float, right: float, bottom: float, screen: Box) -> Box:
    first_x, first_y = min(max(round(left), 0), screen.width - 1), min(max(round(top), 0), screen.height - 1)
    last_x, last_y = (
        min(max(round(right), first_x + 1), screen.width),
        min(max(round(bottom), first_y + 1), screen.height),
    )
    return Box(first_x, first_y, last_x - first_x, last_y - first_y)
