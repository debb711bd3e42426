"""What is asked of PostgreSQL, ClickHouse and Valkey inside their services, word for word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts.core.errors import CommandFailed
from scripts.core.runner import Completed
from scripts.docker.compose import Compose
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.errors import StoreError
from scripts.stores.event_batches import SpanId
from scripts.stores.postgres import Postgres, read_counts
from scripts.stores.valkey import Valkey
from tests.unit.scripts.fakes import FakeRunner, layout_in, settings_with

INSIDE = "docker compose --project-name langfuse-stack exec -T"


def services(directory: Path, runner: FakeRunner) -> Compose:
    return Compose(layout_in(directory), settings_with(), {"PATH": "/bin"}, runner)


def test_a_rename_sends_others_away_and_is_one_transaction(tmp_path: Path) -> None:
    runner = FakeRunner()
    Postgres(services(tmp_path, runner)).exchange()
    assert [line.rsplit(" ", 1)[1] for line in runner.lines()] == ["postgres", "postgres"]
    assert runner.inputs == [
        "DROP DATABASE IF EXISTS langfuse_before_restore WITH (FORCE);",
        (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname IN ('langfuse', 'langfuse_restored');\n"
            "BEGIN;\n"
            "ALTER DATABASE langfuse RENAME TO langfuse_before_restore;\n"
            "ALTER DATABASE langfuse_restored RENAME TO langfuse;\n"
            "COMMIT;"
        ),
    ]


def test_a_rename_is_tried_again_while_a_health_check_is_in_the_database(tmp_path: Path) -> None:
    answers = [Completed(1, "", "database is being accessed by other users"), Completed(0)]
    runner = FakeRunner()

    def answer(_: Sequence[str], __: Mapping[str, str] | None) -> Completed:
        return Completed(0) if "DROP" in runner.inputs[-1] else answers.pop(0)

    runner.rules["exec"] = answer
    Postgres(services(tmp_path, runner), sleep=lambda _: None).exchange()
    assert answers == []


def test_another_failure_of_a_rename_is_not_repeated(tmp_path: Path) -> None:
    runner = FakeRunner({"exec": lambda *_: Completed(0 if "DROP" in runner.inputs[-1] else 1, "", "no")})
    with pytest.raises(CommandFailed):
        Postgres(services(tmp_path, runner)).exchange()
    assert len(runner.calls) == 2


def test_an_undo_without_an_exchange_removes_only_what_was_being_filled(tmp_path: Path) -> None:
    runner = FakeRunner({"exec": Completed(0, "0\n")})
    Postgres(services(tmp_path, runner)).exchange_back()
    assert runner.inputs == [
        "SELECT count(*) FROM pg_database WHERE datname = 'langfuse_before_restore';",
        "DROP DATABASE IF EXISTS langfuse_restored WITH (FORCE);",
    ]


def test_counts_are_read_by_table_and_project() -> None:
    lines = ['["prompts", "kosmos", 3]', '["prompts", "zeus", 1]', '["users", "", 2]', ""]
    assert read_counts(lines) == {"prompts": {"kosmos": 3, "zeus": 1}, "users": {"": 2}}


def test_what_is_no_count_is_not_taken_for_one() -> None:
    with pytest.raises(StoreError, match="NOTICE: something"):
        read_counts(["NOTICE: something"])


def test_a_backup_that_clickhouse_did_not_finish_is_a_failure(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.rules["clickhouse-client"] = lambda *_: Completed(
        0, "id\tBACKUP_FAILED\n" if runner.inputs[-1].startswith("BACKUP") else ""
    )
    with pytest.raises(StoreError, match="BACKUP_FAILED"):
        ClickHouse(services(tmp_path, runner)).back_up("one")
    assert runner.lines()[0] == f"{INSIDE} clickhouse rm -rf /var/lib/clickhouse/backups/one"
    assert set(runner.lines()[1:]) == {f"{INSIDE} clickhouse clickhouse-client"}
    assert runner.inputs[-1] == "BACKUP DATABASE default TO Disk('backups', 'one')"


@pytest.mark.parametrize("goes", [True, False])
def test_patch_parts_are_applied_before_a_backup_or_there_is_none(tmp_path: Path, *, goes: bool) -> None:
    runner, there = FakeRunner(), [True]

    def answer(*_: object) -> Completed:
        said = runner.inputs[-1]
        if "APPLY PATCHES" in said and goes:
            there.clear()
        if "patch-" in said:
            return Completed(0, '{"table":"events_full"}\n' if there else "")
        return Completed(0, "id\tBACKUP_CREATED\n")

    runner.rules["clickhouse-client"] = answer
    clickhouse = ClickHouse(services(tmp_path, runner))
    if goes:
        clickhouse.back_up("one")
    else:
        with pytest.raises(StoreError, match="has not applied all changes to events_full"):
            clickhouse.back_up("one")
    applied = "ALTER TABLE `default`.`events_full` APPLY PATCHES SETTINGS mutations_sync = 2"
    assert runner.inputs.index(applied) > 0
    assert any(said.startswith("BACKUP") for said in runner.inputs) is goes


def test_tables_go_after_the_views_that_read_them(tmp_path: Path) -> None:
    listed = (
        '{"name":"a_table","engine":"ReplacingMergeTree"}\n{"name":"z_view","engine":"MaterializedView"}\n'
    )
    answers = [Completed(0, listed), Completed(0), Completed(0), Completed(0, "id\tRESTORED\n")]
    runner = FakeRunner({"exec": lambda *_: answers.pop(0)})
    ClickHouse(services(tmp_path, runner)).restore("one")
    assert runner.inputs[1:] == [
        "DROP VIEW IF EXISTS `default`.`z_view` SYNC",
        "DROP TABLE IF EXISTS `default`.`a_table` SYNC",
        "RESTORE DATABASE default FROM Disk('backups', 'one')",
    ]


def test_second_copies_are_merged_in_each_month_that_any_of_the_spans_is_in(tmp_path: Path) -> None:
    def answer(_: Sequence[str], __: Mapping[str, str] | None) -> Completed:
        asked = runner.inputs[-1]
        month = "202611" if "'s00000'" in asked else "202612"
        return Completed(0, f'{{"id":"{month}"}}\n' if "SELECT" in asked else "")

    runner = FakeRunner({"exec": answer})
    spans = [SpanId("a1", f"s{number:05}") for number in range(5_001)]
    ClickHouse(services(tmp_path, runner)).merge("kosmos", spans)
    merged = [one for one in runner.inputs if one.startswith("OPTIMIZE")]
    assert [one.split("PARTITION ID ")[1] for one in merged] == ["'202611' FINAL", "'202612' FINAL"] * 2


def test_ids_from_outside_cannot_leave_their_quotes(tmp_path: Path) -> None:
    runner = FakeRunner()
    ClickHouse(services(tmp_path, runner)).stored("kosmos", [SpanId("a1", "x') OR 1 --\\")])
    assert r"IN ('x\') OR 1 --\\')" in runner.inputs[0]
    Postgres(services(tmp_path, runner)).has_table("x")
    runner.rules["postgres"] = Completed(0, "t\n")
    with pytest.raises(ValueError, match="Expecting value"):  # the fake answers `t` to everything
        Postgres(services(tmp_path, runner)).deleted_traces("kosmos", ["x' OR '1"])
    assert "IN ('x'' OR ''1')" in runner.inputs[-1]


def test_valkey_is_set_aside_once(tmp_path: Path) -> None:
    there = [Completed(0, "0\n"), Completed(0, ""), Completed(0, "OK"), Completed(0, "OK")]
    runner = FakeRunner({"valkey-cli": lambda *_: there.pop(0)})
    Valkey(services(tmp_path, runner)).set_aside()
    words = [line.removeprefix(f"{INSIDE} valkey valkey-cli -e -n ") for line in runner.lines()]
    assert words[0] == "1 EXISTS langfuse-stack:before-restore"
    assert words[2:] == ["0 SET langfuse-stack:before-restore 1", "0 SWAPDB 0 1"]
    again = FakeRunner({"valkey-cli": Completed(0, "1\n")})
    Valkey(services(tmp_path, again)).set_aside()
    assert len(again.calls) == 1
