"""The stores of the compose engine: PostgreSQL, ClickHouse and the object store, copied as one set."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from scripts.core.errors import StackError
from scripts.core.layout import write_private
from scripts.data.backup.errors import BackupError
from scripts.data.backup.manifest import Contents, Manifest, parse_contents
from scripts.data.backup.sampling import take_samples
from scripts.data.reconcile.compose import Reconciler
from scripts.data.reconcile.findings import Findings
from scripts.data.reconcile.scores import find_scores_among, replay_scores
from scripts.docker.compose import WEB, Compose
from scripts.docker.paused_worker import wake_worker, worker_at_rest
from scripts.engines.compose import ComposeEngine
from scripts.stores import queues
from scripts.stores.buckets import EVENTS, MEDIA, open_bucket
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.clickhouse_tables import INDEX
from scripts.stores.event_batches import objects_between, projects_in
from scripts.stores.external import places, unsupported_valkey
from scripts.stores.external_postgres import ExternalPostgres
from scripts.stores.opening import clickhouse_of, postgres_of, valkey_of
from scripts.stores.postgres import Postgres
from scripts.stores.s3 import Bucket, StoredObject
from scripts.stores.score_objects import may_hold_scores, score_objects_between

from . import objects
from .base import Captured, Exchange
from .compose_exchange import ComposeExchange, Parts, journal_of, prefixed

CONTENTS = "contents.json"
RUNNING = "backup"
"""The backup on ClickHouse's disk that is on its way here."""

DRAIN_S = 30.0
"""How long the queues may take to get empty before the worker rests."""
SCORES = "scores"
"""The scores that waited, in a capture."""
EVENTS_WINDOW = timedelta(hours=1)
"""How far back what came in belongs to the set: among it is what was acknowledged but not stored."""


