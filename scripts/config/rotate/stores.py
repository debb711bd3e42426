"""Change a secret where it is kept, and try whether it works.

Passwords go over standard input: in arguments every process list would show them.
"""

# ruff: noqa: S608 - statements are made of constants
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from scripts.api.client import Api
from scripts.api.errors import ApiError
from scripts.core.errors import CommandFailed, StackError
from scripts.core.runner import Completed
from scripts.data.backup.errors import NoRepository, WrongPassword
from scripts.data.backup.repository import Repository
from scripts.engines.base import EngineName
from scripts.engines.compose_members import HASHED, WITH_BCRYPT, WITHOUT_BCRYPT, variable
from scripts.engines.context import Context
from scripts.engines.embedded import EmbeddedEngine, local_url
from scripts.settings.values import Settings
from scripts.stores.s3 import Location, sign

TIMEOUT_S = 60.0
_SEE = "see make doctor ONLY=stores.postgres."
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

_PSQL = (
    'read -r PGPASSWORD; export PGPASSWORD; exec psql --host 127.0.0.1 --username "$POSTGRES_USER"'
    ' --dbname "$POSTGRES_DB" --no-password --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1'
)
_CLICKHOUSE = (
    'read -r P; printf \'http://%s:%s@127.0.0.1:8123/?query=SELECT%%201\' "$CLICKHOUSE_USER" "$P"'
    " | wget -q -T 4 --auth-no-challenge -O - -i -"
)
_VALKEY = "read -r REDISCLI_AUTH; export REDISCLI_AUTH; valkey-cli -h 127.0.0.1 ping | grep -qx PONG"

