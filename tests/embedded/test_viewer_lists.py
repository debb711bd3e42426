"""Lists of the viewer: facets with counts, order, ranges of time, what is left out, CSV."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from .harness import RunningEngine
from .spans import send, span, span_id, trace_id
from .viewer_client import visitor

PROJECT = "/project/kosmos-support"
OBSERVATION = "langfuse.observation."
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def visit(engine: RunningEngine) -> Iterator[httpx.Client]:
    with visitor(engine.base_url) as client:
        yield client


def page(visit: httpx.Client, path: str, **query: str | list[str]) -> str:
    answer = visit.get(PROJECT + path, params=query or None)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return answer.text


def rows(text: str) -> list[str]:
    """Return what the first cell of each row of a list links to, as it is shown."""
    found = re.findall(r'class="main[^"]*"><a href="[^"]+"><bdi>([^<]*)</bdi>', text)
    return [html.unescape(one) for one in found]


def facet(text: str, label: str) -> dict[str, int]:
    """Return the values of a facet with their counts."""
    part = re.search(rf"<summary>{label}</summary>\s*<ul>(.*?)</ul>", text, re.DOTALL)
    found = re.findall(r'<bdi>([^<]*)</bdi></a> <span class="dim">([\d,]+)</span>', part[1]) if part else []
    return {html.unescape(value): int(count.replace(",", "")) for value, count in found}


def links(text: str) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'href="([^"]+)"', text)]


def chat(engine: RunningEngine, mark: str) -> dict[str, str]:
    """Send two traces of a user: one with a fast and a slow generation and a tool, one with an error."""
    now = time.time_ns() // 1_000_000
    first, second = trace_id(), trace_id()
    ids = {name: span_id() for name in ("root", "fast", "slow", "tool", "other")}
    shared = {"user.id": mark, "session.id": f"s-{mark}", "langfuse.environment": f"e-{mark}"}

    def generation(model: str, cost: float) -> dict[str, str]:
        return {
            **shared,
            f"{OBSERVATION}type": "generation",
            f"{OBSERVATION}model.name": model,
            f"{OBSERVATION}usage_details": json.dumps({"input": 10, "output": 5}),
            f"{OBSERVATION}cost_details": json.dumps({"total": cost}),
        }

    send(
        engine.client,
        span(first, "answer", id=ids["root"], start=now - 9000, duration=5000, attributes=shared),
        span(
            first, "fast", id=ids["fast"], parent=ids["root"], start=now - 8900, duration=100,
            attributes=generation("kosmos-mini", 0.25),
        ),
        span(
            first, "slow", id=ids["slow"], parent=ids["root"], start=now - 8800, duration=4000,
            attributes=generation("kosmos-max", 0.5),
        ),
        span(
            first, "lookup", id=ids["tool"], parent=ids["root"], start=now - 4800, duration=300,
            attributes={**shared, f"{OBSERVATION}type": "tool"},
        ),
        span(
            second, "answer", id=ids["other"], start=now - 2 * DAY_MS, duration=20,
            attributes={**generation("kosmos-mini", 4), f"{OBSERVATION}level": "ERROR"},
        ),
    )  # fmt: skip
    return {"first": first, "second": second, **ids}


def test_observations_are_counted_by_type_level_and_model(engine: RunningEngine, visit: httpx.Client) -> None:
    mark = span_id()
    chat(engine, mark)
    text = page(visit, "/observations", user=mark)
    assert rows(text) == ["lookup", "slow", "fast", "answer", "answer"]
    assert facet(text, "Type") == {"GENERATION": 3, "SPAN": 1, "TOOL": 1}
    assert facet(text, "Level") == {"DEFAULT": 4, "ERROR": 1}
    assert facet(text, "Model") == {"kosmos-mini": 2, "kosmos-max": 1}
    assert "1 to 5 of 5" in text


def test_a_value_that_is_clicked_narrows_the_list_and_a_second_one_widens_it(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    mark = span_id()
    chat(engine, mark)
    text = page(visit, "/observations", user=mark)
    [tool] = [one for one in links(text) if one.endswith("type=TOOL") or "type=TOOL&" in one]
    narrowed = visit.get(tool).text
    assert rows(narrowed) == ["lookup"]
    # The other values stay on offer, with what choosing them adds.
    assert facet(narrowed, "Type") == {"TOOL": 1, "GENERATION": 3, "SPAN": 1}
    assert facet(narrowed, "Level") == {}
    both = page(visit, "/observations", user=mark, type=["TOOL", "SPAN"])
    assert rows(both) == ["lookup", "answer"]
    chip = re.search(r'<a class="chip" href="([^"]+)"><span class="dim">Type</span> <bdi>TOOL', both)
    assert chip is not None
    assert rows(visit.get(html.unescape(chip[1])).text) == ["answer"]


def test_the_slowest_generation_is_two_clicks_away(engine: RunningEngine, visit: httpx.Client) -> None:
    mark = span_id()
    chat(engine, mark)
    text = page(visit, "/observations", user=mark, type="GENERATION")
    [by_latency] = [one for one in links(text) if "sort=latency" in one]
    sorted_text = visit.get(by_latency).text
    assert rows(sorted_text) == ["slow", "fast", "answer"]
    assert 'aria-sort="descending"' in sorted_text
    [back] = [one for one in links(sorted_text) if "sort=latency.asc" in one]
    assert rows(visit.get(back).text) == ["answer", "fast", "slow"]


def test_lists_keep_to_their_range_of_time(engine: RunningEngine, visit: httpx.Client) -> None:
    mark = span_id()
    ids = chat(engine, mark)
    assert len(rows(page(visit, "/observations", user=mark, range="24h"))) == 4
    assert len(rows(page(visit, "/observations", user=mark, range="7d"))) == 5
    assert ids["second"] not in page(visit, "/traces", user=mark, range="1h")
    assert ids["second"] in page(visit, "/traces", user=mark, range="7d")
    assert visit.get(f"{PROJECT}/traces?range=tomorrow").status_code == 400
    assert visit.get(f"{PROJECT}/observations?min=much").status_code == 400


def test_a_user_costs_what_the_observations_of_that_time_cost(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    mark = span_id()
    chat(engine, mark)
    assert "$4.75" in page(visit, "/users", user=mark)
    week = page(visit, "/users", user=mark, range="24h")
    assert "$0.75" in week
    assert "$4" not in week
    assert "$0.50" in page(visit, "/users", user=mark, model="kosmos-max")
    assert visit.get(f"{PROJECT}/users/{mark}").headers["location"] == f"{PROJECT}/traces?user={mark}"


def test_scores_stand_in_lists_and_find_what_scored_badly(engine: RunningEngine, visit: httpx.Client) -> None:
    mark = span_id()
    ids = chat(engine, mark)
    good, bad = f"good-{mark}", f"bad-{mark}"
    for score in (
        {"name": good, "value": 0.9, "traceId": ids["first"]},
        {"name": bad, "value": 0.1, "traceId": ids["first"], "observationId": ids["slow"]},
        {"name": bad, "value": 0.8, "traceId": ids["first"], "observationId": ids["fast"]},
        {"name": good, "value": 0.5, "sessionId": f"s-{mark}"},
    ):
        assert engine.client.post("/api/public/scores", json=score).status_code == 200
    text = page(visit, "/observations", user=mark)
    assert facet(text, "Score") == {bad: 2, good: 1}
    assert rows(page(visit, "/observations", user=mark, score=bad)) == ["slow", "fast"]
    assert rows(page(visit, "/observations", user=mark, score=bad, max="0.5")) == ["slow"]
    assert rows(page(visit, "/observations", user=mark, score=good)) == ["answer"]
    traces = page(visit, "/traces", user=mark, score=bad)
    assert ids["first"] in traces
    assert ids["second"] not in traces
    assert good in traces
    assert good in page(visit, "/sessions", session=f"s-{mark}")


def test_what_tests_and_experiments_send_is_left_out_until_asked_for(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    mark = span_id()
    for environment in ("default", "sdk-experiment", "stack-smoke", "langfuse-llm-as-a-judge"):
        attributes = {"langfuse.environment": environment, "user.id": mark}
        send(engine.client, span(trace_id(), f"of-{environment}", attributes=attributes))
    text = page(visit, "/traces", user=mark)
    assert rows(text) == ["of-default"]
    for kind in ("experiments", "smoke tests", "judges"):
        assert re.search(rf'<span class="dim">without</span> {kind} <span class="dim">\(\d+\)', text), kind
        [shown] = [one for one in links(text) if f"with={kind.replace(' ', '+')}" in one]
        assert len(rows(visit.get(shown).text)) == 2, kind
    assert rows(page(visit, "/traces", user=mark, environment="stack-smoke")) == ["of-stack-smoke"]
    assert facet(text, "Environment")["sdk-experiment"] == 1


def test_a_text_is_found_in_observations_among_what_the_filters_leave(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    mark = span_id()
    trace, root = trace_id(), span_id()
    said = {f"{OBSERVATION}output": f"The PARCEL of {mark} is late."}
    send(
        engine.client,
        span(trace, "root", id=root),
        span(trace, "said", parent=root, attributes=said),
        span(trace, "tool", parent=root, attributes={**said, f"{OBSERVATION}type": "tool"}),
    )
    assert sorted(rows(page(visit, "/observations", text=f"parcel of {mark}"))) == ["said", "tool"]
    assert rows(page(visit, "/observations", text=f"parcel of {mark}", type="TOOL")) == ["tool"]
    assert rows(page(visit, "/observations", text=f"parcel of {mark}!")) == []
    assert rows(page(visit, "/traces", text=f"parcel of {mark}")) == ["root"]


def test_the_file_has_what_is_shown_and_no_formulas(engine: RunningEngine, visit: httpx.Client) -> None:
    mark = span_id()
    ids = chat(engine, mark)
    send(engine.client, span(trace_id(), "=1+1", attributes={"user.id": mark}))
    text = page(visit, "/observations", user=mark, sort="latency")
    [url] = [one for one in links(text) if "format=csv" in one]
    answer = visit.get(url)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="observations.csv"' in answer.headers["content-disposition"]
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [one["name"] for one in table] == ["answer", "slow", "lookup", "fast", "answer", "'=1+1"]
    assert table[1]["latency_ms"] == "4000"
    assert table[1]["trace_id"] == ids["first"]
    assert float(table[1]["cost_usd"]) == 0.5
    traces = list(csv.DictReader(io.StringIO(page_csv(visit, "/traces", user=mark, level="ERROR"))))
    assert [(one["id"], one["errors"]) for one in traces] == [(ids["second"], "1")]
    for path in ("/sessions", "/users"):
        assert mark in page_csv(visit, path, user=mark)


@pytest.mark.parametrize("text", ["=1+1", " =1+1", "'=1+1", "\uff1d1+1", "\t@SUM(1)", "'' -1"])
def test_no_spelling_of_a_formula_gets_into_a_file(
    engine: RunningEngine, visit: httpx.Client, text: str
) -> None:
    mark = span_id()
    send(engine.client, span(trace_id(), text, attributes={"user.id": mark}))
    [row] = csv.DictReader(io.StringIO(page_csv(visit, "/observations", user=mark)))
    assert row["name"] == f"'{text}"


def page_csv(visit: httpx.Client, path: str, **query: str) -> str:
    answer = visit.get(PROJECT + path, params={**query, "format": "csv"})
    assert answer.status_code == 200
    return answer.text


def test_pages_of_a_sorted_list_show_every_row_once(engine: RunningEngine, visit: httpx.Client) -> None:
    mark = span_id()
    now = time.time_ns() // 1_000_000
    send(
        engine.client,
        *[
            span(trace_id(), f"n{n:03}", start=now, duration=n // 3, attributes={"user.id": mark})
            for n in range(120)
        ],
    )
    found: list[str] = []
    url: str | None = f"{PROJECT}/observations?user={mark}&sort=latency.asc"
    while url:
        text = visit.get(url).text
        found += rows(text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        url = html.unescape(following[1]) if following else None
    assert sorted(found) == [f"n{n:03}" for n in range(120)]
    assert [int(one[1:]) // 3 for one in found] == sorted(int(one[1:]) // 3 for one in found)


def test_a_project_without_traces_says_how_to_send_the_first_one(start_engine: object) -> None:
    running: RunningEngine = start_engine()  # type: ignore[operator]
    with visitor(running.base_url) as visit:
        text = page(visit, "/traces")
        assert f"LANGFUSE_BASE_URL={running.base_url}" in text
        assert "data-refresh" in text
        send(running.client, span(trace_id(), "first"))
        assert rows(page(visit, "/traces")) == ["first"]


@pytest.mark.parametrize(
    "path",
    [
        "/observations?sort=nope",
        "/observations?page=2001",
        "/traces?sort=first",
        "/users?page=7",
        "/traces?with=x",
    ],
)
def test_odd_lists_are_answered(visit: httpx.Client, path: str) -> None:
    assert visit.get(PROJECT + path).status_code == 200
