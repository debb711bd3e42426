"""Retention and erasure: what goes, what stays, and that nothing is left in any file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from langfuse_embedded.judge.jobs import Jobs, NewJob, create
from scripts.core.errors import UsageError
from scripts.data.retention import erase, retention
from scripts.data.retention.rules import load_retention

from .backups import QUICK, Stack, stack_in, write
from .spans import read, send, span, trace_id
from .test_media import Upload

pytestmark = pytest.mark.slow

OLD = 1_700_000_000_000  # November 2023
NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stopped stack without data, to copy."""
    stack = stack_in(tmp_path_factory.mktemp("empty") / "stack", QUICK)
    stack.up()
    stack.stop()
    return stack


@pytest.fixture
def stack(empty: Stack, tmp_path: Path) -> Iterator[Stack]:
    copy = stack_in(tmp_path / "stack", QUICK)
    shutil.copytree(empty.layout.root, tmp_path / "stack", dirs_exist_ok=True)
    copy.up()
    yield copy
    copy.stop()


def rules(stack: Stack, text: str) -> None:
    (stack.layout.root / "config" / "retention.yaml").write_text(text)


def files_with(stack: Stack, *needles: bytes) -> list[str]:
    return [
        f"{path.name}: {needle!r}"
        for path in stack.layout.stack_dir.rglob("*")
        if path.is_file()
        for needle in needles
        if needle in path.read_bytes()
    ]


def test_old_traces_go_and_new_held_and_other_ones_stay(stack: Stack) -> None:
    rules(
        stack,
        "rules:\n- {environment: staging, days: 30}\n- {project: kosmos, days: 90}\nhold: {tags: [court]}\n",
    )
    with stack.client() as client, stack.client("zeus") as other:
        old, held, mixed, long_lived, recent = (trace_id() for _ in range(5))
        send(client, span(old, start=OLD))
        send(client, span(held, start=OLD, attributes={"langfuse.trace.tags": ["court"]}))
        january = OLD + 70 * 86_400_000
        staging = {"langfuse.environment": "staging"}
        send(client, span(recent, start=january), span(mixed, start=january, attributes=staging))
        send(client, span(mixed, start=january))
        send(client, span(long_lived, start=OLD), span(long_lived, start=january))
        gone = trace_id()
        send(other, span(old, start=OLD), span(gone, start=january, attributes=staging))
        assert retention.retention(stack.context, apply=False, now=NOW) == 0
        assert len(read(client)) == 7
        assert "kosmos: 1 traces with 1 observations" in stack.screen.out.getvalue()
        assert retention.retention(stack.context, apply=True, now=NOW) == 0
        assert {row["traceId"] for row in read(client)} == {held, mixed, long_lived, recent}
        assert {row["traceId"] for row in read(other)} == {old}


def test_deleted_traces_give_their_disk_space_back(stack: Stack) -> None:
    rules(stack, "rules: [{days: 30}]\n")
    with stack.client() as client:
        for _ in range(20):
            text = "".join(trace_id() for _ in range(1000))
            send(client, span(trace_id(), start=OLD, attributes={"langfuse.observation.input": text}))
    stack.stop()
    before = (stack.layout.embedded_dir / "events.db").stat().st_size
    stack.up()
    assert retention.retention(stack.context, apply=True, now=NOW) == 0
    stack.stop()
    after = (stack.layout.embedded_dir / "events.db").stat().st_size
    assert before - after > 20 * 14_000


