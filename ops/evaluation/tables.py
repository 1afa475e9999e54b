"""The evaluation's tables, as text."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import mean, median

from evaluation.judge import Kind, Trial, Verdict
from evaluation.looks import CHANGES, Change
from evaluation.trying import PageResult

_GOALS_PERCENT = {Change.NOTHING: 99.5, Change.THEME: 95.0, Change.SCALE: 90.0}


def report(results: Sequence[PageResult]) -> str:
    """Return all tables of a run."""
    trials = [trial for result in results for trial in result.trials]
    enough = [trial for trial in trials if trial.is_enough]
    parts = [
        ("Present targets, by what changed", _by_change(trials)),
        ("The same, of anchors that the recorder calls enough", _by_change(enough)),
        ("Present targets, by variant", _rows(_present(trials), lambda one: one.variant)),
        ("The same, of anchors that the recorder calls enough", _rows(_present(enough), lambda one: one.variant)),
        ("Present targets, by page", _rows(_present(trials), lambda one: one.page)),
        ("What is not there", _absent(trials)),
        ("The same, of anchors that the recorder calls enough", _absent(enough)),
        ("By method", _by_method(trials)),
        ("Recording", _recording(results, trials)),
        ("CPU of one thread, milliseconds", _costs(results)),
    ]
    return "\n\n".join(f"{title}\n{'-' * len(title)}\n{table}" for title, table in parts if table)


def _present(trials: Iterable[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.kind is Kind.PRESENT]


def _rows(trials: Sequence[Trial], key: Callable[[Trial], str]) -> str:
    names = list(dict.fromkeys(key(trial) for trial in trials))
    lines = [f"{'':24} {'looked for':>10} {'right':>8} {'refused':>8} {'false':>6} {'needs VLM':>10}"]
    for name in [*names, "all"]:
        lines.append(_row(name, [trial for trial in trials if name in {"all", key(trial)}]))
    return "\n".join(lines)


def _row(name: str, trials: Sequence[Trial], note: str = "") -> str:
    count = Counter(trial.verdict for trial in trials)
    needs = sum(trial.needs_vlm for trial in trials)
    total = len(trials) or 1
    right = f"{100 * count[Verdict.RIGHT] / total:.1f} %"
    figures = f"{right:>8} {count[Verdict.REFUSED]:>8} {count[Verdict.FALSE]:>6} {100 * needs / total:>8.1f} %"
    return f"{name:24} {len(trials):>10} {figures}{note}"


def _by_change(trials: Sequence[Trial]) -> str:
    lines = [f"{'':24} {'looked for':>10} {'right':>8} {'refused':>8} {'false':>6} {'needs VLM':>10}"]
    for change in Change:
        chosen = [trial for trial in _present(trials) if CHANGES[trial.variant] is change]
        if chosen:
            goal = _GOALS_PERCENT.get(change)
            lines.append(_row(change, chosen, f"  goal {goal} %" if goal else ""))
    lines.append(_row("all", _present(trials)))
    return "\n".join(lines)


def _absent(trials: Sequence[Trial]) -> str:
    lines = [f"{'':24} {'looked for':>10} {'refused':>8} {'false':>6}"]
    for kind in [kind for kind in Kind if kind is not Kind.PRESENT]:
        chosen = [trial for trial in trials if trial.kind is kind]
        count = Counter(trial.verdict for trial in chosen)
        lines.append(f"{kind:24} {len(chosen):>10} {count[Verdict.REFUSED]:>8} {count[Verdict.FALSE]:>6}")
    return "\n".join(lines)


def _by_method(trials: Sequence[Trial]) -> str:
    lines = [f"{'':24} {'found':>8} {'right':>8} {'false':>6} {'of these, on what is not there':>32}"]
    for method in sorted({trial.method for trial in trials if trial.method}):
        found = [trial for trial in trials if trial.method == method]
        count = Counter(trial.verdict for trial in found)
        absent = sum(trial.kind is not Kind.PRESENT for trial in found)
        lines.append(f"{method:24} {len(found):>8} {count[Verdict.RIGHT]:>8} {count[Verdict.FALSE]:>6} {absent:>32}")
    statuses = Counter(trial.status for trial in _present(trials) if trial.verdict is Verdict.REFUSED)
    lines.append("refusals of what is there: " + ", ".join(f"{name} {count}" for name, count in statuses.most_common()))
    return "\n".join(lines)


def _recording(results: Sequence[PageResult], trials: Sequence[Trial]) -> str:
    targets = {(trial.page, trial.target): trial.is_enough for trial in trials}
    poor = sum(not is_enough for is_enough in targets.values())
    took = [ms for result in results for ms in result.recording_ms]
    lines = [f"{len(targets)} targets recorded, {poor} of them called not enough by the recorder itself"]
    lines.append(
        f"CPU for each: median {median(took):.0f} ms, mean {mean(took):.0f} ms (OCR as far as it was not kept)"
    )
    return "\n".join(lines)


def _costs(results: Sequence[PageResult]) -> str:
    costs = [cost for result in results for cost in result.costs]
    whole = [cost for cost in costs if cost.further_ms]
    if not whole:
        return ""
    lines = [f"{'':38} {'mean':>8} {'worst':>8}"]
    ocr = [cost.ocr_ms for cost in whole]
    lines.append(f"{'OCR, a screen':38} {mean(ocr):>8.0f} {max(ocr):>8.0f}")
    for name, values in (
        ("labels, a screen", [cost.seeing_ms for cost in whole]),
        ("first target, with the screen's maps", [cost.first_ms for cost in whole]),
        ("each further target", [cost.further_ms for cost in whole]),
    ):
        lines.append(f"{name:38} {mean(values):>8.1f} {max(values):>8.1f}")
    return "\n".join(lines)
