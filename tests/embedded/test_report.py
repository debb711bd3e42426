"""Every number of a report equals what numpy makes of the seeded data."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scripts.api.keys import ProjectKey
from scripts.core.console import Console
from scripts.core.layout import Layout
from scripts.core.runner import SubprocessRunner
from scripts.engines.context import Context
from scripts.watch.alerts.queries import OWN_ENVIRONMENTS
from scripts.watch.alerts.reader import MetricsError
from scripts.watch.overview import read_overviews
from scripts.watch.report.command import gather_reports, render, write_report
from scripts.watch.report.files import csv_files, json_of
from scripts.watch.report.fixed import FixedCosts, FreeTier, Subscription
from scripts.watch.report.model import Latency, Report, Window

from .exporting import IN_ROOT, write_keys
from .harness import REPOSITORY, RunningEngine
from .report_data import AGENTS, CATEGORIES, MODELS, NOW, TASKS, Data, make_data, push

GROUPED = {"model": "model", "user": "user", "task": "task"}
TOP = 20
FREE_TOKENS = 10_000


@pytest.fixture(scope="module")
def data() -> Data:
    """What was sent."""
    return make_data(11)


def ask(engine: RunningEngine, key: ProjectKey) -> Report:
    """Return the report of one project; a free tier covers part of what one model costs this month."""
    costs = FixedCosts(
        [
            Subscription(name="seats", usd_per_month=60),
            Subscription(name="other", usd_per_month=9, project="x"),
        ],
        [FreeTier(model=MODELS[0], tokens_per_month=FREE_TOKENS)],
    )
    [report] = asyncio.run(gather_reports(engine.base_url, [key], NOW, costs))
    return report


@pytest.fixture(scope="module")
def reported(engine: RunningEngine, data: Data) -> ProjectKey:
    """The project that it was sent to."""
    keys = engine.provision("reported")
    with engine.client_for(keys) as client:
        push(client, data)
    return ProjectKey("reported", keys.public_key, keys.secret_key)


@pytest.fixture(scope="module")
def report(engine: RunningEngine, reported: ProjectKey) -> Report:
    """What the report says of it."""
    return ask(engine, reported)


@pytest.fixture(params=[0, 1], ids=["7 days", "30 days"])
def window(request: pytest.FixtureRequest, report: Report) -> Window:
    """Each window of the report."""
    return report.windows[request.param]


def sums(data: Data, rows: NDArray[np.bool_]) -> tuple[Any, int, int]:
    """Return cost, tokens and calls of some rows."""
    return pytest.approx(float(data.cost[rows].sum())), int(data.tokens[rows].sum()), int(rows.sum())


def test_the_windows_are_whole_days(report: Report) -> None:
    assert [(window.days, f"{window.start:%m-%d %H:%M}") for window in report.windows] == [
        (7, "01-25 00:00"),
        (30, "01-02 00:00"),
    ]


@pytest.mark.parametrize("by", GROUPED)
def test_cost_by_group(data: Data, window: Window, by: str) -> None:
    inside = data.since(window.days)
    column: NDArray[np.str_] = getattr(data, GROUPED[by])
    expected = {str(name): sums(data, inside & (column == name)) for name in np.unique(column[inside])}
    ranked = sorted(expected, key=lambda name: -float(data.cost[inside & (column == name)].sum()))
    *named, total = window.costs[by]
    rest = [one for one in named if not one.is_named]
    named = [one for one in named if one.is_named]
    assert [one.name for one in named] == ranked[:TOP]
    assert {one.name: (one.cost, one.tokens, one.calls) for one in named} == {
        name: expected[name] for name in ranked[:TOP]
    }
    assert (total.cost, total.tokens, total.calls) == sums(data, inside)
    others = inside & np.isin(column, ranked[TOP:])
    if others.any():
        assert [(one.name, one.cost, one.tokens, one.calls) for one in rest] == [
            ("(other)", *sums(data, others))
        ]
    else:
        assert rest == []


def test_there_are_more_users_than_a_table_shows(report: Report) -> None:
    assert [one.name for one in report.windows[1].costs["user"][-2:]] == ["(other)", "total"]


def test_cost_by_agent_counts_calls_with_quoted_and_bare_metadata(data: Data, window: Window) -> None:
    inside = data.since(window.days)
    found = {one.name: (one.cost, one.tokens, one.calls) for one in window.costs["agent"]}
    assert found == {
        **{agent: sums(data, inside & (data.agent == agent)) for agent in AGENTS if agent},
        "(none)": sums(data, inside & (data.agent == "")),
        "total": sums(data, inside),
    }
    costs = [one.cost for one in window.costs["agent"] if one.is_named]
    assert costs == sorted(costs, reverse=True)


def test_agents_are_shown_with_success_quality_and_cost_a_run(data: Data, window: Window) -> None:
    inside = data.since(window.days)
    assert [one.name for one in window.agents] == [one.name for one in window.latencies["agent"]]
    assert {one.name for one in window.agents} == {agent for agent in AGENTS if agent}
    for one in window.agents:
        rows = inside & (data.agent == one.name)
        cost, tokens, runs = sums(data, rows)
        assert (one.cost, one.tokens, one.runs) == (cost, tokens, runs)
        assert one.cost_per_run == pytest.approx(float(data.cost[rows].mean()))
        assert one.success == pytest.approx(float(data.success[rows].mean()))
        assert one.quality == pytest.approx(float(data.quality[rows].mean()))
        assert one.input_share == pytest.approx(
            float(data.input_tokens[rows].sum() / data.tokens[rows].sum())
        )


def check_latency(found: Latency, milliseconds: NDArray[np.int64], errors: float) -> None:
    """Compare one row; percentiles of few values differ by how they are interpolated."""
    assert found.count == len(milliseconds)
    spread = float(milliseconds.max() - milliseconds.min()) / 1000
    room = 1e-9 + spread / max(1, len(milliseconds) - 1)
    for percent, value in ((50, found.p50), (95, found.p95), (99, found.p99)):
        assert value == pytest.approx(float(np.percentile(milliseconds, percent)) / 1000, abs=room)
    assert found.errors == pytest.approx(errors)


def test_latency_and_errors_by_task(data: Data, window: Window) -> None:
    inside = data.since(window.days)
    found = {one.name: one for one in window.latencies["task"]}
    assert found.keys() == {*TASKS, "total"}
    for task in (*TASKS, "total"):
        rows = inside & ((data.task == task) | (task == "total"))
        # A trace has a root, a call, and an agent's run where there is an agent.
        observations = 2 * rows.sum() + (data.agent[rows] != "").sum()
        failed = data.agent_failed[rows].sum() + data.call_failed[rows].sum()
        check_latency(found[task], data.root_ms[rows], float(failed / observations))


def test_latency_and_errors_by_agent(data: Data, window: Window) -> None:
    inside = data.since(window.days)
    found = {one.name: one for one in window.latencies["agent"]}
    assert found.keys() == {agent for agent in AGENTS if agent}
    for agent, latency in found.items():
        rows = inside & (data.agent == agent)
        check_latency(latency, data.agent_ms[rows], float(data.agent_failed[rows].mean()))


def test_latency_and_errors_by_model(data: Data, window: Window) -> None:
    inside = data.since(window.days)
    found = {one.name: one for one in window.latencies["model"]}
    assert set(found) == {model for model in MODELS if (data.model[inside] == model).any()} | {"total"}
    for model, latency in found.items():
        rows = inside & ((data.model == model) | (model == "total"))
        check_latency(latency, data.call_ms[rows], float(data.call_failed[rows].mean()))


def test_averages_of_numeric_and_boolean_scores(data: Data, window: Window) -> None:
    inside = data.since(window.days)
    found = {one.name: (one.count, one.average) for one in window.averages}
    assert found == {
        "quality": (inside.sum(), pytest.approx(data.quality[inside].mean())),
        "task_success": (inside.sum(), pytest.approx(data.success[inside].mean())),
    }


def test_shares_of_categorical_scores(data: Data, window: Window) -> None:
    inside = data.since(window.days)
    found = {(one.name, one.value): (one.count, one.share) for one in window.categories}
    assert found == {
        ("confidence_tier", tier): (
            (data.tier[inside] == tier).sum(),
            pytest.approx((data.tier[inside] == tier).mean()),
        )
        for tier in CATEGORIES
    }


def test_daily_costs_and_their_models(data: Data, report: Report) -> None:
    assert (report.days[0].date, report.days[-1].date, len(report.days)) == ("2026-01-02", "2026-01-31", 30)
    inside = data.since(30)
    ranked = sorted(MODELS, key=lambda model: -float(data.cost[inside & (data.model == model)].sum()))
    for day in report.days:
        rows = data.date == day.date
        assert day.cost == pytest.approx(float(data.cost[rows].sum()))
        assert day.by_model == {
            model: pytest.approx(float(data.cost[rows & (data.model == model)].sum()))
            for model in ranked[:5]
            if (rows & (data.model == model)).any()
        }
    assert any(day.cost == 0 for day in report.days), "a day without costs must show as such"


def test_trends_of_scores(data: Data, report: Report) -> None:
    assert report.trends.keys() == {"quality", "task_success"}
    for name, values in (("quality", data.quality), ("task_success", data.success)):
        expected = {}
        for day in report.days:
            rows = data.date == day.date
            if rows.any():
                expected[day.date] = (int(rows.sum()), pytest.approx(float(values[rows].mean())))
        assert {point.date: (point.count, point.average) for point in report.trends[name]} == expected


def test_the_projection_goes_on_as_the_last_complete_days(data: Data, report: Report) -> None:
    complete = [f"2026-01-{day}" for day in range(24, 31)]
    daily = float(data.cost[np.isin(data.date, complete)].sum()) / 7
    month = float(data.cost[np.char.startswith(data.date, "2026-01")].sum())
    found = report.projection
    assert (found.days, found.daily) == (7, pytest.approx(daily))
    assert found.month_to_date == pytest.approx(month)
    # Nine hours of the month are left.
    assert found.month_end == pytest.approx(month + daily * 9 / 24)
    assert found.next_30_days == pytest.approx(30 * daily)
    assert found.next_365_days == pytest.approx(365 * daily)
    assert not found.estimated


def test_subscriptions_and_free_tiers_are_added_to_what_calls_cost(data: Data, report: Report) -> None:
    rows = np.char.startswith(data.date, "2026-01") & (data.model == MODELS[0])
    tokens = int(data.tokens[rows].sum())
    assert tokens > FREE_TOKENS
    free = float(data.cost[rows].sum()) * FREE_TOKENS / tokens
    assert (report.fixed.subscriptions, report.fixed.free) == (60, pytest.approx(free))


def test_the_files_say_the_same_as_the_report(report: Report, tmp_path: Path) -> None:
    write_report(report, "<p>the page</p>", tmp_path)
    assert (tmp_path / "report.html").read_text() == "<p>the page</p>"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "agents.csv",
        "categories.csv",
        "cost.csv",
        "daily-cost.csv",
        "latency.csv",
        "report.html",
        "report.json",
        "score-trends.csv",
        "scores.csv",
    ]
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["project"] == "reported"
    long = document["windows"][1]
    with (tmp_path / "cost.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["days"] == "30"]
    assert [(row["name"], float(row["cost_usd"])) for row in rows] == [
        (cost["name"], cost["cost"]) for own in long["costs"].values() for cost in own
    ]
    with (tmp_path / "latency.csv").open(newline="") as file:
        found = {(row["days"], row["by"], row["name"]): row for row in csv.DictReader(file)}
    for task in long["latencies"]["task"]:
        row = found["30", "task", task["name"]]
        assert [float(row[key]) for key in ("p50_s", "p95_s", "p99_s", "error_rate")] == [
            task["p50"],
            task["p95"],
            task["p99"],
            task["errors"],
        ]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def page_of(engine: RunningEngine, key: ProjectKey, report: Report, root: Path) -> str:
    """Return the page of a report."""
    context = Context(
        Layout(root, root / ".env", root / ".stack"), dict(os.environ), Console({}), SubprocessRunner(root)
    )
    start = report.windows[-1].start
    [overview] = read_overviews(context, [key], engine.base_url, start, NOW, OWN_ENVIRONMENTS)
    return render(context, report, overview)


def chart(page: str, title: str) -> dict[str, dict[str, str]]:
    """Return the table of a chart: by bucket of time, then by head."""
    part = re.search(rf"<figcaption><bdi>{title}<.*?</figure>", page, re.DOTALL)
    assert part is not None, title
    heads = re.findall(r'<th scope="col" class="number"><bdi>([^<]*)', part[0])
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th>(.*?)</tr>', part[0], re.DOTALL)
    return {
        bucket: dict(zip(heads, re.findall(r"<td[^>]*>([^<]*)</td>", cells), strict=True))
        for bucket, cells in rows
    }


def test_the_page_stands_alone_and_shows_the_numbers(
    engine: RunningEngine, reported: ProjectKey, report: Report, data: Data, tmp_path: Path
) -> None:
    page = page_of(engine, reported, report, tmp_path)
    assert not re.search(r"src=|href=\"[^#]|https?://|@import|<script", page)
    assert f"{report.projection.month_to_date:,.2f}" in page
    for name in (*TASKS, *MODELS, "router", "(other)", "quality"):
        assert f"<bdi>{name}</bdi>" in page
    costs = chart(page, "Cost by model")
    named = set(next(iter(costs.values())))
    assert len(named & set(MODELS)) == 6
    for day in report.days:
        shown = {name: float(text.replace(",", "")[1:]) for name, text in costs[day.date].items()}
        for model in named:
            rows = (data.date == day.date) & (data.model == model)
            if model == "others":
                rows = (data.date == day.date) & ~np.isin(data.model, list(named))
            cost = float(data.cost[rows].sum())
            assert shown[model] == pytest.approx(cost, abs=0.0051, rel=0.051)
    trend = chart(page, "quality")
    assert {day: row["average"] for day, row in trend.items() if row["average"] != "—"} == {
        point.date: f"{point.average:.3g}" for point in report.trends["quality"]
    }


def test_a_project_without_data_has_a_report_that_says_so(engine: RunningEngine, tmp_path: Path) -> None:
    keys = engine.provision("silent")
    key = ProjectKey("silent", keys.public_key, keys.secret_key)
    empty = ask(engine, key)
    assert (empty.projection.daily, empty.projection.month_to_date) == (None, 0)
    assert empty.windows[1].costs["model"][-1].cost == 0
    assert empty.trends == {}
    assert len(empty.days) == 30
    assert page_of(engine, key, empty, tmp_path).count("Nothing in this range.") == 4
    assert csv_files(empty)["latency.csv"].splitlines() == ["days,by,name,count,p50_s,p95_s,p99_s,error_rate"]
    assert json.loads(json_of(empty))["windows"][0]["averages"] == []


def test_the_command_prints_tables_and_says_where_the_files_are(
    engine: RunningEngine, tmp_path: Path
) -> None:
    keys = engine.provision("by-command")
    write_keys(tmp_path / ".stack" / "credentials", [keys])
    done = subprocess.run(
        [sys.executable, "-c", IN_ROOT, str(tmp_path), "report", "--base-url", engine.base_url],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"Project {keys.project_id}, " in done.stdout
    assert re.search(r"^last 30 days +0\.00$", done.stdout, re.MULTILINE)
    assert f"Written to .stack/report/{keys.project_id}/report.html" in done.stdout
    written = tmp_path / ".stack" / "report" / keys.project_id
    assert (written / "cost.csv").is_file()
    assert f"<h1>Report of {keys.project_id}, " in (written / "report.html").read_text()


def test_a_server_that_is_away_is_named_once(capfd: pytest.CaptureFixture[str]) -> None:
    keys = [ProjectKey(name, f"pk-lf-test-{name}", f"sk-lf-test-{name}") for name in ("kosmos", "zeus")]
    with pytest.raises(MetricsError, match="The metrics of project kosmos cannot be read"):
        asyncio.run(gather_reports("http://127.0.0.1:9", keys, NOW, FixedCosts()))
    assert capfd.readouterr().err == ""
