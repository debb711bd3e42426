"""A real browser for tests of pages: with scripts on or off, at any width, light or dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from .harness import REPOSITORY

PICTURES = REPOSITORY / "reports" / "viewer"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
WIDTHS = {"wide": 1280, "80-columns": 680, "phone": 390}

Open = Callable[[bool], webdriver.Chrome]


def browser_and_driver() -> tuple[str, str]:
    """Return Chromium, or else Chrome, and its driver; without them the test is skipped."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no browser: rehearsal/install_tools.sh installs one on Debian")
    return browser, driver


@pytest.fixture
def open_browser(tmp_path: Path) -> Iterator[Open]:
    """A function that opens a browser with JavaScript switched on or off."""
    browser, driver = browser_and_driver()
    opened: list[webdriver.Chrome] = []

    def open_it(with_scripts: bool) -> webdriver.Chrome:
        options = Options()
        options.binary_location = browser
        for flag in _FLAGS:
            options.add_argument(flag)
        options.add_argument(f"--user-data-dir={tmp_path / f'profile-{len(opened)}'}")
        if not with_scripts:
            options.add_experimental_option(
                "prefs", {"profile.managed_default_content_settings.javascript": 2}
            )
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        opened.append(webdriver.Chrome(options=options, service=Service(driver)))
        return opened[-1]

    yield open_it
    for one in opened:
        one.quit()


def show(browser: webdriver.Chrome, width: int, scheme: str) -> None:
    """Set the size of the screen and the wish for light or dark."""
    screen = {"width": width, "height": 820, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    wish = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)


def keep(browser: webdriver.Chrome, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(PICTURES / f"{name}.png"))


def background(browser: webdriver.Chrome) -> int:
    """Return how bright the page's ground is, 0 to 765."""
    color = browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    return sum(int(part) for part in color.split("(")[1].split(",")[:3])
