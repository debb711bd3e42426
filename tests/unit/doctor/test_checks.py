"""Checks of what a test cannot break for real: large hardware, old versions, hours of waiting."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from scripts.check.doctor.catalog import CHECKS
from scripts.check.doctor.facts import NotGathered
from scripts.check.doctor.model import Status
from scripts.check.doctor.sources.calls import Calls, Twice
from scripts.check.doctor.sources.certificates import Certificates
from scripts.check.doctor.sources.clickhouse import ClickHouse
from scripts.check.doctor.sources.clock import Clock
from scripts.check.doctor.sources.compose_model import ComposeModel
from scripts.check.doctor.sources.containers import docker_from
from scripts.check.doctor.sources.embedded import EmbeddedData
from scripts.check.doctor.sources.files import Files
from scripts.check.doctor.sources.flow import Media
from scripts.check.doctor.sources.lock import ImagesLock
from scripts.check.doctor.sources.logs import Logs, find
from scripts.check.doctor.sources.objects import Objects
from scripts.check.doctor.sources.pinned import PinnedImages
from scripts.check.doctor.sources.postgres import Postgres
from scripts.check.doctor.sources.valkey import Valkey
from scripts.docker.containers import Container
from scripts.docker.images_lock import Locked
from scripts.docker.mounts import Problem
from scripts.docker.pause import Rest
from scripts.engines.base import GIB, MIB
from scripts.images.pinned import read_pinned

from .judging import (
    Given,
    backups,
    configuration,
    container,
    containers,
    disk,
    docker,
    insides,
    judge,
    machine,
    server,
    stack,
)

OK, WARNING, FAILED, SKIPPED = Status.OK, Status.WARNING, Status.FAILED, Status.SKIPPED
SHA = "sha256:" + "ab" * 32
PUBLIC_MEDIA = "https://s3.acme.example/media/x?X-Amz-Signature=1"
GATE = "LANGFUSE_BACKGROUND_MIGRATION_V4_ENABLE_HISTORIC_BACKFILL"


def unfinished(**change: object) -> dict[str, object]:
    return {"name": "backfill", "failed": False, "reason": None, "claimed": False, "gate": None} | change


def postgres(**answers: object) -> Postgres:
    return Postgres(answers)


def clickhouse(**answers: list[dict[str, object]]) -> ClickHouse:
    return ClickHouse(answers)


def pinned(today: str = "2026-12-01") -> PinnedImages:
    return PinnedImages(read_pinned(), date.fromisoformat(today))


def clickhouse_image(tag: str) -> Container:
    return container("clickhouse", image=f"docker.io/clickhouse/clickhouse-server:{tag}")


def next_start(tag: str) -> ComposeModel:
    """Return a stack whose compose files name this ClickHouse."""
    return ComposeModel(services={"clickhouse": {"image": f"docker.io/clickhouse/clickhouse-server:{tag}"}})


ASIDE = "ClickhouseWriter: ClickHouse refuses {} events_full record(s), set aside: []: overflow\n"


def cap(size: int) -> list[dict[str, object]]:
    return [{"name": "max_server_memory_usage", "value": str(size)}]


def table(name: str, size: int, *, database: str = "system", expires: int = 1) -> dict[str, object]:
    return {"database": database, "name": name, "bytes": str(size), "expires": expires}


def objects(*, anonymous: int = 403, status: int = 200) -> Objects:
    return Objects({"langfuse-events": status, "langfuse-media": 200}, {"langfuse-media": anonymous}, True)


def embedded(size: int) -> EmbeddedData:
    return EmbeddedData(True, {}, (), {}, {}, {}, size, 0, "", 0.0)


def clock(synchronized: bool | None) -> Clock:
    return Clock("", None, "", synchronized)


WEB, WORKER = container("langfuse-web"), container("langfuse-worker")
CH = container("clickhouse", memory_limit=2 * GIB)

# Check, facts, how it ends, a word of what was found.
CASES: list[tuple[str, tuple[object, ...], Status, str]] = [
    ("host.memory", (stack(), machine()), OK, "64.0 GiB"),
    (
        "host.memory",
        (stack(STACK_SIZE="large"), machine(memory=16 * GIB)),
        WARNING,
        "the size large wants 56.0",
    ),
    ("host.memory_available", (machine(),), OK, "32768 MiB"),
    ("host.memory_available", (machine(memory_available=100 * MIB),), WARNING, "100 MiB"),
    ("host.disk", (machine(disk=disk(100 * GIB)),), OK, "100.0 GiB"),
    ("host.disk", (machine(disk=disk(4 * GIB, 50 * GIB)),), WARNING, "(8%)"),
    ("host.disk", (machine(disk=disk(4 * GIB, 10 * GIB)),), OK, "(40%)"),
    ("host.disk", (machine(disk=disk(10 * GIB, 500 * GIB)),), FAILED, "(2%)"),
    ("host.disk", (machine(disk=disk(200 * MIB, GIB)),), FAILED, "0.2 GiB"),
    ("host.inodes", (machine(disk=disk(GIB, inodes_free=50)),), WARNING, "5%"),
    ("host.inodes", (machine(disk=disk(GIB, inodes=0, inodes_free=0)),), SKIPPED, "no fixed number"),
    ("host.writable", (Files(None, (), (), (), False, None),), FAILED, "cannot be written"),
    ("host.clock_kept", (clock(True),), OK, "kept"),
    ("host.clock_kept", (clock(False),), WARNING, "no time service"),
    ("host.container_clock", (insides(clickhouse={"ahead_s": 3600.0}),), FAILED, "clickhouse is +3600 s off"),
    ("host.container_clock", (insides(clickhouse={"ahead_s": 1.0}),), OK, "1 containers"),
    ("host.docker_memory", (stack(), docker(memory=2 * GIB)), WARNING, "2.0 GiB; the size small wants 12.0"),
    (
        "docker.compose",
        (docker(problem="Docker Compose 2.20.3 is older than 2.25", answers=True),),
        FAILED,
        "2.20.3 is older",
    ),
    ("docker.compose", (docker(compose="v2.25.0"),), OK, "v2.25.0"),
    ("docker.limits", (docker_from({"MemoryLimit": True, "PidsLimit": True}, "2.26"),), FAILED, "limit cpus"),
    ("docker.disk", (docker(disk=disk(GIB)),), FAILED, "images and volumes"),
    ("docker.disk", (docker(disk=None),), SKIPPED, "elsewhere"),
    (
        "docker.limits_in_force",
        (containers(WEB), insides(langfuse_web={"cpu_limit": 0.0})),
        FAILED,
        "limit of CPU",
    ),
    (
        "docker.limits_in_force",
        (containers(WEB), insides(langfuse_web={"memory_limit": 0})),
        FAILED,
        "of memory",
    ),
    (
        "docker.limits_in_force",
        (containers(WEB), insides(langfuse_web={"memory_limit": 2 * GIB})),
        FAILED,
        f"may use {2 * GIB}, not {GIB}",
    ),
    ("docker.limits_in_force", (containers(WEB), insides(langfuse_web={})), OK, "1 containers"),
    ("docker.throttled", (insides(langfuse_worker={"throttled": 0.6}),), WARNING, "langfuse-worker waits"),
    ("docker.throttled", (insides(langfuse_worker={"throttled": 0.1}),), OK, ""),
    ("configuration.compose", (ComposeModel(problem="services.zeus: no image"),), FAILED, "services.zeus"),
    (
        "secrets.sign_up",
        (stack(AUTH_DISABLE_SIGNUP="false", LANGFUSE_BIND_ADDRESS="192.0.2.1"),),
        WARNING,
        "anyone",
    ),
    ("secrets.sign_up", (stack(AUTH_DISABLE_SIGNUP="false"),), OK, "only this machine"),
    ("network.isolated", (containers(WEB, internal={"stores": False, "edge": False}),), FAILED, "stores"),
    ("network.isolated", (containers(WEB, internal={"stores": True, "monitoring": True}),), OK, ""),
    ("host.engine", (replace(stack(), is_compose=False), docker()), WARNING, "Docker 26.1.5 answers"),
    ("host.engine", (replace(stack(ENGINE="embedded"), is_compose=False), docker()), OK, "is meant"),
    (
        "host.engine",
        (replace(stack(), is_compose=False), docker(problem="no Docker engine answers")),
        SKIPPED,
        "no Docker",
    ),
    (
        "docker.mounts",
        (ComposeModel(mounts=(Problem("Containers cannot read config/x.", "chmod go+r config/x"),)),),
        FAILED,
        "cannot read config/x",
    ),
    ("docker.mounts", (ComposeModel(),), OK, "every container can read"),
    ("docker.owner", (replace(containers(WEB), other_owner="/srv/other"),), FAILED, "made by /srv/other"),
    ("docker.owner", (containers(WEB),), OK, "those of this checkout"),
    (
        "network.container_proxy",
        (
            stack(),
            containers(container("valkey", environment={"http_proxy": "http://proxy.acme.example:3128"})),
        ),
        FAILED,
        "valkey has http_proxy",
    ),
    (
        "network.container_proxy",
        (
            stack(OUTBOUND_HTTPS_PROXY="http://proxy.acme.example:3128"),
            containers(
                container(
                    "langfuse-web",
                    environment={"HTTPS_PROXY": "http://proxy.acme.example:3128", "http_proxy": ""},
                )
            ),
        ),
        OK,
        "no proxy",
    ),
    ("network.outbound", (stack(),), SKIPPED, "OUTBOUND_CALLS is true"),
    (
        "network.outbound",
        (stack(OUTBOUND_CALLS="false"), containers(WEB, internal={"stores": True, "edge": False})),
        FAILED,
        "through edge",
    ),
    (
        "network.outbound",
        (stack(OUTBOUND_CALLS="false"), containers(internal={"edge": False}, hidden=frozenset({"edge"}))),
        OK,
        "no container",
    ),
    (
        "docker.left",
        (containers(WEB, container("grafana")), ComposeModel(services={"langfuse-web": {}})),
        WARNING,
        "grafana",
    ),
    (
        "docker.left",
        (
            containers(WEB, container("grafana", state="exited", stays=True)),
            ComposeModel(services={"langfuse-web": {}}),
        ),
        OK,
        "no container is there",
    ),
    (
        "docker.containers",
        (containers(WEB, container("langfuse-worker", number=2, state="exited")),),
        FAILED,
        "langfuse-worker-2 is exited",
    ),
    (
        "stores.postgres_connections",
        (postgres(connections={"used": 95}, settings={"max_connections": "100"}),),
        WARNING,
        "95 of 100",
    ),
    (
        "stores.postgres_transactions",
        (postgres(old_transactions=[{"pid": 7, "state": "idle in transaction", "seconds": 9000}]),),
        WARNING,
        "process 7, idle in transaction",
    ),
    ("stores.postgres_transactions", (postgres(old_transactions=[]),), OK, ""),
    ("stores.clickhouse", (containers(CH),), FAILED, "no ClickHouse"),
    ("stores.clickhouse_utc", (clickhouse(server=[{"timezone": "Asia/Tokyo"}]),), FAILED, "Asia/Tokyo"),
    (
        "stores.clickhouse_memory_cap",
        (containers(CH), clickhouse(server_settings=cap(0))),
        WARNING,
        "no memory cap",
    ),
    (
        "stores.clickhouse_memory_cap",
        (containers(CH), clickhouse(server_settings=cap(3 * GIB))),
        WARNING,
        "3072 MiB, is not below the limit of its container, 2048 MiB",
    ),
    (
        "stores.clickhouse_memory",
        (clickhouse(server_settings=cap(1000 * MIB), memory=[{"used": str(950 * MIB)}]),),
        WARNING,
        "950 of 1000 MiB",
    ),
    (
        "stores.clickhouse_logs",
        (clickhouse(tables=[table("trace_log", 67 * GIB)]),),
        WARNING,
        "trace_log 67.0 GiB",
    ),
    (
        "stores.clickhouse_logs",
        (clickhouse(tables=[table("query_log_0", MIB, expires=0)]),),
        WARNING,
        "never expire: query_log_0",
    ),
    (
        "stores.clickhouse_logs",
        (clickhouse(tables=[table("events_full", 90 * GIB, database="default", expires=0)]),),
        OK,
        "0 MiB",
    ),
    ("stores.clickhouse_database", (clickhouse(databases=[{"engine": "Replicated"}]),), FAILED, "Replicated"),
    ("stores.clickhouse_constraints", (clickhouse(constraints=[{"table": "scores"}]),), WARNING, "of scores"),
    ("stores.clickhouse_constraints", (clickhouse(constraints=[]),), OK, "no table"),
    ("flow.refused", (Logs(find({"worker": ASIDE.format(2) + ASIDE.format(1)})),), WARNING, "refused 3 rows"),
    ("flow.refused", (Logs(find({"worker": "up"})),), OK, "no row"),
    ("stores.clickhouse_detached", (clickhouse(detached=[{"parts": "3"}]),), WARNING, "3 broken parts"),
    (
        "stores.clickhouse_disk",
        (clickhouse(disks=[{"name": "default", "free": str(GIB), "total": str(100 * GIB)}]),),
        WARNING,
        "default has 1.0 GiB",
    ),
    ("stores.valkey", (containers(container("valkey")),), FAILED, "no Valkey"),
    ("stores.valkey_refused", (Valkey({"rejected_connections": "12"}),), WARNING, "12 connections"),
    ("stores.utc", (insides(langfuse_web={"zone": "+0200"}),), FAILED, "langfuse-web is at +0200"),
    ("stores.objects", (objects(status=403),), FAILED, "refuses our keys"),
    ("stores.objects", (containers(container("seaweedfs")),), FAILED, "no Objects"),
    ("stores.strangers", (objects(anonymous=200),), FAILED, "anyone can list langfuse-media"),
    ("langfuse.database", (server(health=503),), FAILED, "answers 503"),
    ("langfuse.prices", (server(prices=0),), FAILED, "every cost is 0"),
    (
        "configuration.login",
        (stack(AUTH_CUSTOM_CLIENT_ID="langfuse", AUTH_CUSTOM_CLIENT_SECRET="test-secret"),),
        FAILED,
        "AUTH_CUSTOM_NAME and AUTH_CUSTOM_ISSUER missing",
    ),
    (
        "langfuse.sso",
        (
            stack(AUTH_AZURE_AD_CLIENT_ID="a", AUTH_GOOGLE_CLIENT_ID="b"),
            server(providers=frozenset({"google"})),
        ),
        FAILED,
        "not offered: azure-ad",
    ),
    (
        "configuration.login",
        (stack(AUTH_CUSTOM_CLIENT_ID="langfuse", AUTH_CUSTOM_CLIENT_SECRET="test-secret"),),
        FAILED,
        "AUTH_CUSTOM_NAME and AUTH_CUSTOM_ISSUER missing",
    ),
    (
        "langfuse.sso",
        (stack(AUTH_GOOGLE_CLIENT_ID="b"), server(providers=frozenset({"google"}))),
        OK,
        "google",
    ),
    ("flow.media_in_containers", (Media("", "", PUBLIC_MEDIA, "bad address"),), FAILED, "bad address"),
    (
        "flow.media_in_containers",
        (Media("", "", "http://localhost:9090/x", "refused"),),
        SKIPPED,
        "profile tls",
    ),
    ("flow.media_in_containers", (Media("", "", PUBLIC_MEDIA, ""),), OK, "inside its container"),
    (
        "flow.counted_once",
        (Calls(8, [Twice("acme", "5a", "ChatOpenAI", "OpenAI-generation")]),),
        WARNING,
        "1 count twice, such as OpenAI-generation in ChatOpenAI, project acme, trace 5a",
    ),
    ("flow.counted_once", (Calls(8, []),), OK, "none of the last 8"),
    (
        "capacity.containers_memory",
        (insides(clickhouse={"memory_used": int(0.95 * GIB)}),),
        WARNING,
        "clickhouse uses 95%",
    ),
    (
        "capacity.heap",
        (containers(container("langfuse-web", environment={"NODE_OPTIONS": "--max-old-space-size=2000"})),),
        WARNING,
        "2000 of 1024 MiB",
    ),
    ("capacity.heap", (containers(WEB),), WARNING, "0 of 1024 MiB"),
    ("capacity.data", (machine(disk=disk(GIB)), embedded(GIB)), WARNING, "only 1.00 GiB are free"),
    ("capacity.data", (machine(), embedded(GIB)), OK, "1.00 GiB"),
    (
        "capacity.tables",
        (clickhouse(tables=[table("a", 9 * GIB)], disks=[{"name": "default", "free": str(GIB)}]),),
        WARNING,
        "only 1.00 GiB",
    ),
    ("tls.redirect", (Certificates((), "200"),), WARNING, "not sent on"),
    ("tls.redirect", (Certificates((), "308 https://langfuse.acme.example/"),), OK, "308"),
    (
        "versions.same",
        (containers(WEB, container("langfuse-worker", image="docker.io/acme/worker:1.2.2")),),
        FAILED,
        "langfuse-worker is 1.2.2",
    ),
    ("versions.same", (containers(WEB, WORKER),), OK, "1.2.3"),
    *(
        ("versions.stores", (containers(clickhouse_image(runs)), next_start(comes)), status, text)
        for runs, comes, status, text in (
            (
                "26.4.4.38",
                "26.3.37.3",
                WARNING,
                "clickhouse is 26.4.4.38, and the next start makes it 26.3.37.3",
            ),
            ("26.3.37.3@sha256:ab", "26.3.37.2", WARNING, "may not read"),
            ("26.3.37.3", "26.3.37.3", OK, "no store older"),
            ("26.3.37.3", "26.8.15.10", OK, "no store older"),
            ("26.4.4.38", "latest", OK, "no store older"),
        )
    ),
    ("versions.stores", (containers(clickhouse_image("26.4.4.38")), ComposeModel()), OK, "no store older"),
    *(
        (
            "versions.clickhouse",
            (containers(CH), clickhouse(server=[{"version": version}]), server(version=langfuse)),
            status,
            version,
        )
        for version, langfuse, status in (
            ("25.8.1.1", "4.59.0", FAILED),
            ("25.12.3.21", "4.16.0", OK),
            ("26.3.37.3", "4.59.0", OK),
            ("26.7.13.12", "4.27.9", OK),
            ("26.8.1.2041", "4.27.9", FAILED),
            ("26.8.1.2041", "4.28.0", OK),
            ("26.8.15.10", "4.59.0", OK),
        )
    ),
    *(
        (
            "host.processor",
            (machine(architecture=architecture, cpu_flags=frozenset(flags.split())), *facts),
            status,
            said,
        )
        for architecture, flags, facts, status, said in (
            ("x86_64", "sse2 sse4_2", (pinned(),), OK, "26.3.37.3"),
            ("x86_64", "sse2", (pinned(),), FAILED, "lacks SSE4.2"),
            (
                "x86_64",
                "sse4_2 avx",
                (pinned(), containers(clickhouse_image("26.8.15.10"))),
                FAILED,
                "AVX2, BMI1",
            ),
            (
                "x86_64",
                "sse4_2 avx2 bmi1",
                (pinned(), containers(clickhouse_image("26.8.15.10"))),
                OK,
                "26.8.15.10",
            ),
            ("x86_64", "sse4_2", (pinned(), containers(CH)), OK, "26.3.37.3"),
            ("aarch64", "fp asimd", (pinned(),), FAILED, "ARMv8.2-A, RCpc"),
            ("aarch64", "fp atomics lrcpc", (pinned(),), OK, "26.3.37.3"),
        )
    ),
    *(
        ("versions.support", (containers(clickhouse_image(tag)), pinned(today)), status, said)
        for tag, today, status, said in (
            ("26.3.37.3", "2026-12-01", OK, "1 images are in support"),
            ("26.3.37.3", "2027-02-01", WARNING, "supported until 2027-03-26 only"),
            ("26.3.37.3", "2027-03-27", WARNING, "out of support since 2027-03-26"),
            ("26.8.15.10", "2027-03-27", SKIPPED, "no container runs an image of compose.yaml"),
        )
    ),
    ("langfuse.background_migrations", (postgres(background=[]), containers()), OK, "no background"),
    (
        "langfuse.background_migrations",
        (postgres(background=[unfinished(gate=GATE)]), containers(container("langfuse-worker"))),
        OK,
        "1 dormant",
    ),
    (
        "langfuse.background_migrations",
        (
            postgres(background=[unfinished(gate=GATE)]),
            containers(container("langfuse-worker", environment={GATE: "true"})),
        ),
        WARNING,
        "under way: backfill",
    ),
    (
        "langfuse.background_migrations",
        (postgres(background=[unfinished(failed=True, reason="no room")]), containers()),
        FAILED,
        "backfill: no room",
    ),
    ("versions.postgres", (postgres(settings={"server_version_num": "140011"}),), FAILED, "PostgreSQL 14"),
    ("versions.valkey", (Valkey({"redis_version": "6.2.14"}),), FAILED, "6.2.14"),
    ("versions.valkey", (Valkey({"redis_version": "7.2.4", "valkey_version": "8.1.1"}),), OK, "8.1.1"),
    (
        "versions.images",
        (
            ImagesLock({WEB.image: Locked(SHA, SHA)}),
            containers(WEB, digests={WEB.image_id: ("acme@sha256:cd",)}),
        ),
        FAILED,
        "langfuse-web",
    ),
    (
        "versions.images",
        (
            ImagesLock({WEB.image: Locked(SHA, SHA)}),
            containers(WEB, digests={WEB.image_id: (f"acme@{SHA}",)}),
        ),
        OK,
        "1 images",
    ),
    (
        "versions.images",
        (
            ImagesLock({WEB.image: Locked(SHA, SHA, SHA)}),
            containers(WEB, digests={WEB.image_id: ()}, contents={WEB.image_id: SHA}),
        ),
        OK,
        "1 images",
    ),
    ("backup.worker", (backups(rest=None),), OK, "no backup has left"),
    (
        "backup.worker",
        (backups(rest=Rest(os.getpid(), "2026-01-31T02:05:00+00:00")),),
        OK,
        "is paused by a backup",
    ),
    (
        "backup.worker",
        (backups(rest=Rest(2**31 - 1, "2026-01-31T02:05:00+00:00")),),
        FAILED,
        "make up starts it",
    ),
    ("configuration.receivers", (stack(), configuration(mute=("a: b is empty",))), SKIPPED, "is off"),
    ("configuration.receivers", (stack(("monitoring",)), configuration()), OK, "has its secret"),
    (
        "configuration.receivers",
        (stack(("monitoring",)), configuration(mute=("page: config/alertmanager/secrets/key is empty",))),
        WARNING,
        "page: config/alertmanager/secrets/key is empty",
    ),
]


@pytest.mark.parametrize(
    ("check", "facts", "status", "found"),
    CASES,
    ids=[f"{one[0]}-{one[2]}-{n}" for n, one in enumerate(CASES)],
)
def test_what_a_check_says(check: str, facts: tuple[object, ...], status: Status, found: str) -> None:
    verdict = judge(check, *facts)
    assert verdict.status is status
    assert found in verdict.found


@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_a_check_without_facts_is_never_a_complaint(check: object) -> None:
    """On a broken stack the check of what is broken complains, and no other."""
    from scripts.check.doctor.model import Check

    assert isinstance(check, Check)
    try:
        verdict = check.judge(Given(stack()))
    except NotGathered:
        return
    assert verdict.status in (OK, SKIPPED)


def test_the_life_of_a_certificate_is_what_counts() -> None:
    """Those of Caddy's own authority live for hours."""
    from datetime import timedelta

    from scripts.check.doctor.sources.certificates import Certificate

    now = datetime.now(UTC)

    def verdict(life_h: float, left_h: float) -> Status:
        ends = now + timedelta(hours=left_h)
        known = Certificate("langfuse.acme.example", begins=ends - timedelta(hours=life_h), ends=ends)
        return judge("tls.ends", Certificates((known,), "")).status

    assert verdict(life_h=12, left_h=5) is OK
    assert verdict(life_h=12, left_h=1) is WARNING
    assert verdict(life_h=90 * 24, left_h=25 * 24) is OK
    assert verdict(life_h=90 * 24, left_h=10 * 24) is WARNING
