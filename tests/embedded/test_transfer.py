"""Exports and imports: every format round, ids kept, interrupted and damaged ones."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from scripts.api.client import Api
from scripts.api.errors import ObjectRefused
from scripts.core.errors import UsageError
from scripts.data.transfer import export, load
from scripts.data.transfer.files import Manifest, write_part
from scripts.data.transfer.journal import SETTLED_S, Journal
from scripts.data.transfer.kinds import KINDS
from scripts.data.transfer.remote import TransferError

from .backups import QUICK, Stack, everything, fill, stack_in, write
from .spans import export as export_of_spans
from .spans import read, send, span, trace_id
from .test_media import Upload, outside

pytestmark = pytest.mark.slow

# The project, what the server computes, and the moment of writing differ after an import.
OWN = {"projectId", "createdAt", "updatedAt", "datasetId", "authorUserId"}
SHOWN = "5140000000000001"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    source = stack_in(tmp_path_factory.mktemp("transfer") / "stack", QUICK)
    source.up()
    with source.client() as client:
        fill(client, traces=30)
        rich = {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "athena-1",
            "langfuse.observation.model.parameters": '{"temperature": 0.5}',
            "langfuse.observation.usage_details": '{"input": 3, "output": 4}',
            "langfuse.observation.cost_details": '{"input": 0.25, "output": 0.5}',
            "langfuse.observation.input": '{"text": "NULL", "quote": "a \\"b\\", c\\nd"}',
            "langfuse.observation.output": 'plain, with "quotes"\nand lines',
            "langfuse.observation.metadata.region": "eu",
            "langfuse.trace.name": "voice call",
            "langfuse.trace.tags": ["a", "b"],
            "session.id": "call-1",
            "langfuse.release": "r1",
        }
        day = 86_400_000
        for start in (1_760_000_000_000, 1_760_000_000_000 + day):
            send(client, span(trace_id(), "rich", start=start, attributes=rich))
        say_more(client)
    yield source
    source.stop()


def say_more(client: httpx.Client) -> None:
    """Write versions of a prompt, a picture that a trace shows, comments on it, and a score of last year."""
    for text, labels in (("Hi {{name}}", []), ("Good day {{name}}", ["production"])):
        body = {"name": "greeting", "type": "text", "prompt": text, "labels": labels, "tags": ["kept"]}
        write(client, "v2/prompts", body)
    shown, picture = trace_id(), Upload(b"a picture of the handbook")
    media = picture.announce(client, traceId=shown).json()
    assert picture.put(media["uploadUrl"]).status_code == 200
    reported = {"uploadedAt": "2026-01-01T00:00:00Z", "uploadHttpStatus": 200}
    client.patch(f"/api/public/media/{media['mediaId']}", json=reported).raise_for_status()
    token = f"@@@langfuseMedia:type=image/png|id={media['mediaId']}|source=bytes@@@"
    send(client, span(shown, "shows", id=SHOWN, attributes={"langfuse.observation.input": token}))
    comment = {"projectId": "kosmos", "objectType": "OBSERVATION", "objectId": SHOWN, "content": "look"}
    write(client, "comments", comment)
    body = {"id": "old-score", "traceId": shown, "name": "checked", "value": 1, "source": "EVAL"}
    event = {"id": "e1", "type": "score-create", "timestamp": "2025-03-04T05:06:07.000Z", "body": body}
    client.post("/api/public/ingestion", json={"batch": [event]}).raise_for_status()


def export_to(
    stack: Stack, into: Path, file_format: str = "jsonl", project: str = "kosmos", **filters: str
) -> Manifest:
    code = export.export(
        stack.context,
        project=project,
        base_url="",
        into=into,
        file_format=file_format,
        kinds=list(KINDS),
        where=[f"{name}={value}" for name, value in filters.items()],
    )
    assert code == 0
    return Manifest(**json.loads((into / "manifest.json").read_text()))


def import_from(stack: Stack, source: Path, project: str = "zeus") -> int:
    return load.load(stack.context, project=project, base_url="", source=source, dry_run=False)


def comparable(value: Any) -> Any:
    """Return an answer of the API without what belongs to a project or a moment; lists in a fixed order."""
    if isinstance(value, dict):
        return {key: comparable(one) for key, one in value.items() if key not in OWN}
    if isinstance(value, list):
        return sorted((comparable(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


@pytest.mark.parametrize("file_format", ["jsonl", "parquet", "csv"])
def test_an_import_gives_another_project_the_same_content(
    stack: Stack, tmp_path: Path, file_format: str
) -> None:
    other = stack_in(tmp_path / "other", QUICK)
    other.up()
    try:
        export_to(stack, tmp_path / "export", file_format)
        assert import_from(other, tmp_path / "export") == 0
        with stack.client() as source, other.client("zeus") as target:
            wanted, found = everything(source), everything(target)
            again = import_from(other, tmp_path / "export")
            repeated = everything(target)
    finally:
        other.stop()
    assert len(found["observations"]) == 153
    assert comparable(found["observations"]) == comparable(wanted["observations"])
    for kind in ("scores", "dataset-items"):
        for one, two in zip(comparable(found[kind]), comparable(wanted[kind]), strict=True):
            assert {**one, "timestamp": ""} == {**two, "timestamp": ""}
    assert again == 0
    assert comparable(repeated["observations"]) == comparable(found["observations"])


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_prompts_comments_media_and_times_of_scores_come_too(
    stack: Stack, tmp_path: Path, file_format: str
) -> None:
    other = stack_in(tmp_path / "other", QUICK)
    other.up()
    try:
        export_to(stack, tmp_path / "export", file_format)
        for _ in range(2):  # a repeated import changes nothing
            assert import_from(other, tmp_path / "export") == 0
            with stack.client() as source, other.client("zeus") as target:
                assert prompts_of(target) == prompts_of(source) != []
                assert comments_of(target) == comments_of(source) == [("OBSERVATION", SHOWN, "look")]
                score = target.get("/api/public/v3/scores", params={"id": "old-score"}).json()["data"][0]
                assert score["timestamp"] == "2025-03-04T05:06:07.000Z"
                assert score["source"] == "EVAL"
                shown = read(target, fields="core,io", name="shows")[0]
                media = shown["input"].split("id=")[1].split("|")[0]
                record = target.get(f"/api/public/media/{media}").raise_for_status().json()
                assert outside("GET", record["url"]).content == b"a picture of the handbook"
    finally:
        other.stop()


def prompts_of(client: httpx.Client) -> list[tuple[int, str, list[str], list[str]]]:
    """Return number, text, labels and tags of all versions of a prompt."""
    path = "/api/public/v2/prompts/greeting"
    found = [client.get(path, params={"version": version}).json() for version in (1, 2, 3)]
    return [(row["version"], row["prompt"], sorted(row["labels"]), row["tags"]) for row in found]


def comments_of(client: httpx.Client) -> list[tuple[str, str, str]]:
    """Return what is said of what in a project."""
    rows = client.get("/api/public/comments").json()["data"]
    return [(row["objectType"], row["objectId"], row["content"]) for row in rows]


def test_observations_lie_in_a_folder_a_day_and_parquet_reads_them_at_once(
    stack: Stack, tmp_path: Path
) -> None:
    manifest = export_to(stack, tmp_path / "export", "parquet")
    days = {path.name for path in (tmp_path / "export" / "observations").iterdir()}
    assert {"day=2025-10-09", "day=2025-10-10"} <= days
    files = f"{tmp_path}/export/observations/*/*.parquet"
    with duckdb.connect() as database:
        rows = database.execute(
            "select count(*), count(distinct id), sum(totalCost) from read_parquet(?)", [files]
        ).fetchone()
    assert rows == (153, 153, 1.5)
    for part in manifest.parts:
        content = (tmp_path / "export" / part["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == part["sha256"]
        assert len(content) == part["bytes"]


def test_filters_choose_what_is_exported(stack: Stack, tmp_path: Path) -> None:
    export_to(stack, tmp_path / "export", "jsonl", to="2025-10-10T00:00:00Z")
    lines = [
        json.loads(line)
        for path in (tmp_path / "export" / "observations").rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert [line["startTime"][:10] for line in lines] == ["2025-10-09"]


def test_an_interrupted_export_goes_on_behind_its_last_complete_part(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def cut_off(directory: Path, path: str, rows: list[Any], columns: dict[str, str]) -> object:
        if any(one.startswith("observations/") for one in written):
            raise KeyboardInterrupt
        written.append(path)
        return write_part(directory, path, rows, columns)

    observations = KINDS["observations"]
    monkeypatch.setattr(export, "PART_ROWS", 40)
    monkeypatch.setitem(observations.query, "limit", 40)  # type: ignore[arg-type]
    monkeypatch.setattr(export, "write_part", cut_off)
    with pytest.raises(KeyboardInterrupt):
        export_to(stack, tmp_path / "export")
    first = [(tmp_path / "export" / path).stat().st_mtime_ns for path in written]
    with pytest.raises(TransferError, match="cannot be imported") as caught:
        import_from(stack, tmp_path / "export")
    assert "observations is not complete" in caught.value.details
    assert "comments is not complete" in caught.value.details  # which has not begun
    monkeypatch.setattr(export, "write_part", write_part)
    manifest = export_to(stack, tmp_path / "export")
    assert [(tmp_path / "export" / path).stat().st_mtime_ns for path in written] == first
    ids = [
        json.loads(line)["id"]
        for part in manifest.parts
        if part["path"].startswith("observations/")
        for line in (tmp_path / "export" / part["path"]).read_text().splitlines()
    ]
    assert len(ids) == len(set(ids)) == 153


def test_a_damaged_export_is_refused_before_anything_is_written(stack: Stack, tmp_path: Path) -> None:
    manifest = export_to(stack, tmp_path / "export")
    path = tmp_path / "export" / manifest.parts[0]["path"]
    path.write_bytes(path.read_bytes() + b" ")
    with stack.client("zeus") as client:
        before = everything(client)
        with pytest.raises(TransferError, match="nothing was written") as caught:
            import_from(stack, tmp_path / "export")
        assert everything(client) == before
    name = manifest.parts[0]["path"]
    assert caught.value.details == (f"{name} has other content than when it was exported",)


def test_a_directory_with_something_else_is_refused(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(UsageError, match="not empty"):
        export_to(stack, tmp_path)
    with pytest.raises(UsageError, match="is not an export"):
        import_from(stack, tmp_path)
    export_to(stack, tmp_path / "export")
    with pytest.raises(UsageError, match="with other filters"):
        export_to(stack, tmp_path / "export", environment="production")


def test_an_unknown_format_or_project_is_refused(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="xml cannot be exported"):
        export_to(stack, tmp_path / "export", "xml")
    with pytest.raises(UsageError, match="There is no project 'hermes'"):
        export_to(stack, tmp_path / "export", project="hermes")
    with pytest.raises(UsageError, match="There are several projects") as several:
        export_to(stack, tmp_path / "export", project="")
    assert several.value.fix == "choose one with PROJECT=: kosmos, zeus."
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("file_format", ["jsonl", "parquet", "csv"])
def test_large_and_odd_texts_arrive_as_they_were_in_every_format(
    stack: Stack, tmp_path: Path, file_format: str
) -> None:
    texts = [
        "x" * 3_000_000,
        "=1+1",
        "'=1+1",
        r"\N",
        r"\\N",
        'a,"b"\r\nc\nd\x0b',
        " lead",
        "NULL",
        "-5",
        "é\u202e",
    ]
    trace = trace_id()
    with stack.client() as client:
        for number, text in enumerate(texts):
            attributes = {"langfuse.observation.input": text, "langfuse.environment": "odd"}
            send(client, span(trace, f"odd {number}", attributes=attributes))
    export_to(stack, tmp_path / "export", file_format, environment="odd")
    assert import_from(stack, tmp_path / "export") == 3  # a comment is on what the filter leaves out
    with stack.client("zeus") as client:
        found = {row["name"]: row["input"] for row in read(client, traceId=trace, fields="core,basic,io")}
    assert found == {f"odd {number}": text for number, text in enumerate(texts)}


PLAIN = "5140000000000002"


def test_spans_of_plain_opentelemetry_keep_their_metadata_and_get_no_more(
    stack: Stack, tmp_path: Path
) -> None:
    trace = trace_id()
    body = export_of_spans(
        span(trace, "plain", id=PLAIN, attributes={"http.method": "GET", "langfuse.environment": "otel"})
    )
    body["resourceSpans"][0]["scopeSpans"][0]["scope"] = {
        "name": "opentelemetry.instrumentation.httpx",
        "version": "1",
    }
    with stack.client() as client:
        client.post("/api/public/otel/v1/traces", json=body).raise_for_status()
        (before,) = read(client, traceId=trace, fields="core,basic,metadata")
    export_to(stack, tmp_path / "export", environment="otel")
    assert import_from(stack, tmp_path / "export") == 3
    with stack.client("zeus") as client:
        (after,) = read(client, traceId=trace, fields="core,basic,metadata")
    assert before["metadata"]["attributes.http.method"] == "GET"
    assert after["metadata"] == before["metadata"]


def test_a_repeated_import_sends_only_what_is_missing(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server has twice it shows and counts twice until its store merges."""
    other = stack_in(tmp_path / "other", QUICK)
    other.up()
    sent: list[tuple[str, str]] = []
    real = Api.request

    def noted(self: Api, method: str, path: str, **options: Any) -> httpx.Response:
        if method != "GET":
            sent.append((method, path))
        return real(self, method, path, **options)

    try:
        export_to(stack, tmp_path / "export")
        assert import_from(other, tmp_path / "export") == 0
        monkeypatch.setattr(Api, "request", noted)
        assert import_from(other, tmp_path / "export") == 0
        again = list(sent)
        with other.client("zeus") as client:
            gone = read(client)[0]["traceId"]
            others = len(read(client)) - len(read(client, traceId=gone))
            client.request("DELETE", f"/api/public/traces/{gone}").raise_for_status()
            assert len(read(client)) == others
        sent.clear()
        assert import_from(other, tmp_path / "export") == 0
    finally:
        other.stop()
    # Media have no route that says what is there: their announcement does.
    assert {path for _, path in again} <= {"media"}
    assert [path for _, path in sent if path.endswith("traces")] == ["otel/v1/traces"]
    assert "of which 0 were not there" in other.screen.out.getvalue()


