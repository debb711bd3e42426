"""The writer: frames, groups, what one bad request does to its neighbours, and a store that refuses."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langfuse_embedded.otlp.event import Event
from langfuse_embedded.store.bodies import BlockReader
from langfuse_embedded.store.database import open_database
from langfuse_embedded.store.hexid import pack, unpack
from langfuse_embedded.store.state import StateStore
from langfuse_embedded.store.writer import loop
from langfuse_embedded.store.writer.context import OBSERVATION, WriteContext
from langfuse_embedded.store.writer.mapper import Mapper
from langfuse_embedded.store.writer.observations import store_events
from langfuse_embedded.store.writer.protocol import Frame, FrameBuffer, encode, receive


@pytest.fixture
def context(tmp_path: Path) -> Iterator[WriteContext]:
    state = StateStore(tmp_path, "salt")
    opened = WriteContext(tmp_path)
    yield opened
    opened.close()
    state.close()


def _event(span: str, name: str = "step", trace: str = "ab" * 16, **more: Any) -> Event:
    return Event(trace, span, None, name, "SPAN", 1_000, 2_000, input="in", output=name, **more)


def _write(context: WriteContext, *events: Event) -> None:
    context.begin()
    store_events(context, "kosmos", list(events))
    context.commit()


def _column(context: WriteContext, sql: str) -> list[Any]:
    return [row[0] for row in context.db.execute(sql)]


def _export(number: int, span: str) -> Frame:
    spans = [{"traceId": "cd" * 16, "spanId": span, "name": "step"}]
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "kosmos"}, "spans": spans}]}]}
    head = {"command": "ingest_otlp", "project": "kosmos", "gzip": False, "json": True}
    return Frame(number, {**head, "limit": 10_000, "refusal": None}, json.dumps(body).encode())


def _answers(context: WriteContext, *frames: Frame) -> dict[int, dict[str, Any]]:
    buffer = FrameBuffer()
    mapper = Mapper(context.path.parent)
    prepared = FrameBuffer()
    for frame in frames:
        prepared.feed(mapper.forward(frame))
    for answer in loop._handle(context, list(prepared.frames())):
        buffer.feed(answer)
    return {frame.number: frame.head for frame in buffer.frames()}


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_frames_come_out_as_they_went_in_however_they_are_cut(size: int) -> None:
    sent = [Frame(1, {"command": "a"}, b""), Frame(2**40, {"ü": [1]}, b"\0" * 5000), Frame(3, {}, b"x")]
    data = b"".join(encode(*frame) for frame in sent)
    buffer, got = FrameBuffer(), []
    for start in range(0, len(data), size):
        buffer.feed(data[start : start + size])
        got += buffer.frames()
    assert got == sent


def test_a_frame_is_received_whole_and_the_next_one_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(encode(7, {"command": "a"}, b"body") + encode(8, {}, b"next"))
        assert receive(ours) == Frame(7, {"command": "a"}, b"body")
        assert receive(ours) == Frame(8, {}, b"next")


@pytest.mark.parametrize("kept", [0, 3, 16, 20, -1])
def test_a_connection_that_ends_within_a_frame_gives_none(kept: int) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(encode(7, {"command": "a"}, b"body")[:kept])
        assert receive(ours) is None


def test_a_row_is_stored_as_it_was_given_whatever_is_empty_in_it(context: WriteContext) -> None:
    _write(
        context,
        _event("01"),
        _event("02", name="", user_id="", tags=["a"], public=True, is_app_root=True),
        _event("03", usage={"input": 0, "output": 1, "total": 1}, cost={"input": 0.0, "total": 1.0}),
    )
    rows = context.db.execute(
        "select name, public, is_app_root, tags, user_id, input_tokens, output_tokens, input_cost, total_cost"
        " from observations order by span_id"
    ).fetchall()
    assert [tuple(row) for row in rows] == [
        ("step", 0, 0, None, "", None, None, None, None),
        ("", 1, 1, '["a"]', "", None, None, None, None),
        ("step", 0, 0, None, "", 0, 1, 0.0, 1.0),
    ]
    kinds = context.db.execute("select distinct typeof(input_cost), typeof(total_cost) from observations")
    assert {tuple(kind) for kind in kinds} == {("null", "null"), ("real", "real")}


@pytest.mark.parametrize("identifier", ["00ff", "", "0", "abc", "ABCD", "xyz!", "ü", "0" * 32])
def test_an_id_comes_back_as_it_was(identifier: str) -> None:
    assert unpack(pack(identifier)) == identifier


def test_only_lower_case_hex_is_packed() -> None:
    assert (pack("00ff"), pack("00FF"), pack("0")) == (b"\0\xff", "00FF", "0")


def test_a_replaced_row_gets_a_new_number_and_the_old_one_is_named_as_gone(context: WriteContext) -> None:
    _write(context, _event("01"), _event("02"))
    _write(context, _event("01", "again"))
    assert _column(context, "select name from observations order by seq") == ["step", "again"]
    (gone,) = context.db.execute("select at, kind, row from deletions").fetchall()
    (last,) = _column(context, "select last from sequence")
    newest = max(_column(context, "select seq from observations"))
    assert (gone["kind"], gone["row"]) == (OBSERVATION, 1)
    assert 2 < gone["at"] <= last
    assert 2 < newest <= last


def test_a_block_is_deleted_with_the_last_of_its_rows(context: WriteContext) -> None:
    _write(context, _event("01"), _event("02"))
    _write(context, _event("01"))
    assert len(_column(context, "select id from blocks")) == 2
    _write(context, _event("02"))
    blocks = _column(context, "select id from blocks")
    assert sorted(blocks) == sorted(_column(context, "select block from observations"))


def test_bodies_lie_at_their_positions(context: WriteContext) -> None:
    _write(context, _event("01", "one"), _event("02", "two"), _event("03", "three", "ef" * 16))
    reader = BlockReader(context.db)
    rows = context.db.execute("select name, block, position from observations").fetchall()
    assert [row["name"] for row in rows] == ["one", "two", "three"]
    assert all(reader.body(row["block"], row["position"]).output == row["name"] for row in rows)


def test_numbers_grow_over_deletions_and_restarts(tmp_path: Path) -> None:
    StateStore(tmp_path, "salt").close()
    first = WriteContext(tmp_path)
    _write(first, _event("01"), _event("02"))
    first.begin()
    first.db.execute("delete from observations")
    first.commit()
    first.close()
    second = WriteContext(tmp_path)
    _write(second, _event("03"))
    assert _column(second, "select seq from observations") == [3]
    second.close()


def test_a_bad_request_is_refused_and_its_group_is_stored(context: WriteContext) -> None:
    bad = _export(2, "02")._replace(body=b"{nope")
    unknown = Frame(3, {"command": "no-such"}, b"")
    answers = _answers(context, _export(1, "01"), bad, unknown, _export(4, "04"))
    assert answers[1] == answers[4] == {"result": 1}
    assert answers[2] == {"error": "refused", "message": "Failed to parse OTel JSON Trace"}
    assert answers[3]["error"] == "failed"
    assert _column(context, "select span_id from observations order by seq") == [b"\1", b"\4"]


def test_a_read_only_store_stores_nothing_says_so_and_recovers(context: WriteContext) -> None:
    context.db.execute("pragma query_only=on")
    answers = _answers(context, _export(1, "01"), _export(2, "02"))
    assert [answer["error"] for answer in answers.values()] == ["unavailable", "unavailable"]
    assert "Make the data directory writable" in answers[1]["message"]
    context.db.execute("pragma query_only=off")
    assert _answers(context, _export(3, "03")) == {3: {"result": 1}}
    assert _column(context, "select span_id from observations") == [b"\3"]


def test_a_folded_log_takes_no_space_and_loses_nothing(context: WriteContext) -> None:
    _write(context, _event("01"))
    log = context.path.with_name(f"{context.path.name}-wal")
    assert (context.has_log, log.stat().st_size > 0) == (True, True)

    context.fold()

    assert (context.has_log, log.stat().st_size) == (False, 0)
    assert _column(context, "select name from observations") == ["step"]


def test_a_log_is_left_as_it_is_while_somebody_reads(context: WriteContext) -> None:
    reader = open_database(context.path, readonly=True)
    reader.execute("begin")
    reader.execute("select count(*) from observations").fetchone()
    _write(context, _event("01"))

    context.fold()

    assert context.has_log
    assert context.path.with_name(f"{context.path.name}-wal").stat().st_size > 0
    reader.close()
    context.fold()
    assert not context.has_log
    assert _column(context, "select name from observations") == ["step"]
