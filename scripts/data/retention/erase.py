"""`erase`: delete everything of a person, session, trace or tag, and leave a record without personal data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from scripts.api.client import Api
from scripts.core.errors import EXIT_FAILED, EXIT_OK, UsageError
from scripts.core.layout import only_one_command, write_private
from scripts.data.transfer.remote import remote_of
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach
from scripts.settings.values import Settings
from scripts.stores.identifiers import Needles, keyed_hash
from scripts.stores.opening import postgres_of

from .compose_purge import Doomed
from .deletion import Subject, delete, observations, projects_of, whole_traces
from .rules import load_retention
from .search import KEPT, Place, search

WAYS = {"user": "userId", "session": "sessionId", "trace": "traceId", "tag": "tags"}
_NAMED = ("user", "session")
"""Ways whose value is the subject itself. A tag, such as `production`, is in much that is about others."""
BACKUPS = "backups made before hold the data until config/backup.yaml lets them go"


def erase(context: Context, *, way: str, value: str, apply: bool, by: str, verify: bool = False) -> int:
    """The command. Without `apply` it only shows what would go; `verify` searches every store.

    Raises:
        UsageError: something of the subject is under a legal hold; nothing is deleted then.
    """
    settings = context.settings()
    if way not in WAYS or not value:
        raise UsageError(
            f"{way or 'The subject'} is empty.", fix=f"give one of {', '.join(WAYS)}, with a value."
        )
    engine = context.current_engine(settings).name
    if verify and not apply:
        with only_one_command(context.layout), within_reach(context, settings, engine):
            needles = Needles.of([*names_of(way, value), *ids_of_records(context, settings, way, value)])
            return show_search(context, search_stores(context, settings, needles))
    hold = load_retention(*context.layout.edited("retention.yaml")).hold
    # Before anything is deleted: what hangs on it could not be removed otherwise.
    with only_one_command(context.layout), within_reach(context, settings, engine if apply else ""):
        subjects = {}
        for project in projects_of(context):
            with remote_of(context, project) as remote:
                subjects[project] = find(remote, way, value)
        held = sum(hold.keeps(trace) for subject in subjects.values() for trace in subject.traces.values())
        for project, subject in subjects.items():
            context.console.print(
                f"{project}: {len(subject.traces):,} traces with {len(subject.observations):,} observations, "
                f"{len(subject.sessions):,} sessions"
            )
        if held:
            raise UsageError(
                f"{held} traces are under a legal hold. Nothing was deleted.",
                fix="lift the hold in config/retention.yaml first.",
            )
        if not apply:
            context.console.note("Nothing was deleted: make erase ... APPLY=1 does it.")
            return EXIT_OK
        # Also without traces: an earlier run may have been interrupted before the files were cleaned.
        counts, doomed = delete(context, settings, subjects, names_of(way, value))
        left = sum(len(found.traces) for found in remaining(context, way, value).values())
        places = search_stores(context, settings, needles_of(doomed)) if verify else None
        record = record_of(
            context, settings, way=way, value=value, counts=counts, left=left, by=by, doomed=doomed
        )
        path = write_record(context, record, places)
    context.console.rows([(name.replace("_", " "), f"{count:,}") for name, count in counts.items() if count])
    for line in record["kept"]:
        context.console.print(f"Kept: {line}.")
    context.console.print(f"Record: {path}")
    return EXIT_OK if places is None else show_search(context, places)


def names_of(way: str, value: str) -> list[str]:
    """Return the texts that are the subject itself, wherever they are."""
    return [value] if way in _NAMED or way == "trace" else []


def needles_of(doomed: Mapping[str, Doomed]) -> Needles:
    """Return what must not be found any more."""
    found = [one.needles() for one in doomed.values()]
    return Needles.of(text for one in found for text in (*one.random, *one.chosen))


def search_stores(context: Context, settings: Settings, needles: Needles) -> list[Place]:
    """Return what a search of every store finds."""
    with context.console.working("Searching every store"):
        return search(context, settings, needles)


def show_search(context: Context, places: Sequence[Place]) -> int:
    """Print what was searched and found; return the exit code: 1 when something is left."""
    context.console.table(
        ["Place", "Searched", "Found", "Result"],
        [
            [place.name, f"{place.searched:,}", f"{place.found:,}", _result(place)]
            for place in places
            if place.searched or place.found
        ],
    )
    wrong = [place.name for place in places if place.wrong]
    if wrong:
        context.console.warn(f"The subject is still in {', '.join(wrong)}.")
        return EXIT_FAILED
    context.console.print(
        f"Nothing of the subject was found in {len(places)} places"
        f" ({sum(place.searched for place in places):,} rows, objects, keys and files)."
    )
    return EXIT_OK


def _result(place: Place) -> str:
    if not place.found:
        return "nothing"
    return f"kept: {place.kept}" if place.kept else "STILL THERE"


def find(remote: Api, way: str, value: str) -> Subject:
    """Return the traces that anything of the subject is in, as a whole."""
    if way == "tag":
        condition = {"column": "tags", "type": "arrayOptions", "operator": "any of", "value": [value]}
        rows = observations(remote, [condition])
    else:
        rows = observations(remote, [], **{WAYS[way]: value})
    return whole_traces(remote, list(dict.fromkeys(row["traceId"] for row in rows)))


def remaining(context: Context, way: str, value: str) -> Mapping[str, Subject]:
    """Return what can still be found."""
    found = {}
    for project in projects_of(context):
        with remote_of(context, project) as remote:
            found[project] = find(remote, way, value)
    return found


def record_of(
    context: Context,
    settings: Settings,
    *,
    way: str,
    value: str,
    counts: Mapping[str, int],
    left: int,
    by: str,
    doomed: Mapping[str, Doomed],
) -> dict[str, Any]:
    """Return what was erased, when and by whom, and what was kept and why.

    The subject and its traces are in it as keyed hashes: they can be compared, and say nothing.
    """
    salt = settings.get("SALT")
    kept = [BACKUPS]
    if context.current_engine(settings).name is not EngineName.EMBEDDED:
        kept += [f"{table}.{column} of PostgreSQL: {why}" for table, (column, why) in KEPT.items()]
    return {
        "erased": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": by,
        "way": way,
        "subject_hmac_sha256": keyed_hash(salt, way, value),
        "projects": projects_of(context),
        "removed": dict(counts),
        "still_found": left,
        "kept": kept,
        "traces_hmac_sha256": sorted(
            keyed_hash(salt, "trace", trace) for one in doomed.values() for trace in one.traces
        ),
    }


def write_record(context: Context, record: Mapping[str, Any], places: Sequence[Place] | None) -> str:
    """Write the record, with what a search found where one was made; return its path."""
    searched = {} if places is None else {"searched": [asdict(place) for place in places]}
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.json"
    path = context.layout.stack_dir / "erasures" / name
    write_private(path, json.dumps({**record, **searched}, indent=1) + "\n")
    return context.layout.shown(path)


def ids_of_records(context: Context, settings: Settings, way: str, value: str) -> Iterator[str]:
    """Yield the ids of the traces that earlier erasures of this subject have deleted.

    The records have their keyed hashes; the server keeps the ids of all traces that it has deleted.
    """
    salt = settings.get("SALT")
    subject = keyed_hash(salt, way, value)
    hashes: set[str] = set()
    for path in (context.layout.stack_dir / "erasures").glob("2*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["subject_hmac_sha256"] == subject:
            hashes.update(record.get("traces_hmac_sha256", ()))
    if hashes and context.current_engine(settings).name is not EngineName.EMBEDDED:
        services = context.compose(settings)
        yield from (
            trace
            for trace in postgres_of(services).all_deleted_traces()
            if keyed_hash(salt, "trace", trace) in hashes
        )