def test_an_interrupted_import_waits_before_it_asks_what_is_there(tmp_path: Path) -> None:
    slept: list[float] = []
    journal = replace(Journal.of(tmp_path, "http://127.0.0.1", "kosmos"), sleep=slept.append)
    assert journal.unsettled_s() == 0
    journal.note_sent()
    assert SETTLED_S - 5 < journal.unsettled_s() <= SETTLED_S
    journal.settle()
    assert SETTLED_S - 5 < slept[0] <= SETTLED_S
    assert Journal.of(tmp_path, "http://127.0.0.1", "zeus").unsettled_s() == 0
    later = replace(journal, now=lambda: time.time() + SETTLED_S)
    assert later.unsettled_s() == 0
    journal.close()
    assert journal.unsettled_s() == 0


@pytest.mark.parametrize(
    "named",
    [
        "/etc/hostname",
        "../secret",
        "media/files/../../../secret",
        "media/files/link",
        "media/files/absent",
        "",
    ],
)
def test_an_import_reads_no_file_outside_of_the_export(stack: Stack, tmp_path: Path, named: str) -> None:
    source = tmp_path / "export"
    files = source / "media" / "files"
    files.mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    (files / "link").symlink_to(secret)
    digest = base64.b64encode(hashlib.sha256(b"the secret").digest()).decode()
    row = {
        "id": "m1", "contentType": "text/plain", "contentLength": 10, "file": named, "sha256": digest,
        "traceId": trace_id(), "field": "input",
    }  # fmt: skip
    part = write_part(source, "media/part-000000.jsonl", [row], KINDS["media"].columns)
    Manifest("jsonl", "kosmos", {}, [part], complete=["media"]).save(source)
    with stack.client("zeus") as client:
        with pytest.raises(TransferError, match="1 objects were refused") as caught:
            import_from(stack, source)
        assert "is not a file in media/files" in caught.value.details[0]
        assert (
            client.get("/api/public/media/" + digest[:22].replace("+", "-").replace("/", "_")).status_code
            == 404
        )


