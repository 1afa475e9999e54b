"""Records the targets of a page, and looks for them on all its pictures and on those of other pages."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from evaluation.album import Album
from evaluation.judge import Kind, Trial, judge
from evaluation.looks import BASE
from evaluation.readings import KeptReader
from evaluation.truth import Removal, Shot, TrueElement
from singletrack.agent.recorder import Recorded, Recorder
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.target import Target


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pictures to look at; no variants are all."""

    variants: tuple[str, ...] = ()
    removals: bool = True
    wrong_screens: bool = True


@dataclass(frozen=True, slots=True)
class ScreenCost:
    """CPU milliseconds of a picture: to read it, to see it besides, the first target, and each further one."""

    page: str
    variant: str
    ocr_ms: float
    seeing_ms: float
    first_ms: float
    further_ms: float


@dataclass(slots=True)
class PageResult:
    """What came of a page: trials, costs, what recording said, and what it took for each target."""

    page: str
    trials: list[Trial] = field(default_factory=list)
    costs: list[ScreenCost] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)
    recording_ms: list[float] = field(default_factory=list)


class PageTrial:
    """A page under trial; `others` are the pages that are wrong for its targets."""

    def __init__(self, album: Album, others: Sequence[Album], reader: KeptReader, resolver: Resolver) -> None:
        self._album = album
        self._others = others
        self._reader = reader
        self._resolver = resolver
        self._page = album.truth.page
        self._recorded: dict[str, Recorded] = {}
        self._result = PageResult(self._page)

    def run(self, wanted: Wanted) -> PageResult:
        """Record, then try all that is wanted."""
        self._record()
        for shot in self._album.truth.shots:
            if not wanted.variants or shot.variant in wanted.variants:
                screen = self._album.picture(shot.variant)
                self._try(
                    screen, shot.variant, [one for target in self._targets() for one in _in_shot(target.id, shot)]
                )
        if wanted.removals:
            for removal in self._album.truth.removals:
                self._try(self._album.without(removal), "removed", [(removal.target, _kind(removal), None)])
        if wanted.wrong_screens:
            for other in self._others:
                expected = [(one.id, Kind.WRONG_SCREEN, None) for one in self._targets()]
                self._try(other.picture(BASE), other.truth.page, expected)
        return self._result

    def _targets(self) -> tuple[TrueElement, ...]:
        return self._album.truth.shot(BASE).targets

    def _record(self) -> None:
        recorder = Recorder(self._resolver, self._reader)
        base = self._album.picture(BASE)
        for target in self._targets():
            began = time.process_time()
            recorded = recorder.record(base, target.click)
            self._result.recording_ms.append((time.process_time() - began) * 1000)
            self._recorded[target.id] = recorded
            if recorded.problems:
                self._result.problems[target.id] = list(recorded.problems)

    def _try(self, screen: Screenshot, variant: str, expected: Sequence[tuple[str, Kind, TrueElement | None]]) -> None:
        began = time.process_time()
        seen = SeenScreen.of(screen, self._reader)
        seeing_ms = (time.process_time() - began) * 1000 - self._reader.last_spent_ms
        trials = list(self._look_for(seen, variant, expected))
        self._result.trials += trials
        if expected[0][1] is not Kind.WRONG_SCREEN:
            further = [one.cpu_ms for one in trials[1:]]
            mean_ms = sum(further) / len(further) if further else 0.0
            cost = ScreenCost(self._page, variant, self._reader.last_cpu_ms, seeing_ms, trials[0].cpu_ms, mean_ms)
            self._result.costs.append(cost)

    def _look_for(
        self, seen: SeenScreen, variant: str, expected: Sequence[tuple[str, Kind, TrueElement | None]]
    ) -> Iterator[Trial]:
        for name, kind, truth in expected:
            recorded = self._recorded[name]
            began = time.process_time()
            found = self._resolver.resolve(Target(anchor=recorded.anchor), seen)
            yield Trial(
                page=self._page,
                target=name,
                variant=variant,
                kind=kind,
                verdict=judge(found, truth),
                status=found.status,
                method=found.method or "",
                score=found.score,
                point=(found.point.x, found.point.y) if found.point else None,
                is_enough=recorded.is_enough,
                cpu_ms=(time.process_time() - began) * 1000,
                why=found.why,
            )


def _in_shot(name: str, shot: Shot) -> Iterator[tuple[str, Kind, TrueElement | None]]:
    """Return what is expected of a target; nothing of one that is cut off or covered."""
    truth = shot.element(name)
    if truth is not None:
        yield name, Kind.PRESENT, truth
    elif not shot.shows_part_of(name):
        yield name, Kind.OUT_OF_VIEW, None


def _kind(removal: Removal) -> Kind:
    if removal.twins_left == 0:
        return Kind.REMOVED
    return Kind.TWIN_ONLY if removal.twins_left == 1 else Kind.TWINS_LEFT
