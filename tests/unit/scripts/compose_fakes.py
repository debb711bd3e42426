"""An engine of Docker Compose without Docker: what the programs are asked, and what they answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.core.runner import Completed
from scripts.engines.compose import ComposeEngine

from .fakes import Answer, FakeRunner, QuietProgress, jumping_clock, layout_in, settings_with

COMPOSE = "docker compose --project-name langfuse-stack"


def container(service: str, state: str = "running", health: str = "healthy", **more: Any) -> dict[str, Any]:
    """What `docker inspect` prints of a container; `more` goes into its State."""
    probe = [{"Output": more.pop("probe")}] if "probe" in more else []
    number = more.pop("number", 1)
    labels = {"com.docker.compose.service": service, "com.docker.compose.container-number": str(number)}
    return {
        "Id": f"{service}-id" if number == 1 else f"{service}-id{number}",
        "RestartCount": more.pop("restarts", 0),
        "Config": {"Labels": labels},
        "HostConfig": {"Memory": more.pop("memory", 0)},
        "NetworkSettings": {"Ports": more.pop("ports", {})},
        "State": {
            "Status": state,
            "Health": {"Status": health, "Log": probe} if health else None,
            "StartedAt": "2026-11-21T08:00:00.123456789Z",
            "ExitCode": more.pop("code", 0),
            **more,
        },
    }


def docker_shows(*containers: dict[str, Any]) -> dict[str, Answer]:
    """Rules of a FakeRunner for an engine that has these containers."""
    ids = "\n".join(one["Id"] for one in containers)
    return {"docker ps": Completed(0, ids), "docker inspect": Completed(0, json.dumps(containers))}


def make_engine(directory: Path, runner: FakeRunner, **settings: str) -> ComposeEngine:
    return ComposeEngine(
        layout_in(directory),
        settings_with(**settings),
        {"PATH": "/bin"},
        runner,
        QuietProgress(),
        clock=jumping_clock(),
    )
