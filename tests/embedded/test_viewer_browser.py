"""The viewer in a real browser, with scripts off and on; pictures go to `reports/viewer/`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from .browsing import WIDTHS, Open, background, keep, show
from .harness import REPOSITORY, RunningEngine
from .spans import send, span, span_id, trace_id
from .test_viewer import hostile_everything
from .viewer_client import EMAIL, PASSWORD
from .viewer_data import ANSWER, support_trace

pytestmark = pytest.mark.slow
PROJECT = "/project/kosmos-support"
AXE = REPOSITORY / "build" / "js-client" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")
PATIENCE = 30
UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"


def everything(engine: RunningEngine) -> dict[str, str]:
    """Send something for each page; return the paths of all pages by a name."""
    trace, ids = support_trace(engine.client)
    for body in (
        {"name": "helpful", "value": 0.9, "traceId": trace},
        {"name": "tone", "value": "kind", "traceId": trace, "observationId": ids["answer"]},
    ):
        engine.client.post("/api/public/scores", json=body).raise_for_status()
    config = {"name": f"c{span_id()}", "dataType": "NUMERIC", "minValue": 0, "maxValue": 1}
    engine.client.post("/api/public/score-configs", json=config).raise_for_status()
    for text in ("Be kind.", "Be kind and brief."):
        engine.client.post(
            "/api/public/v2/prompts", json={"name": "support", "prompt": text}
        ).raise_for_status()
    dataset = engine.client.post("/api/public/v2/datasets", json={"name": "golden orders"}).json()
    item = {"datasetName": "golden orders", "input": "Where?", "expectedOutput": "There"}
    engine.client.post("/api/public/dataset-items", json=item).raise_for_status()
    experiments = []
    for number, output in enumerate(("It arrives on Monday.", "It arrives on Friday.")):
        experiment, root, of_item = f"exp-{span_id()}", span_id(), trace_id()
        experiments.append(experiment)
        attributes = {
            "langfuse.experiment.id": experiment,
            "langfuse.experiment.name": f"run {number}",
            "langfuse.experiment.dataset.id": dataset["id"],
            "langfuse.experiment.item.id": "item-1",
            "langfuse.experiment.item.root_observation_id": root,
            "langfuse.observation.output": output,
        }
        send(engine.client, span(of_item, id=root, attributes=attributes))
        score = {"name": "correct", "value": number, "dataType": "BOOLEAN", "traceId": of_item}
        engine.client.post("/api/public/scores", json=score).raise_for_status()
    queue, items = annotation_queue(engine, trace, ids["answer"])
    alerts = [
        {
            "name": name,
            "group": "write-answer",
            "state": "firing",
            "severity": severity,
            "condition": "p95 > 3",
            "window": "1h",
            "value": 4.2,
            "description": "Answers take longer than people wait.",
            "runbook": runbook,
        }
        for name, severity, runbook in (
            ("latency_high", "critical", "https://kosmos.example/runbooks/latency_high"),
            ("cost_spike", "warning", "docs/runbooks/cost_spike.md"),
            ("tokens_per_query_high", "info", ""),
        )
    ]
    engine.client.put("/api/embedded/alerts", json={"alerts": alerts}).raise_for_status()
    return {
        "queues": "/annotation-queues",
        "queue": f"/annotation-queues/{queue}",
        "queue-item": f"/annotation-queues/{queue}/items/{items['TRACE']}",
        "queue-session": f"/annotation-queues/{queue}/items/{items['SESSION']}",
        "queue-end": f"/annotation-queues/{queue}/items?after={items['SESSION']}",
        "overview": "/overview",
        "traces": "/traces",
        "observations": "/observations?type=GENERATION&type=TOOL&sort=latency",
        "trace": f"/traces/{trace}?observation={ids['answer']}",
        "trace-found": f"/traces/{trace}?observation={ids['answer']}&find=order#hit-2",
        "sessions": "/sessions",
        "session": "/sessions/order-4711",
        "users": "/users?range=7d&sort=cost",
        "scores": "/scores",
        "prompts": "/prompts",
        "prompt": "/prompts/support?version=2&against=1",
        "datasets": "/datasets",
        "dataset": f"/datasets/{dataset['id']}",
        "experiments": "/experiments",
        "comparison": f"/experiments/results?baseline={experiments[0]}&c={experiments[1]}",
        "refusal": "/traces/nope",
    }


def annotation_queue(engine: RunningEngine, trace: str, observation: str) -> tuple[str, dict[str, str]]:
    """Make a queue with a trace, an observation and a session; return its id and theirs by kind."""

    def post(path: str, body: dict[str, object]) -> str:
        answer = engine.client.post(f"/api/public{path}", json=body)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    labels = ("right", "partly right", "wrong")
    configs = [
        {
            "name": "factual accuracy",
            "description": "Is what the answer says true?",
            "dataType": "CATEGORICAL",
            "categories": [{"label": label, "value": number} for number, label in enumerate(labels)],
        },
        {"name": "polite", "dataType": "BOOLEAN"},
        {"name": "helpfulness", "dataType": "NUMERIC", "minValue": 0, "maxValue": 10},
    ]
    made = [post("/score-configs", config) for config in configs]
    body = {"name": f"Answers {span_id()}", "description": "Ten a week.", "scoreConfigIds": made}
    queue = post("/annotation-queues", body)
    subjects = {"TRACE": trace, "OBSERVATION": observation, "SESSION": "order-4711"}
    items = f"/annotation-queues/{queue}/items"
    return queue, {kind: post(items, {"objectId": one, "objectType": kind}) for kind, one in subjects.items()}


def wait_for(browser: webdriver.Chrome, condition: Callable[[webdriver.Chrome], object]) -> None:
    WebDriverWait(browser, PATIENCE, poll_frequency=0.05).until(condition)


def sign_in(browser: webdriver.Chrome) -> None:
    browser.find_element(By.NAME, "email").send_keys(EMAIL)
    browser.find_element(By.NAME, "password").send_keys(PASSWORD)
    browser.find_element(By.CSS_SELECTOR, "form.sign-in button").click()
    wait_for(browser, lambda it: it.find_elements(By.CSS_SELECTOR, "header.top"))


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
    wait_for(browser, lambda it: f"observation={ids['tool']}" in it.current_url)
    assert "The carrier answered 503" in browser.find_element(By.CSS_SELECTOR, ".detail .status").text
    assert "track-parcel" in browser.find_element(By.CSS_SELECTOR, "tr.selected").text
    browser.find_element(By.LINK_TEXT, "Traces").click()
    wait_for(browser, lambda it: it.find_elements(By.LINK_TEXT, "answer-customer"))
    browser.find_element(By.CSS_SELECTOR, "form.out button").click()
    wait_for(browser, lambda it: it.current_url == f"{engine.base_url}/auth/sign-in")


def test_pages_fit_every_width_in_light_and_dark_and_break_no_rule_of_their_policy(
    engine: RunningEngine, open_browser: Open
) -> None:
    pages = everything(engine)
    browser = open_browser(True)
    browser.get(f"{engine.base_url}{PROJECT}/traces")
    sign_in(browser)
    for scheme, is_dark in (("light", False), ("dark", True)):
        for width_name, width in WIDTHS.items():
            show(browser, width, scheme)
            for name, path in pages.items():
                browser.get(f"{engine.base_url}{PROJECT}{path}")
                keep(browser, f"{name}-{width_name}-{scheme}")
                assert (background(browser) < 200) is is_dark
                content = browser.execute_script("return document.documentElement.scrollWidth")
                assert content <= width, f"{name} is {content} pixels wide on {width}"
    said = [entry["message"] for entry in browser.get_log("browser")]
    # A page that is not there answers 404, which browsers log.
    assert [one for one in said if "/traces/nope" not in one] == []


def test_pages_have_no_serious_fault_of_accessibility(engine: RunningEngine, open_browser: Open) -> None:
    if not AXE.is_file():
        pytest.skip("no axe-core: run `make build/js-client/.installed` (Node.js) for this test")
    pages = everything(engine)
    axe = AXE.read_text("utf-8")
    browser = open_browser(True)
    browser.set_script_timeout(PATIENCE)
    browser.get(f"{engine.base_url}{PROJECT}/traces")
    found = []

    def check(name: str) -> None:
        browser.execute_script(axe)
        answer = browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations']})"
            ".then(done, (error) => done({error: `${error}`}));"
        )
        for one in answer["violations"]:
            if one["impact"] in SERIOUS:
                places = [node["html"][:200] for node in one["nodes"][:3]]
                found.append(f"{name}: {one['id']}: {one['help']}: {json.dumps(places)}")

    check("sign-in")
    sign_in(browser)
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            show(browser, width, scheme)
            for name, path in pages.items():
                browser.get(f"{engine.base_url}{PROJECT}{path}")
                # What is folded counts, too.
                browser.execute_script(
                    "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
                )
                check(f"{name} {width} {scheme}")
    assert found == []


def test_keys_move_through_a_list_and_open_what_is_there(engine: RunningEngine, open_browser: Open) -> None:
    mark = span_id()
    now = time.time_ns() // 1_000_000
    for number in range(3):
        send(engine.client, span(trace_id(), f"n{number}", start=now - number, attributes={"user.id": mark}))
    browser = open_browser(True)
    browser.get(f"{engine.base_url}{PROJECT}/traces?user={mark}")
    sign_in(browser)
    body = browser.find_element(By.TAG_NAME, "body")

    def current() -> str:
        return browser.find_element(By.CSS_SELECTOR, "tr.current a").text

    body.send_keys("j")
    assert current() == "n0"
    browser.switch_to.active_element.send_keys("jj")
    assert current() == "n2"
    browser.switch_to.active_element.send_keys("k")
    assert current() == "n1"
    browser.switch_to.active_element.send_keys("?")
    assert "/ search" in browser.find_element(By.CSS_SELECTOR, ".keys").text
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.find_elements(By.CSS_SELECTOR, ".keys")
    browser.switch_to.active_element.send_keys("/")
    search = browser.switch_to.active_element
    assert search.get_attribute("name") == "text"
    search.send_keys("j?/")
    assert search.get_attribute("value") == "j?/"
    search.send_keys(Keys.ESCAPE)
    browser.find_element(By.TAG_NAME, "body").send_keys("j", Keys.ENTER)
    wait_for(browser, lambda it: "/traces/" in it.current_url)


def marks(engine: RunningEngine, queue: str) -> set[tuple[str, str, object]]:
    """Return kind, name and value of the scores that came from a queue."""
    query = {"queueId": queue, "fields": "core,details,subject,annotation"}
    found = engine.client.get("/api/public/v3/scores", params=query).json()["data"]
    return {(one["subject"]["kind"], one["name"], one["value"]) for one in found}


def statuses(engine: RunningEngine, queue: str) -> dict[str, str]:
    found = engine.client.get(f"/api/public/annotation-queues/{queue}/items").json()["data"]
    return {one["objectType"]: one["status"] for one in found}


@pytest.mark.parametrize("width", [1280, 390])
def test_a_text_is_found_and_an_observation_queued_without_scripts(
    engine: RunningEngine, open_browser: Open, width: int
) -> None:
    trace, ids = support_trace(engine.client)
    long = {f"field-{number}": number for number in range(60)}
    deep, start = span_id(), time.time_ns() // 1_000_000 - 5_000
    attributes = {"langfuse.observation.output": json.dumps({"order": {**long, "carrier": "hermes"}})}
    send(
        engine.client,
        span(trace, "deep", id=deep, parent=ids["root"], start=start, duration=10, attributes=attributes),
    )
    config = {"name": f"c{span_id()}", "dataType": "BOOLEAN"}
    made = engine.client.post("/api/public/score-configs", json=config).json()
    queue = {"name": f"Deep ones {span_id()}", "scoreConfigIds": [made["id"]]}
    engine.client.post("/api/public/annotation-queues", json=queue).raise_for_status()
    browser = open_browser(False)
    show(browser, width, "light")
    browser.get(f"{engine.base_url}{PROJECT}/traces/{trace}?observation={deep}")
    sign_in(browser)
    assert not browser.find_elements(By.TAG_NAME, "mark")
    # Folded: it is there, and cannot be seen.
    [code] = browser.find_elements(By.CSS_SELECTOR, ".detail details.fold")
    assert code.get_attribute("open") is None
    browser.find_element(By.NAME, "find").send_keys("HERMES", Keys.ENTER)
    wait_for(browser, lambda it: it.find_elements(By.TAG_NAME, "mark"))
    assert browser.current_url.endswith("#found")
    [mark] = browser.find_elements(By.TAG_NAME, "mark")
    assert mark.is_displayed()
    assert mark.text == "hermes"
    browser.find_element(By.LINK_TEXT, "1").click()
    assert mark.rect["width"] > 10
    keep(browser, f"find-{width}")
    browser.find_element(By.XPATH, "//summary[.='Add to annotation queue']").click()
    browser.find_element(By.CSS_SELECTOR, ".queue-form button").click()
    wait_for(browser, lambda it: not it.find_elements(By.TAG_NAME, "mark"))
    browser.find_element(By.XPATH, "//summary[.='Add to annotation queue']").click()
    said = browser.find_element(By.CSS_SELECTOR, ".detail .write").text
    assert f"Observation waits in {queue['name']}" in said
    keep(browser, f"queued-{width}")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_queue_is_worked_off_with_a_mouse_and_without_scripts(
    engine: RunningEngine, open_browser: Open, width: int
) -> None:
    trace, ids = support_trace(engine.client)
    queue, _ = annotation_queue(engine, trace, ids["answer"])
    browser = open_browser(False)
    show(browser, width, "light")
    browser.get(f"{engine.base_url}{PROJECT}/annotation-queues/{queue}")
    sign_in(browser)

    def go_on(how: str, what: str) -> None:
        before = browser.current_url
        browser.find_element(how, what).click()
        wait_for(browser, lambda it: it.current_url != before and it.find_elements(By.TAG_NAME, "h1"))

    def choose(label: str) -> None:
        browser.find_element(By.XPATH, f"//label[normalize-space()='{label}']").click()

    go_on(By.LINK_TEXT, "Annotate")
    keep(browser, f"annotate-trace-{width}")
    choose("partly right")
    choose("true")
    browser.find_element(By.CSS_SELECTOR, "input[type=number]").send_keys("7.5")
    browser.find_element(By.CSS_SELECTOR, "fieldset textarea").send_keys("The day is missing.")
    go_on(By.CSS_SELECTOR, "form.annotate button")
    keep(browser, f"annotate-observation-{width}")
    # What is out of range does not leave the page.
    number = browser.find_element(By.CSS_SELECTOR, "input[type=number]")
    number.send_keys("11")
    at = browser.current_url
    browser.find_element(By.CSS_SELECTOR, "form.annotate button").click()
    assert browser.find_elements(By.CSS_SELECTOR, "input[type=number]:invalid")
    assert browser.current_url == at
    go_on(By.LINK_TEXT, "Skip")
    keep(browser, f"annotate-session-{width}")
    choose("wrong")
    go_on(By.CSS_SELECTOR, "form.annotate button")
    keep(browser, f"annotate-end-{width}")
    assert "1 is still pending" in browser.find_element(By.TAG_NAME, "main").text
    go_on(By.LINK_TEXT, "Begin again")
    choose("right")
    go_on(By.CSS_SELECTOR, "form.annotate button")
    go_on(By.LINK_TEXT, "The queue")
    keep(browser, f"annotate-queue-{width}")
    assert "3 of 3" in browser.find_element(By.TAG_NAME, "main").text
    assert set(statuses(engine, queue).values()) == {"COMPLETED"}
    assert marks(engine, queue) == {
        ("trace", "factual accuracy", "partly right"),
        ("trace", "polite", True),
        ("trace", "helpfulness", 7.5),
        ("session", "factual accuracy", "wrong"),
        ("observation", "factual accuracy", "right"),
    }


def test_a_queue_is_worked_off_with_the_keyboard(engine: RunningEngine, open_browser: Open) -> None:
    trace, ids = support_trace(engine.client)
    queue, items = annotation_queue(engine, trace, ids["answer"])
    browser = open_browser(True)
    show(browser, 1280, "light")
    start = f"{engine.base_url}{PROJECT}/annotation-queues/{queue}/items"
    browser.get(start)
    sign_in(browser)

    def press(*keys: str) -> None:
        browser.switch_to.active_element.send_keys(*keys)

    def at(kind: str) -> None:
        wait_for(browser, lambda it: it.current_url == f"{start}/{items[kind]}")
        wait_for(browser, lambda it: it.find_elements(By.CSS_SELECTOR, "form.annotate"))

    at("TRACE")
    press("?")
    assert "Ctrl+Enter complete and next" in browser.find_element(By.CSS_SELECTOR, ".keys").text
    press(Keys.ESCAPE)
    press("3")  # of the first group; the second one has the focus then
    press("2")
    comment = browser.find_element(By.CSS_SELECTOR, "fieldset textarea")
    comment.send_keys("1 of 3 → wrong?")
    assert comment.get_attribute("value") == "1 of 3 → wrong?", "what is typed is no key"
    press(Keys.CONTROL, Keys.ENTER)
    at("OBSERVATION")
    press(Keys.ARROW_RIGHT)
    at("SESSION")
    press(Keys.ARROW_LEFT)
    at("OBSERVATION")
    press("1")
    press(Keys.CONTROL, Keys.ENTER)
    at("SESSION")
    assert statuses(engine, queue) == {
        "TRACE": "COMPLETED",
        "OBSERVATION": "COMPLETED",
        "SESSION": "PENDING",
    }
    assert marks(engine, queue) == {
        ("trace", "factual accuracy", "wrong"),
        ("trace", "polite", False),
        ("observation", "factual accuracy", "right"),
    }


def test_the_first_trace_appears_by_itself(
    start_engine: Callable[[], RunningEngine], open_browser: Open
) -> None:
    running = start_engine()
    browser = open_browser(True)
    browser.get(f"{running.base_url}{PROJECT}/traces")
    sign_in(browser)
    assert "LANGFUSE_PUBLIC_KEY" in browser.find_element(By.CSS_SELECTOR, ".first").text
    keep(browser, "first-trace")
    send(running.client, span(trace_id(), "the first one"))
    wait_for(browser, lambda it: it.find_elements(By.LINK_TEXT, "the first one"))


def test_no_script_of_a_client_runs_on_any_page(engine: RunningEngine, open_browser: Open) -> None:
    browser = open_browser(True)
    browser.get(f"{engine.base_url}{PROJECT}/traces")
    sign_in(browser)
    # Without this an alert would be dismissed unseen.
    browser.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument",
        {"source": "window.alert = () => sessionStorage.setItem('ran', location.href);"},
    )
    for path in hostile_everything(engine):
        browser.get(f"{engine.base_url}{PROJECT}{path}")
        browser.execute_script(UNFOLD)
        assert browser.execute_script("return sessionStorage.getItem('ran')") is None, path
        assert len(browser.find_elements(By.TAG_NAME, "script")) == 1, path
    browser.execute_script("alert(1)")
    assert browser.execute_script("return sessionStorage.getItem('ran')"), "the trap works"


def test_the_four_questions_of_the_page_take_the_clicks_that_it_says(
    engine: RunningEngine, open_browser: Open
) -> None:
    mark, day = span_id(), 86_400_000
    noon = time.time_ns() // 1_000_000 // day * day - day // 2  # of yesterday
    generation = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.cost_details": json.dumps({"total": 0.25}),
        "langfuse.observation.prompt.name": f"p-{mark}",
        "langfuse.observation.prompt.version": 1,
        "session.id": f"s-{mark}",
        "user.id": f"u-{mark}",
    }
    failed = {"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": f"out of {mark}"}
    traces = [trace_id() for _ in range(3)]
    for number, trace in enumerate(traces):
        more = failed if number == 2 else {}
        duration = 9_000_000 - number
        send(
            engine.client,
            span(
                trace,
                f"g{number}-{mark}",
                start=noon + number,
                duration=duration,
                attributes=generation | more,
            ),
            span(trace_id(), "other", start=noon, duration=10_000_000, attributes={"user.id": "slow"}),
        )
    prompt = {"name": f"p-{mark}", "prompt": "Be kind."}
    engine.client.post("/api/public/v2/prompts", json=prompt).raise_for_status()
    score = {"name": "helpful", "value": 0.75, "traceId": traces[0]}
    engine.client.post("/api/public/scores", json=score).raise_for_status()
    browser = open_browser(False)
    show(browser, 1280, "light")
    start = f"{engine.base_url}{PROJECT}/traces"
    browser.get(start)
    sign_in(browser)

    def clicks(*steps: tuple[str, str]) -> str:
        browser.get(start)
        for how, what in steps:
            wait_for(browser, lambda it, how=how, what=what: it.find_elements(how, what))
            before = browser.current_url
            browser.find_element(how, what).click()
            wait_for(browser, lambda it, before=before: it.current_url != before)
        wait_for(browser, lambda it: it.find_elements(By.TAG_NAME, "h1"))
        return browser.find_element(By.TAG_NAME, "main").text

    def link(text: str) -> tuple[str, str]:
        return By.LINK_TEXT, text

    p95 = (By.XPATH, "//div[dt='Latency p95']//a")
    first = (By.CSS_SELECTOR, "[data-rows] tbody a")
    assert f"g0-{mark}" in clicks(link("Overview"), link("Yesterday"), p95, link("GENERATION"), first)
    assert f"out of {mark}" in clicks(link("Sessions"), link(f"s-{mark}"))
    assert "0.75 (1)" in clicks(link("Prompts"), link(f"p-{mark}"))
    users = (By.XPATH, "//div[dt='Users']//a")
    assert f"u-{mark} $0.75" in clicks(link("Overview"), users)
