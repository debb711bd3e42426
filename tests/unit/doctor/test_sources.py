"""What sources make of the answers they get."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.check.doctor.cipher import NoCipher, WrongKey, decrypt
from scripts.check.doctor.facts import Facts, Gathering, NotGathered, Source, Surroundings
from scripts.check.doctor.model import Status
from scripts.check.doctor.sources import (
    clickhouse,
    clock,
    containers,
    history,
    inside,
    login,
    postgres,
    valkey,
)
from scripts.check.doctor.sources.login import Issuers
from scripts.check.doctor.sources.objects import expires
from scripts.check.doctor.sources.packages import differences
from scripts.core.console import Console
from scripts.core.errors import CommandTimedOut, StackError
from scripts.core.runner import Completed
from scripts.docker.containers import Published, container_of
from scripts.engines.context import Context
from tests.embedded.doctoring import time_server
from tests.unit.scripts.fakes import FakeRunner, layout_in, settings_with

from .judging import judge

DAY_S = 86_400.0


def surroundings(tmp_path: Path, runner: FakeRunner | None = None) -> Surroundings:
    context = Context(layout_in(tmp_path), {}, Console({}), runner or FakeRunner())
    settings = settings_with(ENGINE="compose")
    return Surroundings(context, settings, context.current_engine(settings))


def test_a_store_that_hangs_is_named_without_the_script_that_was_sent_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(argv: Any, **_: object) -> Completed:
        raise CommandTimedOut(f"`{' '.join(argv)}` did not end within 6 s.")

    around = surroundings(tmp_path)
    monkeypatch.setattr(around.context.runner, "run", hangs)
    store: Any = type("Container", (), {"id": "abc", "service": "clickhouse"})
    with pytest.raises(NotGathered, match=r"^clickhouse does not answer within 6 s$"):
        containers.run_inside(around, store, ["sh", "-c", "SELECT 1"])


INSIDE_V2 = """\
memory.max=1073741824
memory.current=966367641
memory.events=low 0 high 0 max 12 oom 3 oom_kill 2
cpu.max=150000 100000
cpu.stat=usage_usec 5 nr_periods 400 nr_throttled 100 throttled_usec 9
zone=+0000
now=1000060
files=262144
dns clickhouse=172.18.0.3 clickhouse
dns postgres=
"""
INSIDE_V1 = """\
memory.max=9223372036854771712
memory.current=104857600
memory.events=oom_kill_disable 0 under_oom 0 oom_kill 1
cpu.max=-1 100000
cpu.stat=nr_periods 0 nr_throttled 0 throttled_time 0
zone=+0200
now=1000000
files=unlimited
"""


def test_both_versions_of_cgroups_are_read() -> None:
    two = inside.inside_from(INSIDE_V2, 1_000_000)
    assert (two.memory_limit, two.memory_used, two.killed) == (2**30, 966_367_641, 2)
    assert (two.cpu_limit, two.throttled, two.ahead_s) == (1.5, 0.25, 60)
    assert two.resolved == {"clickhouse": True, "postgres": False}
    one = inside.inside_from(INSIDE_V1, 1_000_000)
    assert (one.memory_limit, one.cpu_limit, one.killed, one.files) == (0, 0.0, 1, 0)
    nothing = inside.inside_from("", 1_000_000)
    assert (nothing.memory_limit, nothing.cpu_limit) == (None, None)


def test_answers_of_postgresql_are_told_apart_also_when_a_table_is_missing() -> None:
    text = '@settings\n{"TimeZone": "UTC"}\n@migrations\n@keys\n{}\n'
    assert postgres.parse_marked(text) == {"settings": {"TimeZone": "UTC"}, "keys": {}}
    with pytest.raises(NotGathered, match="question about migrations"):
        postgres.Postgres(postgres.parse_marked(text)).answer("migrations")


def test_answers_of_clickhouse_are_told_apart_also_when_one_fails() -> None:
    rows = json.dumps({"data": [{"version": "26.4.4.38"}]})
    answers = clickhouse.parse(f"@server\n{rows}\n@migrations\n@parts\n{json.dumps({'data': []})}")
    assert answers == {"server": [{"version": "26.4.4.38"}], "parts": []}


def test_the_words_of_valkey_are_read() -> None:
    said = valkey.parse("# Memory\r\nused_memory:12\r\nappendonly:yes:\nmaxmemory:1024:\n")
    assert said == {"used_memory": "12", "appendonly": "yes", "maxmemory": "1024"}


SEAWEEDFS = """{
  "locations":  [
    { "locationPrefix":  "/buckets/langfuse-media/" },
    { "locationPrefix":  "/buckets/langfuse-events/", "ttl":  "30d" }
  ]
}"""


def test_the_expiry_of_a_bucket_is_found_in_what_seaweedfs_prints() -> None:
    assert expires(SEAWEEDFS, "langfuse-events")
    assert not expires(SEAWEEDFS, "langfuse-media")
    assert not expires("> ", "langfuse-events")


def test_a_container_is_read_from_what_docker_prints() -> None:
    row: dict[str, Any] = {
        "Id": "abc",
        "Name": "/acme-langfuse-web-1",
        "Image": "sha256:1",
        "RestartCount": 2,
        "State": {
            "Status": "running",
            "ExitCode": 0,
            "OOMKilled": False,
            "StartedAt": "2026-11-21T07:00:00.123456789Z",
            "Health": {"Status": "unhealthy", "Log": [{"Output": "old"}, {"Output": "refused\n"}]},
        },
        "Config": {
            "Image": "docker.io/langfuse/langfuse:4.59.0",
            "Env": ["TZ=UTC", "A=b=c"],
            "Cmd": ["node"],
            "Labels": {"com.docker.compose.service": "langfuse-web"},
        },
        "HostConfig": {"Memory": 1024, "NanoCpus": 1_500_000_000},
        "NetworkSettings": {
            "Ports": {"3000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "3000"}], "9/udp": None}
        },
    }
    found = container_of(row)
    assert (found.service, found.health, found.last_probe) == ("langfuse-web", "unhealthy", "refused")
    assert (found.memory_limit, found.cpu_limit, found.restarts) == (1024, 1.5, 2)
    assert found.environment == {"TZ": "UTC", "A": "b=c"}
    assert found.ports == (Published("127.0.0.1", 3000, 3000),)
    assert found.started == datetime(2026, 11, 21, 7, tzinfo=UTC)


def test_a_disk_that_fills_by_a_gib_a_day_is_full_when_the_rest_is_used() -> None:
    gib = 2**30
    used = [(day * DAY_S, (10 + day) * gib) for day in range(5)]
    assert history.DiskHistory(used).days_until(20 * gib) == pytest.approx(6.0)
    assert history.DiskHistory(used[:1]).days_until(20 * gib) is None
    assert history.DiskHistory([(0.0, gib), (3600.0, 2 * gib)]).days_until(20 * gib) is None, (
        "an hour is not a trend"
    )
    assert history.DiskHistory(list(reversed([(-t, s) for t, s in used]))).days_until(20 * gib) is None


def test_packages_are_compared_with_the_pins_of_this_system() -> None:
    lock = (
        "httpx==0.0.1 \\\n    --hash=sha256:00\nno-such-package-zeus==1.0\n"
        "pywin32==1 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    )
    found = differences(lock)
    assert len(found) == 2
    assert found[0].startswith("httpx ")
    assert found[1] == "no-such-package-zeus is missing"


def test_the_clock_is_compared_with_a_time_server() -> None:
    with time_server(12.5) as server:
        assert clock.ask(server) == pytest.approx(12.5, abs=0.5)
    with (
        time_server(0, stratum=0) as server,
        pytest.raises(ValueError, match="does not know the time itself"),
    ):
        clock.ask(server)


def test_a_silent_time_server_is_an_error_within_the_time_limit() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            clock.ask(f"127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begin < clock.TIMEOUT_S + 1


def test_a_stored_value_decrypts_with_its_key_only() -> None:
    """`secrets.encryption_key`, over a value in the server's form."""
    ciphers = pytest.importorskip(
        "cryptography.hazmat.primitives.ciphers.aead", reason="the package cryptography is not installed"
    )
    key, iv = "0d" * 32, bytes(range(12))
    sealed = ciphers.AESGCM(bytes.fromhex(key)).encrypt(iv, b"sk-of-a-provider", None)
    stored = f"{iv.hex()}:{sealed[:-16].hex()}:{sealed[-16:].hex()}"
    assert decrypt(stored, key) == "sk-of-a-provider"
    for wrong in ("0e" * 32, "zz", ""):
        with pytest.raises(WrongKey):
            decrypt(stored, wrong)
    with pytest.raises(WrongKey):
        decrypt("no:cipher", key)
    from scripts.check.doctor.sources.configuration import Configuration

    known = Configuration((), True, "", (), "", (), "", (), (), {"ENCRYPTION_KEY": key})
    answers = postgres.Postgres({"encrypted": [stored]})
    assert judge("secrets.encryption_key", known, answers).status is Status.OK
    other = replace(known, secrets={"ENCRYPTION_KEY": "0e" * 32})
    complaint = judge("secrets.encryption_key", other, answers)
    assert complaint.status is Status.FAILED
    assert "does not decrypt" in complaint.found


