"""The record of all runs on the half that was held out: how often it was looked at is part of the result."""

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from evaluation.judge import Kind, Trial, Verdict
from evaluation.looks import CHANGES, Change

RUNS_FILE: Final = Path(__file__).with_name("runs.json")


def note_run(trials: Sequence[Trial], pages: Sequence[str], file: Path = RUNS_FILE) -> int:
    """Append a run with its figures; returns how many there are now."""
    runs: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    when = datetime.now(UTC).isoformat(timespec="seconds")
    runs.append({"when": when, "commit": _commit(), "pages": list(pages), "figures": figures(trials)})
    file.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")
    return len(runs)


def figures(trials: Sequence[Trial]) -> dict[str, dict[str, int]]:
    """Return the verdicts by what changed, and by what was not there."""
    groups: dict[str, Counter[str]] = {}
    for trial in trials:
        name = str(CHANGES[trial.variant]) if trial.kind is Kind.PRESENT else str(trial.kind)
        groups.setdefault(name, Counter())[trial.verdict] += 1
    order = [*map(str, Change), *map(str, Kind)]
    return {
        name: {str(verdict): groups[name][verdict] for verdict in Verdict} for name in sorted(groups, key=order.index)
    }


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=RUNS_FILE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "not a git tree"
