"""Say how a start of the compose stack gets on, and why it failed: who, what it said, what helps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from scripts.core.console import WAITING
from scripts.core.errors import EngineError
from scripts.core.waiting import tail

from .compose_parts import Container

LOG_LINES = 10
PROBE_LINES = 2

# What Docker and the stores say, and what to do about it; the first that matches counts.
HINTS: tuple[tuple[str, str], ...] = (
    (r"no space left on device", "free disk space: docker system df shows what Docker holds."),
    (
        r"(?i:range of CPUs) is from [\d.]+ to ([\d.]+)",
        r"this host has \1 CPUs: set the *_CPUS variables in .env to at most that, or choose STACK_SIZE=ci.",
    ),
    (
        r"setting rlimit|error setting rlimits",
        "let the Docker service open 262144 files (LimitNOFILE of its unit), which ClickHouse needs.",
    ),
    (
        r"port is already allocated|address already in use",
        "stop what holds that port, or choose another with LANGFUSE_PORT, S3_PORT, HTTP_PORT or HTTPS_PORT.",
    ),
    (
        r"pull access denied|manifest unknown|no such host|failed to resolve reference|i/o timeout",
        "give this machine access to the registry, or bring the images: make images-load FILE=...",
    ),
    (
        r"password authentication failed|WRONGPASS|AUTHENTICATION_FAILED|invalid username-password",
        "a store keeps the password that it was created with: put that one back into .env, or make destroy.",
    ),
    (
        r"[Dd]irty database version",
        "a migration was interrupted: look at the log of langfuse-web before anything else.",
    ),
    (
        r"[Pp]ermission denied",
        "a file or volume belongs to another user than the container's (docs/reference/compose.md).",
    ),
)


def progress_of(services: Sequence[str], containers: Sequence[Container], said: str) -> dict[str, str]:
    """Return the state of every service in a few words; `said` is what compose has written so far."""
    made = [one for one in containers if one.state != "created"]
    # Of several replicas, one that is not well yet stands for all.
    known = {one.service: one.described() for one in sorted(made, key=lambda one: not one.well)}
    return {name: known.get(name) or pull_state(name, said) or WAITING for name in services}


def pull_state(service: str, said: str) -> str:
    """Return how far the image of a service is, by what compose has written; empty when unknown."""
    words = re.findall(rf"^ ?{re.escape(service)} (Pulling|Pulled)", said, re.MULTILINE)
    return {"Pulling": "pulling the image", "Pulled": "image pulled"}.get(words[-1], "") if words else ""


def start_failure(reports: Sequence[tuple[Container, Sequence[str]]], said: str) -> EngineError:
    """Return the error of a start that failed.

    Args:
        reports: the containers that are not well, each with its last log lines; the guilty ones first.
        said: what compose wrote.
    """
    # Who waits for a sick service is not sick itself.
    guilty = [report for report in reports if report[0].state != "created" or report[0].error]
    lines: list[str] = []
    for container, log in guilty:
        lines.append(f"{container.name}: {container.described()}")
        if container.error:
            lines.append(f"  docker: {container.error}")
        if container.last_probe and container.health != "healthy":
            lines += [f"  health check: {line}" for line in tail(container.last_probe, PROBE_LINES)]
        lines += [f"  | {line}" for line in list(log)[-LOG_LINES:]]
    if not guilty:
        lines = tail(said, 5)
    names = ", ".join(container.name for container, _ in guilty)
    return EngineError(
        f"The containers did not start: {names} failed." if names else "The containers did not start.",
        details=lines,
        fix=_hint([container for container, _ in guilty], "\n".join([*lines, said])),
    )


def _hint(guilty: Sequence[Container], text: str) -> str:
    starved = [one.service for one in guilty if one.out_of_memory]
    if starved:
        variables = ", ".join(MEMORY_VARIABLES.get(name, "its memory limit") for name in starved)
        return f"raise {variables} in .env, or choose a larger STACK_SIZE."
    for pattern, fix in HINTS:
        found = re.search(pattern, text)
        if found:
            return found.expand(fix)
    more = f" More: make logs SERVICE={guilty[0].service}" if guilty else ""
    return f"correct what the lines above name, then run make up again.{more}"


MEMORY_VARIABLES: Mapping[str, str] = {
    "langfuse-web": "WEB_MEMORY",
    "langfuse-worker": "WORKER_MEMORY",
    "postgres": "POSTGRES_MEMORY",
    "clickhouse": "CLICKHOUSE_MEMORY",
    "valkey": "VALKEY_MEMORY",
    "seaweedfs": "S3_MEMORY",
    "caddy": "PROXY_MEMORY",
    "prometheus": "MONITORING_MEMORY",
}
