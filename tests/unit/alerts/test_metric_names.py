"""Every metric that a rule about the stack names is one that somebody exports."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from scripts.exporter.canary import Run
from scripts.exporter.telemetry import Readings, Telemetry

from .promtool import CONFIG

# Of other programs; that they really have them is tried in tests/scenarios/monitoring.
FOREIGN = ("redis_", "pg_", "node_", "ClickHouse", "container_", "process_")
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
