"""Organizations and their members in the bundled PostgreSQL: without a licence no API of the server has them.

The rows are those that the server writes when a person signs up and is invited
(web/src/features/auth-credentials/lib/credentialsServerUtils.ts of Langfuse 4.16.0).
"""

# ruff: noqa: S608 - statements are made of constants of this module
from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from .base import KnownTenancy, WantedMember

# The server hashes with bcrypt at cost 12 (bcryptjs); pgcrypto does the same, and leaves nothing behind.
# A statement that fails would be logged with the password in it.
WITH_BCRYPT = """
set log_min_error_statement = 'panic';
set log_statement = 'none';
begin;
create schema bcrypt;
create extension pgcrypto schema bcrypt;
"""
WITHOUT_BCRYPT = """
drop extension pgcrypto;
drop schema bcrypt;
"""
HASHED = "bcrypt.crypt(:'password', bcrypt.gen_salt('bf', 12))"

LIST = """
select json_build_array(org_id, lower(email), role) from organization_memberships
  join users on users.id = user_id where email is not null;
select json_build_array(id, name) from organizations;
"""
_RENAME = "update organizations set name = :'name', updated_at = now() where id = :'organization';\n"
# A role that is given anew counts at once: the server reads it with each request. A user with a password
# keeps it, one of another organization becomes a member of this one, too.
_MEMBER = f"""
insert into organizations (id, name) select :'organization', :'organization_name'
  where not exists (select from organizations where id = :'organization');
insert into users (id, email, name, password)
  select :'user_id', lower(:'email'), :'name', {HASHED}
  where not exists (select from users where lower(email) = lower(:'email'));
insert into organization_memberships (id, org_id, user_id, role)
  select :'membership_id', :'organization', id, :'role' from users where lower(email) = lower(:'email')
  on conflict (org_id, user_id) do update set role = excluded.role, updated_at = now();
"""
# Who was invited before is a member now.
_INVITATIONS = """
select to_regclass('public.membership_invitations') is not null as invitations \\gset
\\if :invitations
delete from membership_invitations where lower(email) = lower(:'email') and org_id = :'organization';
\\endif
"""


def tenancy_from(answer: str) -> KnownTenancy:
    """Return the members and organizations of what LIST answers."""
    rows = [json.loads(line) for line in answer.splitlines() if line]
    members = {(row[0], row[1]): row[2] for row in rows if len(row) == 3}
    return KnownTenancy(None, members, {row[0]: row[1] for row in rows if len(row) == 2})


def renaming(organization_id: str, name: str) -> str:
    """Return what psql has to read to rename an organization. Raises ValueError for several lines."""
    return variable("organization", organization_id) + variable("name", name) + _RENAME


def statements_for(members: Sequence[WantedMember]) -> str:
    """Return what psql has to read to create these members or to set their roles, all or none."""
    return "".join([WITH_BCRYPT, *map(_statements, members), WITHOUT_BCRYPT, "commit;\n"])


def variable(name: str, value: str) -> str:
    """Return the line that sets a variable of psql. Raises ValueError for text of several lines."""
    if any(character in value for character in "\n\r\0"):
        raise ValueError(f"{name} has more than one line")
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"\\set {name} '{escaped}'\n"


def _statements(member: WantedMember) -> str:
    values = {
        "organization": member.organization_id,
        "organization_name": member.organization_name,
        "email": member.email,
        "name": member.name,
        "role": member.role,
        "password": member.password,
        # As long as the server's own, of the same letters.
        "user_id": f"c{secrets.token_hex(12)}",
        "membership_id": f"c{secrets.token_hex(12)}",
    }
    return "".join([*(variable(*one) for one in values.items()), _MEMBER, _INVITATIONS])
