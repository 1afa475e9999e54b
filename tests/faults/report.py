"""What came of a campaign: one line for each kind of fault."""

import bisect
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.checker import Violation, check
from tests.faults.history import Accepted, Fault, Outcome, Record, Recovered
from tests.faults.spans import History

# The kind of fault whose trials are messages that chance has spoiled.
FUZZED = "fuzz"
START = "start"
_COLUMNS = ("lost", "doubled", "overlapped")


@dataclass
class Tally:
    """The figures of one kind of fault."""

    trials: int = 0
    accepted: int = 0
    slowest_s: float = 0.0
    violations: Counter[str] = field(default_factory=Counter)


@dataclass
class Report:
    """The figures of all kinds, over all worlds so far, and every violation."""

    tallies: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    violations: list[str] = field(default_factory=list)
    begun_again: int = 0
    told_lost: int = 0

    def add(self, world: str, records: Sequence[Record]) -> list[Violation]:
        """Check the records of a world, and count."""
        history = History(records)
        faults = history.of(Fault)
        times = [fault.at_ns for fault in faults]

        def kind_at(at_ns: int) -> str:
            index = bisect.bisect_right(times, at_ns) - 1
            return faults[index].kind if index >= 0 else START

        for fault in faults:
            self.tallies[fault.kind].trials += fault.trials
        for accepted in history.of(Accepted):
            self.tallies[kind_at(accepted.at_ns)].accepted += 1
        by_number = {fault.number: fault for fault in faults}
        for recovered in history.of(Recovered):
            fault = by_number[recovered.fault]
            tally = self.tallies[fault.kind]
            tally.slowest_s = max(tally.slowest_s, (recovered.at_ns - fault.at_ns) / 1e9)
        self.begun_again += sum(len(story.spans) > 1 for story in history.stories.values())
        self.told_lost += sum(outcome.error == "JobLost" for outcome in history.of(Outcome))
        found = check(records)
        for violation in found:
            # What was lost was lost by what happened next.
            index = bisect.bisect_right(times, violation.at_ns)
            after = faults[index].kind if index < len(faults) else kind_at(violation.at_ns)
            kind = after if violation.kind == "lost" else kind_at(violation.at_ns)
            self.tallies[kind].violations[violation.kind] += 1
            self.violations.append(f"{world}: {violation.kind} ({kind}): {violation.text}")
        return found

    def text(self) -> str:
        """Give the table."""
        lines = [_line("fault", "trials", "accepted", *_COLUMNS, "other", "slowest recovery, s")]
        total = Tally()
        for kind, tally in sorted(self.tallies.items()):
            lines.append(_row(kind, tally))
            total.trials += tally.trials
            total.accepted += tally.accepted
            total.slowest_s = max(total.slowest_s, tally.slowest_s)
            total.violations += tally.violations
        lines.append(_row("all", total))
        lines.append(f"messages that were spoiled by chance: {self.tallies[FUZZED].trials}")
        lines.append(f"jobs whose callers were told that Redis has lost them: {self.told_lost}")
        lines.append(f"jobs that were begun more than once, as a kill makes it right: {self.begun_again}")
        return "\n".join(lines)


def beside(ours: Report, stock: Report) -> str:
    """Give what each of the two lost, doubled and let overlap, kind by kind."""
    columns = [f"{name} {column}" for column in ("trials", *_COLUMNS) for name in ("our", "stock")]
    lines = [_line("fault", *columns)]
    for kind in sorted(ours.tallies.keys() & stock.tallies.keys()):
        pair = (ours.tallies[kind], stock.tallies[kind])
        figures: list[object] = [tally.trials for tally in pair]
        figures += [tally.violations[column] for column in _COLUMNS for tally in pair]
        lines.append(_line(kind, *figures))
    return "\n".join(lines)


def _row(kind: str, tally: Tally) -> str:
    figures = [tally.violations[column] for column in _COLUMNS]
    other = sum(tally.violations.values()) - sum(figures)
    slowest = f"{tally.slowest_s:.1f}" if tally.slowest_s else "-"
    return _line(kind, tally.trials, tally.accepted, *figures, other, slowest)


def _line(kind: str, *figures: object) -> str:
    return f"{kind:18}" + "".join(f"{figure!s:>18}" for figure in figures)
