"""Queries, PromQL and Alertmanager's configuration that alerts compile to."""

from __future__ import annotations

import html
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from scripts.watch.alerts.document import load_alerts, parse_alerts
from scripts.watch.alerts.model import AlertFile, Window
from scripts.watch.alerts.queries import Answers, plan_queries, values
from scripts.watch.alerts.routing import alertmanager_file
from scripts.watch.alerts.rules import rule_file
from scripts.watch.alerts.series import Series, all_series

from .promtool import CONFIG, tool

SHIPPED = load_alerts(CONFIG / "alerts.yaml", "config/alerts.yaml")
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
ACTIONS = """
actions:
  slack: {type: slack, channel: "#a", url_file: slack_url}
  page: {type: pagerduty, routing_key_file: key}
  mail: {type: email, to: a@acme.example, sender: b@acme.example, smarthost: "mail.acme.example:587",
         username: u, password_file: smtp}
  hook: {type: webhook, url: "https://hooks.acme.example/", token_file: token}
stack_alerts: {critical: [slack, page], warning: mail, watchdog: hook}
"""


def file_of(*alerts: str, head: str = "") -> AlertFile:
    """Return a file with these alerts."""
    lines = "\n".join(
        f"  - {{name: a{number}, action: slack, {alert}}}" for number, alert in enumerate(alerts)
    )
    return parse_alerts(f"{head}{ACTIONS}\nalerts:\n{lines}\n", "alerts.yaml")


def expressions(file: AlertFile) -> list[str]:
    """Return the expressions of the conditions' rules."""
    rules = yaml.safe_load(rule_file(file))["groups"][0]["rules"]
    return [rule["expr"] for rule in rules if not rule["alert"].endswith("_no_data")]


def test_scores_of_one_window_share_a_query() -> None:
    file = file_of(
        "metric: faith, condition: avg < 1, window: 1h",
        "metric: trust, condition: min < 1, window: 1h",
        "metric: trust, condition: p95 < 1, window: 2h",
    )
    assert len(plan_queries(all_series(file))) == 2


def test_a_project_is_asked_about_as_often_as_it_has_alerts_and_panels_at_most() -> None:
    definitions = len(SHIPPED.alerts) + len(SHIPPED.observed)
    assert len(plan_queries(all_series(SHIPPED))) <= definitions


def test_a_query_says_what_the_metrics_api_wants() -> None:
    file = file_of(
        "metric: llm_cost, condition: sum > 5, window: day, filters: {model: gpt-4o}, group_by: user"
    )
    assert plan_queries(all_series(file))[0].document(NOON) == {
        "view": "observations",
        "metrics": [
            {"measure": "count", "aggregation": "count"},
            {"measure": "totalCost", "aggregation": "sum"},
        ],
        "dimensions": [{"field": "userId"}],
        "filters": [
            {
                "column": "type",
                "operator": "any of",
                "type": "stringOptions",
                "value": ["GENERATION", "EMBEDDING"],
            },
            {
                "column": "providedModelName",
                "operator": "any of",
                "type": "stringOptions",
                "value": ["gpt-4o"],
            },
            {
                "column": "environment",
                "operator": "none of",
                "type": "stringOptions",
                "value": ["stack-canary", "stack-smoke", "stack-smoke-otel"],
            },
        ],
        "fromTimestamp": "2026-11-10T00:00:00.000Z",
        "toTimestamp": "2026-11-10T12:00:00.000Z",
        "orderBy": [{"field": "count_count", "direction": "desc"}],
        "config": {"row_limit": 1000},
    }


def test_numbers_that_the_server_writes_as_texts_are_numbers() -> None:
    series = Series("llm_cost", "sum", Window("1h"))
    (query,) = plan_queries([series])
    answers = Answers({query.scope: [{"count_count": "3", "sum_totalCost": "0.75"}]})
    assert values(series, answers, NOON) == {"": 0.75}


@pytest.mark.parametrize(
    ("statistic", "rows", "expected"),
    [
        ("avg", [], {}),
        ("count", [], {"": 0.0}),
        ("sum", [], {"": 0.0}),
        ("avg", [{"count_count": 0, "avg_totalCost": None}], {}),
    ],
)
def test_without_data_there_is_a_count_but_no_average(
    statistic: str, rows: list[dict[str, object]], expected: dict[str, float]
) -> None:
    series = Series("llm_cost", statistic, Window("1h"))
    (query,) = plan_queries([series])
    assert values(series, Answers({query.scope: rows}), NOON) == expected


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        ("day", datetime(2026, 11, 10, 12, tzinfo=UTC), {"": 20.0}),
        ("month", datetime(2026, 11, 16, tzinfo=UTC), {"": 20.0}),
        ("month", datetime(2024, 2, 15, 12, tzinfo=UTC), {"": 20.0}),
        ("day", datetime(2026, 11, 10, 1, tzinfo=UTC), {}),
    ],
)
def test_a_projection_continues_the_pace_so_far(
    window: str, now: datetime, expected: dict[str, float]
) -> None:
    series = Series("llm_cost", "projected", Window(window))
    (query,) = plan_queries([series])
    answers = Answers({query.scope: [{"count_count": 4, "sum_totalCost": 10.0}]})
    assert values(series, answers, now) == pytest.approx(expected)


