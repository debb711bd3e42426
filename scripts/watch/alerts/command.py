"""`alerts`: check config/alerts.yaml, show the plan, compile it for Prometheus and Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.core.errors import EXIT_OK, EXIT_WARNINGS
from scripts.engines.context import Context

from .document import load_alerts
from .model import AlertFile
from .paths import alerts_file, compiled_routing, compiled_rules, secrets_dir, write_compiled
from .queries import plan_queries
from .routing import actions_without_secret, alertmanager_file
from .rules import rule_file
from .series import all_series


def run(context: Context, *, dry_run: bool) -> int:
    """The command. Exit code 0: compiled; 2: the file has problems; 3: compiled, but secrets are missing."""
    path = alerts_file(context)
    file = load_alerts(path, context.layout.shown(path))
    for line in plan(file):
        context.console.print(line)
    targets = {compiled_rules(context): rule_file(file), compiled_routing(context): alertmanager_file(file)}
    for target, text in targets.items():
        changed = not target.exists() or target.read_text(encoding="utf-8") != text
        if changed and not dry_run:
            write_compiled(target, text)
        done = "unchanged" if not changed else "would be written" if dry_run else "written"
        context.console.note(f"{context.layout.shown(target)}: {done}")
    return _warn_of_missing_secrets(context, file)


def plan(file: AlertFile) -> Iterator[str]:
    """Yield the lines that say what is watched and what that costs."""
    for alert in file.alerts:
        per = f" by {alert.group_by}" if alert.group_by else ""
        where = ", ".join(alert.projects) or "all projects"
        actions = ", ".join(alert.actions)
        yield (
            f"{alert.name}: {alert.metric} {alert.condition_text}{per} over {alert.window.text}, "
            f"{where} -> {alert.severity}, {actions}"
        )
    series = all_series(file)
    yield (
        f"{len(file.alerts)} alerts, {len(series)} series, "
        f"{len(plan_queries(series))} queries per project and interval"
    )


def _warn_of_missing_secrets(context: Context, file: AlertFile) -> int:
    mute = list(actions_without_secret(file, secrets_dir(context)))
    for action, reason in mute:
        shown = context.layout.shown(secrets_dir(context) / action.secret)
        context.console.warn(f"action {action.name} cannot send: {shown} is {reason}")
    return EXIT_WARNINGS if mute else EXIT_OK