_SET_USER = f"""
{WITH_BCRYPT}
update users set password = {HASHED} where lower(email) = lower(:'email') returning 1;
{WITHOUT_BCRYPT}
commit;
"""


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one stack."""

    context: Context
    settings: Settings

    def set_postgres_password(self, new: str, candidates: Sequence[str]) -> None:
        """Give the role of the stack a password; one of `candidates` works now.

        Raises:
            StackError: none of them does.
        """
        statement = f"alter role current_user password '{_hex(new)}';\n"
        last = Completed(1)
        for password in candidates:
            last = self._inside("postgres", _PSQL, f"{password}\n{statement}")
            if last.returncode == 0:
                return
        raise CommandFailed(["psql"], last.returncode, last.stderr, fix=_SEE)

    def takes(self, name: str, value: str) -> bool:
        """Return whether the store behind a setting takes a password."""
        if name == "POSTGRES_PASSWORD":
            return self._inside("postgres", _PSQL, f"{value}\nselect 1;\n").returncode == 0
        if name == "CLICKHOUSE_PASSWORD":
            return self._inside("clickhouse", _CLICKHOUSE, f"{value}\n").returncode == 0
        if name == "REDIS_AUTH":
            return self._inside("valkey", _VALKEY, f"{value}\n").returncode == 0
        raise ValueError(f"no store has {name}")

    def takes_keys(self, access_key: str, secret_key: str) -> bool:
        """Return whether the bundled object store takes a pair of keys."""
        import httpx

        endpoint = local_url(self.settings["LANGFUSE_BIND_ADDRESS"], self.settings.integer("S3_PORT"))
        bucket = self.settings["S3_MEDIA_BUCKET"]
        place = Location(endpoint, self.settings["S3_REGION"], bucket, access_key, secret_key)
        query = "list-type=2&max-keys=1"
        headers = sign(place, "GET", f"/{bucket}", query, {}, _EMPTY_SHA256, datetime.now(UTC))
        try:
            answer = httpx.get(f"{endpoint}/{bucket}?{query}", headers=headers, timeout=10, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    def takes_admin_key(self, url: str, key: str) -> bool:
        """Return whether the server takes an admin key."""
        try:
            with Api(url, key, timeout_s=10) as api:
                api.get("/api/admin/bullmq")
        except ApiError:
            return False
        return True

    def set_user_password(self, engine: EngineName, email: str, password: str) -> None:
        """Give a user a password.

        Raises:
            StackError: there is no such user, or the database does not answer.
        """
        if engine is EngineName.EMBEDDED:
            done = self._embedded("provision", json.dumps({"password": password, "of": email}) + "\n")
            if json.loads(done.stdout).get("changed") is None:
                raise _no_user(email)
            return
        statements = f"{_variables(email, password)}{_SET_USER}"
        done = self._inside("postgres", _PSQL, f"{self.settings['POSTGRES_PASSWORD']}\n{statements}")
        if done.returncode != 0:
            raise CommandFailed(["psql"], done.returncode, done.stderr, fix=_SEE)
        if done.stdout.strip() != "1":
            raise _no_user(email)

    def user_has_password(self, engine: EngineName, email: str, password: str) -> bool:
        """Return whether a password is that of a user."""
        if engine is EngineName.EMBEDDED:
            done = self._embedded("provision", json.dumps({"fits": password, "of": email}) + "\n")
            return bool(json.loads(done.stdout).get("fits"))
        statements = (
            f"{_variables(email, password)}{WITH_BCRYPT}"
            "select password = bcrypt.crypt(:'password', password) from users"
            " where lower(email) = lower(:'email');\nrollback;\n"
        )
        done = self._inside("postgres", _PSQL, f"{self.settings['POSTGRES_PASSWORD']}\n{statements}")
        return done.returncode == 0 and done.stdout.strip() == "t"

    def backups(self, password: str) -> Repository:
        """Return the repository of backups, as seen with a password; it is not opened."""
        location = self.settings["BACKUP_REPOSITORY"]
        if ":" not in location:
            location = str((self.context.layout.root / location).resolve())
        cache = self.context.layout.stack_dir / "cache" / "restic"
        return Repository(location, password, self.context.environment, self.context.runner, cache)

    def backups_open(self, password: str) -> bool | None:
        """Return whether a password opens the repository, None where there is none.

        Raises:
            RepositoryError: it cannot be used for another reason.
        """
        try:
            self.backups(password).open(create=False)
        except WrongPassword:
            return False
        except NoRepository:
            return None
        return True

    def _embedded(self, command: str, stdin: str) -> Completed:
        engine = self.context.engine(EngineName.EMBEDDED, self.settings)
        if not isinstance(engine, EmbeddedEngine):
            raise TypeError("the embedded engine is of another kind")
        directory = str(self.context.layout.embedded_dir)
        argv = [engine.python, "-m", engine.module, command, "--data-dir", directory]
        environment = {**self.context.environment, "SALT": self.settings.get("SALT")}
        done = self.context.runner.run(argv, env=environment, stdin=stdin, timeout_s=TIMEOUT_S)
        if done.returncode != 0:
            raise CommandFailed(argv[:4], done.returncode, done.stderr, fix="see make logs.")
        return done

    def _inside(self, service: str, script: str, stdin: str) -> Completed:
        compose = self.context.compose(self.settings)
        return compose.run("exec", "-T", service, "sh", "-c", script, stdin=stdin, timeout_s=TIMEOUT_S)


def _no_user(email: str) -> StackError:
    return StackError(
        f"There is no user {email}.",
        fix="the admin is admin.email of config/stack.yaml; make bootstrap makes members.",
    )


def _hex(password: str) -> str:
    """Return the password; a quote in it would end the SQL string."""
    if "'" in password or "\\" in password:
        raise StackError("The password has a quote or a backslash.", fix="use letters and digits.")
    return password


def _variables(email: str, password: str) -> str:
    """Return the lines with which psql knows both."""
    try:
        return variable("email", email) + variable("password", password)
    except ValueError as error:
        raise StackError("A password cannot span lines.", fix="use one line.") from error
