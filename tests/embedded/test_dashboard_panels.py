"""Every panel of every dashboard, asked of a real Prometheus that scrapes the exporter over seeded data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_for

from .alerting import Monitoring
from .exporting import RunningExporter
from .harness import DEFAULT_KEYS, REPOSITORY, RunningEngine
from .seeding import COUNT, Seed, expected_panels, make_seed, push

pytestmark = pytest.mark.slow

DASHBOARDS = sorted(
    path
    for directory in ("config", "examples/kosmos")
    for path in (REPOSITORY / directory / "grafana" / "dashboards").glob("*.json")
)
ADMIN_KEY = "a" * 64
# Metrics API v2 estimates percentiles, and the exact one of 60 values depends on the interpolation.
PERCENTILE_TOLERANCE = 0.08
PROJECT = DEFAULT_KEYS.project_id


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield dashboard and panel."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield path.stem, panel


@pytest.fixture(scope="module")
def seed() -> Seed:
    """The raw data."""
    return make_seed(6)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, seed: Seed) -> Iterator[Monitoring]:
    """Prometheus after it has scraped the seeded data."""
    directory = tmp_path_factory.mktemp("panels")
    engine = RunningEngine(directory / "engine", {"ADMIN_API_KEY": ADMIN_KEY}).start()
    push(engine.client, seed)
    alerts = (REPOSITORY / "examples" / "kosmos" / "alerts.yaml").read_text()
    exporter = RunningExporter(
        directory / "exporter", engine.base_url, [DEFAULT_KEYS], alerts, {"ADMIN_API_KEY": ADMIN_KEY}
    )
    heartbeats = directory / "exporter" / ".stack" / "heartbeats"
    heartbeats.mkdir(parents=True)
    (heartbeats / "backup").touch()
    monitoring = Monitoring(directory / "monitoring", exporter.start().url, {})
    try:
        monitoring.start()
        wait_for(
            lambda: bool(monitoring.query(f'langfuse_traces{{statistic="count"}} == {COUNT}')), "scraped"
        )
        wait_for(
            lambda: bool(monitoring.query("rate(langfuse_canary_duration_seconds_count[5m]) > 0")), "canaries"
        )
        yield monitoring
    finally:
        monitoring.stop()
        exporter.stop()
        engine.stop()


@pytest.mark.parametrize(
    ("dashboard", "panel"),
    [pytest.param(dashboard, panel, id=f"{dashboard}: {panel['title']}") for dashboard, panel in panels()],
)
def test_every_panel_shows_what_the_raw_data_say(
    prometheus: Monitoring, seed: Seed, dashboard: str, panel: dict[str, Any]
) -> None:
    expression = panel["targets"][0]["expr"].replace("$project", PROJECT)
    samples = prometheus.query(expression)
    assert samples, expression
    if dashboard == "stack-health":
        return
    shown = {labels.get("group", ""): value for labels, value in samples}
    tolerance = PERCENTILE_TOLERANCE if re.search(r"\bp\d\d$", panel["title"]) else 1e-6
    assert shown == pytest.approx(expected_panels(seed)[dashboard, panel["title"]], rel=tolerance)


def test_stack_health_shows_the_state_of_this_stack(prometheus: Monitoring) -> None:
    shown = {
        panel["title"]: prometheus.query(panel["targets"][0]["expr"])
        for dashboard, panel in panels()
        if dashboard == "stack-health"
    }
    assert shown["Canary"][0][1] == 1
    assert shown["Server"][0][1] == 1
    assert shown["Projects that can be read"][0][1] == 1
    assert 0 <= shown["Since the last backup"][0][1] < 600
    assert {labels["step"] for labels, _ in shown["Steps of the canary, mean"]} == {
        "write_span",
        "read_span",
        "write_score",
        "read_score",
    }
    assert ("otel-ingestion-queue", 0) in [
        (labels["queue"], value) for labels, value in shown["Jobs that wait"]
    ]


def test_every_panel_about_applications_has_an_independent_expectation() -> None:
    titles = {(dashboard, panel["title"]) for dashboard, panel in panels() if dashboard != "stack-health"}
    assert titles == set(expected_panels(make_seed(6)))


def test_no_panel_names_a_metric_that_does_not_exist(prometheus: Monitoring) -> None:
    known = {labels["__name__"] for labels, _ in prometheus.query('{__name__=~".+"}')} | {"ALERTS"}
    named = {
        name
        for _, panel in panels()
        for name in re.findall(r"\b(langfuse_\w+|ALERTS|up)\b(?=[{\[\s)]|$)", panel["targets"][0]["expr"])
    }
    assert named
    assert named <= known


def test_units_titles_and_runbooks_of_panels() -> None:
    units = {"short", "s", "ms", "percentunit", "currencyUSD", "bool_on_off", "none"}
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        assert dashboard["uid"] == path.stem
        assert dashboard["title"]
        titles = [panel["title"] for panel in dashboard["panels"]]
        assert len(set(titles)) == len(titles)
        for panel in dashboard["panels"]:
            assert panel["fieldConfig"]["defaults"]["unit"] in units, panel["title"]
            assert panel["datasource"]["uid"] == "prometheus"
            for link in panel.get("links", []):
                # Grafana serves the pages there: compose.yaml mounts them.
                name = link["url"].removeprefix("/public/runbooks/")
                assert name != link["url"]
                assert (REPOSITORY / "docs" / "runbooks" / name).is_file(), link["url"]


def test_panels_do_not_overlap() -> None:
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, (path.stem, panel["title"])
            taken |= cells


def test_the_data_source_of_the_panels_is_provisioned() -> None:
    text = Path(REPOSITORY / "config/grafana/provisioning/datasources/prometheus.yaml").read_text()
    assert "uid: prometheus\n" in text
