"""Every metric that a rule about the stack names is one that somebody exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts.data.reconcile.watch import Watch
from scripts.images.pinned import read_pinned
from scripts.watch.exporter.canary import Run
from scripts.watch.exporter.telemetry import Readings, Telemetry

from .promtool import CONFIG

# Of other programs; that they really have them is tried in tests/scenarios/monitoring.
FOREIGN = ("redis_", "pg_", "node_", "ClickHouse", "container_", "process_", "alertmanager_")
METRIC = re.compile(rf"\b(?:(?:langfuse_|{'|'.join(FOREIGN)})\w+|up|ALERTS)\b(?!\s*\()")


def names(expression: str) -> set[str]:
    """Return the metrics that an expression names; not its labels, nor what stands in quotes."""
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\b(?:by|on|unless on)\s*\([^)]*\)", "", expression)
    return set(METRIC.findall(bare))


def rules() -> Iterator[tuple[str, str]]:
    """Yield name and expression of every rule about the stack."""
    document = yaml.safe_load((CONFIG / "prometheus" / "rules" / "stack.yaml").read_text())
    for group in document["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def exported() -> set[str]:
    """Return what the exporter and the mapping of the worker's DogStatsD make."""
    telemetry = Telemetry(Readings(stale_s=60, max_groups=20))
    telemetry.observe_canary(Run())
    stores: Any = None
    telemetry.observe_watch(Watch(stores, lambda: None), complete=True)
    families = telemetry.registry.collect()
    own = {
        name
        for family in families
        for name in (family.name, *(sample.name for sample in family.samples), f"{family.name}_total")
    }
    mapping = yaml.safe_load((CONFIG / "prometheus" / "statsd.yaml").read_text())["mappings"]
    return own | {rule["name"] for rule in mapping}


def test_every_rule_but_the_watchdog_names_a_metric() -> None:
    assert [name for name, expression in rules() if not names(expression)] == ["Watchdog"]


def test_metrics_of_our_own_are_exported_under_these_names() -> None:
    own = {name for _, rule in rules() for name in names(rule) if name.startswith("langfuse_")}
    assert len(own) > 15
    assert own <= exported()


def test_a_metric_that_nobody_exports_would_be_found() -> None:
    assert names('sum by (queue) (langfuse_queue_jops{state="waiting"}) > 1') == {"langfuse_queue_jops"}
    assert "langfuse_queue_jops" not in exported()


def test_labels_and_functions_are_no_metrics() -> None:
    assert names('label_replace(up{job="process_x"}, "node_a", "$1", "job", "(.*)") > 2') == {"up"}


FOREIGN_METRICS = yaml.safe_load(Path(__file__).with_name("foreign_metrics.yaml").read_text(encoding="utf-8"))
OF_PROMETHEUS = {"up", "ALERTS"}


def panels() -> Iterator[tuple[str, str]]:
    """Yield file and expression of every panel of the dashboards."""

    def within(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("expr"), str):
                yield node["expr"]
            node = list(node.values())
        for value in node if isinstance(node, list) else ():
            yield from within(value)

    for path in sorted((CONFIG / "grafana" / "dashboards").glob("*.json")):
        for expression in within(json.loads(path.read_text(encoding="utf-8"))):
            yield path.name, expression


def known_of_others() -> set[str]:
    """Return every metric of another program whose source is known."""
    return {
        name
        for program in FOREIGN_METRICS.values()
        for kind in ("metrics", "former")
        for name in program.get(kind, {})
    }


def test_every_metric_of_another_program_has_the_place_in_its_source() -> None:
    named = {name for _, expression in (*rules(), *panels()) for name in names(expression)}
    others = {name for name in named if not name.startswith("langfuse_")} - OF_PROMETHEUS
    assert len(others) > 15
    assert others - known_of_others() == set()
    assert known_of_others() - others == set(), "nothing names these any more"


def test_the_places_are_those_of_the_versions_that_run() -> None:
    pinned = {one.name: one.tag for one in read_pinned()}
    wanted = {name: program["version"] for name, program in FOREIGN_METRICS.items() if program["version"]}
    assert len(wanted) == 5
    assert {name: pinned[name] for name in wanted} == wanted
    for name, version in wanted.items():
        assert version.removeprefix("v").partition("-")[0] in FOREIGN_METRICS[name]["source"]


def test_what_is_off_by_default_is_turned_on_in_the_compose_file() -> None:
    services = yaml.safe_load((CONFIG.parent / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for name, program in FOREIGN_METRICS.items():
        flags = set(program.get("flags", {}).values())
        assert flags <= set(services[name]["command"]) if flags else True, name
