"""A real browser, as an operator has one open: Debian's Chromium, without a screen."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.integration.ops.waiting import wait_for

WIDTH, HEIGHT = 1600, 1000
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--window-size={WIDTH},{HEIGHT}",
)


class Browser:
    """Opens pages of one server, reads them, and takes their pictures."""

    def __init__(self, driver: webdriver.Chrome, pictures: Path) -> None:
        self.driver = driver
        self._pictures = pictures

    def open(self, url: str) -> None:
        self.driver.get(url)

    def text(self, css: str = "body") -> str:
        """The text of the first element that fits; '' where there is none."""
        while found := self.driver.find_elements(By.CSS_SELECTOR, css):
            try:
                return found[0].text
            except StaleElementReferenceException:
                continue  # the page has just put something newer in its place
        return ""

    def count(self, css: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, css))

    def colour(self, css: str, of: str = "backgroundColor") -> tuple[int, ...]:
        """Red, green and blue of the first element that fits, 0 to 255."""
        script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        return tuple(int(part) for part in re.findall(r"\d+", self.driver.execute_script(script, css, of))[:3])

    def click(self, css: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, css).click()

    def table(self, css: str) -> dict[str, str]:
        """The rows of a table of two columns."""
        rows = self.driver.find_elements(By.CSS_SELECTOR, f"{css} tr")
        cells = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]
        return {row[0]: row[1] for row in cells if len(row) == 2}

    def reload_until(self, condition: Callable[[], bool], what: str) -> None:
        """Load the page anew until it shows what it should: Flower shows what it knew at the last look."""

        def reloaded() -> bool:
            self.driver.refresh()
            return condition()

        wait_for(reloaded, what, 30)

    def darken(self) -> None:
        """Ask for dark pages from now on, as an operating system does."""
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def picture(self, name: str, *, whole: bool = False) -> None:
        """Save what is on the screen, or the whole page."""
        script = "return document.documentElement.scrollHeight"
        self._resize(max(HEIGHT, int(self.driver.execute_script(script))) if whole else HEIGHT)
        assert self.driver.save_screenshot(str(self._pictures / f"{name}.png"))
        self._resize(HEIGHT)

    def _resize(self, height: int) -> None:
        metrics = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile in `folder`; pictures go to SINGLETRACK_SCREENSHOTS, or there too."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("there is no Chromium: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        pictures = Path(os.environ.get("SINGLETRACK_SCREENSHOTS") or folder)
        pictures.mkdir(parents=True, exist_ok=True)
        yield Browser(driver, pictures)
    finally:
        driver.quit()
