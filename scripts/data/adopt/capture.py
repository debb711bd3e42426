# ruff: noqa: S608 - statements are made of constants, and of texts that are quoted
"""Copy the stores of an official stack as a set of `make backup`, with objects in their new places."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from scripts.core.errors import StackError
from scripts.core.layout import write_private
from scripts.data.backup.drivers import objects
from scripts.data.backup.drivers.base import Captured
from scripts.data.backup.drivers.compose import CONTENTS, SCORES
from scripts.data.backup.drivers.compose_exchange import prefixed
from scripts.data.backup.manifest import Contents
from scripts.docker.other_compose import OtherCompose
from scripts.settings.values import Settings
from scripts.stores.clickhouse import ClickHouse, literal
from scripts.stores.event_batches import objects_between
from scripts.stores.postgres import Postgres
from scripts.stores.postgres import literal as sql_text
from scripts.stores.s3 import Bucket, StoredObject
from scripts.stores.s3 import Content as StoredContent
from scripts.stores.score_objects import score_objects_between

from .asking import DATABASE, bucket_of
from .content import Content, content_of
from .source import Place, Source

COPY = "langfuse_stack_adopt"
"""What copies are called in the stores of the old stack while they are made."""
EVENTS_WINDOW = timedelta(hours=24)
"""How far back raw events come along: among them is what was acknowledged and not stored."""
FILE_LOG = "blob_storage_file_log"


@dataclass(slots=True)
class OfficialStores:
    """The stores of the old stack, while neither web nor worker runs."""

    other: OtherCompose
    source: Source
    settings: Settings
    content: Content = field(default_factory=dict)

    def capture(self, into: Path) -> Captured:
        """Copy all stores to a directory that does not exist; say what is in it.

        Raises:
            StackError: that failed; what was made in the old stores is removed.
        """
        into.mkdir(mode=0o700)
        with self._copies():
            self.content = content_of(self._postgres, COPY, self._clickhouse)
            counts = prefixed("clickhouse", self._clickhouse.counts())
            counts |= prefixed("postgres", self._postgres.dump(into / "postgres.dump", COPY))
            schema = {
                "postgres": int(self._postgres.query(
                    "SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL;", COPY
                )),
                "clickhouse": self._clickhouse.migration(),
            }  # fmt: skip
            projects = self._postgres.query("SELECT to_json(id) FROM projects ORDER BY id;", COPY)
            self._clickhouse.fetch(COPY, into / "clickhouse")
        counts |= self._mirror(into, [json.loads(line) for line in projects.splitlines()])
        contents = Contents(schema, counts, ())
        write_private(into / CONTENTS, json.dumps(asdict(contents), indent=1))
        consistency = "everything after web and worker of the old stack had stopped, with empty queues"
        return Captured(contents, consistency, self.other.images())

    @contextmanager
    def _copies(self) -> Iterator[None]:
        """Make copies in the old stores in which objects lie where they will; remove them at the end."""
        self.remove_copies()
        try:
            database = self.source.database.replace('"', '""')
            self._postgres.query(f'CREATE DATABASE {COPY} TEMPLATE "{database}";', "template1")
            self._postgres.query(
                moved_rows(self.source.place("media"), self.settings["S3_MEDIA_BUCKET"]), COPY
            )
            self._back_up()
            yield
        finally:
            with suppress(StackError):
                self.remove_copies()

    def remove_copies(self) -> None:
        """Remove what an earlier run has left in the old stores."""
        self._postgres.query(f"DROP DATABASE IF EXISTS {COPY} WITH (FORCE);", "template1")
        self._clickhouse.query(f"DROP DATABASE IF EXISTS {COPY} SYNC")
        self._clickhouse.remove(COPY)

    def _back_up(self) -> None:
        """Make a backup in which the log of objects names the bucket and the keys of this stack."""
        clickhouse, place = self._clickhouse, self.source.place("events")
        clickhouse.apply_patches()
        everything = f"DATABASE {DATABASE}"
        if FILE_LOG in clickhouse.tables():
            prefix = literal(place.prefix)
            rest = f"substring(bucket_path, {len(place.prefix) + 1})"
            key = f"if(startsWith(bucket_path, {prefix}), {rest}, bucket_path)"
            bucket = literal(self.settings["S3_EVENTS_BUCKET"])
            clickhouse.query(f"CREATE DATABASE {COPY}")
            clickhouse.query(f"CREATE TABLE {COPY}.{FILE_LOG} AS {DATABASE}.{FILE_LOG}")
            clickhouse.query(
                f"INSERT INTO {COPY}.{FILE_LOG}"
                f" SELECT * REPLACE ({key} AS bucket_path, {bucket} AS bucket_name)"
                f" FROM {DATABASE}.{FILE_LOG}"
            )
            everything = (
                f"TABLE {COPY}.{FILE_LOG} AS {DATABASE}.{FILE_LOG},"
                f" {everything} EXCEPT TABLES {DATABASE}.{FILE_LOG}"
            )
        # The official configuration has no disk for backups, and allows files below `backups`.
        answer = clickhouse.query(f"BACKUP {everything} TO File('{COPY}')")
        if "BACKUP_CREATED" not in answer:
            raise StackError(f"ClickHouse did not finish its backup: {answer.strip()[:200]}")

    def _mirror(self, into: Path, projects: list[str]) -> dict[str, dict[str, int]]:
        containers, since = self.other.containers(), datetime.now(UTC) - EVENTS_WINDOW
        with bucket_of(self.source.place("media"), containers) as bucket:
            below = Below(bucket, self.source.place("media"))
            # A bucket without prefixes has other things in it too.
            own = (found for found in below.objects() if found.key.count("/") == 1)
            media = objects.mirror(below.bucket_like, own, into / "media")
        with bucket_of(self.source.place("events"), containers) as bucket:
            below = Below(bucket, self.source.place("events"))
            batches = (one for name in projects for one in objects_between(below.bucket_like, name, since))
            events = objects.mirror(below.bucket_like, batches, into / "events")
            written = (
                one for name in projects for one in score_objects_between(below.bucket_like, name, since)
            )
            scores = objects.mirror(below.bucket_like, written, into / SCORES)
        return {
            "objects.media": objects.by_project(media, 0),
            "objects.events": objects.by_project(events, 1),
            "objects.scores": objects.by_project(scores, 0),
        }

    @property
    def _postgres(self) -> Postgres:
        return Postgres(self.other)

    @property
    def _clickhouse(self) -> ClickHouse:
        return ClickHouse(self.other, DATABASE)


def moved_rows(place: Place, bucket: str) -> str:
    """Return statements for psql that let media of a place lie in a bucket, and end links to exports.

    Reading takes the bucket of the row, deleting that of the environment with the path of the row
    (web/src/features/media/server/mediaService.ts at v4.16.0): both have to be right.
    """
    move = (
        f"UPDATE media SET bucket_name = {sql_text(bucket)},"
        f" bucket_path = substr(bucket_path, {len(place.prefix) + 1}) WHERE bucket_name ="
        f" {sql_text(place.bucket)} AND starts_with(bucket_path, {sql_text(place.prefix)})"
    )
    end = "UPDATE batch_exports SET expires_at = least(expires_at, now()) WHERE url IS NOT NULL"
    return "\n".join(
        f"SELECT {sql_text(statement)} FROM information_schema.columns WHERE table_schema = 'public'"
        f" AND table_name = '{table}' AND column_name = '{column}' \\gexec"
        for statement, table, column in ((move, "media", "bucket_path"), (end, "batch_exports", "url"))
    )


@dataclass(frozen=True, slots=True)
class Below:
    """The part of a bucket below a prefix, with keys as this stack has them: without it."""

    bucket: Bucket
    place: Place

    @property
    def bucket_like(self) -> Bucket:
        """Itself, for those who read a bucket by `objects` and `save` alone."""
        return cast("Bucket", self)

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[StoredObject]:
        """See Bucket."""
        begin = self.place.prefix
        for found in self.bucket.objects(begin + prefix, after=begin + after if after else ""):
            yield replace(found, key=found.key.removeprefix(begin))

    def save(self, key: str, path: Path) -> StoredContent:
        """See Bucket."""
        return self.bucket.save(self.place.prefix + key, path)
