"""The viewer in a real browser, with scripts off: sign in, open a trace; pictures go to `reports/viewer/`."""

from __future__ import annotations

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from .browsing import WIDTHS, Open, background, keep, show
from .harness import RunningEngine
from .viewer_client import EMAIL, PASSWORD
from .viewer_data import ANSWER, support_trace

pytestmark = pytest.mark.slow


def sign_in(browser: webdriver.Chrome) -> None:
    browser.find_element(By.NAME, "email").send_keys(EMAIL)
    browser.find_element(By.NAME, "password").send_keys(PASSWORD)
    browser.find_element(By.CSS_SELECTOR, "form.sign-in button").click()


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
