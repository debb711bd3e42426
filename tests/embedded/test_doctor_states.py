"""The doctor on stacks in other states: stopped, with backups, behind HTTPS."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from scripts.check.doctor.model import Status

from .backups import FolderRestic, Stack, stack_in
from .doctoring import (
    complaints,
    https_front,
    make_certificate,
    only,
    present,
)
from .exporting import free_port
from .harness import REPOSITORY

WARNING, FAILED = Status.WARNING, Status.FAILED
DAY_S = 86_400

# New certificates and stacks: half a minute in all.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that runs and that the doctor has no complaint about."""
    made = stack_in(tmp_path_factory.mktemp("stack"), FolderRestic(REPOSITORY))
    made.up()
    assert complaints(made.context) == {}
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack that was started and stopped."""
    made = stack_in(tmp_path_factory.mktemp("stopped"), FolderRestic(REPOSITORY))
    made.up()
    made.stop()
    return made


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that runs, with a backup."""
    made = stack_in(tmp_path_factory.mktemp("saved"), FolderRestic(REPOSITORY))
    made.up()
    made.back_up()
    assert complaints(made.context) == {}
    yield made
    made.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for certificates."""
    return tmp_path_factory.mktemp("certificates")


class TestStopped:
    """What is seen of a stack that does not run."""

    def test_that_it_does_not_run_is_the_one_complaint(self, stopped: Stack) -> None:
        assert only(complaints(stopped.context), "langfuse.running", FAILED).fix == "make up"

    def test_a_port_that_somebody_else_holds(self, stopped: Stack) -> None:
        with socket.create_server(("127.0.0.1", int(stopped.context.environment["LANGFUSE_PORT"]))):
            found = complaints(stopped.context)
        complaint = only(found, "network.ports", FAILED, "langfuse.running")
        assert f"(process {os.getpid()})" in complaint.verdict.found
        assert "choose another one" in complaint.fix

    def test_a_damaged_database(self, stopped: Stack) -> None:
        path = stopped.layout.embedded_dir / "events.db"
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
        try:
            found = complaints(stopped.context)
        finally:
            path.write_bytes(whole)
        complaint = only(found, "stores.embedded", FAILED, "langfuse.running")
        assert "events.db" in complaint.verdict.found
        assert "make restore" in complaint.fix

    def test_data_of_a_newer_version(self, stopped: Stack) -> None:
        with closing(sqlite3.connect(stopped.layout.embedded_dir / "state.db")) as db:
            (level,) = db.execute("pragma user_version").fetchone()
            db.execute("pragma user_version=999")
            try:
                found = complaints(stopped.context)
            finally:
                db.execute(f"pragma user_version={level}")
        complaint = only(found, "versions.data", FAILED, "langfuse.running")
        assert "state.db is at 999" in complaint.verdict.found

    def test_a_pid_file_of_another_program(self, stopped: Stack) -> None:
        with present(stopped.layout.embedded_dir / "engine.pid", text=f"{os.getpid()}\n"):
            complaint = only(complaints(stopped.context), "stores.embedded_pid", WARNING, "langfuse.running")
        assert "another program" in complaint.verdict.found
        assert complaint.fix == "rm .stack/embedded/engine.pid"

    def test_long_write_ahead_logs(self, stopped: Stack) -> None:
        path = stopped.layout.embedded_dir / "old.db-wal"
        with path.open("wb") as file:
            file.truncate(600 * 2**20)  # a sparse file
        try:
            found = complaints(stopped.context)
        finally:
            path.unlink()
        complaint = only(found, "stores.embedded_wal", WARNING, "langfuse.running")
        assert "600 MiB" in complaint.verdict.found


class TestBackups:
    """What is seen of a stack with a backup."""

    @contextmanager
    def aged(self, stack: Stack, job: str, hours: float) -> Iterator[None]:
        mark = stack.layout.stack_dir / "heartbeats" / job
        mark.touch()
        os.utime(mark, (time.time() - hours * 3600,) * 2)
        try:
            yield
        finally:
            os.utime(mark)

    def test_one_that_is_too_old(self, saved: Stack) -> None:
        with self.aged(saved, "backup-verify", 0), self.aged(saved, "backup", 30):
            complaint = only(complaints(saved.context), "backup.age", WARNING)
        assert "30 hours" in complaint.verdict.found
        assert "make backup" in complaint.fix

    def test_one_that_was_verified_long_ago(self, saved: Stack) -> None:
        with self.aged(saved, "backup-verify", 10 * 24):
            complaint = only(complaints(saved.context), "backup.verified", WARNING)
        assert "10 days ago" in complaint.verdict.found
        assert complaint.fix == "make backup-verify"

    def test_a_repository_that_is_gone(self, saved: Stack) -> None:
        saved.repository_dir.rename(saved.repository_dir.with_name("away"))
        try:
            complaint = only(complaints(saved.context), "backup.opens", FAILED)
        finally:
            saved.repository_dir.with_name("away").rename(saved.repository_dir)
        assert "any more" in complaint.verdict.found
        assert "BACKUP_REPOSITORY" in complaint.fix

    def test_one_on_the_disk_of_the_data_that_others_rely_on(self, saved: Stack) -> None:
        found = complaints(saved.context, LANGFUSE_BIND_ADDRESS="::")
        complaint = only(found, "backup.place", WARNING, "network.plain_http")
        assert "sftp:" in complaint.fix


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
class TestHttps:
    """A proxy with HTTPS before the engine."""

    def look(
        self, stack: Stack, certificate: Path, *, trusted: bool = True, hsts: bool = True, old: bool = False
    ) -> dict[str, object]:
        with https_front(certificate, hsts=hsts, old=old) as port:
            more = {"SSL_CERT_FILE": str(certificate.with_suffix(".crt"))} if trusted else {}
            return dict(complaints(stack.context, NEXTAUTH_URL=f"https://localhost:{port}", **more))

    def test_a_good_one_is_no_complaint(self, stack: Stack, files: Path) -> None:
        assert self.look(stack, make_certificate(files, "localhost")) == {}

    def test_one_that_nobody_trusts(self, stack: Stack, files: Path) -> None:
        found = self.look(stack, make_certificate(files, "localhost"), trusted=False)
        assert "self-signed" in only(found, "tls.trusted", FAILED).verdict.found

    def test_one_for_another_name(self, stack: Stack, files: Path) -> None:
        found = self.look(stack, make_certificate(files, "zeus.acme.example"))
        complaint = only(found, "tls.names", FAILED)
        assert "mismatch" in complaint.verdict.found
        assert "TLS_DOMAIN" in complaint.fix

    def test_one_that_has_ended(self, stack: Stack, files: Path) -> None:
        ended = make_certificate(files, "localhost", begins_days=-60, ends_days=-1)
        assert "expired" in only(self.look(stack, ended), "tls.trusted", FAILED).verdict.found

    def test_one_that_is_not_renewed(self, stack: Stack, files: Path) -> None:
        old = make_certificate(files, "localhost", begins_days=-89, ends_days=1)
        complaint = only(self.look(stack, old), "tls.ends", WARNING)
        assert "localhost ends" in complaint.verdict.found

    def test_no_word_to_stay_with_https(self, stack: Stack, files: Path) -> None:
        found = self.look(stack, make_certificate(files, "localhost"), hsts=False)
        assert "Strict-Transport-Security" in only(found, "tls.hsts", WARNING).fix

    def test_an_old_protocol(self, stack: Stack, files: Path) -> None:
        found = self.look(stack, make_certificate(files, "localhost"), old=True)
        assert "TLS 1.1" in only(found, "tls.protocol", WARNING).verdict.found

    def test_nobody_there(self, stack: Stack) -> None:
        found = complaints(stack.context, NEXTAUTH_URL=f"https://localhost:{free_port()}")
        complaint = only(found, "tls.answers", FAILED, "network.public_url")
        assert "localhost" in complaint.verdict.found
