"""How the stand-in of ClickHouse hands queries to its library."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rehearsal.clickhouse.front import Front

# How long a query waits for another one to come in beside it.
BESIDE_S = 0.3


class Answer:
    """What the library returns."""

    def __init__(self, text: str) -> None:
        self._text = text

    def bytes(self) -> bytes:
        return self._text.encode()


class Session:
    """A library that notices when two queries run at the same time."""

    def __init__(self) -> None:
        self._meeting = threading.Barrier(2)

    def query(self, sql: str, form: str, params: Mapping[str, str]) -> Answer:
        try:
            self._meeting.wait(BESIDE_S)
        except threading.BrokenBarrierError:
            return Answer(f"alone: {sql} {form} {dict(params)}")
        return Answer("together")


@pytest.fixture
def front() -> Iterator[Front]:
    front = Front({"langfuse": "obviously-fake"}, Session(), port=0)
    yield front
    front.server_close()


def run_two(front: Front, parameters: Mapping[str, str]) -> list[bytes]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda sql: front.run(sql, "CSV", parameters), ["one", "two"]))


def test_queries_with_parameters_run_one_after_the_other(front: Front) -> None:
    assert run_two(front, {"a": "1"}) == [b"alone: one CSV {'a': '1'}", b"alone: two CSV {'a': '1'}"]


def test_queries_without_parameters_run_at_the_same_time(front: Front) -> None:
    assert run_two(front, {}) == [b"together", b"together"]


@pytest.mark.parametrize(
    ("user", "password", "known"),
    [
        ("langfuse", "obviously-fake", True),
        ("langfuse", "wrong", False),
        ("langfuse", "", False),
        ("default", "", False),
    ],
)
def test_only_the_users_of_the_configuration_are_known(
    front: Front, user: str, password: str, known: bool
) -> None:
    assert front.knows(user, password) is known


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("SELECT 1", True),
        (" with x as (select 1) select * from x", True),
        ("optimize table t final", True),
        ("INSERT INTO t VALUES (1)", False),
        ("DROP TABLE t", False),
        ("", False),
    ],
)
def test_a_user_with_grants_does_no_more_than_they_say(statement: str, allowed: bool) -> None:
    front = Front({}, Session(), port=0, grants={"langfuse_monitor": frozenset({"SELECT", "OPTIMIZE"})})
    try:
        assert front.allows("langfuse_monitor", statement) is allowed
        assert front.allows("langfuse", statement)
    finally:
        front.server_close()


def test_rows_of_the_format_native_reach_the_library_as_they_are(tmp_path: Path) -> None:
    seen: list[tuple[str, bytes]] = []

    class Reader(Session):
        def query(self, sql: str, form: str, params: Mapping[str, str]) -> Answer:
            path = sql.partition("file('")[2].partition("'")[0]
            seen.append((sql.replace(path, "PATH"), Path(path).read_bytes()))
            return Answer("")

    front = Front({}, Reader(), port=0, directory=tmp_path)
    try:
        front.insert("`default`.`scores`", b"\x01\xff\x00")
    finally:
        front.server_close()
    assert seen == [("INSERT INTO `default`.`scores` SELECT * FROM file('PATH', 'Native')", b"\x01\xff\x00")]
    assert list(tmp_path.iterdir()) == []
