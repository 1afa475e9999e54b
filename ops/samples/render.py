"""Renders the sample pages to screenshots and writes where their elements are.

Development only: needs Chromium and the Liberation fonts. `python ops/samples/render.py` renders all scenes.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.int64]

SAMPLES = Path(__file__).parent
WIDTH_PX, HEIGHT_PX = 2560, 1600
# Headless Chromium takes the height of a window frame off the page: ask for more and crop.
WINDOW_HEIGHT_PX = HEIGHT_PX + 200
RENDER_TIMEOUT_S = 120
PALETTE_COLOURS = 256
# How far, of 255, a palette may move a channel of the pixels on the edges of letters. A colour that fills more
# pixels than FLAT_PIXELS is kept as it is.
PALETTE_TOLERANCE = 8
FLAT_PIXELS = 2000

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-lcd-text",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    f"--window-size={WIDTH_PX},{WINDOW_HEIGHT_PX}",
)


def browse(chromium: str, page: Path, *actions: str) -> str:
    """Opens one page in a fresh profile, does what the flags in `actions` say, and returns standard output."""
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, *FLAGS, f"--user-data-dir={profile}", *actions, page.resolve().as_uri()]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=RENDER_TIMEOUT_S)
    return done.stdout


def read_boxes(dom: str) -> dict[str, Any]:
    """Returns what `boxes.js` wrote into the page; raises `ValueError` where the picture would be wrong."""
    match = re.search(r'<script type="application/json" id="boxes">(.+?)</script>', dom, re.DOTALL)
    if match is None:
        raise ValueError("the page wrote no boxes: open it in a browser and look at its console")
    report: dict[str, Any] = json.loads(html.unescape(match[1]))
    width, height = report["viewport"]
    if width != WIDTH_PX or height < HEIGHT_PX:
        raise ValueError(f"the page is {width}x{height}, which cuts the picture: raise WINDOW_HEIGHT_PX")
    if report["problems"]:
        raise ValueError("fix the page: " + "; ".join(report["problems"]))
    return report


def choose_palette(colours: Pixels, counts: Pixels, tolerance: int) -> Pixels:
    """Returns a part of `colours` (n x 3) from which each of them is at most `tolerance` away in every channel."""
    chosen = np.empty((0, 3), dtype=np.int64)
    for position in np.argsort(-counts):
        colour = colours[position]
        near = len(chosen) and np.abs(chosen - colour).max(axis=1).min() <= tolerance
        if counts[position] >= FLAT_PIXELS or not near:
            chosen = np.vstack([chosen, colour])
    return chosen


def shrink(picture: Image.Image) -> Image.Image:
    """Returns the picture with the finest palette that fits, or as it is where none is fine enough.

    Pillow's own `quantize` moves even the colours of large areas by a few levels, white among them.
    """
    pixels = np.asarray(picture, dtype=np.int64).reshape(-1, 3)
    colours, places, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    for tolerance in range(2, PALETTE_TOLERANCE + 1, 2):
        palette = choose_palette(colours, counts, tolerance)
        if len(palette) <= PALETTE_COLOURS:
            nearest = np.abs(colours[:, None, :] - palette).max(axis=2).argmin(axis=1).astype(np.uint8)
            small = Image.fromarray(nearest[places].reshape(HEIGHT_PX, WIDTH_PX))
            small.putpalette(palette.astype(np.uint8).tobytes())
            return small
    return picture


def render(chromium: str, page: Path) -> None:
    """Writes the picture and the boxes of one page beside this script."""
    picture_path = SAMPLES / f"{page.stem}.png"
    report = read_boxes(browse(chromium, page, "--dump-dom"))
    browse(chromium, page, f"--screenshot={picture_path.resolve()}")
    with Image.open(picture_path) as shot:
        picture = shot.convert("RGB").crop((0, 0, WIDTH_PX, HEIGHT_PX))
    shrink(picture).save(picture_path, optimize=True)
    scene = {"image": picture_path.name, "width": WIDTH_PX, "height": HEIGHT_PX}
    rows = ",\n".join(f"    {json.dumps(element)}" for element in report["elements"])
    text = f'{json.dumps(scene, indent=2)[:-2]},\n  "elements": [\n{rows}\n  ]\n}}\n'
    picture_path.with_suffix(".json").write_text(text, encoding="utf-8")


def main() -> None:
    """Renders the scenes named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description="Render the sample screenshots.")
    parser.add_argument("scenes", nargs="*", help="names of pages, for example: settings")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    options = parser.parse_args()
    for page in sorted((SAMPLES / "pages").glob("*.html")):
        if not options.scenes or page.stem in options.scenes:
            render(options.chromium, page)


if __name__ == "__main__":
    main()
