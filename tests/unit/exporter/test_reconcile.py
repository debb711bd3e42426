"""What the exporter shows of spans that are missing, and where it looks for them at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.core.errors import CommandFailed
from scripts.data.reconcile.watch import LOTS, Suspect, Watch
from scripts.stores import network
from scripts.stores.errors import StoreError
from scripts.stores.event_batches import SpanId
from scripts.stores.network import NetworkServices
from scripts.watch.exporter.collect import Exporter
from scripts.watch.exporter.config import ExporterConfig
from scripts.watch.exporter.telemetry import NAMED_SPANS, Readings, Telemetry
from tests.unit.scripts.fakes import settings_with

STORES = {
    "DATABASE_URL": "postgresql://langfuse:p%40ss@postgres:5432/langfuse?sslmode=disable",
    "CLICKHOUSE_URL": "http://clickhouse:8123",
    "CLICKHOUSE_USER": "langfuse",
    "CLICKHOUSE_PASSWORD": "obviously-fake",
    "CLICKHOUSE_DB": "default",
    "S3_ENDPOINT": "http://seaweedfs:8333",
}


def watch_with(*suspects: tuple[str, Suspect]) -> Watch:
    reconciler: Any = None
    return Watch(reconciler, lambda: None, replayed=40, suspects=dict(suspects))


def test_refused_spans_are_named_and_the_others_counted() -> None:
    telemetry = Telemetry(Readings(stale_s=60, max_groups=20))
    assert "langfuse_reconcile_last_look" not in telemetry.exposition().decode()
    refused = Suspect("kosmos", 0.0, [SpanId("a1", "01")], attempts=len(LOTS))
    telemetry.observe_watch(
        watch_with(("otel/x.json", refused), ("otel/y.json", Suspect("kosmos", 0.0, [SpanId("b2", "02")]))),
        complete=True,
    )
    shown = telemetry.exposition().decode()
    series = 'refused_span{batch="otel/x.json",project="kosmos",span_id="01",trace_id="a1"} 1.0'
    assert f"langfuse_reconcile_{series}" in shown
    assert "langfuse_reconcile_missing_spans 2.0" in shown
    assert "langfuse_reconcile_replayed_spans 40.0" in shown
    assert "b2" not in shown
    assert "langfuse_reconcile_last_look_timestamp_seconds 1" in shown


def test_only_so_many_refused_spans_have_a_series_and_none_stays_behind() -> None:
    telemetry = Telemetry(Readings(stale_s=60, max_groups=20))
    many = [SpanId("a1", f"{number:02}") for number in range(NAMED_SPANS + 5)]
    telemetry.observe_watch(watch_with(("x", Suspect("kosmos", 0.0, many, len(LOTS)))), complete=True)
    assert telemetry.exposition().decode().count("\nlangfuse_reconcile_refused_span{") == NAMED_SPANS
    telemetry.observe_watch(watch_with(), complete=False)
    assert "langfuse_reconcile_refused_span{" not in telemetry.exposition().decode()


@pytest.mark.parametrize(
    ("change", "looks"),
    [({}, True), ({"reconcile_s": 0}, False), ({"stores": None}, False)],
)
def test_it_looks_only_where_the_stores_can_be_reached(
    tmp_path: Path, change: dict[str, Any], *, looks: bool
) -> None:
    stores = settings_with(**STORES)
    config = ExporterConfig(
        "http://web:3000", "", tmp_path, tmp_path, tmp_path, reconcile_s=180, stores=stores
    )
    telemetry = Telemetry(Readings(stale_s=60, max_groups=20))
    client: Any = None
    assert (Exporter(replace(config, **change), telemetry, client)._watch is not None) is looks


def test_clickhouse_is_asked_with_its_login_in_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def post(url: str, **options: Any) -> httpx.Response:
        asked.append({"url": url, **options})
        return httpx.Response(200, text="1\n")

    monkeypatch.setattr(network.httpx, "post", post)
    assert NetworkServices(STORES).execute("clickhouse", [], "SELECT 1") == "1\n"
    (call,) = asked
    assert (call["url"], call["content"]) == ("http://clickhouse:8123", b"SELECT 1")
    assert call["headers"]["X-ClickHouse-Key"] == "obviously-fake"


def test_what_clickhouse_refuses_and_a_clickhouse_that_is_away_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Any] = [httpx.Response(500, text="Code: 60"), httpx.ConnectError("refused")]

    def post(_: str, **__: Any) -> httpx.Response:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(network.httpx, "post", post)
    with pytest.raises(CommandFailed):
        NetworkServices(STORES).execute("clickhouse", [], "SELECT 1")
    with pytest.raises(StoreError, match="ClickHouse does not answer"):
        NetworkServices(STORES).execute("clickhouse", [], "SELECT 1")


def test_a_url_of_postgresql_is_taken_apart() -> None:
    assert network._login(STORES["DATABASE_URL"]) == {
        "user": "langfuse",
        "password": "p@ss",
        "host": "postgres",
        "port": 5432,
        "database": "langfuse",
        "ssl_context": None,
    }
    assert network._login("postgresql://a:b@db.acme.example/x?sslmode=require")["ssl_context"] is True


def test_rows_of_postgresql_read_as_its_own_client_prints_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        def __init__(self, **_: Any) -> None:
            self.adapters: dict[int, Any] = {}

        def __enter__(self) -> Connection:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def register_in_adapter(self, kind: int, adapter: Any) -> None:
            self.adapters[kind] = adapter

        def run(self, _: str) -> list[list[Any]]:
            assert self.adapters.keys() >= {16, 114, 3802}
            return [['"kosmos"', None], ["t", 3]]

    native = type("native", (), {"Connection": Connection, "Error": OSError})
    monkeypatch.setattr(network.importlib, "import_module", lambda _: native)
    assert NetworkServices(STORES).execute("postgres", [], "SELECT 1;") == '"kosmos"|\nt|3\n'


def test_without_the_library_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> Any:
        raise ImportError("pg8000")

    monkeypatch.setattr(network.importlib, "import_module", missing)
    with pytest.raises(StoreError, match="pg8000 is not installed"):
        NetworkServices(STORES).execute("postgres", [], "SELECT 1;")
