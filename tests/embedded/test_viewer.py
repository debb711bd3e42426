"""The pages show what was sent, find what is looked for, and escape everything."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from langfuse import Langfuse

from .harness import RunningEngine
from .spans import send, span, span_id, trace_id
from .viewer_client import visitor
from .viewer_data import ANSWER, support_trace

PROJECT = "/project/kosmos-support"
HOSTILE = "\"'><script>alert('pwned')</script><img src=x onerror=alert(1)>"
OBSERVATION = "langfuse.observation."


@pytest.fixture(scope="module")
def visit(engine: RunningEngine) -> Iterator[httpx.Client]:
    with visitor(engine.base_url) as client:
        yield client


def page(visit: httpx.Client, path: str, **query: str | int) -> str:
    answer = visit.get(PROJECT + path, params=query or None)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def words(text: str) -> str:
    """Return what a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def listed(text: str) -> list[str]:
    """Return the traces of a list, in order."""
    return re.findall(r'class="main"><a href="/project/kosmos-support/traces/([^"?]+)"', text)


def test_the_address_that_the_sdk_prints_shows_the_trace(engine: RunningEngine, visit: httpx.Client) -> None:
    trace, _ = support_trace(engine.client)
    sdk = Langfuse(
        base_url=engine.base_url,
        # One client a public key lives in a process, whatever its URL; the server looks at the secret alone.
        public_key="pk-lf-test-viewer",
        secret_key=engine.keys.secret_key,
        tracing_enabled=False,
    )
    url = sdk.get_trace_url(trace_id=trace)
    sdk.shutdown()
    assert url is not None
    assert url.startswith(engine.base_url)
    assert "answer-customer" in page(visit, url.removeprefix(engine.base_url + PROJECT))


