"""External stores as the doctor asks and judges them; tests/scenarios/external_doctor breaks real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from time import time
from typing import Any

import pytest

from scripts.check.doctor.catalog import CHECKS
from scripts.check.doctor.facts import NotGathered, Surroundings
from scripts.check.doctor.model import Result, Status
from scripts.check.doctor.sources import clickhouse, clients, objects, postgres, valkey
from scripts.check.doctor.sources.clickhouse import ClickHouse
from scripts.check.doctor.sources.clients import Clients, DoesNotAnswer
from scripts.check.doctor.sources.objects import Objects
from scripts.check.doctor.sources.postgres import Postgres
from scripts.check.doctor.sources.valkey import Valkey
from scripts.core.console import Console
from scripts.core.runner import Completed
from scripts.engines.base import GIB
from scripts.engines.context import Context
from scripts.settings.envfile import parse_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings_leniently
from tests.unit.scripts.fakes import FakeRunner, layout_in
from tests.unit.stores.test_external import EXTERNAL

from .judging import Given, containers, judge

OK, WARNING, FAILED, SKIPPED = Status.OK, Status.WARNING, Status.FAILED, Status.SKIPPED
SECRETS = ("pass@word", "pass%40word", "obviously-fake", "obviously-fake-too")
IMAGES = {name: f"acme/{name}:1" for name in ("postgres-client", "clickhouse-client", "valkey-client")}
HERE = Clients(IMAGES, frozenset())


def around(directory: Path, runner: FakeRunner, text: str = EXTERNAL) -> Surroundings:
    given = {"LANGFUSE_INIT_USER_PASSWORD": "test-password", "ADMIN_API_KEY": "ad" * 16, "ENGINE": "compose"}
    # What a check of settings refuses, such as a store at 127.0.0.1, may still be in a file.
    settings = load_settings_leniently(SETTINGS, parse_env(text), given)
    context = Context(layout_in(directory), {}, Console({}), runner)
    return Surroundings(context, settings, context.current_engine(settings))


def answering(stdout: str, code: int = 0, stderr: str = "") -> FakeRunner:
    return FakeRunner({"run --rm": Completed(code, stdout, stderr)})


def asked(runner: FakeRunner) -> tuple[list[str], str]:
    """Return the command that asks, and its standard input."""
    ((argv, stdin),) = [
        (call, text) for call, text in zip(runner.calls, runner.inputs, strict=True) if "--rm" in call
    ]
    return argv, stdin


POSTGRES = '@asked\n@here\n100\n@now\n[103]\n@settings\n{"server_version_num":"170012"}\n@open\nfalse\n'


def test_postgresql_is_asked_once_in_a_container_that_is_there_for_it_alone(tmp_path: Path) -> None:
    runner = answering(POSTGRES)
    found = postgres.gather_postgres(around(tmp_path, runner), Given(HERE))
    assert found.external
    assert (found.answer("here"), found.answer("now"), found.answer("open")) == (100, [103], False)
    argv, stdin = asked(runner)
    run = argv.index("run")
    assert argv[run : run + 7] == ["run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "postgres-client"]
    assert not any(secret in word for secret in SECRETS for word in argv)
    with_login, _, rest = stdin.partition("[open]")
    assert "password=pass@word" in with_login
    without_login, _, statements = rest.partition("\n\n")
    assert "host=pg.acme.example" in without_login
    assert "password" not in without_login
    assert statements.startswith("set statement_timeout")


def test_clickhouse_gets_its_login_over_standard_input(tmp_path: Path) -> None:
    rows = json.dumps({"data": [{"version": "26.4.4.38"}]})
    runner = answering(f"@asked\n@server\n{rows}\n")
    text = f"{EXTERNAL}PRIVATE_CA=acme.pem\n"
    found = clickhouse.gather_clickhouse(around(tmp_path, runner, text), Given(HERE))
    assert found.external
    assert found.row("server")["version"] == "26.4.4.38"
    with pytest.raises(NotGathered, match="its operator knows"):
        found.row("disks")
    argv, stdin = asked(runner)
    assert stdin == "https://langfuse:obviously-fake@ch.acme.example:8443/?database=default\n"
    place = argv[argv.index("sh", argv.index("-c")) + 1 :][:4]
    assert place[:3] == [
        "https://ch.acme.example:8443/",
        "ch.acme.example",
        "/etc/langfuse/private-ca/acme.pem",
    ]
    assert place[3] == "clickhouse-client --host ch.acme.example --port 9440 --database default --secure"


def test_valkey_gets_its_password_over_standard_input_and_info_counts_where_config_is_refused(
    tmp_path: Path,
) -> None:
    said = "redis_version:7.2.4\nmaxmemory_policy:volatile-lru\naof_enabled:0\nERR unknown command 'config'\n"
    runner = answering(f"@asked\nhere:5\nnow:5\n{said}open:no\n")
    found = valkey.gather_valkey(around(tmp_path, runner), Given(HERE))
    assert (found.version, found["maxmemory-policy"], found["appendonly"]) == ("7.2.4", "volatile-lru", "no")
    argv, stdin = asked(runner)
    assert stdin == "obviously-fake-too\n"
    assert argv[-5:] == ["", "-h", "valkey.acme.example", "-p", "6379"]
    assert judge("stores.valkey_policy", found).status is FAILED
    assert judge("stores.valkey_aof", found).status is WARNING
    assert "7.2.4" in judge("stores.valkey", found).found


def test_a_cluster_of_valkeys_is_left_to_its_operator(tmp_path: Path) -> None:
    surroundings = around(tmp_path, FakeRunner())
    surroundings.context.layout.langfuse_file.write_text("REDIS_CLUSTER_ENABLED=true\n")
    with pytest.raises(NotGathered, match="REDIS_CLUSTER_ENABLED is not asked: its operator knows"):
        valkey.gather_valkey(surroundings, Given(HERE))


REFUSED = (
    'connection to server at "pg.acme.example", port 5432 failed: FATAL:  password authentication failed'
)


def test_a_store_that_refuses_fails_its_check_and_one_that_cannot_be_asked_does_not(tmp_path: Path) -> None:
    surroundings = around(tmp_path, answering(f"@asked\n@here\n1\n@failed {REFUSED}\n"))
    with pytest.raises(DoesNotAnswer, match="password authentication failed"):
        postgres.gather_postgres(surroundings, Given(HERE))
    broken = around(tmp_path, answering("", 125, "no such network\n"))
    with pytest.raises(NotGathered, match="postgres-client does not start: no such network") as caught:
        postgres.gather_postgres(broken, Given(HERE))
    assert not isinstance(caught.value, DoesNotAnswer)
    absent = Clients(IMAGES, frozenset({IMAGES["postgres-client"]}))
    unasked = FakeRunner()
    with pytest.raises(NotGathered, match=r"acme/postgres-client:1, which asks that store, .* make pull"):
        postgres.gather_postgres(around(tmp_path, unasked), Given(absent))
    assert not any("run" in call for call in unasked.calls), "nothing is pulled"


def test_an_answer_that_is_refused_is_a_complaint_about_the_settings() -> None:
    class Refusing(Given):
        def of(self, kind: type[Any]) -> Any:
            if kind in (Postgres, ClickHouse, Valkey):
                raise DoesNotAnswer("it refuses")
            return super().of(kind)

    for store, setting in (
        ("postgres", "DATABASE_URL"),
        ("clickhouse", "CLICKHOUSE_URL"),
        ("valkey", "REDIS_"),
    ):
        (check,) = [one for one in CHECKS if one.id == f"stores.{store}"]
        verdict = check.judge(Refusing())
        assert (verdict.status, verdict.found) == (FAILED, "it refuses")
        assert setting in verdict.fix


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (containers(), "make up"),
        (replace(containers(internal={"edge": False}), other_owner="/srv/other"), "belong to /srv/other"),
    ],
    ids=["no network", "another checkout"],
)
def test_nothing_is_made_to_ask_a_stack_that_is_not_there(tmp_path: Path, facts: object, reason: str) -> None:
    runner = FakeRunner()
    with pytest.raises(NotGathered, match=reason):
        clients.gather_clients(around(tmp_path, runner), Given(facts))
    assert not any(word in call for word in ("run", "config") for call in runner.calls)


def test_images_that_are_missing_are_known_before_anything_is_asked(tmp_path: Path) -> None:
    services = {name: {"image": image} for name, image in IMAGES.items()}
    runner = FakeRunner(
        {
            "config --format json": Completed(0, json.dumps({"services": services})),
            f"image inspect --format {{{{.Id}}}} {IMAGES['valkey-client']}": Completed(
                1, "", "No such image"
            ),
        }
    )
    found = clients.gather_clients(around(tmp_path, runner), Given(containers(internal={"edge": False})))
    assert found.missing == {IMAGES["valkey-client"]}
    asked_for = next(
        env for call, env in zip(runner.calls, runner.environments, strict=True) if "config" in call
    )
    assert "clients" in (asked_for or {})["COMPOSE_PROFILES"].split(",")
    with pytest.raises(NotGathered, match="no store is external"):
        clients.gather_clients(around(tmp_path, runner, ""), Given(containers(internal={"edge": False})))


def pg(**answers: Any) -> Postgres:
    return Postgres(answers, external=True)


def ch(**answers: Any) -> ClickHouse:
    return ClickHouse(answers, external=True)


def s3(**changed: Any) -> Objects:
    usual: dict[str, Any] = {
        "statuses": {"acme-events": 200},
        "anonymous": {"acme-events": 403},
        "expiry": True,
        "writes": {"acme-events": 200},
        "ahead_s": 0.4,
        "external": True,
    }
    return Objects(**{**usual, **changed})


def settings_row(value: str) -> list[dict[str, str]]:
    return [{"name": "max_server_memory_usage", "value": value}]


CASES: list[tuple[str, tuple[object, ...], Status, str]] = [
    ("stores.writable", (s3(),), OK, "1 buckets"),
    ("stores.writable", (s3(writes={"acme-events": 403}),), FAILED, "acme-events (403)"),
    ("stores.writable", (s3(writes={}),), SKIPPED, "READ_ONLY"),
    ("stores.writable", (s3(external=False),), SKIPPED, "no such store is external"),
    ("stores.objects", (s3(statuses={"acme-events": 403}),), FAILED, "the list of acme-events"),
    ("stores.strangers", (s3(anonymous={"a": 403, "b": 200}),), FAILED, "anyone can list b"),
    ("stores.open", (pg(open=True), ch(open=[{"open": 1}])), FAILED, "PostgreSQL, ClickHouse"),
    ("stores.open", (pg(open=False), Valkey({"open": "no"}, external=True)), OK, "PostgreSQL, Valkey ask"),
    ("stores.rights", (pg(create=[False]),), FAILED, "may not create tables"),
    ("stores.rights", (pg(create=[True]),), OK, "may create tables"),
    ("stores.rights", (Postgres({}),), SKIPPED, "no such store is external"),
    ("stores.clocks", (pg(now=[103], here=100), s3()), OK, "PostgreSQL, S3"),
    ("stores.clocks", (pg(now=[110], here=100),), WARNING, "PostgreSQL is 10 s ahead"),
    ("stores.clocks", (ch(now=[{"now": 60}], here=[{"now": 100}]),), FAILED, "ClickHouse is 40 s behind"),
    ("stores.clocks", (s3(ahead_s=-900.0),), FAILED, "S3 is 900 s behind"),
    ("stores.clickhouse_native", (ch(native=[{"problem": ""}]),), OK, "takes the login"),
    ("stores.clickhouse_native", (ch(native=[{"problem": "Code: 210"}]),), FAILED, "Code: 210"),
    ("stores.clickhouse_native", (ClickHouse({}),), SKIPPED, "no such store is external"),
    ("stores.clickhouse_memory_cap", (ch(server_settings=settings_row("0")),), SKIPPED, "its operator knows"),
    ("stores.clickhouse_memory_cap", (ch(server_settings=settings_row(str(GIB))),), OK, "1024 MiB"),
    ("stores.clickhouse_logs", (ch(),), SKIPPED, "its operator's"),
    ("stores.postgres_utc", (pg(settings={"TimeZone": "Asia/Tokyo"}),), FAILED, "Asia/Tokyo"),
    ("versions.postgres", (pg(settings={"server_version_num": "140011"}),), FAILED, "PostgreSQL 14"),
]


@pytest.mark.parametrize(
    ("check", "facts", "status", "found"),
    CASES,
    ids=[f"{one[0]}-{one[2]}-{n}" for n, one in enumerate(CASES)],
)
def test_what_a_check_says_of_an_external_store(
    check: str, facts: tuple[object, ...], status: Status, found: str
) -> None:
    verdict = judge(check, *facts)
    assert (verdict.status, found in verdict.found) == (status, True), verdict


def test_a_fix_for_an_external_store_is_about_that_store() -> None:
    """Files of this checkout do not configure it."""
    tokyo = {"settings": {"TimeZone": "Asia/Tokyo"}}
    (check,) = [one for one in CHECKS if one.id == "stores.postgres_utc"]
    assert "overrid" in Result(check, judge(check.id, Postgres(tokyo))).fix
    assert "ALTER ROLE" in Result(check, judge(check.id, pg(**tokyo))).fix


@contextmanager
def object_store(refuse: str = "", ahead_s: float = 0.0) -> Iterator[tuple[str, list[str]]]:
    """A store that refuses a method with 403; yield its address, and what it is asked."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            requests.append(f"{self.command} {self.path}")
            signed = "authorization" in {name.lower() for name in self.headers}
            status = 403 if not signed or self.command == refuse else 404 if "lifecycle" in self.path else 200
            body = b"<R xmlns='x'><UploadId>u/1</UploadId></R>" if self.command == "POST" else b""
            self.send_response_only(status)
            self.send_header("date", formatdate(time() + ahead_s, usegmt=True))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = answer  # noqa: N815 - named by the base class, as the next ones
        do_POST = answer  # noqa: N815
        do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    running = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}", requests
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def s3_env(endpoint: str) -> str:
    return (
        f"S3_ENDPOINT={endpoint}\nS3_PUBLIC_ENDPOINT={endpoint}\n"
        "S3_ACCESS_KEY_ID=obviously-fake-key-id\nS3_SECRET_ACCESS_KEY=obviously-fake-secret-key\n"
    )


