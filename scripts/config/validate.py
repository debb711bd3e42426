"""`validate`: check the files of `config/` that people edit, without a server and without secrets."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.core.errors import EXIT_OK, EXIT_USAGE, UsageError
from scripts.data.backup.policy import load_policy
from scripts.data.retention.rules import load_retention
from scripts.engines.context import Context
from scripts.provision.content import Content
from scripts.provision.loading import load_stack
from scripts.watch.alerts.document import load_alerts
from scripts.watch.report.fixed import load_fixed_costs

from .kubernetes.environments import FILE, load_environments


def validate(context: Context) -> int:
    """The command. Every file is looked at; exit code 2 when one of them has problems."""
    code = EXIT_OK
    for check in (stack, alerts, retention, backups, costs, cluster):
        try:
            for line in check(context):
                context.console.print(line)
        except UsageError as error:
            context.console.error(error)
            code = EXIT_USAGE
    return code


def stack(context: Context) -> Iterator[str]:
    """Yield what `config/stack.yaml` and its files describe. Raises UsageError."""
    path, shown = context.layout.edited("stack.yaml")
    for project in load_stack(path, shown).projects:
        counts = {name: len(getattr(project, name)) for name in Content.model_fields}
        counts["dataset items"] = sum(len(dataset.items) for dataset in project.datasets)
        content = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)
        yield f"project {project.id}: {content or 'no content'}"
    yield f"{shown} is valid."


def alerts(context: Context) -> Iterator[str]:
    """Yield what `config/alerts.yaml` describes. Raises UsageError."""
    path, shown = context.layout.edited("alerts.yaml")
    yield f"{shown} is valid: {len(load_alerts(path, shown).alerts)} alerts."


def retention(context: Context) -> Iterator[str]:
    """Yield what `config/retention.yaml` describes. Raises UsageError."""
    path, shown = context.layout.edited("retention.yaml")
    yield f"{shown} is valid: {len(load_retention(path, shown).rules)} rules."


def costs(context: Context) -> Iterator[str]:
    """Yield what `config/costs.yaml` describes. Raises UsageError."""
    path, shown = context.layout.edited("costs.yaml")
    file = load_fixed_costs(path, shown)
    yield f"{shown} is valid: {len(file.subscriptions)} subscriptions, {len(file.free_tiers)} free tiers."


def cluster(context: Context) -> Iterator[str]:
    """Yield what `config/kubernetes.yaml` describes. Raises UsageError."""
    path, shown = context.layout.edited(FILE)
    yield f"{shown} is valid: {len(load_environments(path, shown))} environments."


def backups(context: Context) -> Iterator[str]:
    """Yield what `config/backup.yaml` describes. Raises UsageError."""
    path, shown = context.layout.edited("backup.yaml")
    kept = ", ".join(f"{count} {period}" for period, count in load_policy(path, shown).keep)
    yield f"{shown} is valid: keeps {kept}."
