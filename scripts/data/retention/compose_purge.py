"""Remove from the stores of a compose stack what the server keeps of deleted traces and sessions.

The server leaves the payloads in the events bucket, from which a replay would bring everything back, and rows
of PostgreSQL that name a trace. ClickHouse masks deleted rows at first and drops their bytes with a merge.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scripts.docker.compose import Compose
from scripts.settings.values import Settings
from scripts.stores.audit_log import AuditLog
from scripts.stores.buckets import EVENTS, EXPORTS, MEDIA, open_bucket
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.errors import StoreError
from scripts.stores.event_batches import objects_between, parse_batch, remove_traces
from scripts.stores.identifiers import Needles, keyed_hash
from scripts.stores.postgres import Postgres
from scripts.stores.s3 import Bucket, NoSuchObject

Counts = dict[str, int]

_OF_SESSIONS = ("comments", "annotation_queue_items", "trace_sessions")
_OF_TRACES = ("comments", "dataset_items", "annotation_queue_items", "job_executions")
_OF_ITEMS = ("dataset_items", "dataset_run_items", "dataset_item_media", "job_executions")
"""Tables of PostgreSQL with rows that belong to a session, a trace or observation, or a dataset item."""
_WITH_FILTERS = ("batch_exports", "batch_actions")
"""Tables whose rows say what was exported or changed: by filters on users, sessions and traces."""
_LINKS = ("trace_media", "observation_media", "dataset_item_media")
_TABLES = tuple(dict.fromkeys((*_OF_TRACES, *_OF_SESSIONS, *_OF_ITEMS, *_LINKS)))
_BY_TRACE = ("events_full", "events_core", "scores", "traces", "observations", "dataset_run_items_rmt")
_THREADS = 16


@dataclass(frozen=True, slots=True)
class Doomed:
    """The ids of what goes in one project.

    Attributes:
        names: what the subject is called: the id of a user or session. Filters of exports have it.
    """

    traces: Sequence[str]
    observations: Sequence[str]
    sessions: Sequence[str]
    names: Sequence[str] = ()

    def needles(self) -> Needles:
        """Return every text that must not be found any more."""
        return Needles.of((*self.traces, *self.observations, *self.sessions, *self.names))


@dataclass(frozen=True, slots=True)
class Purge:
    """Cleans one stack. Every method raises StackError when a store fails; a repeated call goes on.

    Attributes:
        day: when it is done, for what takes the place of content.
    """

    settings: Settings
    services: Compose
    postgres: Postgres
    clickhouse: ClickHouse
    day: str

    def run(self, projects: Mapping[str, Doomed]) -> Counts:
        """Remove everything of these projects; return how much of which kind went."""
        counts: Counts = {}
        for project, doomed in projects.items():
            for found in (
                self._batches(project, doomed),
                self._evaluations(project, doomed),
                self._scores_of_sessions(project, doomed),
                self._rows(project, doomed),
                self._exports(doomed),
            ):
                for name, count in found.items():
                    counts[name] = counts.get(name, 0) + count
        if projects:
            self._free()
        return counts

    def _batches(self, project: str, doomed: Doomed) -> Counts:
        traces = frozenset(doomed.traces)
        if not traces:
            return {"event_spans": 0}

        def clean(key: str) -> int:
            try:
                body = bucket.get(key)
            except NoSuchObject:  # it has expired since it was listed
                return 0
            try:
                return remove_traces(bucket, key, parse_batch(key, body), traces)
            except StoreError:  # no batch: it goes as a whole when it names a trace
                if not any(trace.encode() in body for trace in traces):
                    return 0
                bucket.delete(key)
                return 1

        with open_bucket(self.settings, EVENTS) as bucket, ThreadPoolExecutor(_THREADS) as pool:
            keys = (found.key for found in objects_between(bucket, project, None))
            return {"event_spans": sum(pool.map(clean, keys))}

    def _evaluations(self, project: str, doomed: Doomed) -> Counts:
        """Delete the inputs that an evaluation of single observations has left in the events bucket.

        Their keys are `evals/<project>/traces/<id>/observations/<id>.json`, and the server never deletes them
        (worker/src/features/evaluation/observationEval/createSchedulerDeps.ts at 4.16.0).
        """
        folder, traces = f"evals/{project}/traces/", frozenset(doomed.traces)
        with open_bucket(self.settings, EVENTS) as bucket:
            keys = [found.key for found in bucket.objects(folder)] if traces else []
            mine = [key for key in keys if key.removeprefix(folder).split("/")[0] in traces]
            for key in mine:
                bucket.delete(key)
        return {"evaluation_inputs": len(mine)}

    def _exports(self, doomed: Doomed) -> Counts:
        """Delete exported files in which the subject occurs: nothing else ever deletes them."""
        gone = 0
        needles = doomed.needles()
        with open_bucket(self.settings, EXPORTS) as bucket:
            for key in [found.key for found in bucket.objects()]:
                try:
                    body = bucket.get(key)
                except NoSuchObject:  # it has expired since it was listed
                    continue
                if needles.occur_in(body):
                    bucket.delete(key)
                    gone += 1
        return {"exported_files": gone}

    def _scores_of_sessions(self, project: str, doomed: Doomed) -> Counts:
        scores = self.clickhouse.ids("scores", project, "session_id", doomed.sessions)
        if scores:
            with open_bucket(self.settings, EVENTS) as bucket:
                for score in scores:
                    remove_below(bucket, f"{project}/score/{score}/")
            self.clickhouse.delete("scores", project, "id", scores)
            self.clickhouse.delete("blob_storage_file_log", project, "entity_id", scores)
        return {"scores_of_sessions": len(scores)}

    def _rows(self, project: str, doomed: Doomed) -> Counts:
        for table in _BY_TRACE:
            column = {"traces": "id"}.get(table, "trace_id")
            self.clickhouse.delete(table, project, column, doomed.traces)
        sessions, traces = frozenset(doomed.sessions), frozenset((*doomed.traces, *doomed.observations))
        items = self.postgres.ids_naming("dataset_items", project, traces)
        counts: Counts = {}
        linked: set[str] = set()
        for table in _TABLES:
            ids = {
                *(sessions if table in _OF_SESSIONS else ()),
                *(items if table in _OF_ITEMS else ()),
                *(traces if table != "trace_sessions" else ()),
            }
            rows = self.postgres.delete_naming(table, project, ids)
            counts[table] = len(rows)
            if table in _LINKS:
                linked |= {text for row in rows for text in texts(row)}
        for table in _WITH_FILTERS:
            counts[table] = self.postgres.delete_saying(table, project, {*doomed.names, *traces})
        counts["audit_log_rows"] = AuditLog(self.postgres).redact(
            project,
            {*sessions, *traces, *items},
            doomed.names,
            mark=json.dumps({"erased": self.day}),
            alias=lambda chosen: keyed_hash(self.settings.get("SALT"), chosen)[:32],
        )
        counts["media"] = self._media(project, linked)
        return counts

    def _media(self, project: str, linked: Collection[str]) -> int:
        """Delete media that only deleted rows have linked; return how many."""
        with open_bucket(self.settings, MEDIA) as bucket:
            keys = [found.key for found in bucket.objects(f"{project}/")]
            mine = {key.split("/")[-1].split(".")[0]: key for key in keys}
            candidates = mine.keys() & set(linked)
            kept = {one for table in _LINKS for one in self.postgres.named_in(table, project, candidates)}
            gone = candidates - kept
            for media in gone:
                bucket.delete(mine[media])
        self.postgres.delete_naming("media", project, gone)
        return len(gone)

    def _free(self) -> None:
        """Let the stores drop the bytes now, as far as they can be told to."""
        for table in (*_BY_TRACE, "blob_storage_file_log"):
            self.clickhouse.apply_deletions(table)
        self.postgres.shrink((*_TABLES, *_WITH_FILTERS, "audit_logs", "media"))
        if "seaweedfs" in self.services.bundled():
            shell = ["weed", "shell", "-master=127.0.0.1:9333"]
            self.services.execute(
                "seaweedfs", shell, stdin="lock\nvolume.vacuum -garbageThreshold 0\nunlock\n"
            )


def remove_below(bucket: Bucket, prefix: str) -> None:
    """Delete all objects below a prefix. Raises StackError."""
    for key in [found.key for found in bucket.objects(prefix)]:
        bucket.delete(key)


def texts(row: object) -> Sequence[str]:
    """Return all texts in a JSON value; a text that holds JSON counts with what is in it."""
    if isinstance(row, str):
        try:
            inner = json.loads(row)
        except ValueError:
            return [row]
        return [row, *texts(inner)] if isinstance(inner, (dict, list)) else [row]
    if isinstance(row, dict):
        return [text for value in row.values() for text in texts(value)]
    if isinstance(row, list):
        return [text for value in row for text in texts(value)]
    return []
