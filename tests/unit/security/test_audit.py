"""Known vulnerabilities: what the look-up finds, and what it says where the database is out of reach."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.core.console import Console
from scripts.core.errors import CommandFailed, StackError, UsageError
from scripts.core.runner import Completed, SubprocessRunner
from scripts.develop import audit
from scripts.develop.lock_files import lock_files
from scripts.engines.context import Context
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in

ROOT = Path(__file__).parents[3]
LOCK = """\
jinja2==2.4.1 \\
    --hash=sha256:be80a7a83dc1f2a1f2e3d4c5b6a79887766554433221100ffeeddccbbaa99887
httpx==0.28.1 \\
    --hash=sha256:be80a7a83dc1f2a1f2e3d4c5b6a79887766554433221100ffeeddccbbaa99888
"""
FLAW = {
    "id": "GHSA-test-0001",
    "summary": "templates escape their sandbox",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.8.1"}]}],
        }
    ],
}


class _Database(BaseHTTPRequestHandler):
    """Knows one flaw of one package, in the form of https://google.github.io/osv.dev/post-v1-query/."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"vulns": [FLAW]} if asked["package"]["name"] == "jinja2" else {}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the interface's name
        """Stay quiet."""


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a database that answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Database)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port() -> str:
    """A URL at which nobody answers."""
    return "http://127.0.0.1:1/v1/query"


def context_in(directory: Path, runner: FakeRunner | SubprocessRunner, screen: Screen) -> Context:
    program = directory / audit.PROGRAM
    program.parent.mkdir(parents=True)
    installed = ROOT / audit.PROGRAM
    program.symlink_to(installed) if installed.exists() else program.touch()
    (directory / "requirements").mkdir()
    (directory / "requirements" / "runtime.lock").write_text(LOCK)
    return Context(layout_in(directory), {}, Console({}, screen.out, screen.err), runner)


def test_a_vulnerable_package_is_named_with_the_version_that_is_better(tmp_path: Path, database: str) -> None:
    if not (ROOT / audit.PROGRAM).exists():
        pytest.skip("pip-audit is not installed: make lint or make audit installs it")
    screen = Screen()
    with pytest.raises(StackError, match="1 known vulnerabilities"):
        audit.audit(
            context_in(tmp_path, SubprocessRunner(tmp_path), screen), database=database, required=False
        )
    assert screen.out.getvalue() == "jinja2 2.4.1: GHSA-test-0001; fixed in 2.8.1\n"


def test_packages_without_a_known_flaw_pass(tmp_path: Path, database: str) -> None:
    report = {"dependencies": [{"name": "httpx", "version": "0.28.1", "vulns": []}]}
    screen = Screen()
    runner = FakeRunner({"pip-audit": Completed(0, json.dumps(report))})
    assert audit.audit(context_in(tmp_path, runner, screen), database=database, required=True) == 0
    assert screen.out.getvalue() == "No known vulnerabilities in 1 lock files.\n"


def test_without_the_database_it_says_skipped_and_looks_nothing_up(tmp_path: Path, closed_port: str) -> None:
    screen, runner = Screen(), FakeRunner()
    assert audit.audit(context_in(tmp_path, runner, screen), database=closed_port, required=False) == 0
    assert "skipped: the database" in screen.err.getvalue()
    assert screen.out.getvalue() == ""
    assert runner.calls == []


def test_without_the_database_a_required_look_up_fails(tmp_path: Path, closed_port: str) -> None:
    context = context_in(tmp_path, FakeRunner(), Screen())
    with pytest.raises(StackError, match="cannot be reached"):
        audit.audit(context, database=closed_port, required=True)


def test_a_scan_that_breaks_off_is_no_clean_result(tmp_path: Path, database: str) -> None:
    runner = FakeRunner({"pip-audit": Completed(1, "", "Traceback: out of memory")})
    with pytest.raises(CommandFailed, match="exit code 1"):
        audit.audit(context_in(tmp_path, runner, Screen()), database=database, required=False)


def test_without_the_scanner_the_fix_is_named(tmp_path: Path) -> None:
    context = Context(layout_in(tmp_path), {}, Console(), FakeRunner())
    with pytest.raises(UsageError, match="is not installed") as caught:
        audit.audit(context, database=audit.DATABASE, required=False)
    assert caught.value.fix == "run it with make audit, which installs it."


def test_every_lock_file_of_the_repository_is_looked_up() -> None:
    tracked = {path.relative_to(ROOT).as_posix() for path in lock_files(ROOT)}
    assert {"requirements/runtime.lock", "requirements/dev.lock", "requirements/tools.lock"} <= tracked
    assert {"requirements/exporter.lock", "embedded/requirements.lock"} <= tracked
    assert {"rehearsal/langfuse/requirements.lock", "rehearsal/seaweedfs/requirements.lock"} <= tracked
