"""Checks of secrets: who can read them, whether they are any good, and whether they fit the data."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from pathlib import Path

from scripts.check.doctor.cipher import NoCipher, WrongKey, decrypt
from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, Check, Repair, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.configuration import Configuration
from scripts.check.doctor.sources.files import Files, credential_paths
from scripts.check.doctor.sources.postgres import Postgres
from scripts.check.doctor.sources.stack import Stack
from scripts.check.doctor.sources.stored_keys import StoredKeys
from scripts.config.rotate.catalog import REFUSED
from scripts.engines.context import Context
from scripts.settings.envfile import FILE_MODE
from scripts.settings.kinds import is_weak

from . import limits

# The parts of a URL are not secrets themselves.
_URLS = ("_URL", "_STRING")


def _env_mode(facts: Facts) -> Verdict:
    env = facts.of(Files).env
    if env is None:
        raise NotGathered("there is no .env")
    if env.open_to_others:
        return failed(f"{env.path} has mode {env.mode:04o}: other users can read the secrets")
    return ok(f"{env.path} can be read by its owner only")


def _owner(facts: Facts) -> Verdict:
    files = facts.of(Files)
    foreign = [one.path for one in (files.env, *files.credentials, *files.data) if one and not one.mine]
    if foreign:
        return failed(f"belongs to another user: {', '.join(foreign[:3])}")
    return ok(".env and .stack belong to this user")


def _credentials_mode(facts: Facts) -> Verdict:
    wide = [one for one in facts.of(Files).credentials if one.open_to_others]
    if wide:
        return failed(", ".join(f"{one.path} has mode {one.mode:04o}" for one in wide[:3]))
    return ok(f"{len(facts.of(Files).credentials)} files and directories of credentials are private")


def _data_mode(facts: Facts) -> Verdict:
    wide = [one for one in facts.of(Files).data if one.open_to_others]
    if wide:
        return warning(", ".join(f"{one.path} has mode {one.mode:04o}" for one in wide))
    return ok("data and logs are private")


def _tracked(facts: Facts) -> Verdict:
    tracked = facts.of(Files).tracked
    if tracked:
        return failed(f"in version control: {', '.join(tracked[:3])}")
    return ok("no secret is in version control")


def _weak(facts: Facts) -> Verdict:
    weak = sorted(name for name, value in _plain(facts).items() if is_weak(value))
    if weak:
        refusal = REFUSED.get(weak[0])
        return failed(
            f"weak or well known: {', '.join(weak)}",
            refusal.instead if refusal else f"make rotate SECRET={weak[0]}",
        )
    return ok("no secret is well known or monotonous")


def _distinct(facts: Facts) -> Verdict:
    names = defaultdict(list)
    for name, value in _plain(facts).items():
        names[value].append(name)
    same = [" = ".join(sorted(group)) for group in names.values() if len(group) > 1]
    if same:
        return warning(f"the same value twice: {', '.join(same)}")
    return ok("every secret is its own")


def _salt(facts: Facts) -> Verdict:
    stored = facts.of(StoredKeys)
    salt = facts.of(Configuration).secrets.get("SALT", "")
    if not stored.ours:
        return skipped("no API key of .stack/credentials is in the database")
    half = hashlib.sha256(salt.encode()).hexdigest()
    wrong = [
        one.public_key
        for one in stored.ours
        if hashlib.sha256(f"{one.secret_key}{half}".encode()).hexdigest() != one.stored_hash
    ]
    if wrong:
        return warning(f"{len(wrong)} of {len(stored.ours)} stored API keys have a hash of another SALT")
    return ok(f"{len(stored.ours)} stored API keys fit this SALT")


def _encryption_key(facts: Facts) -> Verdict:
    encrypted = facts.of(Postgres).answer("encrypted")
    key = facts.of(Configuration).secrets.get("ENCRYPTION_KEY", "")
    if not encrypted:
        return skipped("nothing encrypted is stored yet")
    try:
        for value in encrypted:
            decrypt(str(value), key)
    except NoCipher as error:
        raise NotGathered(str(error)) from error
    except WrongKey:
        return failed("a stored LLM key does not decrypt with this ENCRYPTION_KEY")
    return ok(f"{len(encrypted)} stored LLM keys decrypt")


def _retiring(facts: Facts) -> Verdict:
    days = facts.of(Files).oldest_retiring_days
    if days is None:
        return ok("no replaced API key waits to be revoked")
    text = f"a replaced API key still works after {days:.0f} days"
    return warning(text) if days > limits.RETIRING_KEY_DAYS else ok(text)


def _sign_up(facts: Facts) -> Verdict:
    stack = facts.of(Stack)
    signup = stack.values.get("AUTH_DISABLE_SIGNUP")
    if signup == "false" and stack.reachable_from_outside:
        return warning("anyone who reaches this stack can make an account")
    return ok("nobody can make an account" if signup == "true" else "only this machine reaches the stack")


def _plain(facts: Facts) -> dict[str, str]:
    secrets = facts.of(Configuration).secrets
    plain = {name: value for name, value in secrets.items() if not name.endswith(_URLS)}
    for name, value in secrets.items():
        if name.endswith(_URLS) and (found := re.search(r"://[^:/@]*:([^@/]+)@", value)):
            plain[name] = found[1]
    return plain


def _close_env(context: Context) -> None:
    context.layout.env_file.chmod(FILE_MODE)


def _close_credentials(context: Context) -> None:
    for path in credential_paths(context.layout.credentials_dir):
        _close(path)


def _close_data(context: Context) -> None:
    layout = context.layout
    for path in (layout.stack_dir, layout.embedded_dir, layout.embedded_log.parent):
        if path.exists():
            _close(path)


def _close(path: Path) -> None:
    path.chmod(0o700 if path.is_dir() else FILE_MODE)


CHECKS = (
    Check(
        id="secrets.env_mode",
        looks_at="`.env` can be read by its owner only.",
        fix="chmod 600 .env",
        page="how-to/rotate.md",
        judge=_env_mode,
        repair=Repair(what="chmod 600 .env", apply=_close_env),
    ),
    Check(
        id="secrets.owner",
        looks_at="`.env` and `.stack` belong to the user who runs this.",
        fix="run make as one and the same user; sudo chown -R $USER .env .stack",
        page="how-to/rotate.md",
        judge=_owner,
    ),
    Check(
        id="secrets.credentials_mode",
        looks_at="Credentials files can be read by their owner only.",
        fix="chmod -R go= .stack/credentials",
        page="how-to/rotate.md",
        judge=_credentials_mode,
        repair=Repair(what="chmod -R go= .stack/credentials", apply=_close_credentials),
    ),
    Check(
        id="secrets.data_mode",
        looks_at="Data and logs can be read by their owner only.",
        fix="chmod go= .stack .stack/embedded .stack/logs",
        page="how-to/rotate.md",
        judge=_data_mode,
        repair=Repair(what="chmod go= .stack .stack/embedded .stack/logs", apply=_close_data),
    ),
    Check(
        id="secrets.tracked",
        looks_at="Neither `.env` nor `.stack` is in version control.",
        fix="git rm --cached FILE, then rotate every secret in it: the history keeps it",
        page="how-to/rotate.md",
        judge=_tracked,
    ),
    Check(
        id="secrets.weak",
        looks_at="No secret is one that guides print, or made of very few different characters.",
        fix="make rotate SECRET=<name>; for SALT, ENCRYPTION_KEY and GRAFANA_ADMIN_PASSWORD see the page",
        page="how-to/rotate.md",
        judge=_weak,
    ),
    Check(
        id="secrets.distinct",
        looks_at="No two secrets have the same value.",
        fix="make rotate SECRET=<one of them>",
        page="how-to/rotate.md",
        judge=_distinct,
    ),
    Check(
        id="secrets.salt",
        looks_at="The stored hashes of API keys are made with this SALT: else each first call is slow.",
        fix="nothing has to be done: the first call with each key makes its hash anew; or put the SALT back "
        "that the data was made with (the .env of your backup has it)",
        page="how-to/rotate.md",
        judge=_salt,
    ),
    Check(
        id="secrets.encryption_key",
        looks_at="A stored LLM key decrypts with this ENCRYPTION_KEY.",
        fix="put the ENCRYPTION_KEY back that the data was made with: it is in the .env of your backup",
        page="how-to/rotate.md",
        judge=_encryption_key,
        engines=COMPOSE,
    ),
    Check(
        id="secrets.retiring",
        looks_at="No API key that another has replaced still works after 30 days.",
        fix="make bootstrap, which revokes it",
        page="how-to/rotate.md",
        judge=_retiring,
    ),
    Check(
        id="secrets.sign_up",
        looks_at="Where other machines reach the stack, nobody can make an account.",
        fix="set AUTH_DISABLE_SIGNUP=true in .env, then make up",
        page="how-to/sso.md",
        judge=_sign_up,
        engines=COMPOSE,
    ),
)
