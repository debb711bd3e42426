"""All checks, in the order of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scripts.core.errors import UsageError

from .checks import (
    backup,
    capacity,
    configuration,
    docker,
    flow,
    host,
    langfuse,
    network,
    secrets,
    stores,
    tls,
    versions,
)
from .model import Check, Group

CHECKS: tuple[Check, ...] = (
    *host.CHECKS,
    *docker.CHECKS,
    *configuration.CHECKS,
    *secrets.CHECKS,
    *network.CHECKS,
    *stores.CHECKS,
    *langfuse.CHECKS,
    *flow.CHECKS,
    *capacity.CHECKS,
    *backup.CHECKS,
    *tls.CHECKS,
    *versions.CHECKS,
)


def chosen(words: Iterable[str]) -> Sequence[Check]:
    """Return the checks that are named by id or group; all without a name.

    Raises:
        UsageError: a name is neither.
    """
    wanted = list(words)
    known = {check.id for check in CHECKS} | {str(group) for group in Group}
    unknown = [word for word in wanted if word not in known]
    if unknown:
        raise UsageError(
            f"There is no check or group {', '.join(unknown)}.",
            fix=f"use ids of docs/reference/doctor.md or groups: {', '.join(Group)}.",
        )
    return [check for check in CHECKS if not wanted or check.id in wanted or check.group in wanted]
