"""Anchors recorded from the sample pages by the real recorder, without its trials."""

from functools import cache

from singletrack.agent.recorder.making import anchor_at
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.target import Target
from tests.unit.agent.pages import boxes_of, seen_page


@cache
def anchor_of(page: str, name: str) -> Anchor:
    return anchor_at(seen_page(page), box_of(page, name).center)


def target_of(page: str, name: str) -> Target:
    return Target(anchor=anchor_of(page, name))


def box_of(page: str, name: str) -> Box:
    return boxes_of(page)[name]
