"""Web pages in headless Chromium."""

import base64
import shutil
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from evaluation.looks import Look
from evaluation.stages.pixels import decoded
from evaluation.stages.stage import Missing, Scene, to_element
from singletrack.agent.screen.screenshot import Pixels

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-lcd-text",
    "--hide-scrollbars",
)
# Of the width, when a page is shown narrower.
_NARROWER = 0.87


@dataclass(frozen=True, slots=True)
class WebSize:
    """The size of a page in CSS pixels."""

    width: int
    height: int


class WebStage:
    """A file in headless Chromium. Raises `Missing` without Chromium or its driver."""

    def __init__(self, page: Path, size: WebSize) -> None:
        self._page = page
        self._size = size
        self._driver: Any = None

    def __enter__(self) -> Self:
        self._driver = _start()
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.quit()

    def show(self, look: Look) -> Scene:
        """Show the page at a scale; a reflow makes it narrower and inserts a banner."""
        width = round(self._size.width * _NARROWER) if look.reflow else self._size.width
        metrics = {"width": width, "height": self._size.height, "deviceScaleFactor": look.scale, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        query = urllib.parse.urlencode({name: 1 for name, on in look.switches.items() if on})
        self._driver.get(f"{self._page.resolve().as_uri()}?{query}")
        told = self._driver.execute_script("return document.fonts.ready.then(() => evaluation.elements())")
        self._refuse_errors()
        return Scene(self._picture(), tuple(to_element(one) for one in told))

    def without(self, ids: Sequence[str]) -> Pixels:
        """Hide some elements by `visibility`, which leaves the layout as it is."""
        self._driver.execute_script("evaluation.hide(arguments[0])", list(ids))
        return self._picture()

    def _picture(self) -> Pixels:
        shot = self._driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        return decoded(np.frombuffer(base64.b64decode(shot["data"]), dtype=np.uint8))

    def _refuse_errors(self) -> None:
        errors = [entry["message"] for entry in self._driver.get_log("browser") if entry["level"] == "SEVERE"]
        if errors:
            raise ValueError(f"{self._page.name}: {errors[0]}")


def _start() -> webdriver.Chrome:
    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise Missing("no Chromium or no chromedriver: install the packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in _FLAGS:
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=Service(driver))
