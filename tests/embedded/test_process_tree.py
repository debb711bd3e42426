"""The engine is a tree of processes that starts, fails and ends together."""

from __future__ import annotations

import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from scripts.core import host
from scripts.engines.base import EngineName
from scripts.engines.embedded import EmbeddedEngine, Process
from tests.waiting import wait_for

from .backups import Stack, stack_in
from .conftest import StartEngine
from .harness import RunningEngine
from .spans import TRACES, export, read, send, span, trace_id
from .test_media import Upload

_DEADLINE = 40.0
# 2^30 ways to part the letters, none of which fits.
_TRAP = "^(a|a)+$"
_CAUGHT = "a" * 30 + "!"
COUNT = (
    '{"view":"observations","metrics":[{"measure":"count","aggregation":"count"}],"filters":[],'
    '"fromTimestamp":"2020-01-01T00:00:00Z","toTimestamp":"2100-01-01T00:00:00Z"}'
)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that runs, whatever a test did to its processes."""
    made = stack_in(tmp_path)
    made.up()
    yield made
    made.stop()


def engine_of(stack: Stack) -> EmbeddedEngine:
    engine = stack.context.engine(EngineName.EMBEDDED, stack.context.lenient_settings())
    assert isinstance(engine, EmbeddedEngine)
    return engine


def processes(stack: Stack) -> dict[str, psutil.Process]:
    """Return the parts of a running engine by what they do."""
    process = engine_of(stack).find()
    assert process is not None
    writer = writer_of(process)
    return {"server": psutil.Process(process.pid), "writer": writer, "mapper": writer.children()[0]}


def writer_of(server: RunningEngine | Process) -> psutil.Process:
    children = psutil.Process(server.pid).children()
    [writer] = [one for one in children if "langfuse_embedded.store.writer" in one.cmdline()]
    return writer


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("victim", ["server", "writer", "mapper"])
def test_a_stop_leaves_nothing_of_an_engine_of_which_a_part_was_killed_or_stopped(
    stack: Stack, victim: str, number: signal.Signals
) -> None:
    parts = processes(stack)
    parts[victim].send_signal(number)
    stack.stop()
    assert [part.pid for part in parts.values() if host.command_line(part.pid)] == []
    assert engine_of(stack).parts() == []
    stack.up()
    assert stack.running()


def test_the_parts_of_a_killed_server_end_even_when_they_are_stopped(start_engine: StartEngine) -> None:
    engine = start_engine()
    writer = writer_of(engine)
    parts = [writer, *writer.children()]
    for part in parts:
        part.send_signal(signal.SIGSTOP)
    engine.kill()
    wait_for(lambda: not any(host.command_line(part.pid) for part in parts), "their end")


def test_health_says_so_when_the_writer_does_not_answer_and_the_engine_heals(
    start_engine: StartEngine,
) -> None:
    engine = start_engine()
    trace = trace_id()
    send(engine.client, span(trace))
    writer_of(engine).send_signal(signal.SIGSTOP)
    wait_for(lambda: engine.client.get("/api/public/health").status_code == 503, engine.log)
    for path in ("/api/public/health", "/api/public/ready"):
        answer = engine.client.get(path)
        assert answer.status_code == 503
        assert "writer" in answer.json()["status"]
    wait_for(lambda: engine.client.get("/api/public/health").status_code == 200, engine.log)
    later = trace_id()
    send(engine.client, span(later))
    assert [len(read(engine.client, traceId=one)) for one in (trace, later)] == [1, 1]
    assert "it is started again" in engine.log()


def test_an_idle_engine_stays_healthy(start_engine: StartEngine) -> None:
    engine = start_engine()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        assert engine.client.get("/api/public/health").status_code == 200
        time.sleep(0.2)


@pytest.mark.parametrize("where", ["matchPattern", "usageDetailPattern"])
def test_a_pattern_that_explodes_holds_up_nobody(start_engine: StartEngine, where: str) -> None:
    engine = start_engine()
    neighbour = engine.provision("athena")
    assert engine.client.post("/api/public/models", json=_model(where)).status_code == 200
    trapped = span(
        trace_id(),
        attributes={
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": _CAUGHT if where == "matchPattern" else "trapped",
            "langfuse.observation.usage_details": f'{{"{_CAUGHT}": 5, "input": 1}}',
        },
    )
    assert engine.client.post(TRACES, json=export(trapped)).status_code == 200
    with engine.client_for(neighbour) as other:
        trace = trace_id()
        send(other, span(trace))
        assert len(read(other, traceId=trace)) == 1
    assert engine.client.get("/api/public/health").status_code == 200
    assert "takes too long" in engine.log()


def _model(where: str) -> dict[str, Any]:
    pattern = _TRAP if where == "matchPattern" else "^trapped$"
    condition = {"usageDetailPattern": _TRAP, "operator": "gt", "value": 1}
    prices = {"input": 1.0}
    default = {"name": "a", "isDefault": True, "priority": 0, "conditions": [], "prices": prices}
    other = {"name": "b", "isDefault": False, "priority": 1, "conditions": [condition], "prices": prices}
    tiers = [default, other] if where == "usageDetailPattern" else [default]
    return {"modelName": "trap", "matchPattern": pattern, "unit": "TOKENS", "pricingTiers": tiers}


@pytest.mark.parametrize("where", ["matchPattern", "usageDetailPattern"])
def test_a_pattern_longer_than_any_that_is_meant_is_refused(client: httpx.Client, where: str) -> None:
    model = _model(where)
    if where == "matchPattern":
        model["matchPattern"] = "a" * 100_000
    else:
        model["pricingTiers"][1]["conditions"][0]["usageDetailPattern"] = "a" * 100_000
    answer = client.post("/api/public/models", json=model)
    assert answer.status_code == 400
    assert answer.elapsed.total_seconds() < 5


def test_a_directory_that_is_removed_is_told_and_ends_the_engine(start_engine: StartEngine) -> None:
    engine = start_engine()
    send(engine.client, span(trace_id()))
    shutil.rmtree(engine.data_dir)
    answers: list[httpx.Response] = []
    with httpx.Client(base_url=engine.base_url, auth=engine.keys.auth) as client:
        for path, body in (
            (TRACES, export(span(trace_id()))),
            ("/api/public/v2/prompts", {"name": "a", "prompt": "b"}),
            ("/api/public/scores", {"traceId": "a", "name": "b", "value": 1}),
        ):
            try:
                answers.append(client.post(path, json=body))
            except httpx.TransportError:
                break
    assert answers
    assert {answer.status_code for answer in answers} == {503}
    assert "gone" in answers[0].text
    assert engine.process is not None
    assert engine.process.wait(_DEADLINE) == 1
    assert "gone" in engine.log()


def test_a_directory_that_was_replaced_is_noticed_too(start_engine: StartEngine, tmp_path: Path) -> None:
    engine = start_engine()
    send(engine.client, span(trace_id()))
    moved = tmp_path / "moved"
    engine.data_dir.rename(moved)
    RunningEngine(engine.data_dir).start().stop()
    assert engine.process is not None
    assert engine.process.wait(_DEADLINE) == 1
    assert (moved / "events.db").exists()


@pytest.mark.parametrize("name", ["a#b", "a?b=c", "a%41", "a b'c", "a[1]*"])
def test_an_engine_works_in_a_directory_with_an_odd_name_and_keeps_its_files_there(
    start_engine: StartEngine, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    engine = start_engine(data_dir=tmp_path / name / "data")
    trace = trace_id()
    send(engine.client, span(trace, attributes={"langfuse.observation.metadata.a": "b"}))
    assert len(read(engine.client, traceId=trace)) == 1
    filters = '[{"column":"metadata","type":"stringObject","key":"a","operator":"=","value":"b"}]'
    query = COUNT.replace("[]", filters)
    answer = engine.client.get("/api/public/v2/metrics", params={"query": query})
    assert answer.json()["data"] == [{"count_count": 1}], answer.text
    assert {path.name for path in tmp_path.iterdir()} == {name}
    files = [path for path in (tmp_path / name / "data").rglob("*") if path.is_file()]
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def writes_prices(process: psutil.Process) -> bool:
    """Tell whether it is the process that a first start has besides, which ends by itself."""
    try:
        return "price_list" in str(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def test_a_full_disk_is_told_by_all_routes_and_health_until_there_is_room(start_engine: StartEngine) -> None:
    engine = start_engine()
    send(engine.client, span(trace_id()))
    prompt = {"name": "before", "prompt": "x" * 100_000}
    assert engine.client.post("/api/public/v2/prompts", json=prompt).status_code == 201
    medium = Upload(b"x" * 200_000)
    place = medium.announce(engine.client).json()["uploadUrl"]
    server = psutil.Process(engine.pid)
    wait_for(lambda: not any(map(writes_prices, server.children())), engine.log)
    # A limit on the size of files stands in for the disk; the kernel refuses the write in the same way.
    everybody = [server, *server.children(recursive=True)]
    limit = (4096, resource.RLIM_INFINITY)
    unlimited = [(one.pid, resource.prlimit(one.pid, resource.RLIMIT_FSIZE, limit)) for one in everybody]
    large = "x" * 200_000
    for path, body in (
        ("/api/public/v2/prompts", {"name": "a", "prompt": large}),
        ("/api/public/v2/datasets", {"name": "a", "description": large}),
        ("/api/public/scores", {"traceId": "a", "name": "b", "value": 1, "comment": large}),
        (TRACES, export(span(trace_id(), attributes={"langfuse.observation.input": large}))),
    ):
        answer = engine.client.post(path, json=body)
        assert answer.status_code == 503, (path, answer.text)
        assert "could not be stored" in answer.text
        assert answer.headers["retry-after"] == "1"
    answer = medium.put(place)
    assert (answer.status_code, "could not be stored" in answer.text) == (503, True)
    answer = engine.client.get("/api/public/v2/metrics", params={"query": COUNT})
    assert answer.status_code == 200 or "could not be stored" in answer.text
    answer = engine.client.get("/api/public/health")
    assert (answer.status_code, "could not be stored" in answer.json()["status"]) == (503, True)
    for pid, before in unlimited:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    wait_for(lambda: engine.client.get("/api/public/health").status_code == 200, engine.log)
    assert engine.client.post("/api/public/v2/prompts", json={"name": "a", "prompt": "b"}).status_code == 201
    assert medium.put(place).status_code == 200
    answer = engine.client.get("/api/public/v2/metrics", params={"query": COUNT})
    assert answer.json()["data"] == [{"count_count": 1}], answer.text
