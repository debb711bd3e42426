"""External stores: where settings lead, what is started for them, and what is asked of them word for word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.core.console import Console
from scripts.core.errors import StackError, UsageError
from scripts.core.layout import only_one_command
from scripts.core.runner import Completed
from scripts.data.backup.drivers.compose import RUNNING
from scripts.data.backup.drivers.compose_exchange import INCOMING
from scripts.data.upgrade.repair import KEPT
from scripts.docker.compose import Compose
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach_to_look
from scripts.settings.envfile import parse_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings
from scripts.stores import external
from scripts.stores.clickhouse import BEFORE, ClickHouse
from scripts.stores.clickhouse_tables import ClickHouseTables, SavedTable, read_index
from scripts.stores.errors import StoreError
from scripts.stores.external_postgres import ExternalPostgres
from scripts.stores.external_valkey import FAMILIES
from scripts.stores.opening import clickhouse_of, postgres_of, valkey_of
from scripts.stores.valkey import MARK
from tests.unit.scripts.fakes import FakeRunner, layout_in

EXTERNAL = """
DATABASE_URL=postgresql://acme:pass%40word@pg.acme.example/langfuse
CLICKHOUSE_URL=https://ch.acme.example:8443
CLICKHOUSE_MIGRATION_URL=clickhouse://ch.acme.example:9440
CLICKHOUSE_MIGRATION_SSL=true
CLICKHOUSE_PASSWORD=obviously-fake
REDIS_HOST=valkey.acme.example
REDIS_AUTH=obviously-fake-too
"""
CONTAINERS = json.dumps(
    [
        {
            "Id": name,
            "Name": f"/{name}",
            "Config": {"Labels": {"com.docker.compose.service": name}, "Image": "", "Env": []},
            "HostConfig": {},
            "State": {"Status": "running"},
        }
        for name in ("postgres-client", "langfuse-web")
    ]
)


def services(directory: Path, runner: FakeRunner, text: str = EXTERNAL) -> Compose:
    given = {"LANGFUSE_INIT_USER_PASSWORD": "test-password", "ADMIN_API_KEY": "ad" * 16}
    return Compose(
        layout_in(directory), load_settings(SETTINGS, parse_env(text), given), {"PATH": "/bin"}, runner
    )


def argv_of(runner: FakeRunner, word: str) -> list[str]:
    """Return the first command with this word."""
    return next(call for call in runner.calls if word in call)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://acme:pass%40word@pg.acme.example/langfuse", {"sslmode": "prefer"}),
        ("postgresql://a:b@pg:6432/langfuse?sslmode=require&connection_limit=5", {"sslmode": "require"}),
        (
            "postgresql://a:b@pg/langfuse?sslmode=require&sslaccept=strict",
            {"sslmode": "verify-full", "sslrootcert": "system"},
        ),
        (
            "postgresql://a:b@pg/langfuse?sslmode=require&sslaccept=strict&sslcert=/etc/langfuse/private-ca/a.pem",
            {"sslmode": "verify-full", "sslrootcert": "/etc/langfuse/private-ca/a.pem"},
        ),
    ],
)
def test_a_url_of_prisma_means_the_same_to_libpq(url: str, expected: dict[str, str]) -> None:
    assert external.postgres_login({"DATABASE_URL": url}).ssl == expected


def test_the_login_is_decoded_and_the_direct_address_is_taken() -> None:
    pooled = "postgresql://acme:x@pooler.acme.example/langfuse?pgbouncer=true"
    direct = "postgresql://acme:pass%40word@pg.acme.example:5433/langfuse"
    login = external.postgres_login({"DATABASE_URL": pooled, "DIRECT_URL": direct})
    assert login.service() == (
        "[langfuse]\nhost=pg.acme.example\nport=5433\ndbname=langfuse\nuser=acme\npassword=pass@word\n"
        "sslmode=prefer\n"
    )
    assert "pass@word" not in repr(login)


def test_what_is_not_supported_is_refused_before_anything_starts(tmp_path: Path) -> None:
    runner = FakeRunner()
    schema = "DATABASE_URL=postgresql://a:b@pg/langfuse?schema=other\n"
    with (
        pytest.raises(UsageError, match="the schema other"),
        external.reached(services(tmp_path, runner, schema)),
    ):
        pass
    cluster = f"{EXTERNAL}CLICKHOUSE_CLUSTER_ENABLED=true\n"
    with (
        pytest.raises(UsageError, match="is a cluster"),
        external.reached(services(tmp_path, runner, cluster)),
    ):
        pass
    assert runner.calls == []


def test_clients_of_external_databases_are_started_and_removed_and_get_their_logins(tmp_path: Path) -> None:
    runner = FakeRunner({"ps --all": Completed(0, "a b"), "inspect": Completed(0, CONTAINERS)})
    with external.reached(services(tmp_path, runner)):
        up = argv_of(runner, "up")
        assert up[-3:] == ["postgres-client", "clickhouse-client", "valkey-client"]
        environment = runner.environments[runner.calls.index(up)]
        assert environment is not None
        assert environment["COMPOSE_PROFILES"] == "s3,clients"
        given = [text for text in runner.inputs if text]
        assert given == [external.postgres_login(services(tmp_path, runner).settings.values).service(),
                         "obviously-fake-too"]  # fmt: skip
    assert runner.calls[-1] == ["docker", "rm", "--force", "postgres-client"]
    assert not any("obviously-fake" in line or "pass@word" in line for line in runner.lines())


def test_clients_go_also_when_the_command_fails(tmp_path: Path) -> None:
    runner = FakeRunner({"ps --all": Completed(0, "a b"), "inspect": Completed(0, CONTAINERS)})
    with pytest.raises(StoreError), external.reached(services(tmp_path, runner)):
        raise StoreError("no")
    assert runner.calls[-1][:3] == ["docker", "rm", "--force"]


def test_bundled_stores_and_an_external_s3_need_no_client(tmp_path: Path) -> None:
    runner = FakeRunner()
    s3 = "S3_ENDPOINT=https://s3.acme.example\nS3_PUBLIC_ENDPOINT=https://s3.acme.example\n"
    keys = "S3_ACCESS_KEY_ID=obviously-fake-key\nS3_SECRET_ACCESS_KEY=obviously-fake-key\n"
    for text in ("", s3 + keys):
        with external.reached(services(tmp_path, runner, text)):
            pass
    assert runner.calls == []
    bundled = services(tmp_path, runner, "")
    assert type(clickhouse_of(bundled)) is ClickHouse
    assert not isinstance(postgres_of(bundled), ExternalPostgres)


def test_places_name_addresses_and_no_password(tmp_path: Path) -> None:
    lines = external.places(services(tmp_path, FakeRunner()))
    assert lines == [
        "PostgreSQL pg.acme.example:5432, database langfuse, schema public",
        "ClickHouse clickhouse://ch.acme.example:9440, database default",
        "Valkey valkey.acme.example:6379, database 0: queues and caches",
    ]


def test_clickhouse_is_asked_over_its_native_interface(tmp_path: Path) -> None:
    runner = FakeRunner()
    clickhouse_of(services(tmp_path, runner)).query("SELECT 1")
    tail = runner.calls[0][runner.calls[0].index("exec") :]
    assert tail == [
        *("exec", "-T", "clickhouse-client", "clickhouse-client"),
        *("--host", "ch.acme.example", "--port", "9440", "--database", "default", "--secure"),
    ]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (EXTERNAL, "-h valkey.acme.example -p 6379 -e -n 0"),
        (
            "REDIS_CONNECTION_STRING=rediss://acme:pass%40word@valkey.acme.example:6380/3\n",
            "-h valkey.acme.example -p 6380 --user acme --tls -e -n 3",
        ),
    ],
)
def test_only_keys_of_langfuse_are_set_aside_in_the_database_that_is_named(
    tmp_path: Path, text: str, options: str
) -> None:
    runner = FakeRunner({"EXISTS": Completed(0, "0\n")})
    valkey_of(services(tmp_path, runner, text)).set_aside()
    asked, renamed = ([*call[call.index("valkey-cli") + 1 :]] for call in runner.calls)
    assert " ".join(asked) == f"{options} EXISTS {MARK}"
    assert renamed[: len(options.split())] == options.split()
    assert renamed[-len(FAMILIES) - 3 :] == ["0", MARK, f"{MARK}:", *FAMILIES]
    assert not any("pass@word" in line for line in runner.lines())


def test_a_prefix_of_keys_is_named(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    assert external.unsupported_valkey(layout) == ""
    layout.langfuse_file.write_text("REDIS_CLUSTER_ENABLED=false\nREDIS_KEY_PREFIX=acme\n")
    assert external.unsupported_valkey(layout) == "REDIS_KEY_PREFIX"


TABLE = "CREATE TABLE default.scores (`id` String) ENGINE = {} ORDER BY id SETTINGS index_granularity = 8192"


@pytest.mark.parametrize(
    ("engine", "plain"),
    [
        ("ReplacingMergeTree(event_ts, is_deleted)", "ReplacingMergeTree(event_ts, is_deleted)"),
        ("MergeTree", "MergeTree"),
        (
            "ReplicatedReplacingMergeTree('/tables/{uuid}/{shard}', '{replica}', event_ts, is_deleted)",
            "ReplacingMergeTree(event_ts, is_deleted)",
        ),
        ("ReplicatedMergeTree('/tables/{shard}', '{replica}')", "MergeTree()"),
        ("SharedMergeTree('/tables/{uuid}/{shard}', '{replica}')", "MergeTree()"),
        ("SharedReplacingMergeTree(event_ts)", "ReplacingMergeTree(event_ts)"),
    ],
)
def test_a_table_is_made_under_another_name_and_is_not_replicated(engine: str, plain: str) -> None:
    saved = SavedTable("scores", engine.partition("(")[0], TABLE.format(engine), "default")
    assert saved.create("other", "beside") == TABLE.format(plain).replace(
        "default.scores", "`other`.`beside`"
    )


def test_a_view_reads_the_tables_of_the_database_that_it_is_made_in() -> None:
    statement = (
        "CREATE MATERIALIZED VIEW acme.core_mv TO acme.core (`id` String) AS SELECT id, 'acme.x' AS place"
        " FROM acme.full"
    )
    saved = SavedTable("core_mv", "MaterializedView", statement, "acme")
    assert saved.create("acme", "core_mv") == statement.replace("VIEW acme.core_mv", "VIEW `acme`.`core_mv`")
    assert saved.create("default", "core_mv") == (
        "CREATE MATERIALIZED VIEW `default`.`core_mv` TO `default`.core (`id` String) AS SELECT id,"
        " 'acme.x' AS place FROM `default`.full"
    )


def test_a_statement_of_another_form_is_an_error() -> None:
    with pytest.raises(StoreError, match="in an unknown way"):
        SavedTable("scores", "MergeTree", "ATTACH TABLE scores", "default").create("default", "beside")


class Server:
    """A ClickHouse with tables by name, the statements that it got, and one at which it fails."""

    def __init__(self, tables: dict[str, str]) -> None:
        self.tables = tables
        self.said: list[str] = []
        self.contents: dict[str, list[str]] = {}
        self.fails_at = -1

    def runner(self) -> FakeRunner:
        runner = FakeRunner()
        runner.rules["exec"] = lambda *_: Completed(0, self.answer(runner.inputs[-1]))
        return runner

    def answer(self, statement: str) -> str:
        # A view is made as it was, whatever has become of what it reads.
        statement = statement.removeprefix("SET allow_materialized_view_with_bad_select = 1; ")
        if statement.startswith("SELECT name, engine FROM system.tables"):
            rows = [{"name": name, "engine": engine} for name, engine in sorted(self.tables.items())]
        elif statement.startswith("SELECT name, engine, create_table_query"):
            rows = [
                {
                    "name": name,
                    "engine": engine,
                    "statement": f"CREATE {'VIEW' if 'View' in engine else 'TABLE'} default.{name} (x)",
                    "database": "default",
                }
                for name, engine in sorted(self.tables.items())
            ]
        elif statement.startswith("SELECT DISTINCT partition_id"):
            rows = [{"id": "202601"}]
        elif statement.startswith("SELECT entry"):
            rows = [{"entry": entry} for entry in self.contents[statement.split("`")[3]]]
        elif statement.startswith("SELECT"):
            rows = []
        else:
            self.change(statement)
            rows = []
        return "".join(json.dumps(row) + "\n" for row in rows)

    def change(self, statement: str) -> None:
        if len(self.said) == self.fails_at:
            raise StackError("no", fix="")
        self.said.append(statement)
        names = statement.split("`")[3::4]
        if statement.startswith("CREATE"):
            self.tables[names[0]] = "View" if "VIEW" in statement else "MergeTree"
        elif statement.startswith("DROP"):
            self.tables.pop(names[0], None)
        elif statement.startswith("RENAME"):
            self.tables[names[1]] = self.tables.pop(names[0])
            if names[0] in self.contents:
                self.contents[names[1]] = self.contents.pop(names[0])
        elif statement.startswith("INSERT INTO") and "VALUES" in statement:
            listed = statement.partition("VALUES ")[2]
            entries = [part.strip("()'") for part in listed.split("), (")]
            self.contents[names[0]] = [entry.replace("\\\\", "\\") for entry in entries]


def of(directory: Path, server: Server) -> ClickHouseTables:
    return ClickHouseTables(services(directory, server.runner(), ""))


def test_a_backup_attaches_parts_and_is_complete_at_its_end(tmp_path: Path) -> None:
    server = Server({"events": "MergeTree", "nothing": "Null", "view": "View"})
    clickhouse = of(tmp_path, server)
    clickhouse.back_up("backup")
    assert server.said[:2] == [
        "CREATE TABLE `default`.`langfuse_backup_events` (x)",
        "ALTER TABLE `default`.`langfuse_backup_events` ATTACH PARTITION ID '202601' FROM `default`.`events`",
    ]
    assert server.said[-1] == (
        "RENAME TABLE `default`.`langfuse_backup__contents_` TO `default`.`langfuse_backup__contents`"
    )
    assert clickhouse.has("backup")
    assert clickhouse.tables().keys() == {"events", "nothing", "view"}
    clickhouse.remove("backup")
    assert server.tables.keys() == {"events", "nothing", "view"}
    assert server.said[-2:] == [
        "DROP TABLE IF EXISTS `default`.`langfuse_backup__contents` SYNC",
        "DROP TABLE IF EXISTS `default`.`langfuse_backup_events` SYNC",
    ]


def test_a_restore_that_was_interrupted_anywhere_is_repeated_to_its_end(tmp_path: Path) -> None:
    step = 0
    while True:
        server = Server({"events": "MergeTree", "scores": "MergeTree", "view": "View"})
        clickhouse = of(tmp_path, server)
        clickhouse.back_up("before-restore")
        server.tables |= {"new": "MergeTree"}
        server.fails_at = len(server.said) + step
        try:
            clickhouse.restore("before-restore")
        except StackError:
            server.fails_at = -1
            clickhouse.restore("before-restore")
        else:
            assert step > 5, "every step fails once"
            break
        assert clickhouse.tables().keys() == {"events", "scores", "view"}
        made = [name for name in server.tables if name.startswith("langfuse_")]
        assert made == ["langfuse_before_restore__contents"]
        step += 1


def test_what_is_no_backup_of_tables_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"tables\.json of the backup"):
        read_index(tmp_path)


@pytest.mark.parametrize(
    ("direct", "two"),
    [("", False), ("postgresql://acme:a@pg/langfuse", False), ("postgresql://owner:a@pg/langfuse", True)],
)
def test_a_second_user_of_postgres_is_noticed(direct: str, two: bool) -> None:
    settings = {"DATABASE_URL": "postgresql://acme:a@pooler/langfuse", "DIRECT_URL": direct}
    assert external.has_two_postgres_users(settings) is two


def test_what_only_looks_does_not_take_the_programs_from_a_command_that_is_at_work(
    tmp_path: Path,
) -> None:
    """Both use the same containers, and the first that is done removes them."""
    runner = FakeRunner({"docker inspect": Completed(0, CONTAINERS)})
    stack = services(tmp_path, runner)
    context = Context(stack.layout, {"PATH": "/bin"}, Console({}), runner)
    with (
        only_one_command(stack.layout),
        pytest.raises(StackError, match="Another command"),
        within_reach_to_look(context, stack.settings, "compose"),
    ):
        pytest.fail("it looks")
    assert runner.calls == []
    bundled = services(tmp_path, runner, "").settings
    with only_one_command(stack.layout), within_reach_to_look(context, bundled, "compose"):
        assert not any("postgres-client" in line for line in runner.lines())


def test_tables_of_a_backup_are_never_taken_for_those_of_langfuse(tmp_path: Path) -> None:
    """A restore drops every table that the backup does not have."""
    kept = (RUNNING, INCOMING, BEFORE, KEPT)
    beside = [f"langfuse_{name.replace('-', '_')}_scores" for name in kept]
    rows = [json.dumps({"name": name, "engine": "MergeTree"}) for name in ("scores", *beside)]
    runner = FakeRunner({"clickhouse-client": Completed(0, "\n".join(rows))})
    clickhouse = clickhouse_of(services(tmp_path, runner))
    assert clickhouse.tables() == {"scores": "MergeTree"}
    for name in kept:
        clickhouse.has(name)
    with pytest.raises(ValueError, match="before-test is not a name of a backup"):
        clickhouse.back_up("before-test")
