"""After an erasure no store and no file knows the person any more, and a replay brings nothing back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx

from scripts.data.reconcile import command as reconcile
from scripts.data.reconcile.replay import reconciler_of
from scripts.data.retention import erase
from scripts.docker.compose import Compose
from scripts.engines.base import EngineName
from scripts.stores.buckets import EVENTS, EXPORTS, MEDIA, open_bucket
from tests.embedded.backups import write
from tests.embedded.spans import export, span
from tests.embedded.test_media import Upload
from tests.scenarios.stack import Stack, new_id, readable
from tests.waiting import wait_for

PERSON, SESSION = "hermes-the-subject", "call-of-the-subject"
NEEDLES = ("the-subject", "face of")


def test_nothing_of_an_erased_person_is_left_in_any_store(shared: Stack) -> None:
    trace, kept, other_kept = new_id(16), new_id(16), new_id(16)
    with shared.client() as client:
        send(client, [*spans_of_person(trace), neutral(kept)])  # one batch: its object has to be rewritten
        send(client, [neutral(other_kept)])
        wait_for(lambda: len(readable(client, trace)) == 2 and len(readable(client, kept)) == 1, "the traces")
        leave_marks(client, trace)
        wait_for(lambda: scores(client, trace) == 1, "the score")
        leave_marks_of_the_user_interface(shared, trace, kept)
        assert stores_with(shared, *NEEDLES) != []
        searched = {"way": "user", "value": PERSON, "apply": False, "by": "", "verify": True}
        assert erase.erase(shared.context, **searched) == 1

        erased = {**searched, "apply": True, "by": "athena"}
        assert erase.erase(shared.context, **erased) == 0

        assert readable(client, trace) == set()
        assert len(readable(client, kept)) == len(readable(client, other_kept)) == 1
        assert stores_with(shared, *NEEDLES) == []
        assert files_with(shared, *NEEDLES) == []
        replay_everything(shared)
        wait_for(lambda: len(readable(client, kept)) == 1, "the other trace")
        assert readable(client, trace) == set()
        assert stores_with(shared, *NEEDLES) == []
        assert erase.erase(shared.context, **searched) == 0
    assert audit_log(shared) == AUDIT_LOG_AFTERWARDS
    records = sorted((shared.context.layout.stack_dir / "erasures").iterdir())
    record = json.loads(records[-1].read_text())
    assert record["still_found"] == 0
    assert record["removed"]["traces"] == 1
    assert record["removed"]["event_spans"] == 2
    assert record["removed"]["media"] == 1
    assert record["removed"]["comments"] == 1
    assert record["removed"]["audit_log_rows"] >= 4
    assert record["removed"]["exported_files"] == 1
    assert record["removed"]["evaluation_inputs"] == 1
    found = {place["name"]: place for place in record["searched"] if place["found"]}
    assert set(found) <= {"PostgreSQL pending_deletions.object_id", "PostgreSQL audit_logs.resource_id"}
    assert all(place["kept"] for place in found.values())
    assert [line.split(" ")[0] for line in record["kept"]] == [
        "backups", "pending_deletions.object_id", "audit_logs.resource_id",
    ]  # fmt: skip
    assert trace not in json.dumps(record)


def spans_of_person(trace: str) -> list[dict[str, Any]]:
    """Return two spans of a trace, which name the person."""
    mine = {"user.id": PERSON, "session.id": SESSION, "langfuse.observation.input": f"I am {PERSON}"}
    return [span(trace, "asked", attributes=mine), span(trace, "inner", attributes=mine)]


def neutral(trace: str) -> dict[str, Any]:
    """Return a span of somebody else."""
    return span(trace, "other", attributes={"user.id": "zeus"})


def send(client: httpx.Client, spans: list[dict[str, Any]]) -> None:
    """Send one batch."""
    client.post("/api/public/otel/v1/traces", json=export(*spans)).raise_for_status()


def leave_marks(client: httpx.Client, trace: str) -> None:
    """Write what hangs on a trace: score, comment, dataset item, medium."""
    write(client, "scores", {"traceId": trace, "name": "mood", "value": 1, "comment": "said by the-subject"})
    content = {"objectType": "TRACE", "objectId": trace, "content": "seen the-subject"}
    write(client, "comments", {"projectId": "kosmos", **content})
    write(client, "v2/datasets", {"name": "cases of erasure"})
    item = {"id": new_id(8), "datasetName": "cases of erasure", "input": PERSON, "sourceTraceId": trace}
    write(client, "dataset-items", item)
    picture = Upload(b"face of the subject")
    announced = picture.announce(client, traceId=trace).json()
    assert picture.put(announced["uploadUrl"]).status_code == 200
    reported = {"uploadedAt": "2026-01-01T00:00:00Z", "uploadHttpStatus": 200}
    client.patch(f"/api/public/media/{announced['mediaId']}", json=reported).raise_for_status()


# As packages/shared/prisma/schema.prisma of the server has it at 4.16.0.
MAKE_AUDIT_LOG = """
CREATE TABLE IF NOT EXISTS audit_logs (
    id text PRIMARY KEY, created_at timestamp(3) NOT NULL DEFAULT now(),
    updated_at timestamp(3) NOT NULL DEFAULT now(), type text NOT NULL DEFAULT 'USER', api_key_id text,
    user_id text, org_id text NOT NULL, user_org_role text, project_id text, user_project_role text,
    resource_type text NOT NULL, resource_id text NOT NULL, action text NOT NULL, before text, after text);
