"""Unit tests of rules with promtool, generated from tables."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config"


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
    document = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [_group(number, test) for number, test in enumerate(tests)],
    }
    path = directory / "tests.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    argv = [tool("promtool"), "test", "rules", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


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
