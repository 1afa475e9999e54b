"""The anchor of the element at a point."""

import cv2

from singletrack.agent.recorder.element_at import element_at
from singletrack.agent.recorder.readings import readings_of
from singletrack.agent.recorder.surroundings import landmarks_of, texts_of
from singletrack.agent.recorder.twins import kept_twins, twins_of
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box, Point


def anchor_at(seen: SeenScreen, point: Point, role: Role | None = None) -> Anchor:
    """Describe the element at a pixel of a screen; `role` is what is known of it."""
    element = element_at(seen, point)
    twins = twins_of(element, seen)
    label = element.label
    return Anchor(
        box=element.box,
        crop_png=_png(seen, element.box),
        point=point if element.box.contains(point) else element.box.center,
        text=label.text if label is not None else "",
        text_box=label.box if label is not None else None,
        readings=readings_of(label, seen) if label is not None else (),
        role=role or element.role,
        landmarks=landmarks_of(element, seen),
        twins=len(twins),
        twin_boxes=kept_twins(element, twins, seen),
        texts=texts_of(element, seen),
        screen_width=seen.screenshot.width,
        screen_height=seen.screenshot.height,
    )


def _png(seen: SeenScreen, box: Box) -> bytes:
    _, packed = cv2.imencode(".png", cv2.cvtColor(seen.screenshot.crop(box), cv2.COLOR_RGB2BGR))
    return packed.tobytes()
