"""The doctor on a compose stack: each test breaks one thing and sees that complaint, with its fix."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import docker
import pytest

from scripts.check.doctor.catalog import CHECKS
from scripts.check.doctor.command import look
from scripts.check.doctor.model import Result, Status
from tests.embedded.doctoring import COMPLAINTS, edited
from tests.scenarios.load import container, wait_healthy
from tests.scenarios.stack import Stack
from tests.waiting import wait_for

PSQL = 'PGPASSWORD="$POSTGRES_PASSWORD" psql -h 127.0.0.1 -U langfuse -d langfuse -Atq -v ON_ERROR_STOP=1'
CLICKHOUSE = (
    'wget -q -O - --header="X-ClickHouse-User: $CLICKHOUSE_USER" '
    '--header="X-ClickHouse-Key: $CLICKHOUSE_PASSWORD" --post-data="$1" http://127.0.0.1:8123/'
)
WEED = "weed shell -master=127.0.0.1:9333 -filer=127.0.0.1:8888"
DROPPED_LINE = "ClickhouseWriter: Max attempts reached, dropped 7 events_full record(s)"
# Names without an exact version, no profile of a user, few files on small hosts; the last is of the checkout.
OF_STAND_INS = {"configuration.policy", "stores.clickhouse_profile", "docker.open_files", "versions.packages"}


@dataclass
class Patient:
    """A stack that runs, and what the doctor complains about before a test breaks anything."""

    stack: Stack
    engine: docker.DockerClient
    known: set[str] = field(default_factory=set)

    def complaints(self, **environment: str) -> dict[str, Result]:
        """Return the complaints that are new."""
        context = self.stack.context
        seen = replace(context, environment={**context.environment, **environment})
        results, seconds = look(seen, CHECKS, read_only=False, everything=True)
        assert seconds < 15
        return {
            one.check.id: one
            for one in results
            if one.status in COMPLAINTS and one.check.id not in self.known
        }

    def expect(self, check: str, *consequences: str, **environment: str) -> Result:
        """Look; return the one new complaint, which has a fix. Consequences come along with it."""
        found = self.complaints(**environment)
        texts = {name: one.verdict.found for name, one in found.items()}
        assert set(found) == {check, *consequences}, texts
        assert found[check].fix
        return found[check]

    def run(self, service: str, *argv: str, stdin: str = "") -> str:
        """Run a program in a container; return what it says."""
        one = container(self.engine, self.stack, service)
        done = self.stack.context.runner.run(["docker", "exec", "-i", one.id or "", *argv], stdin=stdin)
        assert done.returncode == 0, done.stderr or done.stdout
        return done.stdout

    def sql(self, statements: str) -> str:
        """Run statements in PostgreSQL."""
        return self.run("postgres", "sh", "-c", PSQL, stdin=statements)

    def clickhouse(self, statement: str) -> str:
        """Run a statement in ClickHouse."""
        return self.run("clickhouse", "sh", "-c", CLICKHOUSE, "sh", statement)

    def valkey(self, *words: str) -> str:
        """Run a command of Valkey."""
        return self.run("valkey", "valkey-cli", *words)

    def env(self, pattern: str, text: str) -> object:
        """Change `.env` for a while."""
        return edited(self.stack.context.layout.env_file, pattern, text)


@pytest.fixture(scope="module")
def patient(stack: Stack, engine: docker.DockerClient) -> Patient:
    """A stack that runs, well but for what its stand-ins are."""
    stack.up()
    made = Patient(stack, engine)
    found = {name: one.verdict.found for name, one in made.complaints().items()}
    assert set(found) <= OF_STAND_INS, found
    made.known = OF_STAND_INS
    return made


@contextmanager
def undone(patient: Patient, service: str, *statements: str) -> Iterator[None]:
    """Run statements at the end, whatever happened."""
    try:
        yield
    finally:
        for statement in statements:
            {"postgres": patient.sql, "clickhouse": patient.clickhouse}[service](statement)


BACKFILL = (
    "insert into background_migrations (id, name, script, args, failed_at, failed_reason)"
    " values ('x', 'backfill_zeus', 'x', '{}', now(), 'no room');"
)

SQL: list[tuple[str, str, str, str, str]] = [
    (
        "stores.postgres_utc",
        "alter system set timezone = 'Europe/Berlin'; select pg_reload_conf();",
        "alter system reset timezone; select pg_reload_conf();",
        "Europe/Berlin",
        "ALTER SYSTEM RESET timezone",
    ),
    (
        "stores.postgres_durable",
        "alter system set synchronous_commit = off; select pg_reload_conf();",
        "alter system reset synchronous_commit; select pg_reload_conf();",
        "synchronous_commit is off",
        "pg_reload_conf",
    ),
    (
        "stores.postgres_slots",
        "select pg_create_physical_replication_slot('zeus', true);",
        "select pg_drop_replication_slot('zeus');",
        "zeus",
        "pg_drop_replication_slot",
    ),
    (
        "langfuse.migrations",
        "insert into _prisma_migrations (id, checksum, migration_name) values ('x', 'x', '20990101_zeus');",
        "delete from _prisma_migrations where id = 'x';",
        "20990101_zeus",
        "make repair-migration",
    ),
    (
        "langfuse.background_migrations",
        BACKFILL,
        "delete from background_migrations where id = 'x';",
        "backfill_zeus: no room",
        "make logs SERVICE=langfuse-worker",
    ),
]


@pytest.mark.parametrize(("check", "broken", "mended", "found", "fix"), SQL, ids=[case[0] for case in SQL])
def test_what_is_wrong_in_postgresql(
    patient: Patient, check: str, broken: str, mended: str, found: str, fix: str
) -> None:
    patient.sql(broken)
    with undone(patient, "postgres", mended):
        complaint = patient.expect(check)
    assert found in complaint.verdict.found
    assert fix in complaint.fix


def test_a_password_that_postgresql_does_not_take(patient: Patient) -> None:
    """Connections that are open stay open: web goes on."""
    right = patient.stack.context.settings()["POSTGRES_PASSWORD"]
    patient.sql("alter role langfuse password 'other';")
    try:
        complaint = patient.expect("stores.postgres")
    finally:
        login = PSQL.replace('"$POSTGRES_PASSWORD"', "other")
        patient.run("postgres", "sh", "-c", login, stdin=f"alter role langfuse password '{right}';")
    assert "password authentication failed" in complaint.verdict.found
    assert "POSTGRES_PASSWORD" in complaint.fix


def test_too_many_parts_in_clickhouse(patient: Patient) -> None:
    patient.clickhouse("CREATE TABLE zeus (a UInt64) ENGINE = MergeTree ORDER BY a")
    with undone(patient, "clickhouse", "DROP TABLE zeus"):
        patient.clickhouse("SYSTEM STOP MERGES zeus")
        patient.clickhouse(
            "INSERT INTO zeus SELECT number FROM numbers(320) SETTINGS max_block_size = 1,"
            " min_insert_block_size_rows = 1, min_insert_block_size_bytes = 1, max_insert_threads = 1,"
            " max_partitions_per_insert_block = 0"
        )
        complaint = patient.expect("stores.clickhouse_parts")
    assert complaint.status is Status.WARNING
    assert "zeus has 320 parts" in complaint.verdict.found
    assert "system.merges" in complaint.fix


def test_a_mutation_of_clickhouse_that_fails(patient: Patient) -> None:
    patient.clickhouse("CREATE TABLE hermes (a UInt64, b UInt64) ENGINE = MergeTree ORDER BY a")
    with undone(patient, "clickhouse", "DROP TABLE hermes"):
        patient.clickhouse("INSERT INTO hermes VALUES (1, 1)")
        patient.clickhouse(
            "ALTER TABLE hermes UPDATE b = throwIf(1, 'no') WHERE 1 SETTINGS mutations_sync = 0"
        )
        failed = "SELECT count() FROM system.mutations WHERE latest_fail_reason != ''"
        wait_for(lambda: patient.clickhouse(failed).strip() == "1", "the failed mutation", every_s=0.2)
        complaint = patient.expect("stores.clickhouse_mutations")
    assert "hermes" in complaint.verdict.found
    assert "KILL MUTATION" in complaint.fix


def test_an_interrupted_migration_of_clickhouse(patient: Patient) -> None:
    patient.clickhouse("INSERT INTO schema_migrations VALUES (47, 1, 9000000000000000000)")
    newest = "sequence = 9000000000000000000"  # it counts nanoseconds
    mend = f"ALTER TABLE schema_migrations DELETE WHERE {newest} SETTINGS mutations_sync = 2"
    with undone(patient, "clickhouse", mend):
        complaint = patient.expect("langfuse.clickhouse_migrations")
    assert "Dirty database version 47" in complaint.verdict.found


VALKEY = [
    ("stores.valkey_policy", "maxmemory-policy", "allkeys-lru", "allkeys-lru", "noeviction"),
    ("stores.valkey_aof", "appendonly", "no", "is off", "appendonly yes"),
    ("stores.valkey_memory", "maxmemory", "2300000", "of 2 MiB", "VALKEY_MAXMEMORY_MB"),
]


@pytest.mark.parametrize(
    ("check", "setting", "value", "found", "fix"), VALKEY, ids=[one[0] for one in VALKEY]
)
def test_what_is_wrong_in_valkey(
    patient: Patient, check: str, setting: str, value: str, found: str, fix: str
) -> None:
    before = patient.valkey("config", "get", setting).split()[1]
    if setting == "maxmemory":
        used = int(patient.valkey("info", "memory").partition("used_memory:")[2].split()[0])
        value, found = str(int(used * 1.15)), "MiB"
    patient.valkey("config", "set", setting, value)
    try:
        complaint = patient.expect(check)
    finally:
        patient.valkey("config", "set", setting, before)
    assert found in complaint.verdict.found
    assert fix in complaint.fix


def test_keys_that_valkey_evicted(patient: Patient) -> None:
    limit = patient.valkey("config", "get", "maxmemory").split()[1]
    used = int(patient.valkey("info", "memory").partition("used_memory:")[2].split()[0])
    patient.valkey("config", "set", "maxmemory-policy", "volatile-lru")
    patient.valkey("config", "set", "maxmemory", str(used + 400_000))
    try:
        for number in range(8):
            patient.run("valkey", "valkey-cli", "-x", "setex", f"zeus:{number}", "60", stdin="x" * 100_000)
    finally:
        patient.valkey("config", "set", "maxmemory", limit)
        patient.valkey("config", "set", "maxmemory-policy", "noeviction")
    try:
        complaint = patient.expect("stores.valkey_evicted")
    finally:
        patient.valkey("config", "resetstat")
    assert "make reconcile" in complaint.fix


def test_long_queues_and_failed_jobs(patient: Patient) -> None:
    for queue, check, count in (("failed", "flow.failed_jobs", 3), ("wait", "flow.queues", 1001)):
        # A queue that no worker of the stand-in takes from before it is done with others.
        key = f"bull:score-delete:{queue}"
        script = f"for i = 1, {count} do redis.call('lpush', KEYS[1], '{{}}') end"
        with fault(patient, "stall"):
            patient.valkey("eval", script, "1", key)
            try:
                found = patient.complaints()
            finally:
                patient.valkey("del", key)
        assert check in found
        assert str(count) in found[check].verdict.found
        # A worker that takes nothing lets the canary's span wait, too.
        assert set(found) <= {check, "flow.span", "docker.health"}


@contextmanager
def fault(patient: Patient, kind: str) -> Iterator[None]:
    """Tell the worker of the stand-ins to do something wrong."""
    patient.valkey("set", "rehearsal:worker-fault", kind)
    try:
        yield
    finally:
        patient.valkey("set", "rehearsal:worker-fault", "none")


def test_a_bucket_that_is_gone(patient: Patient) -> None:
    name = patient.stack.context.settings()["S3_EXPORTS_BUCKET"]
    patient.run("seaweedfs", *WEED.split(), stdin=f"s3.bucket.delete -name {name}\n")
    try:
        complaint = patient.expect("stores.buckets")
    finally:
        patient.run("seaweedfs", *WEED.split(), stdin=f"s3.bucket.create -name {name}\n")
    assert name in complaint.verdict.found
    assert "make up" in complaint.fix


def test_events_that_never_expire(patient: Patient) -> None:
    place = f"-locationPrefix=/buckets/{patient.stack.context.settings()['S3_EVENTS_BUCKET']}/"
    patient.run("seaweedfs", *WEED.split(), stdin=f"fs.configure {place} -delete -apply\n")
    try:
        complaint = patient.expect("stores.expiry")
    finally:
        patient.run("seaweedfs", *WEED.split(), stdin=f"fs.configure {place} -ttl=30d -apply\n")
    assert "S3_EVENTS_EXPIRE_DAYS" in complaint.fix


ENV = [
    (
        "configuration.applied",
        "^LANGFUSE_LOG_LEVEL=.*|\\Z",
        "\nLANGFUSE_LOG_LEVEL=debug\n",
        "LANGFUSE_LOG_LEVEL",
        (),
    ),
    ("network.telemetry", "\\Z", "\nTELEMETRY_ENABLED=true\n", "reports its use", ("configuration.applied",)),
    (
        "secrets.salt",
        "^SALT=.*",
        f"SALT={'0123456789abcdef' * 2}",
        "hash of another SALT",
        ("configuration.applied",),
    ),
    (
        "configuration.login",
        "\\Z",
        "\nAUTH_CUSTOM_CLIENT_ID=athena\n",
        "AUTH_CUSTOM",
        ("configuration.applied", "configuration.settings", "langfuse.sso"),
    ),
    (
        "configuration.mail",
        "\\Z",
        "\nEMAIL_FROM_ADDRESS=a@acme.example\n",
        "alone",
        ("configuration.applied",),
    ),
    ("docker.left", "\\Z", "\nREDIS_HOST=valkey\n", "valkey", ()),
    ("versions.server", "\\Z", "\nLANGFUSE_VERSION=4.59.1\n", "4.59.1", ("configuration.applied",)),
]


@pytest.mark.parametrize(("check", "pattern", "text", "found", "more"), ENV, ids=[one[0] for one in ENV])
def test_settings_that_do_not_fit_what_runs(
    patient: Patient, check: str, pattern: str, text: str, found: str, more: tuple[str, ...]
) -> None:
    with edited(patient.stack.context.layout.env_file, pattern, text):
        complaint = patient.expect(check, *more)
    assert found in complaint.verdict.found


def test_too_few_processors_for_the_size(patient: Patient) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        complaint = patient.expect("host.cpus")
    finally:
        os.sched_setaffinity(0, before)
    assert "one processor" in complaint.verdict.found


def test_a_docker_engine_that_does_not_answer(patient: Patient) -> None:
    """Everything that needs it is skipped, with this as the reason; the rest is looked at all the same."""
    context = replace(
        patient.stack.context, runner=OtherDocker(patient.stack.context.runner, "tcp://127.0.0.1:1")
    )
    results, seconds = look(context, CHECKS, read_only=False, everything=True)
    found = {one.check.id: one for one in results}
    assert found["docker.engine"].status is Status.FAILED
    assert found["docker.engine"].verdict.found == "no Docker engine answers"
    assert found["docker.containers"].status is Status.SKIPPED
    assert found["docker.containers"].verdict.found == "no Docker engine answers"
    assert found["flow.span"].status is Status.OK
    assert seconds < 15


@dataclass(frozen=True)
class OtherDocker:
    """Runs programs with another Docker engine."""

    runner: object
    host: str

    def __getattr__(self, name: str) -> object:
        return getattr(self.runner, name)

    def run(self, argv: list[str], *, env: Mapping[str, str] | None = None, **more: object) -> object:
        """Run with the other engine in the environment."""
        environment = {**(env or os.environ), "DOCKER_HOST": self.host}
        return self.runner.run(argv, env=environment, **more)  # type: ignore[attr-defined]


def test_a_worker_that_was_stopped(patient: Patient) -> None:
    """What is sent stays unread meanwhile."""
    worker = container(patient.engine, patient.stack, "langfuse-worker")
    worker.stop(timeout=20)
    try:
        complaint = patient.expect("docker.containers", "flow.span")
    finally:
        worker.start()
        wait_healthy(patient.stack)
    assert "langfuse-worker is exited" in complaint.verdict.found


def test_a_container_without_its_network(patient: Patient) -> None:
    """Then nothing is processed either."""
    network = patient.engine.networks.get(f"{patient.stack.name}_stores")
    worker = container(patient.engine, patient.stack, "langfuse-worker")
    network.disconnect(worker)
    try:
        found = patient.complaints()
    finally:
        network.connect(worker, aliases=["langfuse-worker"])
        wait_healthy(patient.stack)
    assert "langfuse-worker does not find clickhouse" in found["network.names"].verdict.found
    assert set(found) - {"docker.health"} == {"network.names", "flow.span"}


class TestLast:
    """What leaves its mark on a container for good. Each adds to what is known."""

    LINES = (
        ("flow.dropped", DROPPED_LINE, "7 acknowledged rows", "docs/runbooks/RowsDropped.md"),
        ("flow.stalled", "job stalled more than allowable limit", "1 jobs stalled", "WORKER_CPUS"),
        ("flow.query_memory", "Code: 241. MEMORY_LIMIT_EXCEEDED", "1 queries", "EXTERNAL_GROUP_BY"),
        ("langfuse.heap", "FATAL ERROR: Reached heap limit Allocation failed", "1 times", "WORKER_HEAP_MB"),
    )

    @pytest.mark.parametrize(("check", "line", "found", "fix"), LINES, ids=[line[0] for line in LINES])
    def test_a_line_in_the_log_of_the_worker(
        self, patient: Patient, check: str, line: str, found: str, fix: str
    ) -> None:
        patient.run("langfuse-worker", "sh", "-c", f"echo '{line}' > /proc/1/fd/2")
        complaint = patient.expect(check)
        patient.known = patient.known | {check}
        assert found in complaint.verdict.found
        assert fix in complaint.fix

    def test_a_process_that_was_killed_for_want_of_memory(self, patient: Patient) -> None:
        one = container(patient.engine, patient.stack, "valkey")
        argv = ["docker", "exec", one.id or "", "sh", "-c", "tail /dev/zero; true"]
        patient.stack.context.runner.run(argv, timeout_s=60)
        wait_healthy(patient.stack)
        found = patient.complaints()
        assert "valkey" in found["docker.memory_kills"].verdict.found
        assert set(found) <= {"docker.memory_kills", "docker.restarts"}
        patient.known = patient.known | set(found)

    def test_a_container_that_docker_restarted(self, patient: Patient) -> None:
        one = container(patient.engine, patient.stack, "langfuse-worker")
        patient.stack.context.runner.run(["docker", "exec", one.id or "", "sh", "-c", "kill -KILL -1"])
        wait_for(lambda: restarts(patient), "a restart of the worker", every_s=0.2)
        wait_healthy(patient.stack)
        found = patient.complaints()
        assert set(found) == {"docker.restarts"} - patient.known
        (container_row,) = json.loads(
            patient.stack.context.runner.run(["docker", "inspect", one.id or ""]).stdout
        )
        assert container_row["RestartCount"] == 1

    def test_a_store_that_is_published(
        self, patient: Patient, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        override = tmp_path_factory.mktemp("override") / "ports.yaml"
        override.write_text('services: {valkey: {networks: [stores, edge], ports: ["127.0.0.1:0:6379"]}}\n')
        patient.stack.with_files(override).up()
        complaint = patient.expect("network.exposed")
        assert "valkey port 6379" in complaint.verdict.found
        assert "compose.override.yaml" in complaint.fix


def restarts(patient: Patient) -> int:
    """Return how often Docker has restarted the worker."""
    return int(container(patient.engine, patient.stack, "langfuse-worker").attrs["RestartCount"])
