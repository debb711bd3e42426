"""Examples, score configs, alerts and dashboards speak of the same scores."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.provision.loading import load
from scripts.provision.stack import Project
from scripts.watch.alerts.catalog import is_score, score_name
from scripts.watch.alerts.document import load_alerts
from scripts.watch.alerts.series import all_series

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "kosmos"
# Scores of a whole experiment and of its items, which have no config: they belong to one evaluation.
OF_EXPERIMENTS = {"contains-answer", "mean-factual-accuracy", "pass-rate"}
# Names that an example takes from a tuple instead of writing `name="..."`.
SENT = re.compile(
    r'(?:score|score_trace|create_score|score_current_trace|Evaluation|CreateScoreRequest)\([^)]*?name="([^"]+)"'
)
IN_TUPLES = re.compile(r'\("([a-z-]+)", (?:quality|reward|efficiency)\)')


@pytest.fixture(scope="module")
def project() -> Project:
    """The first project of the example company."""
    return load(EXAMPLE / "stack.yaml", "examples/kosmos/stack.yaml").stack.projects[0]


@pytest.fixture(scope="module")
def sent() -> set[str]:
    """The names of the scores that examples send."""
    texts = [path.read_text() for path in (ROOT / "examples").glob("*.py")]
    return {name for text in texts for pattern in (SENT, IN_TUPLES) for name in pattern.findall(text)}


def test_every_score_of_an_example_has_a_config(project: Project, sent: set[str]) -> None:
    assert len(sent) > 15
    assert sent - OF_EXPERIMENTS == {config.name for config in project.score_configs}


def test_every_score_that_an_alert_watches_is_sent_by_an_example(sent: set[str]) -> None:
    path = EXAMPLE / "alerts.yaml"
    watched = {
        score_name(one.metric) for one in all_series(load_alerts(path, "alerts")) if is_score(one.metric)
    }
    assert {"source_count", "satisfaction", "task_success"} <= watched
    assert watched <= sent


def test_every_score_on_a_dashboard_is_sent_by_an_example(project: Project, sent: set[str]) -> None:
    shown = {
        str(one.value)
        for dashboard in project.dashboards
        for tile in dashboard.widgets
        for one in tile.filters
        if str(tile.view).startswith("scores") and one.column == "name"
    }
    assert len(shown) > 8
    assert shown <= sent
