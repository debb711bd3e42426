"""The overview counts what the Metrics API counts; prompts show what used each version and its scores."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from langfuse_embedded.viewer import formats

from .conftest import StartEngine
from .harness import RunningEngine
from .spans import send, span, span_id, trace_id
from .viewer_client import visitor

PROJECT = "/project/kosmos-support"
OBSERVATION = "langfuse.observation."
DAY_MS = 86_400_000
NOISE = [
    "stack-smoke",
    "stack-smoke-otel",
    "stack-canary",
    "sdk-experiment",
    "prompt-experiment",
    "llm-as-a-judge",
]


@pytest.fixture(scope="module")
def visit(engine: RunningEngine) -> Iterator[httpx.Client]:
    with visitor(engine.base_url) as client:
        yield client


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def generation(
    model: str, cost: float, duration: int, start: int, environment: str = "production", **more: Any
) -> tuple[str, str, dict[str, Any]]:
    trace, root = trace_id(), span_id()
    attributes = {
        f"{OBSERVATION}type": "generation",
        f"{OBSERVATION}model.name": model,
        f"{OBSERVATION}usage_details": json.dumps({"input": 100, "output": duration % 97}),
        f"{OBSERVATION}cost_details": json.dumps({"total": cost}),
        "langfuse.environment": environment,
        "user.id": f"user-{duration % 3}",
        **more,
    }
    return trace, root, span(trace, id=root, start=start, duration=duration, attributes=attributes)


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def ask(engine: RunningEngine, start: datetime, end: datetime, **query: Any) -> list[dict[str, Any]]:
    document = {
        "view": "observations",
        "fromTimestamp": iso(start),
        "toTimestamp": iso(end),
        "filters": [
            {"column": "environment", "type": "stringOptions", "operator": "none of", "value": NOISE}
        ],
        **query,
    }
    answer = engine.client.get("/api/public/v2/metrics", params={"query": json.dumps(document)})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def metric(name: str) -> dict[str, str]:
    aggregation, measure = name.split("_")
    return {"measure": measure, "aggregation": aggregation}


def chart(text: str, title: str) -> dict[str, list[str]]:
    """Return the rows of a chart's table by their bucket of time."""
    part = re.search(rf"<figcaption><bdi>{title}<.*?</figure>", text, re.DOTALL)
    assert part is not None
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th>(.*?)</tr>', part[0], re.DOTALL)
    return {bucket: re.findall(r"<td[^>]*>([^<]*)</td>", cells) for bucket, cells in rows}


