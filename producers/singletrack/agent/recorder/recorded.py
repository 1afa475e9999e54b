"""What recording an element came to."""

from dataclasses import dataclass

from singletrack.agent.targets.anchor import Anchor


@dataclass(frozen=True, slots=True)
class Recorded:
    """An anchor, and in words why it may not find the element again; `is_enough` is False if it should not be used."""

    anchor: Anchor
    problems: tuple[str, ...] = ()
    is_enough: bool = True