def test_nothing_of_an_erased_person_is_left_in_any_file(stack: Stack) -> None:
    person, session = "hermes-the-subject", "call-of-the-subject"
    trace, kept = trace_id(), trace_id()
    mine = {"user.id": person, "session.id": session, "langfuse.observation.input": person}
    picture = Upload(b"face of the subject")
    with stack.client() as client:
        send(client, span(trace, "asked", attributes=mine), span(trace, "inner"))
        send(client, span(kept, "other", attributes={"user.id": "zeus"}))
        write(
            client, "scores", {"traceId": trace, "name": "mood", "value": 1, "comment": "said by the-subject"}
        )
        write(
            client, "scores", {"sessionId": session, "name": "call", "value": 1, "comment": "of the-subject"}
        )
        comment = {
            "projectId": "kosmos",
            "objectType": "TRACE",
            "objectId": trace,
            "content": "seen the-subject",
        }
        write(client, "comments", comment)
        write(client, "v2/datasets", {"name": "cases"})
        item = {"id": "case-1", "datasetName": "cases", "input": person, "sourceTraceId": trace}
        write(client, "dataset-items", item)
        write(client, "dataset-items", {**item, "input": "changed"})
        announced = picture.announce(client, traceId=trace).json()
        assert picture.put(announced["uploadUrl"]).status_code == 200
        client.patch(
            f"/api/public/media/{announced['mediaId']}",
            json={"uploadedAt": "2026-01-01T00:00:00Z", "uploadHttpStatus": 200},
        ).raise_for_status()
        create(stack.layout.embedded_dir, 0)
        jobs = Jobs(stack.layout.embedded_dir)
        jobs.add([NewJob("job", "kosmos", 1, trace, "span", "rule", "assignment", "evaluator")], 0, OLD)
        [job] = jobs.due(OLD, 1, (), ())
        jobs.finish(job, "error", OLD, error=f"not JSON: {person}")
        jobs.close()
        assert erase.erase(stack.context, way="user", value=person, apply=False, by="") == 0
        assert len(read(client, traceId=trace)) == 2
        assert erase.erase(stack.context, way="user", value=person, apply=False, by="", verify=True) == 1
        assert "Engine events.db blocks" in stack.screen.err.getvalue()
        assert "Engine judge.db jobs" in stack.screen.err.getvalue()
        assert erase.erase(stack.context, way="user", value=person, apply=True, by="athena", verify=True) == 0
        assert read(client, traceId=trace) == []
        assert client.get("/api/public/dataset-items/case-1").status_code == 404
        assert [row["traceId"] for row in read(client)] == [kept]
    stack.stop()
    needles = (b"the-subject", b"call-of-the", b"face of", bytes.fromhex(trace), trace.encode())
    assert files_with(stack, *needles) == []
    assert files_with(stack, b"zeus") != []
    records = list((stack.layout.stack_dir / "erasures").iterdir())
    record = json.loads(records[0].read_text())
    assert record["by"] == "athena"
    assert record["still_found"] == 0
    removed = record["removed"]
    assert {name: removed[name] for name in ("traces", "observations", "sessions", "comments", "media")} == {
        "traces": 1,
        "observations": 2,
        "sessions": 1,
        "comments": 1,
        "media": 1,
    }
    assert record["searched"]
    assert not any(place["found"] for place in record["searched"])
    assert "backups made before" in record["kept"][0]
    assert person not in json.dumps(record)
    assert trace not in json.dumps(record)
    stack.up()
    assert erase.erase(stack.context, way="user", value=person, apply=False, by="", verify=True) == 0
    assert "Nothing of the subject was found in" in stack.screen.out.getvalue()
    assert removed["scores_of_sessions"] == 1
    assert removed["dataset_items"] == 2


def test_an_erasure_that_was_interrupted_is_finished_by_the_next_one(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = trace_id()
    with stack.client() as client:
        send(client, span(trace, attributes={"user.id": "hermes"}))
        comment = {"projectId": "kosmos", "objectType": "TRACE", "objectId": trace, "content": "the-subject"}
        write(client, "comments", comment)
        with monkeypatch.context() as patched:
            patched.setattr("scripts.data.retention.deletion.purge", interrupted)
            with pytest.raises(KeyboardInterrupt):
                erase.erase(stack.context, way="user", value="hermes", apply=True, by="")
        assert read(client, traceId=trace) == []
        assert len(client.get("/api/public/comments").json()["data"]) == 1
        assert erase.erase(stack.context, way="user", value="hermes", apply=True, by="") == 0
        assert client.get("/api/public/comments").json()["data"] == []
    stack.stop()
    assert files_with(stack, b"the-subject", trace.encode(), bytes.fromhex(trace)) == []


def interrupted(*_: object) -> None:
    """Be interrupted."""
    raise KeyboardInterrupt


def test_a_legal_hold_stops_an_erasure(stack: Stack) -> None:
    with stack.client() as client:
        held = {"user.id": "hermes", "langfuse.trace.tags": ["legal-hold"]}
        send(client, span(trace_id(), attributes=held), span(trace_id(), attributes={"user.id": "hermes"}))
        with pytest.raises(UsageError, match="legal hold"):
            erase.erase(stack.context, way="user", value="hermes", apply=True, by="athena")
        assert len(read(client)) == 2


def test_a_session_and_a_tag_are_ways_to_a_subject_too(stack: Stack) -> None:
    with stack.client() as client:
        send(client, span(trace_id(), attributes={"session.id": "s1"}))
        send(client, span(trace_id(), attributes={"langfuse.trace.tags": ["t1", "t2"]}))
        kept = trace_id()
        send(client, span(kept))
        erase.erase(stack.context, way="session", value="s1", apply=True, by="")
        erase.erase(stack.context, way="tag", value="t2", apply=True, by="")
        assert [row["traceId"] for row in read(client)] == [kept]


def test_faults_of_the_rules_are_named_together(tmp_path: Path) -> None:
    path = tmp_path / "retention.yaml"
    path.write_text("rules:\n- {days: 0}\n- {dayz: 3, days: 3}\nholds: {}\n")
    with pytest.raises(UsageError) as caught:
        load_retention(path, path.name)
    assert caught.value.details == (
        "rules[0].days is 0: a whole number from 1 on",
        "unknown key holds",
        "unknown key rules[1].dayz",
    )