@dataclass(frozen=True, slots=True)
class ComposeDriver:
    """See Driver."""

    engine: ComposeEngine
    services: Compose
    sleep: Callable[[float], None] = time.sleep

    @property
    def stores(self) -> Mapping[str, frozenset[str]]:
        return {
            "postgres": frozenset({"prompt", "dataset_item", "llm_connection"}),
            "clickhouse": frozenset({"trace", "score"}),
            "media": frozenset(),
        }

    def size(self) -> int:
        with self._bucket(MEDIA) as media:
            stored = objects.total_bytes(media.objects())
        return self._postgres.size() + self._clickhouse.size() + stored

    def has_data(self) -> bool:
        return bool(self.services.volumes()) or any(
            holds() for store, holds in self._holders.items() if store in self.services.external()
        )

    def obstacles(self) -> Sequence[str]:
        states = self.services.states()
        lines = []
        # A worker that rests is what a backup leaves that was killed; this one wakes it.
        for service in (*self.services.bundled(), WEB):
            state, health = states.get(service, ("not there", ""))
            if state != "running" or health not in ("", "healthy"):
                lines.append(f"{service} is {state}{f', {health}' if health else ''}")
        return lines

    def capture(self, into: Path) -> Captured:
        try:
            return self._capture(into)
        except OSError as error:
            raise BackupError(
                f"The stores could not be copied to {into}: {error}.",
                fix="free some disk space, then repeat.",
            ) from error
        finally:
            with suppress(StackError):  # the next backup removes it, too
                self._clickhouse.remove(RUNNING)

    def newer(self, manifest: Manifest) -> Sequence[str]:
        made, own = manifest.versions["langfuse"], self.engine.settings["LANGFUSE_VERSION"]
        if _numbers(made) <= _numbers(own):
            return []
        return [f"it was made by Langfuse {made}, this stack runs {own}"]

    def places(self) -> Sequence[str]:
        return places(self.services)

    def refusals(self, manifest: Manifest, only: Sequence[str]) -> Sequence[str]:
        external = self.services.external()
        reasons = []
        if "clickhouse" in external and (not only or "clickhouse" in only) and not _has_tables(manifest):
            reasons.append(
                "it has ClickHouse as a bundled one makes it, with BACKUP, which an external one cannot read"
            )
        if "valkey" in external and (name := unsupported_valkey(self.services.layout)):
            reasons.append(f"{name} of {self.services.layout.langfuse_file.name} is not supported here")
        return reasons

    def describe(self, capture: Path) -> Contents:
        """See Driver. Its files have been compared with their checksums."""
        try:
            return parse_contents(json.loads((capture / CONTENTS).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupError(f"{CONTENTS} of the backup cannot be read: {error}.") from error

    def replacements(self, capture: Path, only: Sequence[str]) -> Sequence[tuple[Path, Path]]:
        return []

    def exchange(self, capture: Path, work: Path, only: Sequence[str]) -> Exchange | None:
        as_tables = (capture / "clickhouse" / INDEX).exists()
        return ComposeExchange(self._parts(only, as_tables), work, capture, self.describe(capture))

    def unfinished(self, work: Path) -> Exchange | None:
        noted = journal_of(work).read()
        return None if noted is None else ComposeExchange(self._parts((), noted.as_tables), work)

    def start_to_read(self) -> None:
        """See Driver. Not the worker: a restored copy must not send what the original sends."""
        self.services.up(WEB)

    def settle(self, capture: Path) -> int:
        reconciler = Reconciler(self.engine.settings, self._postgres, self._clickhouse, self.engine.local_url)
        keys = sorted(one.key for one in objects.read_index(capture / "events"))
        replayed = 0
        for project, of_project in groupby(keys, key=lambda key: key.split("/")[1]):
            findings = reconciler.find_among(project, of_project)
            reconciler.replay(findings)
            replayed += findings.replayed
        keys = [one.key for one in objects.read_index(capture / SCORES)]
        for project, of_project in groupby(keys, key=lambda key: key.split("/")[0]):
            findings = Findings(project)
            find_scores_among(reconciler, findings, of_project)
            replay_scores(reconciler, findings)
            replayed += findings.replayed_scores
        return replayed

    def discard(self) -> None:
        self.engine.destroy()

    def _capture(self, into: Path) -> Captured:
        into.mkdir(mode=0o700)
        since = datetime.now(UTC) - EVENTS_WINDOW
        with self._at_rest() as waiting:
            samples = take_samples(
                self.engine.local_url, self.engine.layout.credentials_dir, self._media_ids()
            )
            schema = {"postgres": self._postgres.migrations(), "clickhouse": self._clickhouse.migration()}
            counts = prefixed("clickhouse", self._clickhouse.counts())
            self._clickhouse.back_up(RUNNING)
            counts |= prefixed("postgres", self._postgres.dump(into / self._postgres.dump_name))
        self._clickhouse.fetch(RUNNING, into / "clickhouse")
        with self._bucket(MEDIA) as bucket:
            media = objects.mirror(bucket, bucket.objects(), into / "media")
        with self._bucket(EVENTS) as bucket:
            recent = (
                found for project in projects_in(bucket) for found in objects_between(bucket, project, since)
            )
            events = objects.mirror(bucket, recent, into / "events")
            scores = objects.mirror(bucket, self._waiting_scores(bucket, waiting, since), into / SCORES)
        counts["objects.media"] = objects.by_project(media, 0)
        counts["objects.events"] = objects.by_project(events, 1)
        counts["objects.scores"] = objects.by_project(scores, 0)
        contents = Contents(schema, counts, samples)
        write_private(into / CONTENTS, json.dumps(asdict(contents), indent=1))
        return Captured(contents, consistency(waiting), self.services.images())

    def _waiting_scores(
        self, bucket: Bucket, waiting: Mapping[str, int], since: datetime
    ) -> Iterator[StoredObject]:
        """Yield the scores since a moment when some waited: to find them all there are have to be listed."""
        if may_hold_scores(waiting):
            for project in sorted(self._postgres.projects()):
                yield from score_objects_between(bucket, project, since)

    @contextmanager
    def _at_rest(self) -> Iterator[dict[str, int]]:
        """Stop the worker for the body, which gets the jobs that wait then; more may come in."""
        key = self.engine.settings["ADMIN_API_KEY"]
        wake_worker(self.services)
        deadline = time.monotonic() + DRAIN_S
        while queues.depths(self.engine.local_url, key) and time.monotonic() < deadline:
            self.sleep(0.5)
        with worker_at_rest(self.services):
            yield queues.depths(self.engine.local_url, key)

    def _media_ids(self) -> list[tuple[str, str]]:
        """Return project and id of all media: an object is called `<project>/<media id>.<extension>`."""
        with self._bucket(MEDIA) as bucket:
            keys = [found.key.split("/") for found in bucket.objects()]
        return [(parts[0], parts[-1].split(".")[0]) for parts in keys if len(parts) == 2]

    def _parts(self, only: Sequence[str], as_tables: bool) -> Parts:
        return Parts(
            services=self.services,
            postgres=self._postgres,
            clickhouse=clickhouse_of(self.services, as_tables=as_tables),
            valkey=valkey_of(self.services),
            media=lambda: self._bucket(MEDIA),
            events=lambda: self._bucket(EVENTS),
            only=frozenset(only),
        )

    @property
    def _postgres(self) -> Postgres:
        return postgres_of(self.services)

    @property
    def _clickhouse(self) -> ClickHouse:
        return clickhouse_of(self.services)

    @property
    def _holders(self) -> Mapping[str, Callable[[], bool]]:
        """What says whether an external store holds anything that a restore would replace."""
        return {
            "postgres": lambda: ExternalPostgres(self.services).has_tables(),
            "clickhouse": lambda: bool(self._clickhouse.tables()),
            "s3": self._has_media,
        }

    def _has_media(self) -> bool:
        with self._bucket(MEDIA) as media:
            return any(True for _ in media.objects())

    def _bucket(self, setting: str) -> Bucket:
        return open_bucket(self.engine.settings, setting)


def consistency(waiting: Mapping[str, int]) -> str:
    """Return in which sense the stores of a capture belong together."""
    moment = "PostgreSQL and ClickHouse while the worker rested, media after them"
    if not waiting:
        return f"{moment}; all queues were empty"
    jobs = ", ".join(f"{name} {count}" for name, count in sorted(waiting.items()))
    return f"{moment}; jobs that waited: {jobs}; what they bring is in the set and replayed by a restore"


def _has_tables(manifest: Manifest) -> bool:
    return any(file.path.endswith(f"/clickhouse/{INDEX}") for file in manifest.files)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
