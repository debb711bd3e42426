"""The stores of a stack that moves: copied while it works, dumped while nothing changes, compared by content.

Backups of ClickHouse are tables here, bundled or external. Objects travel by themselves: they are copied
before the pause, and only what has come since within it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path

from scripts.core.layout import Layout, write_private
from scripts.data.adopt.capture import FILE_LOG, moved_rows
from scripts.data.adopt.content import Content, content_of, differences
from scripts.data.adopt.source import Place
from scripts.data.backup.drivers import objects
from scripts.data.backup.drivers.base import Captured, Exchange
from scripts.data.backup.drivers.compose import CONTENTS, ComposeDriver
from scripts.data.backup.drivers.compose_exchange import ComposeExchange, prefixed
from scripts.data.backup.errors import BackupError
from scripts.data.backup.manifest import Contents
from scripts.data.backup.sampling import take_samples
from scripts.data.reconcile.compose import Reconciler
from scripts.data.reconcile.findings import Findings
from scripts.data.reconcile.scores import replay_scores
from scripts.docker.compose import Compose
from scripts.engines.compose import ComposeEngine
from scripts.engines.context import Context
from scripts.settings.values import Settings
from scripts.stores.buckets import EVENTS, MEDIA
from scripts.stores.clickhouse import literal
from scripts.stores.clickhouse_copy import ClickHouseCopy
from scripts.stores.event_batches import objects_between, projects_in
from scripts.stores.opening import clickhouse_of
from scripts.stores.postgres import DATABASE
from scripts.stores.s3 import Bucket, StoredObject
from scripts.stores.score_objects import keys_by_score, score_objects_between

CONTENT = "content.json"
"""What the databases held, as counts and hashes, in a capture."""
BUCKETS: Mapping[str, str] = {"media": MEDIA, "events": EVENTS}
"""The directory of each bucket in a set, and the setting that names it."""
_ONLY = ("postgres", "clickhouse")
_AT_ONCE = 500


class MovingStores(ComposeDriver):
    """See Driver. What it captures has no objects: `copy_objects` and `put_objects` bring them."""

    __slots__ = ()

    def copy_objects(self, into: Path) -> int:
        """Bring a copy of all objects to what there is now; return how many were new. May be repeated."""
        fresh = 0
        for name, setting in BUCKETS.items():
            with self._bucket(setting) as bucket:
                fresh += len(objects.update(bucket, bucket.objects(), into / name))
        return fresh

    def copy_media(self, into: Path) -> int:
        """Do so with media alone: what belongs to the databases."""
        with self._bucket(MEDIA) as bucket:
            return len(objects.update(bucket, bucket.objects(), into / "media"))

    def put_objects(self, source: Path, proven: Path, names: Iterable[str] = tuple(BUCKETS)) -> int:
        """Put what the buckets lack, and read it back; return how many objects were compared.

        Args:
            proven: where those are noted that were read back before.

        Raises:
            StackError: the object store fails, or gives back something else.
        """
        compared = 0
        for name in names:
            with self._bucket(BUCKETS[name]) as bucket:
                objects.put_back(bucket, source / name, lambda _: None)
                compared += _prove(bucket, source / name, proven)
        return compared

    def copy_rows(self, into: Path) -> int:
        """Copy the partitions of ClickHouse that have changed; return how many. May be repeated."""
        return self._clickhouse_copy().copy(into)

    def put_rows(self, source: Path, loaded: Path) -> int:
        """Fill tables beside those in use with such a copy; return how many partitions were written."""
        return self._clickhouse_copy(loaded).preload(source)

    def forget_rows(self, loaded: Path) -> None:
        """Remove such tables."""
        self._clickhouse_copy(loaded).forget()

    def remove_other_media(self, source: Path) -> int:
        """Delete media that the other stack does not have, such as those that were erased there meanwhile."""
        kept = {one.key for one in objects.read_index(source / "media")}
        with self._bucket(MEDIA) as bucket:
            gone = [found.key for found in bucket.objects() if found.key not in kept]
            for key in gone:
                bucket.delete(key)
        return len(gone)

    def copy_spans(self, since: datetime, into: Path, only: Collection[str] | None = None) -> int:
        """Copy what came in since a moment, batches of spans and scores; return how many objects.

        Args:
            only: the keys of those that are wanted; all where it is None.
        """
        count = 0
        with self._bucket(EVENTS) as bucket:
            for name, found in self._came_in(bucket, since).items():
                wanted = [one for one in found if only is None or one.key in only]
                objects.update(bucket, wanted, into / name)
                count += len(wanted)
        return count

    def take_spans(self, source: Path, settled: Path) -> int:
        """Put these objects into the bucket and have the server take them; return how many it took.

        Args:
            settled: where the scores are noted that were taken before: one may be deleted since.
        """
        with self._bucket(EVENTS) as bucket:
            for name in ("events", "scores"):
                objects.put_back(bucket, source / name, lambda _: None)
        reconciler = Reconciler(self.engine.settings, self._postgres, self._clickhouse, self.engine.local_url)
        taken = 0
        batches = sorted(one.key for one in objects.read_index(source / "events"))
        for project, keys in groupby(batches, key=lambda key: key.split("/")[1]):
            findings = reconciler.find_among(project, keys)
            reconciler.replay(findings)
            taken += findings.replayed
        known = set(_lines(settled))
        scores = sorted({one.key for one in objects.read_index(source / "scores")} - known)
        for project, keys in groupby(scores, key=lambda key: key.split("/")[0]):
            findings = Findings(project)
            findings.missing_scores |= keys_by_score(keys)
            replay_scores(reconciler, findings)
            taken += findings.replayed_scores
        write_private(settled, "".join(f"{key}\n" for key in sorted({*known, *scores})))
        return taken

    def spans_only_here(self, since: datetime, other: MovingStores) -> set[str]:
        """Return the keys of what came in here since a moment and the other stack has not."""
        mine, theirs = (
            {one.key for found in stores.came_in(since).values() for one in found} for stores in (self, other)
        )
        return mine - theirs

    def came_in(self, since: datetime) -> Mapping[str, Sequence[StoredObject]]:
        """Return the batches of spans and the scores that came in since a moment."""
        with self._bucket(EVENTS) as bucket:
            return self._came_in(bucket, since)

    def content(self) -> Content:
        """Return what both databases hold."""
        return content_of(self._postgres, DATABASE, clickhouse_of(self.services, as_tables=True))

    def refuse_changes(self) -> None:
        """Let PostgreSQL refuse what would be changed from now on."""
        self._postgres.refuse_changes()

    def allow_changes(self) -> None:
        """Undo that. May be repeated."""
        self._postgres.allow_changes()

    def exchange(self, capture: Path, work: Path, only: Sequence[str]) -> Exchange | None:
        """See Driver. Both databases, compared by content before anything starts on them."""
        copy = self._clickhouse_copy(loaded_file(self.services.layout))
        parts = replace(self._parts(_ONLY, as_tables=True), clickhouse=copy)
        return _Compared(parts, work, capture, self.describe(capture))

    def dump(self, into: Path, rows: Path) -> Captured:
        """Dump both databases, while the worker is stopped and PostgreSQL refuses changes.

        Args:
            rows: the copy of ClickHouse, which is brought to its end.
        """
        into.mkdir(mode=0o700)
        clickhouse, postgres = self._clickhouse_copy(), self._postgres
        samples = take_samples(self.engine.local_url, self.engine.layout.credentials_dir, self._media_ids())
        schema = {"postgres": postgres.migrations(), "clickhouse": clickhouse.migration()}
        counts = prefixed("clickhouse", clickhouse.counts())
        counts |= prefixed("postgres", postgres.dump(into / postgres.dump_name))
        clickhouse.copy(rows)
        # The same files under a second name: what copies them later writes new ones.
        shutil.copytree(rows, into / "clickhouse", copy_function=os.link)
        buckets = {name: self.engine.settings[setting] for name, setting in BUCKETS.items()}
        write_private(into / CONTENT, json.dumps({"content": self.content(), "buckets": buckets}, indent=1))
        contents = Contents(schema, counts, samples)
        write_private(into / CONTENTS, json.dumps(asdict(contents), indent=1))
        return Captured(contents, "both databases while nothing changed them", self.services.images())

    def _clickhouse_copy(self, loaded: Path = Path()) -> ClickHouseCopy:
        one = clickhouse_of(self.services, as_tables=True)
        return ClickHouseCopy(one.services, one.database, one.service, one.client, loaded)

    def _came_in(self, bucket: Bucket, since: datetime) -> Mapping[str, Sequence[StoredObject]]:
        projects = sorted(self._postgres.projects())
        return {
            "events": [one for name in projects_in(bucket) for one in objects_between(bucket, name, since)],
            "scores": [one for name in projects for one in score_objects_between(bucket, name, since)],
        }


class _Compared(ComposeExchange):
    """See ComposeExchange. Counts are compared there, hashes of all rows here."""

    __slots__ = ()

    def begin(self) -> None:
        ComposeExchange.begin(self)
        assert self.capture is not None  # noqa: S101 - given by `exchange`
        parts = self.parts
        before = read_content(self.capture / CONTENT)
        different = differences(before, content_of(parts.postgres, DATABASE, parts.clickhouse))
        if different:
            raise BackupError(
                "The new stores do not hold what the old ones held.",
                details=different[:20],
                fix="report what is listed, with the versions of both sides.",
            )
        self._name_buckets(json.loads((self.capture / CONTENT).read_text(encoding="utf-8"))["buckets"])

    def _name_buckets(self, before: Mapping[str, str]) -> None:
        """Let rows that name a bucket name that of this stack."""
        parts = self.parts
        with parts.media() as media, parts.events() as events:
            now = {"media": media.location.bucket, "events": events.location.bucket}
        old = Place(before["media"], "", "", "", "")
        parts.postgres.query(moved_rows(old, now["media"]), DATABASE)
        if now["events"] != before["events"] and FILE_LOG in parts.clickhouse.tables():
            parts.clickhouse.query(
                f"ALTER TABLE {FILE_LOG} UPDATE bucket_name = {literal(now['events'])}"
                f" WHERE bucket_name = {literal(before['events'])} SETTINGS mutations_sync = 2"
            )


def loaded_file(layout: Layout) -> Path:
    """Return where a new stack notes what it has of ClickHouse already."""
    return layout.stack_dir / "move-rows.json"


def read_content(path: Path) -> Content:
    """Return what the databases held, by the file of a capture."""
    content: Content = json.loads(path.read_text(encoding="utf-8"))["content"]
    return content


def moving_stores(context: Context, settings: Settings, _engine: str = "") -> MovingStores:
    """Return the stores of a compose stack. External ones have to be within reach."""
    layout, environment, runner = context.layout, context.environment, context.runner
    engine = ComposeEngine(layout, settings, environment, runner, context.console)
    return MovingStores(engine, Compose(layout, settings, environment, runner))


def _prove(bucket: Bucket, mirrored: Path, proven: Path) -> int:
    """Read back what was not yet, and note it; return how many objects that were."""
    known = set(_lines(proven))
    name = bucket.location.bucket
    left = [one for one in objects.read_index(mirrored) if f"{one.sha256} {name}/{one.key}" not in known]
    proven.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for begin in range(0, len(left), _AT_ONCE):
        some = left[begin : begin + _AT_ONCE]
        if different := objects.differences(bucket, some):
            raise BackupError(
                "The object store does not give back what was put into it.",
                details=different[:20],
                fix="look at the object store of the new stack, then repeat.",
            )
        with proven.open("a", encoding="utf-8") as file:
            file.writelines(f"{one.sha256} {name}/{one.key}\n" for one in some)
    return len(left)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
