"""Reads what was rendered."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.looks import BASE
from evaluation.truth import TRUTH_FILE, Half, PageTruth, Removal, load_truth
from singletrack.agent.screen.screenshot import Screenshot


class Album:
    """A page's folder: its truth and its pictures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.truth: PageTruth = load_truth(folder)

    def picture(self, variant: str) -> Screenshot:
        """Return the page in a variant."""
        return Screenshot.of(self._folder / self.truth.shot(variant).picture)

    def without(self, removal: Removal) -> Screenshot:
        """Return the base with the patch of a removal over it."""
        pixels = self.picture(BASE).pixels.copy()
        with Image.open(self._folder / removal.patch) as opened:
            patch = np.asarray(opened.convert("RGB"))
        height, width = patch.shape[:2]
        pixels[removal.at.y : removal.at.y + height, removal.at.x : removal.at.x + width] = patch
        return Screenshot.of(pixels)


def albums(root: Path, half: Half) -> Iterator[Album]:
    """Return the pages of a half that were rendered, by name; raises `FileNotFoundError` if there are none."""
    folders = sorted(path.parent for path in (root / half).glob(f"*/{TRUTH_FILE}"))
    if not folders:
        raise FileNotFoundError(f"no pages in {root / half}: run `python -m evaluation render` first")
    return (Album(folder) for folder in folders)