def test_a_trace_shows_its_tree_in_order_with_durations_tokens_and_levels(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, _ = support_trace(engine.client)
    text = page(visit, f"/traces/{trace}")
    rows = [words(row) for row in re.findall(r"<tr id=.*?</tr>", text, re.DOTALL)]
    assert [re.sub(r" \$[\d.]+$", "", row) for row in rows] == [
        "Level 1: answer-customer agent 3.42 s",
        "Level 2: plan generation 820 ms 450",
        "Level 2: search-knowledge retriever 310 ms",
        "Level 2: track-parcel tool error 640 ms",
        "Level 2: write-answer generation 1.48 s 1,376",
    ]
    said = words(text)
    for fact in (
        "Observations 5 1 error",
        "User athena",
        "Session order-4711",
        "Environment production",
        ANSWER,
    ):
        assert fact in said
    assert text.count("<rect x=") == 5


def test_an_observation_can_be_selected_by_the_address_of_the_server(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, ids = support_trace(engine.client)
    said = words(page(visit, f"/traces/{trace}", observation=ids["tool"]))
    assert "The carrier answered 503; the last known position was used." in said
    assert '"last_seen" : "Piraeus"' in said
    chat = words(page(visit, f"/traces/{trace}", observation=ids["answer"]))
    assert "system You answer customers of Acme. Be brief and kind. user Where is my order" in chat
    assert "Model gpt-4o temperature 0.2 max_tokens 400" in chat
    assert "input 1,280" in chat
    peeked = visit.get(f"{PROJECT}/traces", params={"peek": trace, "observation": ids["tool"]})
    assert peeked.headers["location"] == f"{PROJECT}/traces/{trace}?observation={ids['tool']}"


def test_an_observation_that_is_not_in_the_trace_selects_the_root(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, _ = support_trace(engine.client)
    _, others = support_trace(engine.client)
    assert ANSWER in page(visit, f"/traces/{trace}", observation=others["tool"])


def test_scores_stand_beside_what_they_are_about(engine: RunningEngine, visit: httpx.Client) -> None:
    trace, ids = support_trace(engine.client)
    for score in (
        {"name": "helpful", "value": 0.9, "traceId": trace},
        {
            "name": "tone",
            "value": "kind",
            "traceId": trace,
            "observationId": ids["answer"],
            "comment": "well said",
        },
    ):
        assert engine.client.post("/api/public/scores", json=score).status_code == 200
    assert "Scores helpful 0.9" in words(page(visit, f"/traces/{trace}"))
    assert "tone kind well said" in words(page(visit, f"/traces/{trace}", observation=ids["answer"]))
    text = page(visit, "/scores", name="tone")
    assert "tone kind" in words(text)
    assert "helpful" not in words(text)
    assert f"/traces/{trace}?observation={ids['answer']}" in text


def test_lists_are_found_by_every_filter(engine: RunningEngine, visit: httpx.Client) -> None:
    mark = span_id()
    wanted, _ = support_trace(
        engine.client,
        **{"user.id": f"u-{mark}", "session.id": f"s-{mark}", "langfuse.environment": f"e-{mark}"},
    )
    other = trace_id()
    start = time.time_ns() // 1_000_000 - 86_400_000 * 30
    send(
        engine.client,
        span(other, f"name-{mark}", start=start, attributes={f"{OBSERVATION}input": f"in {mark}!"}),
    )
    for filters, expected in (
        ({"user": f"u-{mark}"}, [wanted]),
        ({"session": f"s-{mark}"}, [wanted]),
        ({"environment": f"e-{mark}"}, [wanted]),
        ({"environment": f"e-{mark}", "level": "ERROR"}, [wanted]),
        ({"environment": f"e-{mark}", "level": "WARNING"}, []),
        ({"environment": f"e-{mark}", "tag": "support"}, [wanted]),
        ({"environment": f"e-{mark}", "tag": "other"}, []),
        ({"environment": f"e-{mark}", "name": "ANSWER-cust"}, [wanted]),
        ({"environment": f"e-{mark}", "name": "track-parcel"}, []),
        ({"environment": f"e-{mark}", "text": "track-parcel"}, [wanted]),
        ({"name": f"NAME-{mark}"}, [other]),
        ({"text": f"IN {mark}!"}, [other]),
        ({"text": f"in {mark}?"}, []),
        ({"name": f"name-{mark}", "from": "2020-01-01T00:00"}, [other]),
        ({"name": f"name-{mark}", "to": "2020-01-01T00:00"}, []),
    ):
        assert listed(page(visit, "/traces", **filters)) == expected, filters


def test_a_trace_without_a_root_is_listed_once(engine: RunningEngine, visit: httpx.Client) -> None:
    trace, mark = trace_id(), span_id()
    parent = span_id()
    send(engine.client, *[span(trace, mark, parent=parent, attributes={"user.id": mark}) for _ in range(3)])
    assert listed(page(visit, "/traces", user=mark)) == [trace]
    assert "Observations 3" in words(page(visit, f"/traces/{trace}"))


def test_paging_shows_every_trace_once_newest_first(engine: RunningEngine, visit: httpx.Client) -> None:
    mark = span_id()
    now = time.time_ns() // 1_000_000
    # Pairs begin in the same millisecond: the place of a page is more than its time.
    traces = [trace_id() for _ in range(120)]
    shared = {"user.id": mark}
    send(
        engine.client,
        *[
            span(one, "step", start=now - index // 2 * 10, attributes=shared)
            for index, one in enumerate(traces)
        ],
    )
    found: list[str] = []
    url: str | None = f"{PROJECT}/traces?user={mark}"
    pages = 0
    while url:
        text = visit.get(url).text
        found += listed(text)
        pages += 1
        following = re.search(r'rel="next" href="([^"]+)"', text)
        url = html.unescape(following[1]) if following else None
    assert pages == 3
    assert sorted(found) == sorted(traces)
    assert [traces.index(one) // 2 for one in found] == [index // 2 for index in range(120)]


def test_a_session_shows_its_traces_as_a_conversation(engine: RunningEngine, visit: httpx.Client) -> None:
    session = f"chat/{span_id()}"
    first, _ = support_trace(engine.client, **{"session.id": session})
    second, _ = support_trace(engine.client, **{"session.id": session})
    assert quote(session, safe="") in page(visit, "/sessions")
    text = page(visit, f"/sessions/{quote(session, safe='')}")
    assert text.index(first) < text.index(second)
    assert words(text).count("Where is my order 4711?") == 2
    assert "Traces 2" in words(text)


def test_prompts_show_their_versions(engine: RunningEngine, visit: httpx.Client) -> None:
    name = f"support/{span_id()}"
    for body in (
        {
            "prompt": [{"role": "system", "content": "Be kind."}],
            "labels": ["production"],
            "config": {"t": 0.5},
        },
        {"prompt": [{"role": "system", "content": "Be very kind."}], "commitMessage": "kinder"},
    ):
        answer = engine.client.post("/api/public/v2/prompts", json={"name": name, "type": "chat", **body})
        assert answer.is_success
    path = f"/prompts/{quote(name, safe='')}"
    assert path in page(visit, "/prompts", name=name)
    assert "system Be very kind." in words(page(visit, path))
    first = words(page(visit, path, version=1))
    assert "system Be kind." in first
    assert '"t" : 0.5' in first
    assert visit.get(f"{PROJECT}{path}?version=3").status_code == 404
    trace = trace_id()
    attributes = {f"{OBSERVATION}type": "generation", f"{OBSERVATION}prompt.name": name}
    send(engine.client, span(trace, attributes={**attributes, f"{OBSERVATION}prompt.version": 1}))
    assert f"{PROJECT}{path}?version=1" in page(visit, f"/traces/{trace}")


def test_datasets_show_their_items_by_id_and_by_name(engine: RunningEngine, visit: httpx.Client) -> None:
    name = f"golden {span_id()}"
    trace, _ = support_trace(engine.client)
    created = engine.client.post(
        "/api/public/v2/datasets", json={"name": name, "description": "Orders"}
    ).json()
    item = {"datasetName": name, "input": {"q": "Where?"}, "expectedOutput": "There", "sourceTraceId": trace}
    assert engine.client.post("/api/public/dataset-items", json=item).is_success
    assert name in page(visit, "/datasets")
    for path in (created["id"], quote(name)):
        text = page(visit, f"/datasets/{path}")
        assert '"q" : "Where?"' in words(text)
        assert f"/traces/{trace}" in text
    assert visit.get(f"{PROJECT}/datasets/{name}/runs/r1").headers["location"] == (
        f"{PROJECT}/experiments/results?baseline=r1"
    )


def test_experiments_show_items_outputs_and_what_was_expected(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, root, experiment = trace_id(), span_id(), f"exp-{span_id()}"
    prefix = "langfuse.experiment."
    attributes = {
        f"{prefix}id": experiment,
        f"{prefix}name": "nightly",
        f"{prefix}item.id": "item-1",
        f"{prefix}item.root_observation_id": root,
        f"{prefix}item.expected_output": '"Athens"',
        f"{OBSERVATION}input": "Capital of Greece?",
        f"{OBSERVATION}output": "Sparta",
    }
    send(engine.client, span(trace, "experiment-item-run", id=root, attributes=attributes))
    assert "nightly" in page(visit, "/experiments")
    said = words(page(visit, "/experiments/results", baseline=experiment))
    for part in ("nightly", "item-1", "Capital of Greece?", "Sparta", "Athens"):
        assert part in said
    assert visit.get(f"{PROJECT}/experiments/results?baseline=nope").status_code == 404


def test_a_text_too_long_for_a_page_is_served_whole_beside_it(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, root, long = trace_id(), span_id(), "<b>é" * 40_000
    send(engine.client, span(trace, id=root, attributes={f"{OBSERVATION}input": long}))
    text = page(visit, f"/traces/{trace}")
    assert len(text) < 700_000
    assert f"/traces/{trace}/{root}/input" in text
    raw = visit.get(f"{PROJECT}/traces/{trace}/{root}/input")
    assert raw.text == long
    assert raw.headers["content-type"] == "text/plain; charset=utf-8"
    assert "default-src 'none'" in raw.headers["content-security-policy"]
    assert visit.get(f"{PROJECT}/traces/{trace}/{root}/metadata").status_code == 404


def hostile_everything(engine: RunningEngine) -> list[str]:
    """Put markup into every field that a client can fill; return the pages that show it."""
    trace, root = trace_id(), span_id()
    attributes: dict[str, Any] = {
        "user.id": HOSTILE[:200],
        "session.id": HOSTILE[:200],
        "langfuse.trace.name": HOSTILE,
        "langfuse.trace.tags": [HOSTILE],
        "langfuse.release": HOSTILE,
        "langfuse.version": HOSTILE,
        f"{OBSERVATION}type": "generation",
        f"{OBSERVATION}level": "ERROR",
        f"{OBSERVATION}status_message": HOSTILE,
        f"{OBSERVATION}model.name": HOSTILE,
        f"{OBSERVATION}model.parameters": json.dumps({HOSTILE: HOSTILE}),
        f"{OBSERVATION}usage_details": json.dumps({HOSTILE: 1}),
        f"{OBSERVATION}cost_details": json.dumps({HOSTILE: 1}),
        f"{OBSERVATION}input": json.dumps([{"role": HOSTILE, "content": HOSTILE, HOSTILE: HOSTILE}]),
        f"{OBSERVATION}output": json.dumps({HOSTILE: [HOSTILE, "\ud800"]}),
        f"{OBSERVATION}metadata.{HOSTILE}": HOSTILE,
        f"{OBSERVATION}prompt.name": HOSTILE,
        f"{OBSERVATION}prompt.version": 1,
        "langfuse.experiment.id": HOSTILE[:100],
        "langfuse.experiment.name": HOSTILE,
        "langfuse.experiment.item.id": HOSTILE,
        "langfuse.experiment.item.root_observation_id": root,
        "langfuse.experiment.item.expected_output": HOSTILE,
    }
    odd = HOSTILE + trace
    send(
        engine.client,
        span(trace, HOSTILE, id=root, attributes=attributes),
        span(odd, HOSTILE, id=HOSTILE, parent=HOSTILE + "x", attributes=attributes),
    )
    post = engine.client.post
    for target in (
        {"traceId": trace},
        {"traceId": trace, "observationId": root},
        {"sessionId": HOSTILE[:200]},
    ):
        score = {"name": HOSTILE, "value": HOSTILE, "dataType": "CATEGORICAL", "comment": HOSTILE, **target}
        assert post("/api/public/scores", json=score).status_code == 200
    name = 'h"\' onmouseover=alert(1) x="'  # tags are refused in names
    prompt = {
        "name": name,
        "prompt": HOSTILE,
        "tags": [HOSTILE],
        "config": {HOSTILE: HOSTILE},
    }
    answer = post("/api/public/v2/prompts", json={**prompt, "commitMessage": HOSTILE})
    assert answer.is_success, answer.text
    dataset = post(
        "/api/public/v2/datasets",
        json={"name": name, "description": HOSTILE, "metadata": {HOSTILE: HOSTILE}},
    ).json()
    item = {"datasetName": name, "input": HOSTILE, "expectedOutput": {HOSTILE: 1}, "metadata": HOSTILE}
    assert post("/api/public/dataset-items", json=item).is_success

    alert = {
        "state": "firing",
        "severity": "critical",
        "value": 1,
        **dict.fromkeys(("name", "group", "condition", "window", "description"), HOSTILE),
    }
    alerts = [{**alert, "runbook": runbook} for runbook in (HOSTILE, f"https://x/{HOSTILE}")]
    assert engine.client.put("/api/embedded/alerts", json={"alerts": alerts}).is_success
    config = post(
        "/api/public/score-configs",
        json={
            "name": "markup in labels",
            "description": HOSTILE,
            "dataType": "CATEGORICAL",
            "categories": [{"label": HOSTILE, "value": 1}, {"label": name, "value": 0}],
        },
    ).json()
    made = post(
        "/api/public/annotation-queues",
        json={"name": HOSTILE + trace, "description": HOSTILE, "scoreConfigIds": [config["id"]]},
    )
    assert made.is_success, made.text
    queue = f"/annotation-queues/{made.json()['id']}"
    items = [
        post(f"/api/public{queue}/items", json={"objectId": one, "objectType": kind}).json()["id"]
        for one, kind in (
            (trace, "TRACE"),
            (odd, "TRACE"),
            (root, "OBSERVATION"),
            (HOSTILE[:200], "SESSION"),
            (HOSTILE, "TRACE"),
        )
    ]

    def quoted(text: str) -> str:
        return quote(text, safe="")

    return [
        "/annotation-queues",
        queue,
        f"{queue}/items?after={items[-1]}",
        *(f"{queue}/items/{one}" for one in items),
        f"{queue}/items/{items[1]}?observation={quoted(HOSTILE)}",
        "/traces",
        "/traces?with=experiments",
        "/observations",
        f"/observations?{'&'.join(f'{name}={quoted(HOSTILE)}' for name in ('model', 'tag', 'score'))}",
        "/users",
        f"/traces/{trace}",
        f"/traces/{quoted(odd)}?observation={quoted(HOSTILE)}",
        *(f"/traces/{trace}?find={quoted(one)}" for one in (HOSTILE, "<script>", "a", "&lt;")),
        f"/traces?{'&'.join(f'{name}={quoted(HOSTILE)}' for name in ('text', 'name', 'user', 'tag'))}",
        "/sessions",
        f"/sessions/{quoted(HOSTILE[:200])}",
        "/scores",
        f"/scores?name={quoted(HOSTILE)}",
        "/prompts",
        f"/prompts/{quoted(name)}",
        "/datasets",
        f"/datasets/{dataset['id']}",
        "/experiments",
        f"/experiments/results?baseline={quoted(HOSTILE[:100])}",
        f"/experiments/results?baseline={quoted(HOSTILE[:100])}&c={quoted(HOSTILE[:99])}",
        "/overview?with=experiments",
        f"/prompts/{quoted(name)}?version=1&against=1",
        f"/traces/{quoted(HOSTILE)}",
    ]


class _Markup(HTMLParser):
    """Collects the elements and attributes that a browser would see, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.scripts: list[list[tuple[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "script":
            self.scripts.append(attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_no_markup_of_a_client_reaches_any_page(engine: RunningEngine, visit: httpx.Client) -> None:
    shown = 0
    for path in hostile_everything(engine):
        answer = visit.get(PROJECT + path)
        assert answer.status_code in (200, 404), path
        markup = _Markup(answer.text)
        assert not markup.elements & {"img", "iframe", "style", "object", "embed", "base"}, path
        # The engine's own script, from its own address, and no other.
        ((source, defer),) = markup.scripts
        assert re.fullmatch(r"/viewer/script-[0-9a-f]{16}\.js", source[1] or ""), path
        assert defer == ("defer", None)
        assert not [name for name in markup.attributes if name.startswith("on") or name == "style"], path
        shown += any("<script>" in text or "onmouseover" in text for text in markup.texts)
    assert shown >= 12, "the hostile texts are shown, as text"


def test_a_trace_of_a_thousand_spans_is_paged_and_small_enough(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, root, now = trace_id(), span_id(), time.time_ns() // 1_000_000
    children = [span(trace, f"step-{n}", parent=root, start=now + n) for n in range(1, 1100)]
    send(engine.client, span(trace, "root", id=root, start=now), *children)
    first = page(visit, f"/traces/{trace}")
    assert first.count("<tr id=") == 1000
    assert "1 to 1,000 of 1,100" in words(first)
    assert len(first) < 600_000
    last = page(visit, f"/traces/{trace}", observation=children[-1]["spanId"])
    assert last.count("<tr id=") == 100
    assert 'aria-current="true"' in last


def test_the_time_of_a_page_grows_with_the_spans_of_its_trace_and_not_with_their_square(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    few, many = 100, 1000
    traces = {few: trace_id(), many: trace_id()}
    for count, trace in traces.items():
        root, now = span_id(), time.time_ns() // 1_000_000
        children = [span(trace, f"step-{n}", parent=root, start=now + n) for n in range(1, count)]
        send(engine.client, span(trace, "root", id=root, start=now), *children)
    seconds: dict[int, list[float]] = {few: [], many: []}
    for _ in range(7):
        # In turn, so that a busy machine slows down both.
        for count, trace in traces.items():
            began = time.perf_counter()
            shown = page(visit, f"/traces/{trace}")
            seconds[count].append(time.perf_counter() - began)
            assert shown.count("<tr id=") == count
    # In proportion this is at most many / few, or 10, with the square nearly 100. The rest is for noise.
    assert min(seconds[many]) / min(seconds[few]) < 3 * many / few, seconds


def test_the_stylesheet_may_be_kept_for_ever_and_only_under_its_own_name(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    (path,) = re.findall(r'<link rel="stylesheet" href="([^"]+)">', page(visit, "/traces"))
    answer = httpx.get(engine.base_url + path)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert "prefers-color-scheme: dark" in answer.text
    assert httpx.get(f"{engine.base_url}/viewer/style-0000000000000000.css").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/traces/nope",
        "/sessions/nope",
        "/prompts/nope",
        "/datasets/nope",
        "/experiments/results",
        "/traces?after=x-y",
        "/traces?after=99999999999999999999-x",
        "/scores?after=1-x&from=0001-01-01",
        "/sessions?page=99999999999999999999",
        "/prompts?page=-1&label=%00",
        "/traces/a?rows=9",
    ],
)
def test_odd_addresses_are_answered(visit: httpx.Client, path: str) -> None:
    assert visit.get(PROJECT + path).status_code in (200, 404)


@pytest.mark.parametrize("path", ["/traces?from=yesterday", "/scores?to=1", "/sessions?from=2026-13-01"])
def test_a_time_that_is_none_is_refused_rather_than_ignored(visit: httpx.Client, path: str) -> None:
    answer = visit.get(PROJECT + path)
    assert answer.status_code == 400
    assert "is to be a time like" in answer.text


def test_a_missing_page_leads_back(visit: httpx.Client) -> None:
    answer = visit.get(f"{PROJECT}/traces/nope")
    assert answer.status_code == 404
    assert "This trace does not exist, or you have no access to it." in answer.text
    assert visit.get(f"{PROJECT}/nothing-here").status_code == 404
