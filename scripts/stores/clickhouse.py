"""ClickHouse of a compose stack: its own BACKUP and RESTORE through the disk `backups` of its data volume."""

# ruff: noqa: S608 - statements are made of constants and of names that ClickHouse itself gave
from __future__ import annotations

import json
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core.archives import unpack
from scripts.core.errors import CommandFailed
from scripts.docker.compose import Compose

from .errors import StoreError
from .event_batches import SpanId

SERVICE = "clickhouse"
DIRECTORY = "/var/lib/clickhouse/backups"
"""Where the disk `backups` lies (config/clickhouse/config.d/langfuse.xml)."""
BEFORE = "before-restore"
"""The backup that a restore makes of what it replaces."""

_IDS_A_QUESTION = 5000

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """The bundled ClickHouse. Methods raise StackError when they fail.

    Attributes:
        service: the container in which its client runs.
        client: that program, with options.
    """

    services: Compose
    database: str = "default"
    service: str = SERVICE
    client: tuple[str, ...] = ("clickhouse-client",)

    def query(self, statement: str) -> str:
        """Return the answer to a statement."""
        try:
            # User and password are in the environment of the service, where the client looks for them.
            return self.services.execute(self.service, list(self.client), stdin=statement)
        except CommandFailed as error:
            raise StoreError(
                f"ClickHouse refused: {' '.join(statement.split())[:120]}",
                details=error.details,
                fix="look at `make logs SERVICE=clickhouse`, or at the logs of an external ClickHouse.",
            ) from error

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return [json.loads(line) for line in self.query(f"{statement} FORMAT JSONEachRow").splitlines()]

    def size(self) -> int:
        """Return the bytes of all parts that are in use."""
        found = self.rows(
            f"SELECT toString(sum(bytes_on_disk)) AS bytes FROM system.parts WHERE active AND {self._here}"
        )
        return int(found[0]["bytes"])

    def migration(self) -> int:
        """Return the newest migration, 0 where there is no table of them."""
        if "schema_migrations" not in self.tables():
            return 0
        version = f"SELECT toString(max(version)) AS version FROM {self._table('schema_migrations')}"
        return int(self.rows(version)[0]["version"])

    def set_migration(self, number: int) -> None:
        """Write down that a migration is the last one, and complete.

        As `migrate force` of golang-migrate does (database/clickhouse/clickhouse.go, SetVersion).
        That program takes the password as an argument, which every user of the host can see.
        """
        self.query(
            f"INSERT INTO {self._table('schema_migrations')} (version, dirty, sequence)"
            f" VALUES ({number:d}, 0, toUnixTimestamp64Nano(now64(9)))"
        )

    def tables(self) -> dict[str, str]:
        """Return the engine of each table and view."""
        listed = self.rows(f"SELECT name, engine FROM system.tables WHERE {self._here} ORDER BY name")
        return {row["name"]: row["engine"] for row in listed}

    def counts(self) -> Counts:
        """Return the rows of all tables by project; rows that a merge would drop are not counted."""
        listed = self.rows(
            f"SELECT table FROM system.columns WHERE {self._here} AND name = 'project_id' ORDER BY table"
        )
        of_project = {row["table"] for row in listed}
        counts: Counts = {}
        for table, engine in self.tables().items():
            if "MergeTree" not in engine:
                continue
            project = "toString(project_id)" if table in of_project else "''"
            final = "" if engine in ("MergeTree", "ReplicatedMergeTree") else " FINAL"
            found = self.rows(
                f"SELECT {project} AS project, toString(count()) AS rows FROM {self._table(table)}{final}"
                " GROUP BY project ORDER BY project"
            )
            counts[table] = {row["project"]: int(row["rows"]) for row in found}
        return counts

    def stored(self, project: str, spans: Collection[SpanId]) -> set[SpanId]:
        """Return which of these spans there are."""
        found: set[SpanId] = set()
        ordered = sorted(spans)
        for begin in range(0, len(ordered), _IDS_A_QUESTION):
            ids = ",".join(literal(span.span) for span in ordered[begin : begin + _IDS_A_QUESTION])
            rows = self.rows(
                f"SELECT DISTINCT lower(trace_id) AS trace, lower(span_id) AS span"
                f" FROM {self._table('events_full')}"
                f" WHERE project_id = {literal(project)} AND lower(span_id) IN ({ids})"
            )
            found |= {SpanId(row["trace"], row["span"]) for row in rows}
        return found & set(ordered)

    def ids(self, table: str, project: str, column: str, values: Collection[str]) -> set[str]:
        """Return the ids of a project's rows with one of these values in a column."""
        found: set[str] = set()
        for condition in self._conditions(project, column, values):
            rows = self.rows(f"SELECT DISTINCT id FROM {self._table(table)} WHERE {condition}")
            found |= {row["id"] for row in rows}
        return found

    def delete(self, table: str, project: str, column: str, values: Collection[str]) -> None:
        """Delete a project's rows with one of these values in a column, where the table is there."""
        if table in self.tables():
            for condition in self._conditions(project, column, values):
                self.query(f"DELETE FROM {self._table(table)} WHERE {condition}")

    def apply_deletions(self, table: str) -> None:
        """Write the parts of a table anew without the rows that are deleted in them."""
        if table in self.tables():
            self.query(f"ALTER TABLE {self._table(table)} APPLY DELETED MASK SETTINGS mutations_sync = 1")

    def merge(self, project: str, spans: Collection[SpanId]) -> None:
        """Let go of second copies of spans now, and not when ClickHouse gets to it."""
        ordered = sorted(spans)
        for table in ("events_full", "events_core"):
            partitions: set[str] = set()
            for begin in range(0, len(ordered), _IDS_A_QUESTION):
                ids = ",".join(literal(span.span) for span in ordered[begin : begin + _IDS_A_QUESTION])
                rows = self.rows(
                    f"SELECT DISTINCT _partition_id AS id FROM {self._table(table)}"
                    f" WHERE project_id = {literal(project)} AND lower(span_id) IN ({ids})"
                )
                partitions.update(row["id"] for row in rows)
            for partition in sorted(partitions):
                self.query(f"OPTIMIZE TABLE {self._table(table)} PARTITION ID {literal(partition)} FINAL")

    def patched(self) -> list[str]:
        """Return the tables with changes that only patch parts have: a read applies them, a backup does not.

        The server makes such parts when CLICKHOUSE_USE_LIGHTWEIGHT_UPDATE is set, or its delete mode says so.
        They stay for a while after they were applied: the version of the parts says whether they were.
        """
        version = "SELECT table, {} AS partition, {}(data_version) AS version FROM system.parts"
        patch = version.format("arrayElement(splitByChar('-', partition_id), -1)", "max")
        part = version.format("partition_id", "min")
        is_patch = "startsWith(name, 'patch-')"
        found = self.rows(
            f"SELECT DISTINCT patch.table AS table FROM"
            f" ({patch} WHERE active AND {self._here} AND {is_patch} GROUP BY table, partition) AS patch"
            f" INNER JOIN ({part} WHERE active AND {self._here} AND NOT {is_patch} GROUP BY table, partition)"
            " AS part ON patch.table = part.table AND patch.partition = part.partition"
            " WHERE part.version < patch.version ORDER BY table"
        )
        return [row["table"] for row in found]

    def apply_patches(self) -> None:
        """Write the changes of patch parts into the parts that they are about.

        BACKUP leaves patch parts out (https://github.com/ClickHouse/ClickHouse/issues/116677): rows that were
        deleted come back with a restore, and updates are gone.

        Raises:
            StoreError: some are still there; a backup would not have them.
        """
        for table in self.patched():
            self.query(f"ALTER TABLE {self._table(table)} APPLY PATCHES SETTINGS mutations_sync = 2")
        left = self.patched()
        if left:
            raise StoreError(
                f"ClickHouse has not applied all changes to {', '.join(left)}: a backup would lose them.",
                fix="wait until no updates come in, then repeat.",
            )

    def back_up(self, name: str) -> None:
        """Make a backup on the disk `backups`; one of the same name is replaced."""
        self.remove(name)
        self.apply_patches()
        answer = self.query(f"BACKUP DATABASE {self.database} TO Disk('backups', '{name}')")
        if "BACKUP_CREATED" not in answer:
            raise StoreError(f"ClickHouse did not finish its backup: {answer.strip()[:200]}")

    def restore(self, name: str) -> None:
        """Put a backup of the disk `backups` in the place of all tables."""
        for table, engine in sorted(self.tables().items(), key=lambda pair: "View" not in pair[1]):
            kind = "VIEW" if "View" in engine else "TABLE"
            self.query(f"DROP {kind} IF EXISTS {self._table(table)} SYNC")
        answer = self.query(f"RESTORE DATABASE {self.database} FROM Disk('backups', '{name}')")
        if "RESTORED" not in answer:
            raise StoreError(f"ClickHouse did not finish its restore: {answer.strip()[:200]}")

    def has(self, name: str) -> bool:
        """Return whether the disk `backups` has a complete backup of that name."""
        test = f"test -e {DIRECTORY}/{name}/.backup && echo yes || echo no"
        return self.services.execute(SERVICE, ["sh", "-c", test]).strip() == "yes"

    def remove(self, name: str) -> None:
        """Remove a backup from the disk `backups`."""
        self.services.execute(SERVICE, ["rm", "-rf", f"{DIRECTORY}/{name}"])

    def fetch(self, name: str, into: Path) -> None:
        """Copy a backup from the disk `backups` to a directory here."""
        into.mkdir(parents=True, mode=0o700)

        def write(stream: Any) -> None:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                unpack(archive, into)

        try:
            self.services.read(SERVICE, ["tar", "-C", f"{DIRECTORY}/{name}", "-cf", "-", "."], write)
        except (OSError, tarfile.TarError) as error:
            raise StoreError(
                f"The backup of ClickHouse could not be copied to {into}: {error}.",
                fix="free some disk space, then repeat.",
            ) from error

    def send(self, source: Path, name: str) -> None:
        """Copy a backup from a directory here to the disk `backups`."""
        self.remove(name)
        target = f"{DIRECTORY}/{name}"

        def pack(stream: Any) -> None:
            with tarfile.open(fileobj=stream, mode="w|") as archive:
                archive.add(source, arcname=".", filter=_anonymous)

        script = f"mkdir -p {target} && exec tar -C {target} --no-same-owner -xf -"
        try:
            self.services.write(SERVICE, ["sh", "-c", script], pack)
        except (OSError, tarfile.TarError) as error:
            raise StoreError(
                f"The backup could not be copied to ClickHouse: {error}.",
                fix="look at `make status` and the free space of the host, then repeat.",
            ) from error

    @staticmethod
    def _conditions(project: str, column: str, values: Collection[str]) -> Iterator[str]:
        ordered = sorted(values)
        for begin in range(0, len(ordered), _IDS_A_QUESTION):
            listed = ",".join(map(literal, ordered[begin : begin + _IDS_A_QUESTION]))
            yield f"project_id = {literal(project)} AND {column} IN ({listed})"

    @property
    def _here(self) -> str:
        return f"database = '{self.database}'"

    def _table(self, name: str) -> str:
        return f"`{self.database}`.`{name}`"


def literal(text: str) -> str:
    """Return a text as it is in a statement."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