def test_without_the_package_that_decrypts_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(NoCipher, match="cryptography is not installed"):
        decrypt("00:00:00", "00" * 32)


@contextmanager
def provider(documents: dict[str, Any]) -> Iterator[str]:
    """A small OpenID Connect provider: discovery documents by path; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = documents.get(self.path)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    running = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def test_an_issuer_is_discovered_and_its_mistakes_are_named() -> None:
    """`langfuse.issuer`: what a sign-in needs before a browser is sent anywhere."""
    documents: dict[str, Any] = {}
    with provider(documents) as base:
        endpoints = {name: f"{base}/{name}" for name in login.ENDPOINTS}
        where = "/.well-known/openid-configuration"
        documents[f"/realms/acme{where}"] = {"issuer": f"{base}/realms/acme", **endpoints}
        documents[f"/slash{where}"] = {"issuer": f"{base}/slash/", **endpoints}
        documents[f"/bare{where}"] = {"issuer": f"{base}/bare", "token_endpoint": "x"}
        documents[f"/text{where}"] = b"hello"
        documents[f"/other{where}"] = {"issuer": "https://login.acme.example", **endpoints}

        def ask(path: str) -> str:
            return login.problem_of(f"{base}{path}", login.from_here)

        assert ask("/realms/acme") == ""
        assert ask("/slash") == "", "Langfuse reads the name from the document"
        assert "openid-configuration cannot be read: it answers 404" in ask("/slash/")
        assert "calls itself 'https://login.acme.example'" in ask("/other")
        assert "has no authorization_endpoint, jwks_uri" in ask("/bare")
        assert "is not JSON" in ask("/text")
        wrong = Issuers({"AUTH_CUSTOM_ISSUER": ask("/other"), "AUTH_OKTA_ISSUER": ""})
    assert "does not answer" in ask("")
    verdict = judge("langfuse.issuer", wrong)
    assert verdict.status is Status.FAILED
    assert verdict.found.startswith("AUTH_CUSTOM_ISSUER: the provider calls itself")
    assert judge("langfuse.issuer", Issuers({"AUTH_CUSTOM_ISSUER": ""})).status is Status.OK
    assert judge("langfuse.issuer", Issuers({})).status is Status.SKIPPED


@pytest.mark.parametrize("program", ["node", "wget"])
def test_a_container_asks_with_what_it_has(tmp_path: Path, program: str) -> None:
    """Langfuse's image has Node.js, which trusts what web trusts; another may have wget only."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    (tmp_path / program).symlink_to(found)

    def ask(url: str) -> subprocess.CompletedProcess[str]:
        argv = ["/bin/sh", "-c", login.INSIDE, "sh", url]
        return subprocess.run(
            argv, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=30
        )

    with provider({"/here": {"issuer": "acme"}}) as base:
        assert json.loads(ask(f"{base}/here").stdout) == {"issuer": "acme"}
        nowhere = ask(f"{base}/nowhere")
    assert nowhere.returncode != 0
    assert "404" in nowhere.stderr
    away = ask(base)
    assert away.returncode != 0
    assert "refused" in away.stderr.lower()


