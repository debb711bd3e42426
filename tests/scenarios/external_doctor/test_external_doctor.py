"""The doctor on four external stores: each test breaks one thing there and sees that complaint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import docker
import pytest

from scripts.check.doctor.catalog import CHECKS
from scripts.check.doctor.command import look
from scripts.check.doctor.model import Result, Status
from scripts.docker.compose import CLIENTS
from tests.embedded.doctoring import COMPLAINTS, edited
from tests.scenarios.conftest import MakeStack
from tests.scenarios.doctor.test_doctor import OF_STAND_INS
from tests.scenarios.external_backup.company import Company, company_of
from tests.scenarios.load import container, wait_healthy
from tests.scenarios.stack import Stack

# Questions that every store was asked, whatever it answered.
ASKED = (
    "stores.postgres",
    "stores.postgres_utc",
    "stores.postgres_connections",
    "stores.postgres_durable",
    "stores.rights",
    "stores.clickhouse",
    "stores.clickhouse_native",
    "stores.clickhouse_utc",
    "stores.clickhouse_parts",
    "stores.clickhouse_mutations",
    "stores.clickhouse_disk",
    "stores.valkey",
    "stores.valkey_policy",
    "stores.valkey_aof",
    "stores.valkey_memory",
    "stores.objects",
    "stores.buckets",
    "stores.strangers",
    "stores.writable",
    "stores.open",
    "stores.clocks",
    "langfuse.migrations",
    "langfuse.clickhouse_migrations",
    "langfuse.background_migrations",
    "secrets.salt",
    "versions.postgres",
    "versions.clickhouse",
    "versions.valkey",
)
# What SeaweedFS does with old objects is not a lifecycle rule of S3.
KNOWN = OF_STAND_INS | {"stores.expiry"}


@dataclass(frozen=True)
class Patient:
    """A stack on the stores of a company."""

    company: Company
    stack: Stack

    def look(self) -> dict[str, Result]:
        """Return what every check says."""
        results, seconds = look(self.stack.context, CHECKS, read_only=False, everything=True)
        assert seconds < 15
        return {one.check.id: one for one in results}

    def complaints(self) -> dict[str, Result]:
        """Return what is new to complain about."""
        return {
            name: one for name, one in self.look().items() if one.status in COMPLAINTS and name not in KNOWN
        }

    def expect(self, check: str, *consequences: str) -> Result:
        """Return a complaint, which has a fix; nothing else but consequences is complained about."""
        found = self.complaints()
        texts = {name: one.verdict.found for name, one in found.items()}
        assert check in found, texts
        assert set(found) <= {check, *consequences}, texts
        assert found[check].fix
        return found[check]


@pytest.fixture(scope="module")
def patient(make_stack: MakeStack, engine: docker.DockerClient) -> Patient:
    """A stack that runs on stores that a company runs."""
    company = company_of(make_stack(), engine)
    stack = company.tenant(make_stack())
    stack.up()
    return Patient(company, stack)


def test_a_sound_stack_is_asked_everything_and_nothing_is_left_behind(patient: Patient) -> None:
    before = patient.stack.leftovers()
    found = patient.look()
    texts = {name: (str(one.status), one.verdict.found) for name, one in found.items()}
    assert {name: texts[name] for name in texts if texts[name][0] in COMPLAINTS and name not in KNOWN} == {}
    assert {name: texts[name] for name in ASKED if texts[name][0] != Status.OK} == {}
    assert "operator" in texts["stores.clickhouse_logs"][1]
    assert patient.stack.leftovers() == before
    left = patient.company.engine.containers.list(
        all=True, filters={"label": f"com.docker.compose.project={patient.stack.name}"}
    )
    services = {one.labels["com.docker.compose.service"] for one in left}
    assert services.isdisjoint(CLIENTS.values())


PASSWORD = "alter role langfuse_app password '{}';"
NEWEST = "sequence = 9000000000000000000"
# Check, what breaks it and what puts it back (the store, and what it is told), what is found, the fix.
BROKEN: list[tuple[str, str, str, str, str, str]] = [
    (
        "stores.postgres_utc",
        "postgres",
        "alter role langfuse_app set timezone = 'Europe/Berlin';",
        "alter role langfuse_app reset timezone;",
        "Europe/Berlin",
        "ALTER ROLE",
    ),
    (
        "stores.rights",
        "postgres",
        "alter schema public owner to langfuse;",
        "alter schema public owner to pg_database_owner;",
        "may not create tables",
        "GRANT CREATE ON SCHEMA public",
    ),
    (
        "langfuse.migrations",
        "postgres",
        "insert into _prisma_migrations (id, checksum, migration_name) values ('x', 'x', '20990101_zeus');",
        "delete from _prisma_migrations where id = 'x';",
        "20990101_zeus",
        "make repair-migration",
    ),
    (
        "langfuse.clickhouse_migrations",
        "clickhouse",
        "INSERT INTO schema_migrations VALUES (47, 1, 9000000000000000000)",
        f"ALTER TABLE schema_migrations DELETE WHERE {NEWEST} SETTINGS mutations_sync = 2",
        "Dirty database version 47",
        "make repair-migration",
    ),
    (
        "stores.valkey_policy",
        "valkey",
        "config set maxmemory-policy allkeys-lru",
        "config set maxmemory-policy noeviction",
        "allkeys-lru",
        "operator",
    ),
    (
        "stores.valkey_aof",
        "valkey",
        "config set appendonly no",
        "config set appendonly yes",
        "is off",
        "operator",
    ),
    (
        "stores.open",
        "valkey",
        "config set protected-mode no; acl setuser default nopass",
        "acl setuser default resetpass >{REDIS_AUTH}; config set protected-mode yes",
        "without a password: Valkey",
        "requirepass",
    ),
]


@pytest.mark.parametrize(
    ("check", "store", "broken", "undone", "found", "fix"), BROKEN, ids=[one[0] for one in BROKEN]
)
def test_what_is_wrong_in_an_external_store(
    patient: Patient, check: str, store: str, broken: str, undone: str, found: str, fix: str
) -> None:
    env = patient.company.stack.env()

    def tell(text: str) -> None:
        words = text.format(**env)
        told: dict[str, Callable[[], object]] = {
            "postgres": lambda: patient.company.postgres(words),
            "clickhouse": lambda: patient.company.clickhouse(words),
            "valkey": lambda: [patient.company.valkey(*one.split()) for one in words.split(";")],
        }
        told[store]()

    tell(broken)
    try:
        complaint = patient.expect(check)
    finally:
        tell(undone)
    assert found in complaint.verdict.found
    assert fix in complaint.fix


# Setting, its value, the complaint, what is found; the running server has the right one.
SETTINGS = [
    ("DATABASE_URL", "postgresql://langfuse_app:obviously-fake@{name}-postgres-1:5432/langfuse", "postgres"),
    ("CLICKHOUSE_PASSWORD", "obviously-fake", "clickhouse"),
    ("CLICKHOUSE_URL", "http://nowhere.invalid:8123", "clickhouse"),
    ("CLICKHOUSE_MIGRATION_URL", "clickhouse://nowhere.invalid:9000", "clickhouse_native"),
    ("REDIS_AUTH", "obviously-fake", "valkey"),
    ("REDIS_HOST", "nowhere.invalid", "valkey"),
    ("S3_SECRET_ACCESS_KEY", "obviously-fake", "objects"),
    ("S3_ENDPOINT", "http://127.0.0.1:1", "objects"),
    ("S3_EXPORTS_BUCKET", "acme-nowhere", "buckets"),
]


@pytest.mark.parametrize(("name", "value", "check"), SETTINGS, ids=[f"{one[0]}-{one[2]}" for one in SETTINGS])
def test_a_setting_that_does_not_lead_to_an_external_store(
    patient: Patient, name: str, value: str, check: str
) -> None:
    text = f"{name}={value.format(name=patient.company.stack.name)}"
    with edited(patient.stack.context.layout.env_file, rf"^{name}=.*\n|\Z", f"{text}\n"):
        found = patient.complaints()
    mine = found[f"stores.{check}"]
    assert mine.status is Status.FAILED
    assert name in mine.fix or check == "buckets"
    assert "obviously-fake" not in "\n".join(one.verdict.found for one in found.values())
    assert {one for one in found if one.startswith("stores.")} <= {f"stores.{check}", "stores.writable"}


def test_an_external_store_that_does_not_answer(patient: Patient) -> None:
    """It hangs, as behind a firewall: the look ends in time, and the others are asked."""
    store = container(patient.company.engine, patient.company.stack, "valkey")
    store.pause()
    try:
        found = patient.look()
    finally:
        store.unpause()
        wait_healthy(patient.stack)
    assert found["stores.valkey"].status is Status.FAILED
    assert "does not answer" in found["stores.valkey"].verdict.found
    assert found["stores.postgres"].status is Status.OK
    assert found["stores.clickhouse"].status is Status.OK
