"""Replay recorded HTTP exchanges against an engine, and say which answers differ.

Requests refer to ids that earlier answers gave: `likeness.py` maps recorded ids to received ones, and says
what is not compared. The body of an accepted trace export (on the server an echo of a queue job), HTML pages
and answers that the recording cut are compared by status alone.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import httpx
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from langfuse_embedded.clock import iso, now_ms
from langfuse_embedded.http.router import Router
from langfuse_embedded.routes import all_operations

from .harness import Keys, RunningEngine
from .likeness import Likeness, without_issues

_TRACES = "/api/public/otel/v1/traces"
_ITEMS = "/api/public/dataset-items"
_ONE_TRACE = re.compile(r"/api/public/traces/([0-9a-f]{32})")
_POLLED = re.compile(r"/api/public/(traces|observations)\b")
_TOTAL = re.compile(r"\.(meta|pagination)\.total(Items|Pages): ")
_MAKES_TRACES = frozenset(
    f"{kind}-{verb}"
    for kind in ("trace", "span", "generation", "event", "observation")
    for verb in ("create", "update")
)
_SENT_HEADERS = frozenset(
    {
        "accept",
        "authorization",
        "content-encoding",
        "content-type",
        "if-none-match",
        "origin",
        "x-langfuse-admin-api-key",
        "x-langfuse-project-id",
    }
)


@contextmanager
def recorded_engine(directory: Path, keys: Keys, environment: Mapping[str, str]) -> Iterator[httpx.Client]:
    """Run an engine in the place of the recorded server; give a client without keys."""
    running = RunningEngine(directory / "data", environment, keys).start()
    try:
        with httpx.Client(base_url=running.base_url, timeout=60) as client:
            yield client
    finally:
        assert running.stop() == 0, running.log()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request with its answer. `number` is its place in the recording, from 0."""

    number: int
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    request: Any
    status: int
    response: Any
    raw_query: str | None = None
    response_headers: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How tables and messages call it."""
        return f"{self.number} {self.method} {self.path}"


@dataclass(slots=True)
class Report:
    """What a replay found, counted by route; differences are by the name of the exchange.

    `alike` are answers that hold rows which no replayed request wrote, as the recorded project was not empty,
    or pages of rows of one moment, whose order follows no rule. Their status, their shape and the rows that
    both show agree, which is all that can be asked.
    """

    compared: Counter[str] = field(default_factory=Counter)
    equal: Counter[str] = field(default_factory=Counter)
    alike: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    differences: dict[str, str] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The share of exchanges that are equal, 0 to 1, of those that can be."""
        return self.equal.total() / max(1, self.compared.total() - self.alike.total())

    def by_route(self) -> str:
        """Return a table: equal, alike, compared, route by route."""
        rows = [
            f"{self.equal[route]:4} equal, {self.alike[route]:3} alike of {self.compared[route]:4}  {route}"
            for route in sorted(self.compared)
        ]
        equal, alike, compared = self.equal.total(), self.alike.total(), self.compared.total()
        return "\n".join([*rows, f"{equal:4} equal, {alike:3} alike of {compared:4}  all ({self.share:.1%})"])


