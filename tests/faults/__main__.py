"""`python -m tests.faults`: a campaign of faults against the product, a stock Celery app (`--stock`), or both."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.faults import places
from tests.faults.campaign import run
from tests.faults.faults import KINDS
from tests.faults.report import Report, beside
from tests.faults.subjects import OURS, STOCK, Subject


def main() -> int:
    """Run it, and print what came of it; status 1 if anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="worlds, one after the other")
    parser.add_argument("--faults", type=int, default=20, help="faults in each world")
    parser.add_argument("--kinds", default="", help=f"some of {', '.join(KINDS)}, by commas; all, if left out")
    parser.add_argument("--stock", action="store_true", help="a stock Celery app in the product's place")
    parser.add_argument("--beside-stock", action="store_true", help="the same for both, and a table of the two")
    parser.add_argument("--stock-visibility-s", type=float, help="its visibility time-out, Celery's hour if left out")
    parser.add_argument("--folder", type=Path, help="where the worlds are kept that were not well")
    options = parser.parse_args()
    subjects = [OURS, STOCK] if options.beside_stock else [STOCK if options.stock else OURS]
    wanted = [name for name in options.kinds.split(",") if name]
    for subject in subjects:
        if unknown := sorted({one for one in wanted if one not in KINDS or not (subject.ours or KINDS[one].stock)}):
            parser.error(f"{', '.join(unknown)}: no such kinds for {subject.name}")
    if options.stock_visibility_s:
        os.environ[places.VISIBILITY] = str(options.stock_visibility_s)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="singletrack-faults-"))
    reports = [_campaign(folder, subject, wanted, options) for subject in subjects]
    if len(reports) > 1:
        print(f"\n{beside(*reports)}")  # noqa: T201
    violations = reports[0].violations
    if violations:
        print(f"{len(violations)} violations; the worlds are in {folder}")  # noqa: T201
    return 1 if violations else 0


def _campaign(folder: Path, subject: Subject, wanted: list[str], options: argparse.Namespace) -> Report:
    report = run(
        folder,
        subject,
        seed=options.seed,
        rounds=options.rounds,
        faults=options.faults,
        wanted=wanted,
        say=lambda line: print(line, flush=True),  # noqa: T201 - a campaign is watched
    )
    print(f"\n{subject.name}\n{report.text()}\n")  # noqa: T201
    return report


if __name__ == "__main__":
    sys.exit(main())
