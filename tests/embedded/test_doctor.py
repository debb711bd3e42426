"""The doctor on the embedded engine: each test breaks one thing and sees one complaint, with its fix."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from scripts.check.doctor import command
from scripts.check.doctor.catalog import CHECKS
from scripts.check.doctor.model import Status
from scripts.check.doctor.sources.history import history_file
from scripts.core.errors import EXIT_FAILED, EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.engines.base import EngineName
from scripts.engines.embedded import EmbeddedEngine
from tests.unit.scripts.fakes import Screen

from .backups import FolderRestic, Stack, stack_in
from .doctoring import (
    complaints,
    edited,
    mode,
    only,
    present,
    time_server,
)
from .exporting import free_port
from .harness import REPOSITORY
from .spans import send, span, span_id, trace_id

WARNING, FAILED = Status.WARNING, Status.FAILED
DAY_S = 86_400


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that runs and that the doctor has no complaint about."""
    made = stack_in(tmp_path_factory.mktemp("stack"), FolderRestic(REPOSITORY))
    made = made.with_environment(EMBEDDED_FAULTS="none")
    made.up()
    assert complaints(made.context) == {}
    yield made
    assert complaints(made.context) == {}, "a test did not put back what it broke"
    made.stop()


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A running stack for one test."""
    made = stack_in(tmp_path / "own", FolderRestic(REPOSITORY))
    made.up()
    yield made
    made.stop()


def env(stack: Stack, pattern: str, text: str) -> AbstractContextManager[None]:
    """Change `.env` for a while."""
    return edited(stack.layout.env_file, pattern, text)


Break = Callable[[Stack], AbstractContextManager[None]]

# What is broken in a file, the complaint, a word of what is found, a word of the fix.
FILES: list[tuple[str, Break, Status, str, str]] = [
    ("secrets.env_mode", lambda s: mode(s.layout.env_file, 0o644), FAILED, "0644", "chmod 600 .env"),
    (
        "secrets.credentials_mode",
        lambda s: mode(s.layout.credentials_dir / "kosmos.env", 0o640),
        FAILED,
        "kosmos.env has mode 0640",
        "chmod -R go= .stack/credentials",
    ),
    ("secrets.data_mode", lambda s: mode(s.layout.embedded_dir, 0o755), WARNING, "0755", "chmod go="),
    (
        "secrets.weak",
        lambda s: env(s, "^BACKUP_PASSWORD=.*", f"BACKUP_PASSWORD={'ab' * 20}"),
        FAILED,
        "BACKUP_PASSWORD",
        "make rotate SECRET=BACKUP_PASSWORD",
    ),
    (
        "secrets.distinct",
        lambda s: env(s, "^REDIS_AUTH=.*", f"REDIS_AUTH={s.context.settings()['POSTGRES_PASSWORD']}"),
        WARNING,
        "POSTGRES_PASSWORD = REDIS_AUTH",
        "make rotate",
    ),
    (
        "secrets.salt",
        lambda s: env(s, "^SALT=.*", f"SALT={'0123456789abcdef' * 2}"),
        WARNING,
        "2 of 2 stored API keys have a hash of another SALT",
        "nothing has to be done",
    ),
    (
        "secrets.retiring",
        lambda s: present(s.layout.credentials_dir / "kosmos.env.retiring", age_s=40 * DAY_S),
        WARNING,
        "40 days",
        "make bootstrap",
    ),
    ("configuration.settings", lambda s: env(s, "", "S3_PORT=many\n"), FAILED, "S3_PORT", "environment.md"),
    (
        "configuration.unknown",
        lambda s: env(s, "", "LANGFUSE_PROT=1\n"),
        WARNING,
        "LANGFUSE_PROT",
        ".env.langfuse",
    ),
    (
        "configuration.stack_file",
        lambda s: edited(s.layout.stack_file, "name: zeus", "nmae: zeus"),
        FAILED,
        "config/stack.yaml",
        "make validate",
    ),
    (
        "configuration.alerts",
        lambda s: present(s.layout.root / "config" / "alerts.yaml", text="alerts: [1"),
        FAILED,
        "config/alerts.yaml",
        "make alerts DRY_RUN=1",
    ),
    (
        "langfuse.projects",
        lambda s: edited(s.layout.stack_file, "", "  - id: athena\n    name: athena\n"),
        WARNING,
        "athena",
        "make bootstrap",
    ),
    (
        "langfuse.admin_key",
        lambda s: env(s, "^ADMIN_API_KEY=.*", f"ADMIN_API_KEY={'0123456789abcdef' * 2}"),
        FAILED,
        "refuses ADMIN_API_KEY",
        "make down",
    ),
    (
        "langfuse.write_mode",
        lambda s: env(s, "", "LANGFUSE_MIGRATION_V4_WRITE_MODE=dual\n"),
        WARNING,
        "acts as events_only",
        "make up",
    ),
    (
        "langfuse.unexpected",
        lambda s: edited(s.layout.embedded_log, "", "Traceback (most recent call last):\n  boom\n"),
        WARNING,
        "1 unexpected",
        "make support-bundle",
    ),
    (
        "capacity.left",
        lambda s: present(s.layout.stack_dir / "verify-x" / "file"),
        WARNING,
        "verify-x",
        "rm -r .stack/verify-*",
    ),
    (
        "backup.restore",
        lambda s: present(s.layout.restore_journal, text="{}"),
        FAILED,
        "killed",
        "make restore",
    ),
    (
        "versions.packages",
        lambda s: present(s.layout.root / "requirements/runtime.lock", text="httpx==0.0.1\n"),
        WARNING,
        "httpx",
        "rm -r .venv",
    ),
]


@pytest.mark.parametrize(
    ("check", "broken", "status", "found", "fix"), FILES, ids=[check for check, *_ in FILES]
)
def test_one_broken_file_is_one_complaint_with_its_fix(
    stack: Stack, check: str, broken: Break, status: Status, found: str, fix: str
) -> None:
    with broken(stack):
        complaint = only(complaints(stack.context), check, status)
    assert found in complaint.verdict.found
    assert fix in complaint.fix


def test_rules_that_are_not_compiled_are_a_warning(stack: Stack) -> None:
    with present(
        stack.layout.root / "config" / "alerts.yaml",
        text=(REPOSITORY / "config" / "alerts.yaml").read_text(),
    ):
        complaint = only(complaints(stack.context), "configuration.compiled", WARNING)
    assert complaint.fix == "make alerts"


def test_secrets_in_version_control_are_a_failure(stack: Stack) -> None:
    root = stack.layout.root
    runner = stack.context.runner
    assert runner.run(["git", "init", "--quiet", str(root)]).returncode == 0
    try:
        assert runner.run(["git", "-C", str(root), "add", "--force", ".env"]).returncode == 0
        complaint = only(complaints(stack.context), "secrets.tracked", FAILED)
    finally:
        shutil.rmtree(root / ".git")
    assert ".env" in complaint.verdict.found
    assert "rotate every secret" in complaint.fix


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_a_failure(stack: Stack) -> None:
    path = stack.layout.credentials_dir / "zeus.env"
    os.chown(path, 12345, -1)
    try:
        complaint = only(complaints(stack.context), "secrets.owner", FAILED)
    finally:
        os.chown(path, os.getuid(), -1)
    assert "zeus.env" in complaint.verdict.found
    assert "chown" in complaint.fix


def test_without_env_file_nothing_fits_the_data(stack: Stack) -> None:
    env_file = stack.layout.env_file
    env_file.rename(env_file.with_name(".env.away"))
    try:
        found = complaints(stack.context)
    finally:
        env_file.with_name(".env.away").rename(env_file)
    complaint = only(found, "configuration.env_file", FAILED, "secrets.salt", "langfuse.admin_key")
    assert "take .env from its backup" in complaint.fix


@pytest.mark.parametrize(
    ("content", "check", "text", "fix"),
    [
        (None, "configuration.env_file", "cannot be read", "backup"),
        (b"SALT=\xff\xfe\n", "configuration.settings", ".env:1): is not NAME=value in UTF-8", "correct"),
    ],
    ids=["a directory", "no text"],
)
def test_an_env_file_that_cannot_be_read_is_a_failure_and_no_crash(
    stack: Stack, content: bytes | None, check: str, text: str, fix: str
) -> None:
    env_file, away = stack.layout.env_file, stack.layout.env_file.with_name(".env.away")
    env_file.rename(away)
    if content is None:
        env_file.mkdir(mode=0o700)
    else:
        env_file.write_bytes(content)
        env_file.chmod(0o600)
    try:
        found = complaints(stack.context)
    finally:
        env_file.rmdir() if content is None else env_file.unlink()
        away.rename(env_file)
    complaint = only(found, check, FAILED, "secrets.salt", "langfuse.admin_key")
    assert text in complaint.verdict.found
    assert fix in complaint.fix


@pytest.mark.parametrize(("ahead_s", "status"), [(5, WARNING), (-90, FAILED)])
def test_a_clock_that_is_off_is_found(stack: Stack, ahead_s: float, status: Status) -> None:
    with time_server(ahead_s) as server:
        complaint = only(complaints(stack.context, TIME_SERVER=server), "host.clock", status)
    seconds = float(complaint.verdict.found.split()[3])
    assert seconds == pytest.approx(abs(ahead_s), abs=1)
    assert ("behind" if ahead_s > 0 else "ahead of") in complaint.verdict.found
    assert "time service" in complaint.fix


def test_a_right_clock_is_no_complaint(stack: Stack) -> None:
    with time_server(0.2) as server:
        assert complaints(stack.context, TIME_SERVER=server) == {}


def test_a_time_server_that_does_not_know_the_time_is_named(stack: Stack) -> None:
    with time_server(0, stratum=16) as server:
        complaint = only(complaints(stack.context, TIME_SERVER=server), "host.clock", WARNING)
    assert "does not know the time itself" in complaint.verdict.found
    assert "TIME_SERVER" in complaint.fix


def test_too_few_open_files_are_a_warning(stack: Stack) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        complaint = only(complaints(stack.context), "host.open_files", WARNING)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "512" in complaint.verdict.found
    assert "ulimit -n" in complaint.fix


def test_a_proxy_before_localhost_is_a_warning_that_hides_its_password(stack: Stack) -> None:
    proxy = "http://hermes:secret-of-hermes@proxy.acme.example:3128"
    complaint = only(complaints(stack.context, HTTP_PROXY=proxy), "network.proxy", WARNING)
    assert "proxy.acme.example" in complaint.verdict.found
    assert "secret-of-hermes" not in complaint.verdict.found
    assert "NO_PROXY" in complaint.fix
    assert complaints(stack.context, HTTP_PROXY=proxy, NO_PROXY="localhost,127.0.0.1") == {}


def test_a_public_url_that_leads_nowhere_is_a_failure(stack: Stack) -> None:
    url = f"http://localhost:{free_port()}"
    complaint = only(complaints(stack.context, NEXTAUTH_URL=url), "network.public_url", FAILED)
    assert url in complaint.verdict.found
    assert "NEXTAUTH_URL" in complaint.fix


def test_plain_http_for_other_machines_is_a_warning(stack: Stack) -> None:
    """A stack that others rely on needs a backup, too."""
    found = complaints(stack.context, LANGFUSE_BIND_ADDRESS="::")
    complaint = only(found, "network.plain_http", WARNING, "backup.exists")
    assert "STACK_PROFILES" in complaint.fix


def test_an_engine_on_another_port_than_set_is_a_failure(stack: Stack) -> None:
    """The public URL follows the port."""
    found = complaints(stack.context, LANGFUSE_PORT=str(free_port()))
    complaint = only(found, "network.address", FAILED, "network.public_url")
    assert complaint.fix == "make down, then make up"


def test_a_refused_key_is_a_failure(own_stack: Stack) -> None:
    keys = own_stack.client("zeus").auth
    assert isinstance(keys, httpx.BasicAuth)
    stored = (own_stack.layout.credentials_dir / "zeus.env").read_text()
    public = next(line for line in stored.splitlines() if line.startswith("LANGFUSE_PUBLIC_KEY="))
    engine = own_stack.context.engine(EngineName.EMBEDDED, own_stack.context.settings())
    engine.revoke([public.partition("=")[2]])
    complaint = only(complaints(own_stack.context), "langfuse.keys", FAILED)
    assert "zeus" in complaint.verdict.found
    assert "make bootstrap" in complaint.fix


def test_an_old_server_with_the_new_sdk_is_a_failure(own_stack: Stack) -> None:
    own_stack.stop()
    old = own_stack.with_environment(EMBEDDED_COMPAT="4.16.0")
    old.up()
    complaint = only(complaints(old.context), "versions.pair", FAILED)
    assert "scores are lost in silence" in complaint.verdict.found
    assert "LANGFUSE_VERSION" in complaint.fix


FAULTS = [
    (
        "flow.span",
        "503:1@/api/public/otel",
        FAILED,
        "refused at write_span: /api/public/otel/v1/traces answers 503",
    ),
    ("flow.score", "503:1@/api/public/scores", FAILED, "refused at write_score"),
    ("flow.media", "503:1@/api/public/media", FAILED, "/api/public/media answers 503"),
    ("flow.visible", "slow:1:800ms@/api/public/otel", WARNING, "to be seen"),
]


@pytest.mark.parametrize(("check", "fault", "status", "found"), FAULTS, ids=[check for check, *_ in FAULTS])
def test_data_that_does_not_flow_is_found_at_its_step(
    stack: Stack, check: str, fault: str, status: Status, found: str
) -> None:
    with stack.client() as client:
        assert client.put("/api/embedded/faults", json={"faults": fault}).is_success
        try:
            complaint = only(complaints(stack.context, CANARY_SLOW_S="1"), check, status)
        finally:
            assert client.put("/api/embedded/faults", json={"faults": "none"}).is_success
    assert found in complaint.verdict.found


def test_a_model_call_that_counts_twice_is_found_also_by_reading_alone(own_stack: Stack) -> None:
    trace, outer, inner = trace_id(), span_id(), span_id()
    now = int(time.time() * 1000)
    call = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o",
        "langfuse.observation.usage_details": '{"input": 3, "output": 5}',
    }
    with own_stack.client() as client:
        send(client, span(trace, "ChatOpenAI", id=outer, start=now, duration=20, attributes=call))
        assert complaints(own_stack.context) == {}
        send(client, span(trace, "openai", id=inner, parent=outer, start=now, attributes=call))
    for read_only in (False, True):
        complaint = only(complaints(own_stack.context, read_only=read_only), "flow.counted_once", WARNING)
        assert f"openai in ChatOpenAI, project kosmos, trace {trace}" in complaint.verdict.found
        assert "langfuse.openai" in complaint.fix


def test_nothing_is_written_when_that_was_asked_for(stack: Stack) -> None:
    with stack.client() as client:
        assert client.put("/api/embedded/faults", json={"faults": "503:1@/api/public/otel"}).is_success
        try:
            assert complaints(stack.context, read_only=True) == {}
            hit = client.get("/api/embedded/faults").json()
        finally:
            assert client.put("/api/embedded/faults", json={"faults": "none"}).is_success
    assert "503" not in {kind for kind, count in dict(hit.get("hits", {})).items() if count}


def test_a_server_that_hangs_is_named_within_the_time_limit(own_stack: Stack) -> None:
    engine = own_stack.context.engine(EngineName.EMBEDDED, own_stack.context.settings())
    assert isinstance(engine, EmbeddedEngine)
    process = engine.find()
    assert process
    os.kill(process.pid, signal.SIGSTOP)
    begin = time.monotonic()
    try:
        found = complaints(own_stack.context)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    complaint = only(found, "langfuse.answers", FAILED)
    assert "does not answer" in complaint.verdict.found
    assert time.monotonic() - begin < 15


def test_a_disk_that_fills_is_a_warning(stack: Stack) -> None:
    used = shutil.disk_usage(stack.layout.stack_dir).used
    looks = [(time.time() - days * DAY_S, used - int(days * 20 * 2**30)) for days in (3, 2, 1)]
    kept = history_file(stack.layout)
    with present(kept, text="".join(f"{json.dumps(one)}\n" for one in looks)):
        complaint = only(complaints(stack.context), "capacity.time_to_full", WARNING)
    assert "full in" in complaint.verdict.found
    assert "make retention" in complaint.fix


def test_old_data_without_a_backup_is_a_warning(own_stack: Stack) -> None:
    with closing(sqlite3.connect(own_stack.layout.embedded_dir / "state.db")) as db:
        db.execute("update projects set created_at = created_at - ?", (9 * DAY_S * 1000,))
        db.commit()
    complaint = only(complaints(own_stack.context), "backup.exists", WARNING)
    assert "9 days old" in complaint.verdict.found
    assert "make backup" in complaint.fix


class TestCommand:
    """What people and programs get."""

    def run(self, stack: Stack, **arguments: object) -> tuple[int, str, str]:
        screen = Screen()
        console = type(stack.context.console)({"CI": "1"}, screen.out, screen.err)
        code = command.doctor(replace(stack.context, console=console), **arguments)  # type: ignore[arg-type]
        return code, screen.out.getvalue(), screen.err.getvalue()

    def test_all_well_ends_with_0(self, stack: Stack) -> None:
        code, out, _ = self.run(stack)
        assert code == EXIT_OK
        assert "0 failed" not in out
        assert out.splitlines()[-1].startswith(f"{len(CHECKS)} checks in ")

    def test_a_warning_ends_with_3_and_a_failure_with_1(self, stack: Stack) -> None:
        with mode(stack.layout.embedded_dir, 0o755):
            assert self.run(stack, only="secrets")[0] == EXIT_WARNINGS
            with mode(stack.layout.env_file, 0o644):
                code, out, _ = self.run(stack, only="secrets")
        assert code == EXIT_FAILED
        assert "  failed   secrets.env_mode: .env has mode 0644" in out
        assert "           fix: chmod 600 .env" in out
        assert "           see: docs/how-to/rotate.md" in out

    def test_json_has_every_check(self, stack: Stack) -> None:
        code, out, _ = self.run(stack, json_output=True)
        document = json.loads(out)
        assert code == EXIT_OK
        assert document["engine"] == "embedded"
        assert document["seconds"] < 15
        checks = {check["id"]: check for check in document["checks"]}
        assert checks["flow.span"]["status"] == "ok"
        assert checks["docker.engine"]["status"] == "skipped"
        assert checks["docker.engine"]["found"] == "for the compose engine only"
        assert sum(document["counts"].values()) == len(checks)

    def test_only_some_are_looked_at(self, stack: Stack) -> None:
        _, out, _ = self.run(stack, json_output=True, only="versions.python,host.cpus")
        assert [check["id"] for check in json.loads(out)["checks"]] == ["host.cpus", "versions.python"]

    def test_an_unknown_check_is_wrong_use(self, stack: Stack) -> None:
        with pytest.raises(UsageError, match=r"no check or group hots"):
            self.run(stack, only="hots")

    def test_safe_fixes_are_shown_then_applied(self, stack: Stack) -> None:
        with mode(stack.layout.env_file, 0o644), mode(stack.layout.credentials_dir / "kosmos.env", 0o666):
            _, _, said = self.run(stack, only="secrets", fix=True, dry_run=True)
            assert "secrets.env_mode: chmod 600 .env" in said
            assert stack.layout.env_file.stat().st_mode & 0o777 == 0o644
            with pytest.raises(UsageError, match="not confirmed"):
                self.run(stack, only="secrets", fix=True)
            assert stack.layout.env_file.stat().st_mode & 0o777 == 0o644
            assert self.run(stack, only="secrets", fix=True, yes=True)[0] == EXIT_OK
            assert stack.layout.env_file.stat().st_mode & 0o777 == 0o600
            assert (stack.layout.credentials_dir / "kosmos.env").stat().st_mode & 0o777 == 0o600

    def test_leftovers_and_stale_rules_are_mended(self, stack: Stack) -> None:
        left = stack.layout.stack_dir / "verify-1"
        left.mkdir()
        (left / "file").touch()
        alerts = stack.layout.root / "config" / "alerts.yaml"
        compiled = stack.layout.root / "config" / "prometheus" / "rules" / "alerts.yaml"
        with present(alerts, text=(REPOSITORY / "config" / "alerts.yaml").read_text()):
            code, _, _ = self.run(stack, fix=True, yes=True)
            assert compiled.read_text() == (REPOSITORY / "config/prometheus/rules/alerts.yaml").read_text()
        assert code == EXIT_OK
        assert not left.exists()
