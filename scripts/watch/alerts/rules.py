"""Compile alerts to Prometheus rules: one for the condition, one for the absence of data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from .catalog import find_metric
from .evaluate import first_comparison
from .expression import Aggregate, variables
from .model import Alert, AlertFile, NoData
from .promql import Translator, number
from .series import GROUP, PROJECT, sample_count

NO_DATA_SUFFIX = "_no_data"
SILENCE_HOLD = "10m"
"""How long data must be absent: an application may restart in that time."""
MEMORY = "7d"
"""How long ago there may have been data for its absence to be news."""
PROJECT_UP = "langfuse_exporter_project_up"
HEADER = "# Compiled from config/alerts.yaml by `make alerts`: edits here are lost.\n"

Rule = dict[str, Any]

_VALUE = '{{ $value | printf "%.4g" }}'
_SUBJECT = "{{ $labels.project }}{{ with $labels.group }} ({{ . }}){{ end }}"
_UNITS = {"USD": " USD", "seconds": " s", "tokens": " tokens", "": ""}


def rule_file(file: AlertFile) -> str:
    """Return the YAML of all rules."""
    rules = [rule for alert in file.alerts for rule in alert_rules(file, alert)]
    document = {"groups": [{"name": "quality", "rules": rules}]}
    return HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def alert_rules(file: AlertFile, alert: Alert) -> Iterator[Rule]:
    """Yield the rules of one alert; projects with variables of their own get a rule of their own."""
    special = sorted(_special_projects(file, alert))
    for project in special:
        yield _condition_rule(Translator(alert, file.values(project), projects=(project,)))
    if not alert.projects or set(alert.projects) - set(special):
        yield _condition_rule(Translator(alert, file.values(""), projects=alert.projects, excluded=special))
    if alert.no_data is not NoData.IGNORE:
        yield _no_data_rule(alert)


def _special_projects(file: AlertFile, alert: Alert) -> set[str]:
    named = {variable.name for variable in variables(alert.condition)}
    special = {project for name in named for project in file.variables[name].projects}
    return special & set(alert.projects) if alert.projects else special


def _condition_rule(translator: Translator) -> Rule:
    alert = translator.alert
    threshold = translator.constant(first_comparison(alert.condition).right)
    unit = _unit(alert)
    return {
        "alert": alert.name,
        "expr": translator.condition(),
        **({"for": alert.hold} if alert.hold != "0s" else {}),
        "labels": _labels(alert),
        "annotations": {
            "summary": f"{_SUBJECT}: {alert.name}, {_VALUE}{unit} over {alert.window.text}",
            "description": alert.description or f"{alert.metric}: {alert.condition_text}",
            "value": f"{_VALUE}{unit}",
            "threshold": alert.condition_text if threshold is None else f"{number(threshold)}{unit}",
            "condition": f"{alert.metric}: {alert.condition_text} over {alert.window.text}",
            "runbook_url": alert.runbook,
        },
    }


def _no_data_rule(alert: Alert) -> Rule:
    translator = Translator(alert, {}, projects=alert.projects)
    samples = translator.samples()
    before = f"max_over_time({translator.instant(sample_count(alert))}[{MEMORY}])"
    had_data = f"max by ({PROJECT}, {GROUP}) ({before}) > 0"
    if alert.group_by:  # a group without rows is not exported at all, nor is one of an unreachable project
        expression = f"({had_data} unless {samples} > 0) and on ({PROJECT}) {PROJECT_UP} == 1"
    elif alert.no_data is NoData.ALWAYS:
        expression = f"{samples} == 0"
    else:
        expression = f"{samples} == 0 and {had_data}"
    return {
        "alert": alert.name + NO_DATA_SUFFIX,
        "expr": expression,
        "for": SILENCE_HOLD,
        "labels": {**_labels(alert), "severity": "warning"},
        "annotations": {
            "summary": f"{_SUBJECT}: no data for {alert.name} over {alert.window.text}",
            "description": f"There is no {alert.metric}, so {alert.name} can find nothing.",
            "value": "no data",
            "threshold": "any data",
            "condition": f"{alert.metric}: data over {alert.window.text}",
            "runbook_url": alert.runbook,
        },
    }


def _labels(alert: Alert) -> dict[str, str]:
    # Commas on both sides, so that a route finds one action of several with a plain regular expression.
    return {"severity": alert.severity.value, "scope": "quality", "actions": f",{','.join(alert.actions)},"}


def _unit(alert: Alert) -> str:
    shown = first_comparison(alert.condition).left
    if not isinstance(shown, Aggregate) or shown.function in ("count", "share"):
        return ""
    return _UNITS[find_metric(shown.metric or alert.metric).unit]
