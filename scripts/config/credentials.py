"""`credentials`: print the key of a project in the form that an application, CI or a cluster takes."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Mapping

from scripts.core.errors import UsageError
from scripts.engines.context import Context
from scripts.provision.credentials import CredentialsStore, stem_of
from scripts.provision.loading import load_stack
from scripts.provision.stack import Project

Variables = Mapping[str, str]
_GITHUB_KINDS = {"LANGFUSE_SECRET_KEY": "secret"}


def as_env(_project: str, variables: Variables) -> str:
    """Return lines for `source` and `env_file:`."""
    return "\n".join(f"{name}={value}" for name, value in variables.items())


def as_json(_project: str, variables: Variables) -> str:
    """Return one JSON object."""
    return json.dumps(dict(variables), indent=2)


def as_kubernetes_secret(project: str, variables: Variables) -> str:
    """Return the manifest of a Secret, for `kubectl apply -f -`."""
    data = {name: base64.b64encode(value.encode()).decode() for name, value in variables.items()}
    lines = [
        "apiVersion: v1",
        "kind: Secret",
        "metadata:",
        f"  name: langfuse-{project.replace('_', '-')}",
        "type: Opaque",
        "data:",
        *(f"  {name}: {value}" for name, value in data.items()),
    ]
    return "\n".join(lines)


def as_github(_project: str, variables: Variables) -> str:
    """Return commands of the GitHub command line: the secret key as a secret, the rest as variables."""
    return "\n".join(
        f"gh {_GITHUB_KINDS.get(name, 'variable')} set {name} --body {shlex.quote(value)}"
        for name, value in variables.items()
    )


FORMATS: Mapping[str, Callable[[str, Variables], str]] = {
    "env": as_env,
    "json": as_json,
    "k8s-secret": as_kubernetes_secret,
    "github": as_github,
}


def credentials(context: Context, *, project: str, key: str, file_format: str) -> int:
    """The command. Raises UsageError for a project, key or format that does not exist."""
    if file_format not in FORMATS:
        raise UsageError(f"There is no format {file_format!r}.", fix=f"use one of {', '.join(FORMATS)}.")
    layout = context.layout
    stack = load_stack(layout.stack_file, layout.shown(layout.stack_file))
    found = _named(project, stack.projects)
    keys = found.all_keys
    chosen = next((one for one in keys if one.name == key), None) if key else keys[0]
    if chosen is None:
        raise UsageError(
            f"Project {found.id} has no key {key!r}.", fix=f"use one of {', '.join(k.name for k in keys)}."
        )
    kept = CredentialsStore(layout.credentials_dir).kept(found.id, stem_of(found, chosen))
    if kept is None:
        raise UsageError(f"Project {found.id} has no key yet.", fix="create it: make bootstrap")
    context.console.print(FORMATS[file_format](found.id, kept.variables()))
    return 0


def _named(name: str, projects: list[Project]) -> Project:
    if not name:
        return projects[0]  # as `make smoke` and the canary take it
    for project in projects:
        if project.id == name:
            return project
    known = ", ".join(project.id for project in projects)
    raise UsageError(f"There is no project {name!r}.", fix=f"choose one with PROJECT=: {known}.")
