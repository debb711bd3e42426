"""What an operator provisions beside a running engine or not: projects, keys and members, as JSON lines.

A line is one of
    {"organizationId", "organizationName", "projectId", "projectName", "publicKey", "secretKey", "user"}
        create what is missing; key and user may be left out, or the project where only a user is wanted.
        `user` is {email, name, password, role}.
    {"revoke": public key}
    {"update": project id, "name", "metadata"}
    {"organization": organization id, "name"}
        rename it.
    {"remove": e-mail, "organizationId"}
    {"password": new password, "of": e-mail}
    {"fits": password, "of": e-mail}
        say whether it is the user's password; nothing is changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from .config import InitialProject, InitialUser
from .errors import ConfigError
from .store.state import StateStore
from .store.tenancy import Tenancy


def provision(data_dir: Path, salt: str, lines: TextIO, out: TextIO) -> int:
    """Carry out the lines, and write one line each with what was done. A running engine sees it at once.

    Raises:
        ConfigError: a line cannot be used. Lines before it have been applied.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = StateStore(data_dir, salt)
    try:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                out.write(json.dumps(_carry_out(state.tenancy, _row(line, number), number)) + "\n")
    finally:
        state.close()
    return 0


def show_tenancy(data_dir: Path, out: TextIO) -> int:
    """Write the projects and members as one line of JSON; nothing secret is among them."""
    state = StateStore(data_dir, "")
    try:
        projects = [state.tenancy.project(one) for one in state.tenancy.project_ids()]
        answer = {
            "projects": [
                {
                    "id": one.id,
                    "name": one.name,
                    "metadata": one.metadata,
                    "organizationId": one.organization_id,
                }
                for one in projects
                if one
            ],
            "members": state.tenancy.members(),
            "organizations": state.tenancy.organizations(),
        }
    finally:
        state.close()
    out.write(json.dumps(answer) + "\n")
    return 0


def _carry_out(tenancy: Tenancy, row: dict[str, Any], number: int) -> dict[str, Any]:
    try:
        if "revoke" in row:
            return {"revoked": row["revoke"] if tenancy.revoke_key(row["revoke"]) else None}
        if "update" in row:
            done = tenancy.update_project(row["update"], row["name"], row["metadata"])
            return {"updated": row["update"] if done else None}
        if "organization" in row:
            done = tenancy.rename_organization(row["organization"], str(row["name"]))
            return {"renamed": row["organization"] if done else None}
        if "remove" in row:
            done = tenancy.remove_member(row["organizationId"], row["remove"])
            return {"removed": row["remove"] if done else None}
        if "password" in row:
            done = tenancy.set_password(row["of"], row["password"])
            return {"changed": row["of"] if done else None}
        if "fits" in row:
            return {"fits": tenancy.login(row["of"]).fits(row["fits"])}
        wanted = _wanted(row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"line {number} of the input does not describe a project ({type(error).__name__}: {error}): "
            "give organizationId, organizationName, projectId and projectName"
        ) from None
    return {"projectId": wanted.project_id, "created": tenancy.provision(wanted)}


def _row(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"line {number} of the input is not JSON ({error})") from None
    if not isinstance(row, dict):
        raise ConfigError(f"line {number} of the input is not a JSON object")
    return row


def _wanted(row: dict[str, Any]) -> InitialProject:
    user = row.get("user")
    only_member = user is not None and "projectId" not in row
    return InitialProject(
        organization_id=row["organizationId"],
        organization_name=row["organizationName"],
        project_id=None if only_member else row["projectId"],
        project_name=None if only_member else row["projectName"],
        public_key=row.get("publicKey"),
        secret_key=row.get("secretKey"),
        user=InitialUser(user["email"].lower(), user["name"], user["password"], user.get("role", "OWNER"))
        if user
        else None,
    )
