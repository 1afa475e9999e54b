"""Runs the evaluation over the pages of a half, two at a time, and writes what came of it."""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from evaluation import false_clicks, reliability
from evaluation.album import Album, albums
from evaluation.judge import Kind, Trial, Verdict
from evaluation.readings import KeptReader
from evaluation.tables import report
from evaluation.truth import Half
from evaluation.trying import PageResult, PageTrial, Wanted
from singletrack.agent.resolver import Resolver
from singletrack.agent.words.engines import default_reader


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: a folder of rendered pages, a half of them, perhaps some pages alone."""

    root: Path
    half: Half
    wanted: Wanted
    pages: tuple[str, ...] = ()
    processes: int = 2


def run(plan: Plan) -> list[PageResult]:
    """Try all pages; raises `FileNotFoundError` if nothing was rendered."""
    names = [album.truth.page for album in albums(plan.root, plan.half)]
    chosen = [name for name in names if not plan.pages or name in plan.pages]
    # Forking would copy the threads of OpenCV and of the OCR engine in an unknown state.
    with ProcessPoolExecutor(plan.processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_try_page, [plan] * len(chosen), chosen))


def write(plan: Plan, results: Sequence[PageResult]) -> Path:
    """Write tables, trials, data for a calibration and pictures of the false clicks; returns their folder."""
    folder = plan.root / "results" / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{plan.half}"
    folder.mkdir(parents=True)
    trials = trials_of(results)
    bins = reliability.bins_of(trials)
    parts = [report(results), _titled("Reliability", reliability.table(bins))]
    parts.append(_titled("False clicks", false_clicks.describe(trials)))
    (folder / "report.txt").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    (folder / "trials.json").write_text(json.dumps([asdict(one) for one in trials]), encoding="utf-8")
    (folder / "calibration.json").write_text(json.dumps(reliability.data(trials)), encoding="utf-8")
    (folder / "reliability.svg").write_text(plot(folder), encoding="utf-8")
    problems = {result.page: result.problems for result in results}
    (folder / "recorder.json").write_text(json.dumps(problems, indent=1), encoding="utf-8")
    pages = {album.truth.page: album for album in albums(plan.root, plan.half)}
    false_clicks.draw(trials, pages, folder / "false")
    return folder


def plot(folder: Path) -> str:
    """Return the reliability of a run, from the folder of its results, as an SVG."""
    told = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
    trials = [Trial(**{**one, "kind": Kind(one["kind"]), "verdict": Verdict(one["verdict"])}) for one in told]
    found = sum(trial.verdict is not Verdict.REFUSED for trial in trials)
    half = "held-out" if folder.name.endswith(Half.HELD_OUT) else "tuning"
    return reliability.plot(reliability.bins_of(trials), f"{found:,} found targets of the {half} pages")


def trials_of(results: Sequence[PageResult]) -> list[Trial]:
    """Return the trials of all pages."""
    return [trial for result in results for trial in result.trials]


def _try_page(plan: Plan, name: str) -> PageResult:
    pages = {album.truth.page: album for album in albums(plan.root, plan.half)}
    others: list[Album] = [album for other, album in pages.items() if other != name]
    reader = KeptReader(default_reader(), plan.root / "readings")
    return PageTrial(pages[name], others, reader, Resolver()).run(plan.wanted)


def _titled(title: str, text: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{text}"
