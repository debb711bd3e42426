"""Unit tests of rules with promtool, generated from tables."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config"
EXAMPLE = ROOT / "examples" / "kosmos"
"""The site of the example company, with alerts on scores."""


@dataclass(frozen=True, slots=True)
class RuleTest:
    """Whether an alert fires at a time, given series in promtool's notation.

    Attributes:
        series: selector -> values, one a minute.
        at: minutes after the start.
        fires: how many instances of the alert fire.
    """

    alert: str
    series: dict[str, str]
    at: int
    fires: int


def tool(name: str) -> str:
    """Return the path of a program, or skip the test."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus, prometheus-alertmanager)")
    return path


def firing(tests: Sequence[RuleTest], rules: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run all tests with promtool in one process; exit code 0 when every alert fires as often as it should.

    Labels and annotations differ by alert, so each test counts the series `ALERTS` instead of comparing them.
    """
    groups = yaml.safe_load(rules.read_text())["groups"]
    files = []
    # promtool evaluates all rules of a file in every minute of every test: each alert gets a file of its own.
    for alert in dict.fromkeys(test.alert for test in tests):
        (directory / f"{alert}.rules.yaml").write_text(yaml.safe_dump({"groups": _only(alert, groups)}))
        document = {
            "rule_files": [f"{alert}.rules.yaml"],
            "evaluation_interval": "1m",
            "tests": [_group(number, test) for number, test in enumerate(tests) if test.alert == alert],
        }
        files.append(directory / f"{alert}.tests.yaml")
        files[-1].write_text(yaml.safe_dump(document, sort_keys=False))
    argv = [tool("promtool"), "test", "rules", *map(str, files)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def _only(alert: str, groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the groups with one alert and all that is recorded."""
    kept = [
        {**group, "rules": [rule for rule in group["rules"] if rule.get("alert", alert) == alert]}
        for group in groups
    ]
    assert any("alert" in rule for group in kept for rule in group["rules"]), f"no rule {alert}"
    return kept


def _group(number: int, test: RuleTest) -> dict[str, object]:
    firing = f'count(ALERTS{{alertname="{test.alert}", alertstate="firing"}}) or vector(0)'
    expected = {
        "expr": firing,
        "eval_time": f"{test.at}m",
        "exp_samples": [{"labels": "{}", "value": test.fires}],
    }
    return {
        "name": f"{number} {test.alert}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in test.series.items()],
        "promql_expr_test": [expected],
    }
