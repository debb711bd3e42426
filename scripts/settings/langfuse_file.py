"""Check `.env.langfuse`: every variable in it must reach the server, and be one that the server takes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import yaml

from .envfile import Assignment, EnvFile
from .problem import Problem
from .server_variables import nearest_name, server_variable, server_variables

NAME = ".env.langfuse"
_SERVICES = ("langfuse-web", "langfuse-worker")


def decided_names(compose_file: Path) -> frozenset[str]:
    """Return the variables that compose.yaml sets or names: such an entry wins, and empties what it names."""
    try:
        document = yaml.safe_load(compose_file.read_text(encoding="utf-8"))
        services = [document["services"][name] for name in _SERVICES]
        return frozenset(name for service in services for name in service["environment"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return frozenset()  # Compose itself says what is wrong with that file


def langfuse_file_problems(
    file: EnvFile, settings: Collection[str], decided: Collection[str]
) -> list[Problem]:
    """Return what is wrong in the file; `settings` are the names that belong in `.env`."""
    problems = [
        Problem("a line", f"{NAME}:{number}", "is not NAME=value in UTF-8", "comment it out with #")
        for number in file.unreadable
    ]
    first: dict[str, int] = {}
    for one in file.assignments:
        if not one.value:
            continue
        place = f"{NAME}:{one.line}"
        if one.name in first:
            problems.append(
                Problem(one.name, place, f"is set in line {first[one.name]} already", "keep one of the two")
            )
        first.setdefault(one.name, one.line)
        fault = _fault(one, settings, decided)
        if fault:
            problems.append(Problem(one.name, place, *fault))
    return problems


def _fault(one: Assignment, settings: Collection[str], decided: Collection[str]) -> tuple[str, str] | None:
    name, value = one.name, one.value
    if name in settings:
        return "has no effect in this file", "move it to .env"
    if name in decided:
        return (
            "has no effect here: compose.yaml sets it",
            "see what sets it there; another value belongs in compose.override.yaml",
        )
    if not one.literal and (value[0] in "\"'" or value[-1] in "\"'"):
        return "is wrapped in quotes", "remove the quotes"
    if not one.literal and "$" in value:
        return "contains $, which Docker Compose replaces", "put the value in single quotes"
    variable = server_variable(name)
    if variable is None:
        real = {one for one in server_variables() if not one.endswith("*")}
        meant = nearest_name(name, real)
        # A library of the server may read what its source does not name.
        return (f"is not known to Langfuse; did you mean {meant}", "correct the name") if meant else None
    flaw = variable.check(value)
    return (flaw.reason, flaw.fix) if flaw else None