def test_an_upload_is_begun_and_given_up_and_the_clock_is_read(tmp_path: Path) -> None:
    with object_store(ahead_s=40) as (endpoint, requests):
        found = objects.gather_objects(around(tmp_path, FakeRunner(), s3_env(endpoint)), Given())
    assert set(found.writes.values()) == {200}
    assert found.expiry is False
    assert found.ahead_s == pytest.approx(40, abs=2)
    begun = [line for line in requests if line.startswith("POST")]
    assert begun == [
        f"POST /langfuse-{name}/{objects.PROBE}?uploads=" for name in ("events", "media", "exports")
    ]
    given_up = [line for line in requests if line.startswith("DELETE")]
    assert given_up == [
        line.replace("POST", "DELETE").replace("uploads=", "uploadId=u%2F1") for line in begun
    ]


def test_a_store_that_takes_nothing_and_one_that_may_not_be_written_to(tmp_path: Path) -> None:
    with object_store(refuse="POST") as (endpoint, _):
        found = objects.gather_objects(around(tmp_path, FakeRunner(), s3_env(endpoint)), Given())
        assert set(found.writes.values()) == {403}
        looking = replace(around(tmp_path, FakeRunner(), s3_env(endpoint)), read_only=True)
        assert objects.gather_objects(looking, Given()).writes == {}
    with pytest.raises(DoesNotAnswer, match="does not answer"):
        objects.gather_objects(around(tmp_path, FakeRunner(), s3_env(endpoint)), Given())
    with pytest.raises(NotGathered, match=r"nowhere\.invalid has no address on this machine") as caught:
        objects.gather_objects(around(tmp_path, FakeRunner(), s3_env("http://nowhere.invalid:9000")), Given())
    assert not isinstance(caught.value, DoesNotAnswer)