def test_a_project_with_a_budget_of_its_own_gets_a_rule_of_its_own() -> None:
    head = "variables: {budget: {default: 50, zeus: 200}}\n"
    own, others = expressions(
        file_of("metric: llm_cost, condition: sum > budget, window: 24h, min_samples: 0", head=head)
    )
    assert 'project=~"zeus"' in own
    assert own.endswith("> 200")
    assert 'project!~"zeus"' in others
    assert others.endswith("> 50")


def test_what_has_nothing_to_divide_by_is_no_data() -> None:
    (expression,) = expressions(
        file_of("metric: tokens, condition: sum(tokens) / count(traces) > 5, window: 1h, no_data: ignore")
    )
    assert " != 0)" in expression


def test_conditions_joined_by_or_are_guarded_as_one() -> None:
    (expression,) = expressions(
        file_of("metric: faith, condition: avg < 1 or avg > 2, window: 1h, min_samples: 9, no_data: ignore")
    )
    assert expression.startswith("(")
    assert expression.endswith(">= 9")


def test_every_kind_of_receiver_passes_the_check_of_alertmanager(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_file(file_of("metric: faith, condition: avg < 1, window: 1h")))
    done = subprocess.run(
        [tool("amtool"), "check-config", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (("actions=,slack,", "scope=quality", "alertname=a0"), "slack"),
        (("actions=,slack,page,", "scope=quality", "alertname=a0"), "slack,page"),
        (("actions=,slackers,", "scope=quality", "alertname=a0"), "nobody"),
        (("scope=stack", "severity=critical", "alertname=DiskLow"), "slack,page"),
        (("scope=stack", "severity=warning", "alertname=ClockSkew"), "mail"),
        (("scope=stack", "severity=info", "alertname=Watchdog"), "hook"),
    ],
)
def test_alerts_reach_the_receivers_that_they_name(
    tmp_path: Path, labels: tuple[str, ...], receivers: str
) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_file(file_of("metric: faith, condition: avg < 1, window: 1h")))
    done = subprocess.run(
        [tool("amtool"), "config", "routes", "test", f"--config.file={path}", *labels],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == receivers, done.stderr


def test_no_secret_stands_in_the_compiled_configuration() -> None:
    text = alertmanager_file(file_of("metric: faith, condition: avg < 1, window: 1h"))
    for name in ("slack_url", "key", "smtp", "token"):
        assert f"/etc/alertmanager/secrets/{name}" in text


def test_the_compiled_routing_in_the_repository_is_up_to_date() -> None:
    assert (CONFIG / "alertmanager" / "alertmanager.yml").read_text() == alertmanager_file(SHIPPED)


def test_prometheus_accepts_its_configuration() -> None:
    done = subprocess.run(
        [tool("promtool"), "check", "config", str(CONFIG / "prometheus" / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("hostile", ["<!channel>", "<https://evil.example|Runbook>", "a & <b>"])
def test_no_value_is_markup_in_slack(tmp_path: Path, hostile: str) -> None:
    """amtool renders the message as Alertmanager does."""
    document = yaml.safe_load(alertmanager_file(SHIPPED))
    (slack,) = next(one["slack_configs"] for one in document["receivers"] if "slack_configs" in one)
    said = {"summary": hostile, "description": hostile, "value": hostile, "runbook_url": "docs/runbooks/a.md"}
    labels = {"alertname": hostile, "project": hostile, "group": hostile}
    alert = {"status": "firing", "labels": labels, "annotations": said}
    data = {"status": "firing", "alerts": [alert], "commonLabels": labels, "commonAnnotations": said}
    (tmp_path / "data.json").write_text(json.dumps(data))
    for name in ("title", "text"):
        argv = [tool("amtool"), "template", "render", f"--template.data={tmp_path / 'data.json'}"]
        done = subprocess.run(
            [*argv, "--template.glob=/dev/null", f"--template.text={slack[name]}"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert html.escape(hostile, quote=False) in done.stdout
        assert hostile not in done.stdout
        assert "<" not in done.stdout