class TestGathering:
    """Sources in threads: each once, each within its time limit."""

    def test_a_source_is_asked_once_however_many_want_it(self, tmp_path: Path) -> None:
        asked: list[int] = []

        def gather(_surroundings: Surroundings, _facts: Facts) -> str:
            asked.append(1)
            return "found"

        gathering = Gathering(surroundings(tmp_path), {str: Source(gather, 5)})
        assert [gathering.of(str) for _ in range(3)] == ["found"] * 3
        gathering.close()
        assert asked == [1]

    def test_one_that_hangs_holds_up_nothing_but_itself(self, tmp_path: Path) -> None:
        over = threading.Event()

        def hangs(_surroundings: Surroundings, _facts: Facts) -> str:
            over.wait(20)
            return "late"

        sources = {str: Source(hangs, 0.2), int: Source(lambda _s, _f: 7, 5)}
        gathering = Gathering(surroundings(tmp_path), sources)
        gathering.start_all()
        assert gathering.of(int) == 7
        with pytest.raises(NotGathered, match=r"no answer within 0\.2 s"):
            gathering.of(str)
        over.set()
        gathering.close()

    def test_an_expected_failure_is_the_reason_and_a_bug_is_not_hidden(self, tmp_path: Path) -> None:
        def refuses(_surroundings: Surroundings, _facts: Facts) -> str:
            raise StackError("Docker is not there.")

        def bug(_surroundings: Surroundings, _facts: Facts) -> int:
            raise KeyError("zeus")

        gathering = Gathering(surroundings(tmp_path), {str: Source(refuses, 5), int: Source(bug, 5)})
        with pytest.raises(NotGathered, match=r"Docker is not there\."):
            gathering.of(str)
        with pytest.raises(KeyError, match="zeus"):
            gathering.of(int)
        gathering.close()

    def test_a_source_may_want_another_one(self, tmp_path: Path) -> None:
        sources = {
            str: Source(lambda _s, facts: f"{facts.of(int)} gods", 5),
            int: Source(lambda _s, _f: 12, 5),
        }
        gathering = Gathering(surroundings(tmp_path), sources)
        assert gathering.of(str) == "12 gods"
        gathering.close()


