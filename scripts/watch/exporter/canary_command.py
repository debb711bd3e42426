"""`canary`: write a span and a score now, read them back, say how long that took or what failed."""

from __future__ import annotations

import asyncio

from scripts.api.client import AsyncApi
from scripts.api.keys import ProjectKey, project_keys, why_no_keys
from scripts.core.errors import EXIT_FAILED, EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.engines.context import Context

from .canary import Canary, Result, Run
from .config import ExporterConfig, exporter_config


def canary(context: Context) -> int:
    """The command. Exit code 0: all was read back; 1: something failed; 3: it was slow."""
    config = exporter_config(context)
    keys = project_keys(config.credentials_dir)
    key = next(
        (key for key in keys if key.project == config.canary_project or not config.canary_project), None
    )
    if key is None:
        raise UsageError(
            f"No canary can be written: {why_no_keys(config.credentials_dir)}.",
            fix="run `make up`, which creates projects and keys.",
        )
    outcome = asyncio.run(_run(config, key))
    for step, seconds in outcome.seconds.items():
        context.console.print(f"{step.value:<12} {seconds * 1000:8.0f} ms")
    if outcome.result is Result.OK:
        return EXIT_OK
    where = f" at {outcome.failed.value}" if outcome.failed else ""
    context.console.print(f"{outcome.result.value}{where}: {outcome.detail}")
    if outcome.complete:
        return EXIT_WARNINGS
    context.console.note("fix: make doctor looks at every part; then docs/runbooks/CanaryFailing.md.")
    return EXIT_FAILED


async def _run(config: ExporterConfig, key: ProjectKey) -> Run:
    async with AsyncApi(config.base_url, timeout_s=config.timeout_s) as client:
        return await Canary(client, key, config.canary_deadline_s, config.canary_slow_s).run()
