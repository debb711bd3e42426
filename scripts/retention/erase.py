"""`erase`: delete everything of a person, session, trace or tag, and leave a record without personal data."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from scripts.core.context import Context
from scripts.core.errors import EXIT_OK, UsageError
from scripts.core.layout import only_one_verb, write_private
from scripts.core.settings.values import Settings
from scripts.transfer.remote import Remote

from .deletion import Subject, delete, observations, open_project, projects_of, whole_traces
from .rules import RETENTION_FILE, load_retention

WAYS = {"user": "userId", "session": "sessionId", "trace": "traceId", "tag": "tags"}


def run(context: Context, *, way: str, value: str, apply: bool, by: str) -> int:
    """The verb. Without `apply` it only shows what would go.

    Raises:
        UsageError: something of the subject is under a legal hold; nothing is deleted then.
    """
    settings = context.settings()
    hold = load_retention(context.layout.root / RETENTION_FILE, RETENTION_FILE).hold
    with only_one_verb(context.layout):
        subjects = {}
        for project in projects_of(context):
            with open_project(context, project) as remote:
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
        counts = delete(context, settings, subjects)
        left = sum(len(found.traces) for found in remaining(context, way, value).values())
        path = write_record(context, settings, way=way, value=value, counts=counts, left=left, by=by)
    context.console.rows([(name.replace("_", " "), f"{count:,}") for name, count in counts.items()])
    context.console.print(f"Record: {path}. Backups made before still hold the data until they are removed.")
    return EXIT_OK


def find(remote: Remote, way: str, value: str) -> Subject:
    """Return the traces that anything of the subject is in, as a whole."""
    if way not in WAYS or not value:
        raise UsageError(f"{way} says nobody.", fix=f"one of {', '.join(WAYS)}, with a value.")
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
        with open_project(context, project) as remote:
            found[project] = find(remote, way, value)
    return found


def write_record(
    context: Context,
    settings: Settings,
    *,
    way: str,
    value: str,
    counts: Mapping[str, int],
    left: int,
    by: str,
) -> str:
    """Write what was erased, when and by whom; the subject only as a keyed hash that can be compared."""
    now = datetime.now(UTC)
    record = {
        "erased": now.isoformat(timespec="seconds"),
        "by": by,
        "way": way,
        "subject_hmac_sha256": hmac.new(
            settings.get("SALT").encode(), f"{way}\0{value}".encode(), hashlib.sha256
        ).hexdigest(),
        "projects": projects_of(context),
        "removed": dict(counts),
        "still_found": left,
    }
    path = context.layout.stack_dir / "erasures" / f"{now:%Y%m%dT%H%M%S%f}.json"
    write_private(path, json.dumps(record, indent=1) + "\n")
    return context.layout.shown(path)
