"""The viewer in a real browser, with scripts off: sign in, open a trace; pictures go to `reports/viewer/`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from .harness import REPOSITORY, RunningEngine
from .viewer_client import EMAIL, PASSWORD
from .viewer_data import ANSWER, support_trace

pytestmark = pytest.mark.slow

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


@pytest.fixture
def open_browser(tmp_path: Path) -> Iterator[Open]:
    """A function that opens a browser with JavaScript switched on or off."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no browser: install chromium and chromium-driver (Debian) for this test")
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


def sign_in(browser: webdriver.Chrome) -> None:
    browser.find_element(By.NAME, "email").send_keys(EMAIL)
    browser.find_element(By.NAME, "password").send_keys(PASSWORD)
    browser.find_element(By.CSS_SELECTOR, "form.sign-in button").click()


def keep(browser: webdriver.Chrome, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(PICTURES / f"{name}.png"))


def background(browser: webdriver.Chrome) -> int:
    """Return how bright the page's ground is, 0 to 765."""
    color = browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    return sum(int(part) for part in color.split("(")[1].split(",")[:3])


def test_a_person_signs_in_opens_a_trace_and_selects_an_observation_without_scripts(
    engine: RunningEngine, open_browser: Open
) -> None:
    trace, ids = support_trace(engine.client)
    browser = open_browser(False)
    show(browser, 1280, "light")
    browser.get(f"{engine.base_url}/project/kosmos-support/traces/{trace}")
    keep(browser, "sign-in")
    sign_in(browser)
    assert browser.current_url == f"{engine.base_url}/project/kosmos-support/traces/{trace}"
    assert browser.find_element(By.TAG_NAME, "h1").text == "answer-customer"
    rows = browser.find_elements(By.CSS_SELECTOR, ".tree tbody tr")
    assert len(rows) == 5
    bars = [row.find_element(By.TAG_NAME, "rect").rect for row in rows]
    assert all(bar["width"] > 1 for bar in bars)
    assert bars[1]["x"] < bars[2]["x"] < bars[3]["x"] < bars[4]["x"]
    assert ANSWER in browser.find_element(By.CSS_SELECTOR, ".detail").text
    browser.find_element(By.PARTIAL_LINK_TEXT, "track-parcel").click()
    assert f"observation={ids['tool']}" in browser.current_url
    assert "The carrier answered 503" in browser.find_element(By.CSS_SELECTOR, ".detail .status").text
    assert "track-parcel" in browser.find_element(By.CSS_SELECTOR, "tr.selected").text
    browser.find_element(By.LINK_TEXT, "Traces").click()
    assert browser.find_elements(By.LINK_TEXT, "answer-customer")
    browser.find_element(By.CSS_SELECTOR, "form.out button").click()
    assert browser.current_url == f"{engine.base_url}/auth/sign-in"


def test_pages_fit_every_width_in_light_and_dark_and_break_no_rule_of_their_policy(
    engine: RunningEngine, open_browser: Open
) -> None:
    trace, ids = support_trace(engine.client)
    project = f"{engine.base_url}/project/kosmos-support"
    browser = open_browser(True)
    browser.get(f"{project}/traces")
    sign_in(browser)
    pages = {"traces": "traces", "trace": f"traces/{trace}?observation={ids['answer']}"}
    pages |= {"session": "sessions/order-4711", "scores": "scores", "prompts": "prompts"}
    for scheme, is_dark in (("light", False), ("dark", True)):
        for width_name, width in WIDTHS.items():
            show(browser, width, scheme)
            for name, path in pages.items():
                browser.get(f"{project}/{path}")
                keep(browser, f"{name}-{width_name}-{scheme}")
                assert (background(browser) < 200) is is_dark
                content = browser.execute_script("return document.documentElement.scrollWidth")
                assert content <= width, f"{name} is {content} pixels wide on {width}"
    assert [entry["message"] for entry in browser.get_log("browser")] == []
