"""Every alert of the example company fires as its table says, in Prometheus and in `alerts-check`.

The alerts of config/ are those among them that need no score.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.watch.alerts.catalog import is_score
from scripts.watch.alerts.document import load_alerts, parse_alerts
from scripts.watch.alerts.evaluate import State, evaluate
from scripts.watch.alerts.expression import Aggregate, aggregates
from scripts.watch.alerts.model import Alert, AlertFile, NoData
from scripts.watch.alerts.rules import NO_DATA_SUFFIX, rule_file
from scripts.watch.alerts.series import Series, all_series, sample_count, series_of

from .promtool import CONFIG, EXAMPLE, RuleTest, firing
from .quality_cases import CASES, Statistics

pytestmark = pytest.mark.slow

FILE = EXAMPLE / "alerts.yaml"
SHIPPED = load_alerts(FILE, "examples/kosmos/alerts.yaml")
NEUTRAL = load_alerts(CONFIG / "alerts.yaml", "config/alerts.yaml")
ALERTS = {alert.name: alert for alert in SHIPPED.alerts}
PROJECT = "kosmos"


def values_of(alert: Alert, statistics: Statistics) -> dict[Series, float]:
    """Return the series of an alert with the values that a table names."""
    enough = float(max(alert.min_samples, 1))
    values = {sample_count(alert): statistics.get("count", enough)}
    for aggregate in aggregates(alert.condition):
        values[series_of(alert, aggregate)] = statistics[_key(aggregate)]
    return values


def _key(aggregate: Aggregate) -> str:
    return f"{aggregate.function}({aggregate.metric})" if aggregate.metric else aggregate.function


def fires(file: AlertFile, alert: Alert, statistics: Statistics) -> bool:
    """Return what `alerts-check` finds."""
    group = "one" if alert.group_by else ""
    values = {series: {group: value} for series, value in values_of(alert, statistics).items()}
    states = {finding.state for finding in evaluate(alert, PROJECT, values, file.values(PROJECT))}
    return State.FIRING in states


def selector(alert: Alert, series: Series) -> str:
    """Return the series as the exporter exposes it."""
    group = "one" if alert.group_by else ""
    labels = {**series.labels(), "project": PROJECT, "group": group, "job": "exporter", "instance": "a:1"}
    inner = ", ".join(f'{name}="{value}"' for name, value in labels.items() if value)
    return f"{series.family}{{{inner}}}"


def rule_tests() -> Iterator[RuleTest]:
    """Yield a test for each row of the table."""
    for name, case in CASES.items():
        alert = ALERTS[name]
        for expected, rows in ((1, case.fires), (0, case.silent)):
            for statistics in rows:
                series = {
                    selector(alert, one): f"{value:g}x90"
                    for one, value in values_of(alert, statistics).items()
                }
                yield RuleTest(name, series, at=80, fires=expected)


def no_data_tests() -> Iterator[RuleTest]:
    """Yield tests of absence: went silent, was silent always, is there."""
    for alert in SHIPPED.alerts:
        if alert.no_data is NoData.IGNORE:
            continue
        count = selector(alert, sample_count(alert))
        name = alert.name + NO_DATA_SUFFIX
        yield RuleTest(name, {count: "5x5 0x60"}, at=30, fires=1)
        yield RuleTest(name, {count: "5x5 0x60"}, at=10, fires=0)  # it may come back
        yield RuleTest(name, {count: "0x60"}, at=30, fires=int(alert.no_data is NoData.ALWAYS))
        yield RuleTest(name, {count: "5x60"}, at=30, fires=0)


def test_every_alert_has_firing_and_silent_cases() -> None:
    assert set(CASES) == set(ALERTS)
    assert all(case.fires and case.silent for case in CASES.values())


def test_prometheus_fires_as_the_table_says(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(rule_file(SHIPPED))
    done = firing([*rule_tests(), *no_data_tests()], rules, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_notices_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(rule_file(SHIPPED))
    wrong = [RuleTest(test.alert, test.series, test.at, 1 - test.fires) for test in rule_tests()][:1]
    assert firing(wrong, rules, tmp_path).returncode != 0


@pytest.mark.parametrize("name", CASES)
def test_the_check_of_now_agrees_with_the_table(name: str) -> None:
    for statistics in CASES[name].fires:
        assert fires(SHIPPED, ALERTS[name], statistics), statistics
    for statistics in CASES[name].silent:
        assert not fires(SHIPPED, ALERTS[name], statistics), statistics


def mutations() -> Iterator[tuple[str, str]]:
    """Yield an alert's name and the file with one number of its condition changed by a fifth."""
    text = FILE.read_text()
    for alert in SHIPPED.alerts:
        start = text.index(f"- name: {alert.name}\n")
        line = re.compile(r"condition: (.*)").search(text, start)
        assert line is not None
        for number in re.finditer(r"(?<![\w.])\d+(?:\.\d+)?", line[1]):
            for factor in (0.8, 1.2):
                at = line.start(1) + number.start()
                changed = f"{float(number[0]) * factor:g}"
                yield alert.name, text[:at] + changed + text[at + len(number[0]) :]
    for variable, value in (("daily_budget", "50"), ("monthly_budget", "1000")):
        for factor in (0.8, 1.2):
            changed = re.sub(
                rf"({variable}:[^\n]*(?:\n    default:)? ){value}\b",
                lambda match, new=float(value) * factor: f"{match[1]}{new:g}",  # type: ignore[misc]
                text,
                count=1,
            )
            assert changed != text
            yield f"{variable}_exceeded", changed


def test_a_changed_threshold_contradicts_the_table() -> None:
    survivors = []
    for name, text in mutations():
        file = parse_alerts(text, "changed")
        alert = next(alert for alert in file.alerts if alert.name == name)
        case = CASES[name]
        # A share's own number decides what is counted, which happens in the query: see test_queries.
        share_changed = any(
            one.test != other.test
            for one, other in zip(
                aggregates(alert.condition), aggregates(ALERTS[name].condition), strict=True
            )
        )
        agrees = all(fires(file, alert, row) for row in case.fires) and not any(
            fires(file, alert, row) for row in case.silent
        )
        if agrees and not share_changed:
            survivors.append((name, alert.condition_text))
    assert not survivors


def test_compiled_files_in_the_repository_are_up_to_date() -> None:
    assert (CONFIG / "prometheus" / "rules" / "alerts.yaml").read_text() == rule_file(NEUTRAL)


def test_the_alerts_of_config_are_those_of_the_table_that_fit_any_team() -> None:
    assert len(NEUTRAL.alerts) > 5
    assert [alert for alert in NEUTRAL.alerts if alert != ALERTS[alert.name]] == []
    assert {one.metric for one in all_series(NEUTRAL) if is_score(one.metric)} == set()
    assert {one.metric for one in all_series(SHIPPED) if is_score(one.metric)} != set()
