"""The sample pages as they are, and with one small change each: what a gate must tell apart.

Needs Debian's `chromium` and `chromium-driver`.
"""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from singletrack.agent.screen.screenshot import Pixels
from singletrack_ops.demo.samples import samples_folder

WIDTH_PX, HEIGHT_PX = 2560, 1600
# 26 pixels of font, and 13 as on a screen at 100 %.
ZOOMS: Final = (1.0, 0.5)
_FLAGS = (
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
    f"--window-size={WIDTH_PX},{HEIGHT_PX + 200}",
)

_TEXTS = """
const texts = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const tag = walk.currentNode.parentElement.tagName;
  if (tag !== "SCRIPT" && walk.currentNode.data.trim()) texts.push(walk.currentNode);
}
const pick = (found, n) => found[(n * 7) % found.length];
const numbers = texts.filter((one) => /[0-9]/.test(one.data));
const like = {0: "8", 1: "7", 2: "3", 3: "8", 4: "1", 5: "6", 6: "8", 7: "1", 8: "3", 9: "8"};
const swap = (node) => { node.data = node.data.replace(/[0-9](?=[^0-9]*$)/, (digit) => like[digit]); };
"""

# What a person would answer another question about; `n` chooses the place.
CHANGES: Final = {
    "a digit": "swap(pick(numbers, n));",
    "a digit in pale grey": (
        "const at = pick(numbers, n); at.parentElement.style.color = '#c8c8c8'; later = () => swap(at);"
    ),
    "a digit in all but white": (
        "const at = pick(numbers, n); at.parentElement.style.color = '#ececec'; later = () => swap(at);"
    ),
    "a point for a comma": (
        "const at = pick(texts.filter((one) => /[.,]/.test(one.data)).length"
        " ? texts.filter((one) => /[.,]/.test(one.data)) : numbers, n);"
        "at.data = at.data.replace(/[.,]/, (sign) => (sign === '.' ? ',' : '.')).replace(/^([0-9]+)$/, '$1.');"
    ),
    "a tick": (
        "const at = pick([...document.querySelectorAll('.check, [data-role=checkbox]')], n);"
        "at.classList.toggle('checked');"
    ),
    "a button greyed out": "pick([...document.querySelectorAll('.button')], n).style.opacity = 0.6;",
    "a row chosen, barely tinted": (
        "const at = pick(numbers, n).parentElement.parentElement; at.style.background = '#fbfbfb';"
    ),
    "another colour, as bright": (
        "const at = pick([...document.querySelectorAll('i svg')], n); at.style.stroke = '#8a4a00';"
        "later = () => { at.style.stroke = '#00707a'; };"
    ),
    "a caret": (
        "const at = pick([...document.querySelectorAll('.field, .button')], n).getBoundingClientRect();"
        "const bar = document.createElement('div');"
        "bar.style.cssText = `position:absolute;background:#1d2733;width:2px;height:${at.height / 2}px;"
        "left:${at.left + at.width / 2}px;top:${at.top + at.height / 4}px`; document.body.append(bar);"
    ),
}


@dataclass(frozen=True)
class Pair:
    """A screen before and after; `same` says whether the same answer holds for both."""

    page: str
    change: str
    before: Pixels
    after: Pixels
    same: bool


def pairs(pages: tuple[str, ...], places: int) -> Iterator[Pair]:
    """Render every change at `places` places of each page and zoom, and noise that changes nothing."""
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium")
    for flag in _FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(_program("chromedriver")))
    try:
        for page in pages:
            for zoom in ZOOMS:
                yield from _pairs_of(driver, page, zoom, places)
    finally:
        driver.quit()


def noise(pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Yield the picture as a remote desktop or a night light may show it."""
    for quality in (95, 90, 80):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0 if quality == 95 else 2)
        yield f"JPEG {quality}", np.asarray(Image.open(buffer).convert("RGB"))
    random = np.random.default_rng(1).integers(-2, 3, pixels.shape)
    yield "noise of 2 levels", np.clip(pixels.astype(np.int16) + random, 0, 255).astype(np.uint8)
    yield "one level darker", np.where(pixels > 0, pixels - 1, 0).astype(np.uint8)


def with_pointer(pixels: Pixels, seed: int) -> Pixels:
    """Draw a mouse pointer somewhere."""
    picture = Image.fromarray(pixels)
    x, y = (int(one) for one in np.random.default_rng(seed).integers(100, 1400, 2))
    arrow = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]
    ImageDraw.Draw(picture).polygon([(x + dx, y + dy) for dx, dy in arrow], fill="black", outline="white")
    return np.asarray(picture)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"{name} is missing: install Debian's packages chromium and chromium-driver")
    return path


def _pairs_of(driver: webdriver.Chrome, page: str, zoom: float, places: int) -> Iterator[Pair]:
    name = f"{page} {zoom:.0%}"
    for change, script in CHANGES.items():
        for place in range(1, places + 1):
            before, after = _before_and_after(driver, page, zoom, f"{_TEXTS} const n = {place}; {script}")
            yield Pair(name, change, before, after, same=False)
    plain = _open(driver, page, zoom)
    for change, after in noise(plain):
        yield Pair(name, change, plain, after, same=True)
    yield Pair(name, "rendered again", plain, _open(driver, page, zoom), same=True)
    for place in range(1, places + 1):
        yield Pair(name, "the pointer moved", with_pointer(plain, place), with_pointer(plain, place + 100), same=False)


def _before_and_after(driver: webdriver.Chrome, page: str, zoom: float, script: str) -> tuple[Pixels, Pixels]:
    """The page before and after a change; one that sets `later` prepares first, and changes then."""
    before = _open(driver, page, zoom)
    prepares = driver.execute_script(f"let later = null; {script}; window.later = later; return later !== null;")
    if prepares:
        before = _shot(driver)
        driver.execute_script("window.later();")
    return before, _shot(driver)


def _open(driver: webdriver.Chrome, page: str, zoom: float) -> Pixels:
    driver.get((samples_folder() / "pages" / f"{page}.html").resolve().as_uri())
    driver.execute_script(f"document.body.style.zoom = {json.dumps(zoom)};")
    return _shot(driver)


def _shot(driver: webdriver.Chrome) -> Pixels:
    with Image.open(io.BytesIO(driver.get_screenshot_as_png())) as shot:
        return np.asarray(shot.convert("RGB").crop((0, 0, WIDTH_PX, HEIGHT_PX)))
