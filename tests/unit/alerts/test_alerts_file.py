"""Reading config/alerts.yaml: every fault with file, line and column, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.watch.alerts.document import AlertFileError, load_alerts, parse_alerts
from scripts.watch.alerts.model import ActionType, NoData, Severity

HEAD = """\
variables: {daily_budget: {default: 50, zeus: 200}}
actions:
  slack_notify: {type: slack, channel: "#alerts", url_file: slack_url}
alerts:
  - name: confidence_drop
    metric: attribution_confidence
    window: 1h
    action: slack_notify
"""


def refused(text: str) -> str:
    with pytest.raises(AlertFileError) as caught:
        parse_alerts(text, "alerts.yaml")
    return str(caught.value)


def test_the_form_that_people_write_is_read_with_defaults() -> None:
    file = parse_alerts(HEAD + "    condition: avg < 0.7\n", "alerts.yaml")
    alert = file.alerts[0]
    assert (alert.severity, alert.no_data, alert.min_samples) == (Severity.WARNING, NoData.WENT_SILENT, 1)
    assert alert.runbook == "docs/runbooks/confidence_drop.md"
    assert file.actions["slack_notify"].type is ActionType.SLACK
    assert file.actions["slack_notify"].secret == "slack_url"
    assert (file.values("kosmos"), file.values("zeus")) == ({"daily_budget": 50}, {"daily_budget": 200})


@pytest.mark.parametrize(
    ("rest", "place", "message"),
    [
        ("    condition: avg < 0.7 <\n", "9:26", "a second comparison"),
        ('    condition: "avg < budgte"\n', "9:23", "unknown variable budgte"),
        ("    condition: p95(llm_cost) > 1\n", "9:16", "llm_cost has no p95; known: count, sum, avg"),
        ("    condition: projected(llm_cost) > 1\n", "9:16", "projected needs the window day or month"),
        ("    condition: 0.7 > avg\n", "9:16", "what is measured belongs left of the comparison"),
        ("    condition: avg < 1\n    severty: info\n", "10:5", "did you mean severity?"),
        ("    condition: avg < 1\n    group_by: colour\n", "10:15", "cannot be used ('colour')"),
        ("    condition: avg < 1\n    group_by: model\n    no_data: always\n", "11:14", "cannot be missed"),
        (
            "    condition: p95(llm_latency) < 1\n    group_by: agent\n",
            "10:15",
            "llm_latency is not known by agent",
        ),
        (
            "    condition: sum(llm_cost) < 1\n    filters: {agent: zeus}\n",
            "10:14",
            "llm_cost cannot be selected by agent",
        ),
        (
            "    condition: p95(latency) > 1\n    group_by: tag\n",
            "9:16",
            "p95 of latency cannot be grouped by tag",
        ),
        (
            "    condition: avg(tokens) > 1\n    group_by: 'tag:x'\n",
            "9:16",
            "avg of tokens cannot be grouped",
        ),
        ("    condition: count(users) > 1\n    group_by: tag\n", "9:16", "count of users cannot be grouped"),
        ("    condition: sum(llm_cost) / sum > 1\n", "9:16", "are about different traces; add filters"),
        ("    condition: 2 + sum / count(traces) > 1\n", "9:20", "are about different traces; add filters"),
        ("    condition: abs(avg / avg(other)) > 1\n", "9:20", "are about different traces; add filters"),
        (
            "    condition: sum(llm_cost) / sum > 1\n    filters: {environment: production}\n",
            "9:16",
            "are about different traces; add filters",
        ),
        ("    condition: avg < 1\n    exclude: {colour: red}\n", "10:23", "cannot be used ('colour')"),
        ("    condition: avg < 1\n    for: soon\n", "10:10", "write 30s, 5m, 1h, 7d or 2w"),
        ("    condition: avg < 1\n    name: again\n", "10:5", "name is given twice"),
        ("", "5:5", "alerts[0].condition is missing; add it"),
    ],
)
def test_a_fault_is_named_with_its_place(rest: str, place: str, message: str) -> None:
    text = refused(HEAD + rest)
    assert f"alerts.yaml:{place}: " in text, text
    assert message in text


@pytest.mark.parametrize(
    "rest",
    [
        "    condition: sum(llm_cost) / sum > 1\n    filters: {tag: web}\n",
        "    condition: sum(llm_cost) / sum > 1\n    group_by: trace_name\n",
        "    condition: sum(tokens) / count(traces) > 1\n",
        "    condition: sum / count > 1\n",
        "    condition: sum / 3 > daily_budget / 2\n",
        "    condition: avg < 1\n    group_by: 'tag:team:'\n",
        "    condition: avg(error_rate) > 1%\n    group_by: tag\n",
    ],
)
def test_a_ratio_over_the_same_traces_and_what_adds_up_by_tag_are_accepted(rest: str) -> None:
    assert len(parse_alerts(HEAD + rest, "alerts.yaml").alerts) == 1


def test_all_faults_are_named_at_once() -> None:
    text = refused(HEAD.replace("window: 1h", "window: 2y").replace('#alerts"', '#alerts", colour: red'))
    assert "3 problems" in text
    assert "alerts.yaml:3:" in text
    assert "alerts.yaml:7:13: alerts[0].window cannot be used ('2y')" in text


def test_a_secret_in_the_place_of_a_file_name_is_not_shown() -> None:
    text = refused(HEAD.replace("slack_url", "https://hooks.slack.example/T0/B0/hush"))
    assert "hush" not in text
    assert "write the name of a file" in text


def test_an_unknown_action_and_a_repeated_name_are_refused() -> None:
    text = refused(HEAD.replace("action: slack_notify", "action: slack_notfy") + "    condition: avg < 1\n")
    assert "unknown action slack_notfy; did you mean slack_notify?" in text
    twice = HEAD + "    condition: avg < 1\n" + HEAD.split("alerts:\n")[1] + "    condition: avg < 1\n"
    assert "the name confidence_drop is used twice" in refused(twice)


def test_what_is_no_yaml_is_refused_with_its_place() -> None:
    assert "alerts.yaml:1:10: not YAML" in refused("alerts: [}")


def test_an_absent_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AlertFileError) as caught:
        load_alerts(tmp_path / "alerts.yaml", "config/alerts.yaml")
    assert caught.value.fix == "restore it: git checkout -- config/alerts.yaml"
