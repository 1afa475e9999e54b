"""Which changes of a screen the gate before the VLM sees: by its pixels, and by CLIP alone."""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.changed_screens import Pair, pairs
from singletrack import Client
from singletrack.agent.remembered.gate import DEFAULT_THRESHOLD
from singletrack.agent.remembered.kept_screen import KeptScreen
from singletrack.agent.screen.screenshot import Screenshot
from singletrack_ops.stack import Stack

PAGES = ("orders", "invoice", "settings", "files")


@dataclass(frozen=True)
class _Judged:
    """What a pair of screens comes to: levels by which a pixel differs most, cosine, and the gate's word."""

    same: bool
    levels: int
    cosine: float
    pixels_same: bool

    @property
    def reused(self) -> bool:
        return self.pixels_same and self.cosine >= DEFAULT_THRESHOLD


def run(stack: Stack, pages: tuple[str, ...] = PAGES[:1], places: int = 1) -> None:
    """Print a line for each change, and how often an answer would have been used wrongly."""
    try:
        found = list(pairs(pages, places))
    except FileNotFoundError as error:
        print(f"  not measured: {error}")
        return
    with stack.client() as client:
        judged: dict[str, list[_Judged]] = defaultdict(list)
        for pair in found:
            judged[pair.change].append(_judge(client, pair))
    for change, rows in judged.items():
        print(f"  {change:28} {_line(rows)}")
    every = [row for rows in judged.values() for row in rows]
    different = [row for row in every if not row.same]
    by_clip = sum(row.cosine >= DEFAULT_THRESHOLD for row in different)
    print(f"  {len(different)} screens that differ: {_used(different)} used wrongly, by CLIP alone {by_clip}")
    alike = [row for row in every if row.same]
    print(f"  {len(alike)} screens that do not: {_used(alike)} used")


def _judge(client: Client, pair: Pair) -> _Judged:
    before, after = client.embed_images([pair.before, pair.after], timeout_s=300).vectors
    levels = int(np.abs(pair.before.astype(np.int16) - pair.after.astype(np.int16)).max())
    same = KeptScreen.of(Screenshot(pair.before)).is_same(pair.after)
    # Where a change cannot be seen, none was made.
    return _Judged(pair.same or levels == 0, levels, float(before @ after), same)


def _line(rows: Iterable[_Judged]) -> str:
    judged = list(rows)
    levels, cosines = [row.levels for row in judged], [row.cosine for row in judged]
    return (
        f"{len(judged):3} pairs, {min(levels):3} to {max(levels):3} levels, "
        f"cosine {min(cosines):.5f} to {max(cosines):.5f}, {_used(judged):3} used"
    )


def _used(rows: Iterable[_Judged]) -> int:
    return sum(row.reused for row in rows)


def main() -> None:
    """Measure all pages, at as many places as the first argument says; the environment may name other weights."""
    with tempfile.TemporaryDirectory(prefix="singletrack-bench-") as name:
        folder = Path(name) / "stack"
        with Stack.start(folder, with_flower=False, allow_sandbox=True, tiny_clip=True, gpu="simulated") as stack:
            run(stack, PAGES, int(sys.argv[1]) if len(sys.argv) > 1 else 1)


if __name__ == "__main__":
    main()
