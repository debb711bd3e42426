"""A real PostgreSQL for tests, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROLES = ROOT / "config" / "postgres" / "roles.sql"
DATABASE = "langfuse"
PASSWORDS = {
    "langfuse": "admin-password-of-a-test",
    "langfuse_app": "app-password-of-a-test",
    "langfuse_backup": "backup-password-of-a-test",
    "langfuse_monitor": "monitor-password-of-a-test",
}
# What an older stack has: made by the administrator. A quoted name, a serial, an enum, a routine, views.
OLD = """
create type "Role" as enum ('A');
create table "Trace" (id serial primary key, role "Role");
insert into "Trace" (role) values ('A');
create view shown as select * from "Trace";
create materialized view kept as select 1 as one;
create sequence alone;
create function one() returns int language sql as 'select 1';
"""


def _programs() -> Path | None:
    found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), *map(Path, os.environ["PATH"].split(":"))]
    return next((path for path in found if (path / "initdb").exists() and (path / "pg_ctl").exists()), None)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of a test, reached by a socket in its directory."""

    programs: Path
    directory: Path
    user: tuple[str, ...]

    def run(self, *argv: str, role: str = "langfuse", stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program as one of the roles."""
        environment = {
            "PATH": os.environ["PATH"],
            "PGHOST": str(self.directory),
            "PGUSER": role,
            "PGPASSWORD": PASSWORDS[role],
            "PGDATABASE": DATABASE,
            "POSTGRES_APP_PASSWORD": PASSWORDS["langfuse_app"],
            "POSTGRES_BACKUP_PASSWORD": PASSWORDS["langfuse_backup"],
            "MONITOR_PASSWORD": PASSWORDS["langfuse_monitor"],
        }
        return subprocess.run(
            [*self.user, str(self.programs / argv[0]), *argv[1:]],
            env=environment,
            cwd=self.directory,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def ask(self, statement: str, role: str = "langfuse") -> str:
        """Return the answer to a statement; fails when it is refused."""
        done = self.run("psql", "-X", "-Atq", "-v", "ON_ERROR_STOP=1", "-f", "-", role=role, stdin=statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refuses(self, statement: str, role: str) -> str:
        """Return why a statement is refused; fails when it is not."""
        done = self.run("psql", "-X", "-Atq", "-v", "ON_ERROR_STOP=1", "-f", "-", role=role, stdin=statement)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def make_roles(self) -> None:
        """Do what the service `roles` does."""
        done = self.run(
            "psql", "--no-psqlrc", "--quiet", "--no-password", "--file=-", stdin=ROLES.read_text()
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def foreign(self) -> str:
        """Return what in the database does not belong to the server's user."""
        return self.ask(
            "select relname from pg_class where relnamespace = 'public'::regnamespace"
            " and relowner <> 'langfuse_app'::regrole"
            " union all select typname from pg_type where typnamespace = 'public'::regnamespace"
            " and typowner <> 'langfuse_app'::regrole"
            " union all select proname from pg_proc where pronamespace = 'public'::regnamespace"
            " and proowner <> 'langfuse_app'::regrole"
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a PostgreSQL as an older stack left it, with the roles made once."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: the roles are tried by `make rehearse` only")
    user: tuple[str, ...] = ()
    # Short, as the path of a socket has to be, and open to the user that it runs as.
    directory = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    if os.geteuid() == 0:
        # It refuses to run as root.
        if shutil.which("runuser") is None:
            pytest.skip("PostgreSQL does not run as root, and there is no runuser")
        user = ("runuser", "-u", "nobody", "--")
        shutil.chown(directory, "nobody")
    made = Server(programs, directory, user)
    password = directory / "password"
    password.write_text(PASSWORDS["langfuse"])
    password.chmod(0o644)
    data = str(directory / "data")
    done = made.run(
        "initdb", "-D", data, "-U", "langfuse", f"--pwfile={password}", "--auth=scram-sha-256", "--no-sync"
    )
    assert done.returncode == 0, done.stderr
    options = f"-k {directory} -c listen_addresses='' -c fsync=off"
    started = made.run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(directory / "log"), "start")
    assert started.returncode == 0, started.stdout + (directory / "log").read_text()
    try:
        assert made.run("createdb", "--maintenance-db=postgres", DATABASE).returncode == 0
        made.ask(OLD)
        made.make_roles()
        yield made
    finally:
        made.run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(directory, ignore_errors=True)