@pytest.mark.parametrize(
    ("engine", "compose", "problem", "answers"),
    [
        ("24.0.7", "2.26.1", "Docker 24.0.7 is older than 25.0", False),
        ("26.1.5", "v2.20.3", "Docker Compose v2.20.3 is older than 2.25", True),
        ("26.1.5", None, "Docker has no compose plugin", True),
    ],
)
def test_a_compose_that_cannot_be_used_is_told_from_a_docker_that_cannot(
    tmp_path: Path, engine: str, compose: str | None, problem: str, answers: bool
) -> None:
    runner = FakeRunner(
        {
            "docker version --format {{.Server": Completed(0, engine),
            "compose version": Completed(0, compose) if compose else Completed(1, "", "unknown command"),
        }
    )
    found = containers.gather_docker(surroundings(tmp_path, runner), None)  # type: ignore[arg-type]
    assert (found.problem, found.answers) == (problem, answers)


def test_a_docker_that_is_not_installed_is_a_fact_and_no_failure(tmp_path: Path) -> None:
    runner = FakeRunner({"docker": StackError("The program docker was not found.")})
    found = containers.gather_docker(surroundings(tmp_path, runner), None)  # type: ignore[arg-type]
    assert found.problem == "Docker is not installed or does not answer"
    runner = FakeRunner({"docker version": Completed(1, "", "Cannot connect")})
    assert (
        containers.gather_docker(surroundings(tmp_path, runner), None).problem == "no Docker engine answers"
    )  # type: ignore[arg-type]