"""
AUDIT_LOG_AFTERWARDS = [
    ["comment of hers", "create", "text gone"],
    ["comment of hers", "delete", "text gone"],
    ["comment of others", "create", "text there"],
    ["item", "update", "text gone"],
    ["session", "publish", "text gone"],
    ["view", "create", "text gone"],
]


def leave_marks_of_the_user_interface(stack: Stack, trace: str, kept: str) -> None:
    """Write what people leave who work in the user interface: audit log, an export, inputs of evaluations."""
    comment = {"objectType": "TRACE", "objectId": trace, "content": "seen the-subject"}
    item = {"sourceTraceId": trace, "input": {"asked": f"I am {PERSON}"}}
    export_of_hers = {"query": {"filter": [{"column": "userId", "value": [PERSON]}]}}
    rows = [
        ("comment of hers", "comment", "comment-1", "create", comment),
        # Names no trace: it is known by the id of the comment.
        ("comment of hers", "comment", "comment-1", "delete", {"content": "seen the-subject"}),
        (
            "comment of others",
            "comment",
            "comment-2",
            "create",
            {**comment, "objectId": kept, "content": "zeus"},
        ),
        ("item", "datasetItem", "item-of-the-subject", "update", item),
        ("session", "session", SESSION, "publish", True),
        ("view", "batchExport", new_id(16), "create", export_of_hers),
    ]
    values = ", ".join(
        "("
        + ", ".join(f"'{text}'" for text in (new_id(16), "rehearsal", "kosmos", *row, json.dumps(content)))
        + ")"
        for *row, content in rows
    )
    columns = "id, org_id, project_id, user_id, resource_type, resource_id, action, after"
    postgres = reconciler_of(stack.context, stack.context.settings()).postgres
    insert = f"INSERT INTO audit_logs ({columns}) VALUES {values};"  # noqa: S608 - made of the rows above
    postgres.query(MAKE_AUDIT_LOG + insert)
    settings = stack.context.settings()
    with open_bucket(settings, EXPORTS) as bucket:
        bucket.put("1-lf-traces-export-kosmos.csv", f"id,user\n{trace},{PERSON}\n".encode(), "text/csv")
        bucket.put("2-lf-traces-export-kosmos.csv", f"id,user\n{kept},zeus\n".encode(), "text/csv")
    with open_bucket(settings, EVENTS) as bucket:
        key = f"evals/kosmos/traces/{trace}/observations/{new_id(8)}.json"
        bucket.put(key, json.dumps({"input": PERSON}).encode(), "application/json")


def audit_log(stack: Stack) -> list[list[str]]:
    """Return what the rows of above say now: about what, which action, and whether their text is gone."""
    rows = reconciler_of(stack.context, stack.context.settings()).postgres.query(
        "SELECT json_build_array(user_id, action, after) FROM audit_logs WHERE org_id = 'rehearsal'"
        " ORDER BY user_id, action;"
    )
    said = [json.loads(row) for row in rows.splitlines()]
    return [
        [about, action, "text gone" if set(json.loads(after)) == {"erased"} else "text there"]
        for about, action, after in said
    ]


def scores(client: httpx.Client, trace: str) -> int:
    """Return how many scores a trace has."""
    return len(client.get("/api/public/v3/scores", params={"traceId": trace}).json()["data"])


def replay_everything(stack: Stack) -> None:
    """Replay every batch that there is, as an operator in a hurry may do."""
    settings = stack.context.settings()
    with open_bucket(settings, EVENTS) as bucket:
        keys = [found.key for found in bucket.objects("otel/")]
    url = stack.context.engine(EngineName.COMPOSE, settings).local_url
    for begin in range(0, len(keys), 1000):
        httpx.post(
            f"{url}/api/admin/ingestion-replay",
            headers={"authorization": f"Bearer {settings['ADMIN_API_KEY']}"},
            json={"keys": keys[begin : begin + 1000]},
        ).raise_for_status()
    now = datetime.now(UTC).isoformat()
    assert reconcile.reconcile(stack.context, since="1h", until=now, rate=100, check=False) == 0


def stores_with(stack: Stack, *needles: str) -> list[str]:
    """Return where in the stores any of the texts can be found."""
    settings = stack.context.settings()
    reconciler = reconciler_of(stack.context, settings)
    found = []
    services = Compose(stack.context.layout, settings, stack.context.environment, stack.context.runner)
    dump = services.execute(
        "postgres", ["sh", "-c", 'PGPASSWORD="$POSTGRES_PASSWORD" pg_dump -h 127.0.0.1 -U "$POSTGRES_USER"']
    )
    texts = {"postgres": dump}
    for table, engine in reconciler.clickhouse.tables().items():
        if "MergeTree" in engine:
            everything = f"SELECT * FROM `{table}` FORMAT JSONEachRow"  # noqa: S608 - a name of the database's own
            texts[f"clickhouse.{table}"] = reconciler.clickhouse.query(everything)
    for bucket_setting in (EVENTS, MEDIA, EXPORTS):
        with open_bucket(settings, bucket_setting) as bucket:
            for one in bucket.objects():
                texts[f"{bucket_setting} {one.key}"] = one.key + bucket.get(one.key).decode(errors="replace")
    texts["valkey"] = services.execute(
        "valkey", ["sh", "-c", "cat /data/appendonlydir/* | tr -cd '[:print:]'"]
    )
    found += [f"{place}: {needle}" for place, text in texts.items() for needle in needles if needle in text]
    return found


def files_with(stack: Stack, *needles: str) -> list[str]:
    """Return which files of the stack on the host hold any of the texts."""
    return [
        f"{path.name}: {needle}"
        for path in stack.context.layout.stack_dir.rglob("*")
        if path.is_file()
        for needle in needles
        if needle.encode() in path.read_bytes()
    ]
