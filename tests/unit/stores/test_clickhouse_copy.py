"""A ClickHouse copied in passes: each takes what has changed, and a kill costs one partition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from scripts.docker.compose import Compose
from scripts.stores.clickhouse_copy import ClickHouseCopy
from scripts.stores.clickhouse_tables import SavedTable

Rows = dict[str, dict[str, list[str]]]


class Killed(BaseException):
    """Nothing more is done."""


class World:
    """Tables with rows by partition. `kill_at` ends everything within that transfer, half done."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.moved: list[str] = []
        self.kill_at = -1

    def transfer(self, name: str) -> bool:
        """Note a transfer; return whether to be killed in its middle."""
        self.moved.append(name)
        return len(self.moved) - 1 == self.kill_at


class Copy(ClickHouseCopy):
    """A server in memory."""

    __slots__ = ()

    @property
    def world(self) -> World:
        return cast("World", self.services)

    def apply_patches(self) -> None:
        pass

    def query(self, statement: str) -> str:
        words = statement.split("`")
        if statement.startswith("CREATE"):
            self.world.rows[words[3]] = {}
        elif statement.startswith("RENAME"):
            self.world.rows[words[7]] = self.world.rows.pop(words[3])
        else:
            raise AssertionError(statement)
        return ""

    def _all_tables(self) -> dict[str, str]:
        return dict.fromkeys(self.world.rows, "MergeTree")

    def _saved_now(self) -> list[SavedTable]:
        return [
            SavedTable(name, "MergeTree", f"CREATE TABLE default.{name} (x)", "default")
            for name in sorted(self.tables())
        ]

    def _marks_now(self) -> dict[str, str]:
        return {
            f"{table}/{partition}": str(rows)
            for table, partitions in self.world.rows.items()
            for partition, rows in partitions.items()
        }

    def _partitions(self, table: SavedTable, beside: str) -> Iterator[tuple[str, str]]:
        for partition in sorted(self.world.rows[beside]):
            yield f"{partition}.native", f" {partition}"

    def _read(self, statement: str, path: Path) -> None:
        table, partition = statement.split("`")[3], statement.rsplit(maxsplit=1)[-1]
        killed = self.world.transfer(f"{table}/{partition}")
        rows = self.world.rows[table][partition]
        path.write_text("".join(f"{row}\n" for row in (rows[:1] if killed else rows)))
        if killed:
            raise Killed

    def _write(self, statement: str, path: Path) -> None:
        table = self.world.rows[statement.split("`")[3]]
        rows = path.read_text().splitlines()
        killed = self.world.transfer(f"{path.parent.name}/{path.stem}")
        table.setdefault(path.stem, []).extend(rows[:1] if killed else rows)
        if killed:
            raise Killed

    def _drop(self, table: str, engine: str) -> None:
        self.world.rows.pop(table, None)

    def _drop_partition(self, table: str, partition: str) -> None:
        self.world.rows[table].pop(partition, None)

    def _write_contents(self, name: str, saved: object) -> None:
        pass


def side(world: World, loaded: Path = Path()) -> Copy:
    return Copy(cast("Compose", world), "default", loaded=loaded)


@pytest.fixture
def old() -> World:
    return World({"events": {"202601": ["a", "b"], "202602": ["c"]}, "scores": {"202601": ["x"]}})


def test_each_pass_takes_what_has_changed_and_the_end_is_what_there_is(old: World, tmp_path: Path) -> None:
    new, files, loaded = World({}), tmp_path / "files", tmp_path / "loaded.json"
    assert side(old).copy(files) == 3
    assert side(new, loaded).preload(files) == 3
    old.rows["events"]["202602"].append("d")
    del old.rows["scores"]["202601"]
    old.rows["scores"]["202603"] = ["y", "z"]
    old.rows["traces"] = {"202603": ["t"]}
    old.moved.clear()
    new.moved.clear()
    assert side(old).copy(files) == 3
    assert old.moved == ["events/202602", "scores/202603", "traces/202603"]
    assert side(new, loaded).preload(files) == 3
    assert new.moved == old.moved
    assert side(old).copy(files) == 0
    side(new, loaded).send(files, "incoming")
    assert new.rows == {f"langfuse_incoming_{name}": rows for name, rows in old.rows.items()}
    assert not loaded.exists()


def test_a_table_that_is_gone_or_of_another_form_is_made_anew(old: World, tmp_path: Path) -> None:
    new, files, loaded = World({"others": {"1": ["kept"]}}), tmp_path / "files", tmp_path / "loaded.json"
    side(old).copy(files)
    side(new, loaded).preload(files)
    del old.rows["scores"]
    side(old).copy(files)
    index = files / "tables.json"
    index.write_text(index.read_text().replace("(x)", "(x, y)"))
    assert side(new, loaded).preload(files) == 2
    assert new.rows == {"langfuse_moving_events": old.rows["events"], "others": {"1": ["kept"]}}
    side(new, loaded).forget()
    assert new.rows == {"others": {"1": ["kept"]}}
    assert not loaded.exists()


@pytest.mark.parametrize("step", range(3))
def test_a_kill_within_a_transfer_is_made_good_by_the_next_pass(
    old: World, tmp_path: Path, step: int
) -> None:
    new, files, loaded = World({}), tmp_path / "files", tmp_path / "loaded.json"
    old.rows["events"]["202602"] = ["c", "d"]
    old.rows["scores"]["202601"] = ["x", "y"]
    side(old).copy(files)
    for path in files.glob("*/*.native"):
        path.unlink()
    old.moved.clear()
    old.kill_at = new.kill_at = step
    with pytest.raises(Killed):
        side(old).copy(files)
    side(old).copy(files)
    with pytest.raises(Killed):
        side(new, loaded).preload(files)
    side(new, loaded).send(files, "incoming")
    assert new.rows == {f"langfuse_incoming_{name}": rows for name, rows in old.rows.items()}
    assert len(new.moved) == 4, "one partition was written twice"