def read_recording(path: Path) -> list[Exchange]:
    """Return the exchanges of a recording (JSON Lines, gzip or not)."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [
        Exchange(
            number,
            row["method"],
            row["path"],
            [(name, value) for name, value in row["query"]],
            row["request_headers"],
            row["request"],
            row["status"],
            row["response"],
        )
        for number, row in enumerate(map(json.loads, data.splitlines()))
    ]


def read_edges(path: Path, keys: tuple[str, str]) -> list[Exchange]:
    """Return the exchanges of a recording that says how each was authorized, with `keys` where it was ok.

    These also hold the query as it was sent, and the headers of the answers.
    """
    authorization = "Basic " + base64.b64encode(":".join(keys).encode()).decode()
    exchanges = []
    for number, row in enumerate(map(json.loads, path.read_bytes().splitlines())):
        headers, answer = dict(row["request_headers"]), row["response_headers"]
        if row["auth"] == "ok":
            headers["authorization"] = authorization
        if row["method"] == "OPTIONS" and "access-control-allow-headers" in answer:
            # Not recorded itself, but the answer repeats it.
            headers["access-control-request-headers"] = answer["access-control-allow-headers"]
        query = [(name, value) for name, value in row["query"]]
        exchanges.append(
            Exchange(
                number,
                row["method"],
                row["path"],
                query,
                headers,
                row["request"],
                row["status"],
                row["response"],
                row["raw_query"],
                answer,
            )
        )
    return exchanges


class Replay:
    """One engine that recordings are replayed against, and the ids that it gave for the recorded ones.

    Of a recording whose requests were in flight at the same time (`concurrent`), more is not compared: polls
    between which another request wrote something else, the order of the observations and scores within a
    trace, which was that of processing, and what asks for a time of the recording or for a trace that only
    cut requests wrote.
    """

    def __init__(self, client: httpx.Client, *, concurrent: bool = False) -> None:
        self._client = client
        self._concurrent = concurrent
        unordered = frozenset({"observations", "scores"} if concurrent else ())
        self._likeness = Likeness(iso(now_ms()), unordered)
        self._router = Router(all_operations())
        self._written = ""
        self._traces: set[str] = set()

    def continued(self, client: httpx.Client) -> Replay:
        """Return a replay that goes on with the same data behind another address."""
        other = Replay(client, concurrent=self._concurrent)
        other._likeness, other._written, other._traces = self._likeness, self._written, self._traces
        return other

    def knows(self, recorded: str, received: str) -> None:
        """Note that an id of the recording has a counterpart that was made before."""
        self._likeness.ids[recorded] = received

    def run(
        self, exchanges: Sequence[Exchange], unsettled: Mapping[int, str] = MappingProxyType({})
    ) -> Report:
        """Send every request in order and compare the answers.

        Those that are `unsettled` are not compared; it has the reason by their number.
        """
        report = Report()
        polled = set(_superseded(exchanges, across_writes=self._concurrent))
        for exchange in exchanges:
            if exchange.number in polled:
                report.skipped[exchange.name] = "polled again: the last of equal reads is the settled one"
                continue
            reason = _not_replayable(exchange)
            if self._concurrent:
                reason = reason or self._unknown_state(exchange)
            if reason:
                report.skipped[exchange.name] = reason
                continue
            answer = self._send(exchange)
            if reason := unsettled.get(exchange.number):
                report.skipped[exchange.name] = reason
            else:
                self._compare(exchange, answer, report)
            if exchange.method != "GET":
                self._written += _ids_of(exchange)
                self._traces.update(_traces_of(exchange))
        return report

    def _unknown_state(self, exchange: Exchange) -> str | None:
        """Return why an answer depends on what the replay cannot bring about, if it does."""
        body = exchange.request if isinstance(exchange.request, dict) else {}
        if body.get("datasetVersion") or (exchange.path == _ITEMS and dict(exchange.query).get("version")):
            return "it asks for a version by a time of the recording"
        match = _ONE_TRACE.fullmatch(exchange.path)
        if match and exchange.status == 200 and match[1] not in self._traces:
            return "the recording cut the request that wrote the trace"
        return None

    def _send(self, exchange: Exchange) -> httpx.Response:
        headers = {name: value for name, value in exchange.headers.items() if name in _SENT_HEADERS}
        more = ("x-langfuse-", "access-control-")
        headers |= {name: value for name, value in exchange.headers.items() if name.startswith(more)}
        if isinstance(exchange.request, dict) and "otlp" in exchange.request:
            headers.pop("content-encoding", None)  # the recording holds the export decoded
        path = quote(self._likeness.translated(exchange.path), safe="/%:@!$&'()*+,;=~")
        url = httpx.URL(str(self._client.base_url)).copy_with(raw_path=path.encode())
        query = [(name, self._translated(name, value)) for name, value in exchange.query]
        if exchange.raw_query and query == exchange.query:
            raw = f"{path}?{exchange.raw_query}"
            url = httpx.URL(str(self._client.base_url)).copy_with(raw_path=raw.encode())
        elif query:
            url = url.copy_merge_params(query)
        return self._client.send(
            self._client.build_request(
                exchange.method, url, headers=headers, content=self._content(exchange.request)
            ),
            auth=None,
        )

    def _translated(self, name: str, value: str) -> str:
        return self._likeness.translated(self._likeness.moment(value) if name == "version" else value)

    def _content(self, request: Any) -> bytes | None:
        if request is None:
            return None
        if isinstance(request, dict):
            if "otlp" in request:
                export = json.loads(self._likeness.translated(json.dumps(request["otlp"])))
                return ParseDict(export, ExportTraceServiceRequest()).SerializeToString()
            if request.keys() == {"base64", "bytes"}:
                return base64.b64decode(request["base64"])
            if request.keys() == {"text"}:
                return str(request["text"]).encode()
        if isinstance(request, dict) and isinstance(request.get("datasetVersion"), str):
            request = {**request, "datasetVersion": self._likeness.moment(request["datasetVersion"])}
        return self._likeness.translated(json.dumps(request)).encode()

    def _compare(self, exchange: Exchange, answer: httpx.Response, report: Report) -> None:
        route = self._route(exchange)
        report.compared[route] += 1
        found = list(self._differences(exchange, answer))
        other = self._has_other_rows(exchange, found) or _same_moments(exchange, answer)
        if found and other and self._is_alike(exchange, answer):
            report.alike[route] += 1
        elif found:
            report.differences[exchange.name] = "; ".join(found[:5])
        else:
            report.equal[route] += 1

    def _has_other_rows(self, exchange: Exchange, found: list[str]) -> bool:
        """Return whether an answer counts or holds what no replayed request wrote; aggregates always do."""
        rows = exchange.response.get("data") if isinstance(exchange.response, dict) else None
        if not isinstance(rows, list):
            return False
        if all(_TOTAL.match(difference) for difference in found):
            return True
        return any(not self._is_written(row) for row in rows)

    def _is_written(self, row: dict[str, Any]) -> bool:
        identity = row.get("id", row.get("name"))
        return identity is not None and identity in self._written

    def _is_alike(self, exchange: Exchange, answer: httpx.Response) -> bool:
        """Return whether the shape agrees, and every row that a replayed request wrote and both show."""
        if not _same_shape(exchange, answer):
            return False
        shown = {row.get("id", row.get("name")): row for row in answer.json()["data"]}
        for row in filter(self._is_written, exchange.response["data"]):
            received = shown.get(self._likeness.translated(row.get("id", row.get("name"))))
            if received is not None and any(self._likeness.differences(row, received)):
                return False
        return True

    def _route(self, exchange: Exchange) -> str:
        match = self._router.match(exchange.path)
        operation = match.operations.get(exchange.method) if match else None
        return f"{exchange.method} {operation.path if operation else 'an unknown path or method'}"

    def _differences(self, exchange: Exchange, answer: httpx.Response) -> Iterator[str]:
        if answer.status_code != exchange.status:
            yield f"status {exchange.status} became {answer.status_code} {answer.text[:200]}"
            return
        yield from _header_differences(exchange, answer)
        recorded = exchange.response
        if exchange.path == _TRACES and exchange.status == 200:
            return
        if isinstance(recorded, dict) and ("text" in recorded or "cut" in recorded):
            # A text of another type is JSON that was cut, or a page.
            if "text" in recorded and exchange.response_headers and not _type_of(exchange):
                yield from self._likeness.differences(recorded["text"], answer.text)
            return
        if exchange.method == "HEAD":
            return
        try:
            received = answer.json() if answer.content else None
        except ValueError:
            yield f"no JSON: {answer.text[:100]}"
            return
        if exchange.status >= 400:
            recorded, received = without_issues(recorded), without_issues(received)
        yield from self._likeness.differences(recorded, received)


def _type_of(exchange: Exchange) -> str:
    return exchange.response_headers.get("content-type", "")


def _header_differences(exchange: Exchange, answer: httpx.Response) -> Iterator[str]:
    """Yield the recorded headers that differ; the tag of a body counts where the bodies are the same text."""
    recorded = exchange.response_headers
    for name, value in recorded.items():
        received = answer.headers.get(name)
        if name == "etag":
            if received is None:
                yield "header etag is missing"
            elif received != value and answer.text == _compact(exchange.response):
                yield f"header etag: {value} became {received}"
        elif received != value:
            yield f"header {name}: {value!r} became {received!r}"
    if recorded:
        for name in answer.headers:
            if name.startswith("access-control-") and name not in recorded:
                yield f"header {name} is new"


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _ids_of(exchange: Exchange) -> str:
    """Return a text that holds every id and name that an exchange wrote."""
    text = json.dumps([exchange.request, exchange.response])
    return text + "".join(f" {span.trace_id.hex()} {span.span_id.hex()}" for span in _spans_of(exchange))


def _traces_of(exchange: Exchange) -> Iterator[str]:
    """Yield the traces that an exchange wrote observations of; a score alone makes no trace."""
    for span in _spans_of(exchange):
        yield span.trace_id.hex()
    body = exchange.request if isinstance(exchange.request, dict) else {}
    for event in body.get("batch") or ():
        if isinstance(event, dict) and event.get("type") in _MAKES_TRACES:
            yield event["body"].get("traceId") or event["body"].get("id")


def _spans_of(exchange: Exchange) -> Iterator[Span]:
    if isinstance(exchange.request, dict) and "otlp" in exchange.request:
        export = ParseDict(exchange.request["otlp"], ExportTraceServiceRequest())
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                yield from scope.spans


def _same_shape(exchange: Exchange, answer: httpx.Response) -> bool:
    if answer.status_code != exchange.status:
        return False
    recorded, received = exchange.response, answer.json()
    if not isinstance(received, dict) or recorded.keys() != received.keys():
        return False
    pairs = list(zip(recorded["data"], received["data"], strict=False))
    return all(one.keys() == other.keys() for one, other in pairs[:1])


def _same_moments(exchange: Exchange, answer: httpx.Response) -> bool:
    """Return whether both pages show rows of the same times, whichever these are."""
    if not isinstance(exchange.response, dict) or not exchange.response.get("data"):
        return False
    if not _same_shape(exchange, answer):
        return False
    recorded, received = exchange.response, answer.json()
    return recorded["meta"] == received["meta"] and _moments(recorded["data"]) == _moments(received["data"])


def _moments(rows: Sequence[dict[str, Any]]) -> list[Any]:
    return [row.get("timestamp") or row.get("startTime") or id(row) for row in rows]


def _superseded(exchanges: Sequence[Exchange], *, across_writes: bool) -> Iterator[int]:
    """Yield the reads that are repeated before anything is written: polls before the last one.

    `across_writes`: reads of traces and observations also when something was written in between.
    """
    later: dict[tuple[str, str], int] = {}
    for exchange in reversed(exchanges):
        if exchange.method != "GET":
            later = {key: number for key, number in later.items() if across_writes and _POLLED.match(key[0])}
            continue
        key = (exchange.path, json.dumps(exchange.query))
        if key in later:
            yield exchange.number
        later[key] = exchange.number


def _not_replayable(exchange: Exchange) -> str | None:
    if isinstance(exchange.request, dict) and exchange.request.get("cut") is True:
        return "the recording cut the request"
    if exchange.status >= 500:
        return "an error 500 of the recorded version is a defect, not a contract"
    return None
