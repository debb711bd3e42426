"""Report the progress of a start of the compose stack, and explain why it failed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from scripts.core.console import WAITING
from scripts.core.errors import EngineError
from scripts.core.waiting import tail

from .containers import Container

LOG_LINES = 10
CLIENTS = frozenset({"langfuse-web", "langfuse-worker"})
"""Who reaches for the stores."""
# 128 + SIGILL
ILLEGAL_INSTRUCTION = 132
PROBE_LINES = 2

_FOREIGN_FILE = (
    r"[Pp]ermission denied",
    "a file or volume belongs to another user than the container's (docs/reference/compose.md).",
)
# What Docker and Compose say, and what to do about it; the first that matches counts.
DOCKER_HINTS: tuple[tuple[str, str], ...] = (
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
    _FOREIGN_FILE,
)
# The same for what a program in a container says: a host that it does not find is not a registry.
PROGRAM_HINTS: tuple[tuple[str, str], ...] = (
    (r"(?i)no space left on device", "free disk space: docker system df shows what Docker holds."),
    (
        (
            r"password authentication failed|WRONGPASS|AUTHENTICATION_FAILED|invalid username-password"
            r"|P1000|SignatureDoesNotMatch|InvalidAccessKeyId"
        ),
        (
            "a store keeps the password that it was created with: put that one back into .env, or make "
            "destroy; for an external store, set the password that it has."
        ),
    ),
    (
        r"Suspiciously (many|big).*broken parts|TOO_MANY_UNEXPECTED_DATA_PARTS",
        (
            "ClickHouse found more damaged parts than it drops: see 'broken parts' in "
            "docs/how-to/troubleshoot.md."
        ),
    ),
    (
        r"[Dd]irty database version|P3009|P3018",
        "a migration did not finish, and none is applied until that one is: make repair-migration.",
    ),
    (
        r"[Bb]ad file format reading the append only file",
        "a power cut has damaged the end of the file of the queues: make repair-queues, then make up.",
    ),
    (
        r"in 18\+, these Docker images are configured",
        "mount the volume at /var/lib/postgresql: docs/how-to/upgrade.md, ClickHouse and PostgreSQL.",
    ),
    (
        r'exec: \\?"(wget|sh|/bin/sh|grep|python)\\?": (?:executable file not found|stat)',
        r"its image has no \1, which the health check calls (docs/reference/image-versions.md, variants).",
    ),
    _FOREIGN_FILE,
)
# The same for web and worker, the clients of the stores.
CLIENT_HINTS: tuple[tuple[str, str], ...] = (
    (
        (
            r"(?i)ENOTFOUND|EAI_AGAIN|no such host|could not translate host name|name or service not known"
            r"|Can't reach database server|P1001|ECONNREFUSED|connection refused|ETIMEDOUT|i/o timeout"
        ),
        (
            "it does not reach another machine or service: compare DATABASE_URL, CLICKHOUSE_URL, "
            "CLICKHOUSE_MIGRATION_URL, REDIS_HOST and S3_ENDPOINT in .env with what containers reach."
        ),
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
    docker, program, client = [said], [], []
    for container, log in guilty:
        lines.append(f"{container.name}: {container.described()}")
        if container.error:
            lines.append(f"  docker: {container.error}")
            docker.append(container.error)
        probe = tail(container.last_probe, PROBE_LINES) if container.health != "healthy" else []
        last = list(log)[-LOG_LINES:]
        lines += [*(f"  health check: {line}" for line in probe), *(f"  | {line}" for line in last)]
        program += [*probe, *last]
        client += last if container.service in CLIENTS else []
    if not guilty:
        lines = tail(said, 5)
    names = ", ".join(container.name for container, _ in guilty)
    return EngineError(
        f"The containers did not start: {names} failed." if names else "The containers did not start.",
        details=lines,
        fix=_hint([container for container, _ in guilty], docker, program, client),
    )


def _hint(
    guilty: Sequence[Container], docker: Sequence[str], program: Sequence[str], client: Sequence[str]
) -> str:
    """Return what helps against what Docker or, where it started all of them, a program complains of."""
    starved = [one.service for one in guilty if one.out_of_memory]
    if starved:
        variables = ", ".join(MEMORY_VARIABLES.get(name, "its memory limit") for name in starved)
        return f"raise {variables} in .env, or choose a larger STACK_SIZE."
    illegal = [one.service for one in guilty if one.exit_code == ILLEGAL_INSTRUCTION]
    if illegal:
        return (
            f"{illegal[0]} ended with 132, illegal instruction: its image needs a newer processor. In a "
            "virtual machine, give it the host's processor type; else use the image that compose.yaml names "
            "(docs/how-to/troubleshoot.md, ClickHouse)."
        )
    order = [(program, PROGRAM_HINTS), (client, CLIENT_HINTS), (docker, DOCKER_HINTS)]
    if any(one.error for one in guilty):
        order.reverse()
    for spoken, hints in order:
        for pattern, fix in hints:
            found = re.search(pattern, "\n".join(spoken))
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
