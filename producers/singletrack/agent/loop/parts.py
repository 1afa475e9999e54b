"""What the loop works with."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from singletrack.agent.report.model import StepReport
from singletrack.agent.screen.ports import Display, Hands, StopSignal
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.resolution import Resolution
from singletrack.agent.targets.target import Target
from singletrack.agent.words.reader import TextReader


class TargetResolver(Protocol):
    """Finds targets; `resolver.Resolver` is one."""

    def resolve(self, target: Target, seen: SeenScreen) -> Resolution:
        """Find a target on a screen, or say why not."""

    def is_still_there(self, found: Resolution, before: SeenScreen, now: Screenshot) -> bool:
        """Whether what was found before is at the same place now, uncovered."""


@dataclass(frozen=True)
class Desk:
    """The desktop that is worked at, and how a person stops the work."""

    display: Display
    hands: Hands
    stop: StopSignal


@dataclass(frozen=True)
class Eyes:
    """What reads a screenshot, and what finds targets on it."""

    reader: TextReader
    resolver: TargetResolver


@dataclass(frozen=True)
class Pace:
    """How the loop waits: between two looks (`poll_s`), and how often it looks for a target that keeps moving.

    `worker_timeout_s` is how long it waits for a change of mode, or for the VLM to be loaded.
    """

    poll_s: float = 0.25
    looks: int = 3
    worker_timeout_s: float = 180.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Surroundings:
    """What a run is given from outside: the environment, for secrets, and who is told of each step that is done."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    on_step: Callable[[StepReport], None] = lambda _report: None