def test_the_numbers_of_the_overview_are_those_of_the_metrics_api(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    now = int(time.time()) * 1000
    spans, scores = [], []
    for n in range(60):
        level = {f"{OBSERVATION}level": "ERROR"} if n % 7 == 0 else {}
        environment = "sdk-experiment" if n % 10 == 9 else "production"
        trace, _, one = generation(
            ("kosmos-mini", "kosmos-max")[n % 2],
            0.01 * n,
            37 * n,
            now - n * DAY_MS // 12,
            environment,
            **level,
        )
        spans.append(one)
        scores.append({"name": "helpful", "value": n / 60, "traceId": trace, "environment": environment})
    send(engine.client, *spans)
    assert engine.client.post("/api/public/scores", json=scores).status_code == 202
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
    start = end - timedelta(days=7)
    # The page's end is exclusive, that of the API is not.
    answer = visit.get(
        f"{PROJECT}/overview",
        params={"from": start.isoformat(), "to": (end + timedelta(milliseconds=1)).isoformat()},
    )
    assert answer.status_code == 200
    text = answer.text
    figures = ("count_count", "sum_totalCost", "sum_totalTokens", "p50_latency", "p95_latency")
    metrics = [metric(name) for name in figures]
    [total] = ask(
        engine, start, end, metrics=[*metrics, metric("uniq_traceId"), metric("uniq_uniqueUserIds")]
    )
    assert total["count_count"] > 50
    cards = dict(re.findall(r"<div><dt>([^<]+)</dt><dd>(?:<a[^>]*>)?([^<]+)", text.partition("charts")[0]))
    assert cards == {
        "Traces": formats.count(int(total["uniq_traceId"])),
        "Observations": formats.count(int(total["count_count"])),
        "Users": formats.count(int(total["uniq_uniqueUserIds"])),
        "Cost": formats.usd(total["sum_totalCost"]),
        "Tokens": formats.count(int(total["sum_totalTokens"])),
        "Latency p50": formats.duration(total["p50_latency"]),
        "Latency p95": formats.duration(total["p95_latency"]),
        "Errors": formats.count(
            int(
                ask(
                    engine,
                    start,
                    end,
                    metrics=[metric("count_count")],
                    filters=[
                        {
                            "column": "environment",
                            "type": "stringOptions",
                            "operator": "none of",
                            "value": NOISE,
                        },
                        {"column": "level", "type": "string", "operator": "=", "value": "ERROR"},
                    ],
                )[0]["count_count"]
            )
        ),
    }
    over_time = ask(engine, start, end, metrics=metrics, timeDimension={"granularity": "day"})
    assert len(over_time) >= 7
    tokens = chart(text, "Tokens")
    latency = chart(text, "Latency of observations")
    for row in over_time:
        day = row["time_dimension"]
        assert tokens[day] == [formats.count(int(row["sum_totalTokens"]))]
        assert latency[day] == [formats.duration(row["p50_latency"]), formats.duration(row["p95_latency"])]
    models = ask(engine, start, end, metrics=metrics, dimensions=[{"field": "providedModelName"}])
    said = words(text.partition("<h2>Models</h2>")[2])
    for row in models:
        if row["providedModelName"]:
            assert (
                f"{row['providedModelName']} {int(row['count_count'])} {formats.usd(row['sum_totalCost'])}"
                in said
            )
    [score] = ask(
        engine,
        start,
        end,
        view="scores-numeric",
        metrics=[metric("count_count"), metric("avg_value")],
        dimensions=[{"field": "name"}],
    )
    said = words(text.partition("<h2>Scores</h2>")[2])
    assert f"helpful {int(score['count_count'])} {score['avg_value']:.3g}" in said


def test_an_empty_range_shows_no_charts_and_odd_ones_are_refused(visit: httpx.Client) -> None:
    empty = visit.get(f"{PROJECT}/overview?from=2001-01-01T00:00&to=2001-01-02T00:00")
    assert empty.status_code == 200
    assert empty.text.count("Nothing in this range.") == 4
    assert visit.get(f"{PROJECT}/overview?range=ever").status_code == 400
    for name in ("1h", "24h", "today", "yesterday", "30d"):
        assert visit.get(f"{PROJECT}/overview?range={name}").status_code == 200


def test_versions_of_a_prompt_show_their_use_and_their_scores(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    name = f"support {span_id()}"
    for text in ("Be kind.", "Be kind and <b>brief</b>.", "Be brief."):
        body = {"name": name, "prompt": text, "config": {"t": len(text)}}
        assert engine.client.post("/api/public/v2/prompts", json=body).is_success
    now = time.time_ns() // 1_000_000
    for version, values in ((1, (0.2, 0.4)), (2, (0.9,))):
        for value in values:
            linked = {f"{OBSERVATION}prompt.name": name, f"{OBSERVATION}prompt.version": version}
            trace, root, one = generation("kosmos-mini", 0.5, 100, now, **linked)
            send(engine.client, one)
            for score in (
                {"name": "helpful", "value": value, "traceId": trace, "observationId": root},
                {"name": "passed", "value": int(value > 0.3), "dataType": "BOOLEAN", "traceId": trace},
            ):
                assert engine.client.post("/api/public/scores", json=score).status_code == 200
    path = f"{PROJECT}/prompts/{quote(name, safe='')}"
    text = visit.get(path).text
    rows = {
        number: words(row)
        for row in re.findall(r"<tr.*?</tr>", text, re.DOTALL)
        for number in re.findall(r">Version (\d)</a>", row)
    }
    assert "2 0.3 (2) 50 % (2) 100 ms $0.50" in rows["1"]
    assert "1 0.9 (1) 100 % (1) 100 ms $0.50" in rows["2"]
    assert "—" in rows["3"]
    used = html.unescape(re.findall(r'href="([^"]*observations\?prompt=[^"]*v1)"', text)[0])
    assert words(visit.get(used).text).count("generation production") == 2


def test_any_two_versions_of_a_prompt_are_compared(engine: RunningEngine, visit: httpx.Client) -> None:
    name = f"chat {span_id()}"
    for said in ("Be kind.", "Be <i>brief</i>."):
        prompt = [{"role": "system", "content": said}, {"role": "user", "content": "{{question}}"}]
        body = {"name": name, "type": "chat", "prompt": prompt, "config": {"t": 1}}
        assert engine.client.post("/api/public/v2/prompts", json=body).is_success
    path = f"{PROJECT}/prompts/{quote(name, safe='')}"
    text = visit.get(path, params={"version": 2, "against": 1}).text
    assert "Be <del>kind</del><ins>&lt;i&gt;brief&lt;/i&gt;</ins>." in text
    assert "<h3>Config</h3>" not in text
    back = visit.get(path, params={"version": 1, "against": 2}).text
    assert "Be <del>&lt;i&gt;brief&lt;/i&gt;</del><ins>kind</ins>." in back
    assert "Prompt and config are the same." in visit.get(path, params={"version": 2, "against": 2}).text


ALERTS = [
    {"name": "calm", "state": "ok", "severity": "critical", "condition": "avg < 1", "window": "1h"},
    {
        "name": "slow",
        "group": "router",
        "state": "firing",
        "severity": "warning",
        "condition": "p95 > 3",
        "window": "1h",
        "value": 4.56789,
        "runbook": "docs/runbooks/slow.md",
    },
    {
        "name": "costly",
        "state": "firing",
        "severity": "critical",
        "condition": "sum > 50",
        "window": "24h",
        "value": 75.0,
        "runbook": "https://kosmos.example/runbooks/costly",
        "description": "The budget of the day is used.",
    },
    {"name": "silent", "state": "no_data", "severity": "info", "condition": "avg < 1", "window": "1h"},
]


def test_alerts_that_fire_stand_first_with_their_runbook(start_engine: StartEngine) -> None:
    running = start_engine()
    put = running.client.put
    with visitor(running.base_url) as visit:
        assert 'aria-label="Alerts"' not in visit.get(f"{PROJECT}/overview").text
        assert put("/api/embedded/alerts", json={"alerts": ALERTS}).status_code == 200
        text = visit.get(f"{PROJECT}/overview").text
        said = words(text)
        assert (
            "2 alerts fire critical costly sum > 50 over 24h: 75 The budget of the day is used. Runbook"
            in said
        )
        assert "warning slow router p95 > 3 over 1h: 4.568 Runbook: docs/runbooks/slow.md" in said
        assert '<a href="https://kosmos.example/runbooks/costly" rel="noreferrer">Runbook</a>' in text
        order = [text.index(one) for one in ("costly", "slow", "Range of time", "<dt>Traces</dt>")]
        assert order == sorted(order)
        assert "calm" not in text
        assert "4 evaluated, 1 of them without enough data, at" in said
        assert put("/api/embedded/alerts", json={"alerts": ALERTS[:1]}).status_code == 200
        said = words(visit.get(f"{PROJECT}/overview").text)
        assert "No alert fires. 1 evaluated, at" in said
        assert "costly" not in said


@pytest.mark.parametrize(
    "runbook", ["javascript:alert(1)", "data:text/html,x", "//hermes.example", "HTTPS:x"]
)
def test_a_runbook_that_is_no_page_is_no_link(start_engine: StartEngine, runbook: str) -> None:
    running = start_engine()
    alerts = [{**ALERTS[2], "runbook": runbook}]
    assert running.client.put("/api/embedded/alerts", json={"alerts": alerts}).status_code == 200
    with visitor(running.base_url) as visit:
        text = visit.get(f"{PROJECT}/overview").text
    assert f"<code>{runbook}</code>" in text
    assert f'href="{runbook}' not in text


@pytest.mark.parametrize(
    "change",
    [
        {"state": "loud"},
        {"severity": "page"},
        {"name": ""},
        {"name": "x" * 1001},
        {"value": "4"},
        {"more": 1},
    ],
)
def test_alerts_of_another_shape_are_refused(engine: RunningEngine, change: dict[str, Any]) -> None:
    answer = engine.client.put("/api/embedded/alerts", json={"alerts": [{**ALERTS[0], **change}]})
    assert answer.status_code == 400
    many = engine.client.put("/api/embedded/alerts", json={"alerts": ALERTS[:1] * 501})
    assert many.status_code == 400
    assert httpx.put(f"{engine.base_url}/api/embedded/alerts", json={"alerts": []}).status_code == 401
