"""`python -m evaluation render`, `list`, `run` and `plot`."""

import argparse
import sys
import time
from pathlib import Path

from evaluation.catalogue import PAGES
from evaluation.looks import CHANGES
from evaluation.truth import TRUTH_FILE, Half

_FOLDER = Path(".evaluation")


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="evaluation", description="How well are targets found?")
    commands = parser.add_subparsers(required=True)
    rendering = commands.add_parser("render", help="make the pictures and their truth")
    rendering.add_argument("pages", nargs="*", help=f"of {', '.join(page.name for page in PAGES)}; none: all")
    rendering.add_argument("--set", type=Path, default=_FOLDER, dest="root", help="the folder, .evaluation by default")
    rendering.add_argument("--half", type=Half, choices=list(Half), help="one half alone")
    rendering.add_argument("--missing", action="store_true", help="only what is not there yet")
    rendering.set_defaults(do=_render)
    running = commands.add_parser("run", help="record and look for all targets")
    running.add_argument("--set", type=Path, default=_FOLDER, dest="root", help="the folder, .evaluation by default")
    running.add_argument("--held-out", action="store_true", help="the other half: each run is noted in runs.json")
    running.add_argument("--pages", nargs="*", default=[])
    running.add_argument("--variants", nargs="*", default=[], choices=list(CHANGES), metavar="VARIANT")
    running.add_argument("--no-removals", action="store_true")
    running.add_argument("--no-wrong-screens", action="store_true")
    running.add_argument("--processes", type=int, default=2)
    running.set_defaults(do=_run)
    listing = commands.add_parser("list", help="tell what was rendered")
    listing.add_argument("--set", type=Path, default=_FOLDER, dest="root", help="the folder, .evaluation by default")
    listing.set_defaults(do=_list)
    plotting = commands.add_parser("plot", help="draw whether a score of 0.9 means 0.9")
    plotting.add_argument("results", type=Path, help="the folder of a run's results")
    plotting.add_argument("--out", type=Path, default=Path("ops/docs/reliability.svg"))
    plotting.set_defaults(do=_plot)
    options = parser.parse_args()
    return int(options.do(options))


def _render(options: argparse.Namespace) -> int:
    from evaluation.render import render_page

    unknown = set(options.pages) - {page.name for page in PAGES}
    if unknown:
        print(f"no such page: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    for page in PAGES:
        is_there = (options.root / page.half / page.name / TRUTH_FILE).exists()
        is_wanted = (not options.pages or page.name in options.pages) and options.half in (None, page.half)
        if is_wanted and not (options.missing and is_there):
            began = time.monotonic()
            line = render_page(page, options.root)
            print(f"{page.half:8} {page.name:16} {line} ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


def _list(options: argparse.Namespace) -> int:
    from evaluation.album import albums
    from evaluation.made import made

    for half in Half:
        print(f"{half}\n{made([album.truth for album in albums(options.root, half)])}\n")
    return 0


def _plot(options: argparse.Namespace) -> int:
    from evaluation.running import plot

    options.out.write_text(plot(options.results), encoding="utf-8")
    print(f"{options.out} was written")
    return 0


def _run(options: argparse.Namespace) -> int:
    from evaluation.held_out import note_run
    from evaluation.running import Plan, run, trials_of, write
    from evaluation.trying import Wanted

    half = Half.HELD_OUT if options.held_out else Half.TUNING
    other = [page.name for page in PAGES if page.name in options.pages and page.half is not half]
    if other:
        hint = "--held-out runs it, and notes that it did" if half is Half.TUNING else "leave out --held-out"
        place = "held out" if half is Half.TUNING else "tuned on"
        print(f"{other[0]} is {place}: {hint}", file=sys.stderr)
        return 2
    wanted = Wanted(tuple(options.variants), not options.no_removals, not options.no_wrong_screens)
    plan = Plan(options.root, half, wanted, tuple(options.pages), options.processes)
    results = run(plan)
    if options.held_out:
        count = note_run(trials_of(results), [result.page for result in results])
        print(f"This was run {count} on the half that is held out.\n")
    folder = write(plan, results)
    print((folder / "report.txt").read_text(encoding="utf-8"))
    print(f"More in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
