"""What `config/local/stack.yaml` should say of a stack that was taken over: organizations, projects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from scripts.provision.model_base import DisplayName, Identifier, ProjectId

_ADMIN = "admin@example.com"
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Organization:
    """One organization.

    Attributes:
        projects: id and name of each.
        owner: the address of an owner, or empty.
    """

    id: str
    name: str
    projects: tuple[tuple[str, str], ...] = ()
    owner: str = ""


def proposal(organizations: Sequence[Organization]) -> tuple[str, list[str]]:
    """Return the text of the file, and what it cannot describe: that stays on the server as it is."""
    left: list[str] = []
    described = [one for one in organizations if _described(one, left)]
    if not described:
        return "", left
    projects = [
        {"id": project, "name": name, "organization": one.id}
        for one in described
        for project, name in one.projects
        if _fits(f"project {project}", ((ProjectId, project), (DisplayName, name)), left)
    ]
    first, *others = described
    owner = next((one.owner for one in described if one.owner), _ADMIN)
    document = {
        "organization": {"id": first.id, "name": first.name},
        **({"organizations": [{"id": one.id, "name": one.name} for one in others]} if others else {}),
        "admin": {"email": owner},
        "projects": projects,
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True), left


def _described(one: Organization, left: list[str]) -> bool:
    return _fits(f"organization {one.name}", ((Identifier, one.id), (DisplayName, one.name)), left)


def _fits(what: str, values: Sequence[tuple[Any, str]], left: list[str]) -> bool:
    try:
        for kind, value in values:
            TypeAdapter(kind).validate_python(value)
    except ValidationError:
        left.append(_SPACES.sub(" ", what))
        return False
    return True