def test_one_object_that_the_server_refuses_stops_no_other(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Api.get

    def get(self: Api, path: str, **query: Any) -> Any:
        if path == "v2/prompts/greeting" and query["version"] == 1:
            return real(self, "v2/prompts/" + "n" * 70_000, **query)
        return real(self, path, **query)

    monkeypatch.setattr(Api, "get", get)
    code = export.export(
        stack.context,
        project="kosmos",
        base_url="",
        into=tmp_path / "export",
        file_format="jsonl",
        kinds=[],
        where=[],
    )
    assert code == 3
    manifest = Manifest(**json.loads((tmp_path / "export" / "manifest.json").read_text()))
    assert [line.split(":")[0] for line in manifest.skipped] == ["version 1 of prompt greeting"]
    assert set(manifest.complete) == set(KINDS)
    assert "Left out: version 1 of prompt greeting" in stack.screen.err.getvalue()
    observations = (
        tmp_path / "export" / next(p["path"] for p in manifest.parts if p["path"].startswith("observations"))
    )
    assert observations.exists()


def test_an_observation_that_is_refused_stops_no_other(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_to(stack, tmp_path / "export")
    real = Api.post

    def post(self: Api, path: str, body: Any, **options: Any) -> Any:
        if path.startswith("otel") and SHOWN in json.dumps(body):
            raise ObjectRefused("POST answers 413.")
        return real(self, path, body, **options)

    monkeypatch.setattr(Api, "post", post)
    other = stack_in(tmp_path / "other", QUICK)
    other.up()
    try:
        with pytest.raises(TransferError, match="1 objects were refused") as caught:
            import_from(other, tmp_path / "export")
        with other.client("zeus") as client, stack.client() as source:
            assert len(read(client)) == len(read(source)) - 1
    finally:
        other.stop()
    assert caught.value.details == (f"observation {SHOWN}: POST answers 413.",)
