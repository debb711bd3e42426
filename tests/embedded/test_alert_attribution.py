"""Alerts that divide, group or attribute, on a project with other traffic: held against the raw data.

The project has nested agents, traces with several tags, an experiment in an environment of its own, and calls
that have nothing to do with what an alert is about.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from scripts.api.keys import ProjectKey
from scripts.watch.alerts.document import AlertFileError, load_alerts, parse_alerts
from scripts.watch.alerts.evaluate import Finding
from scripts.watch.alerts.readings import find, read_values
from scripts.watch.exporter.summary import summarize
from scripts.watch.report.command import gather_reports
from scripts.watch.report.fixed import FixedCosts

from .harness import DEFAULT_KEYS, REPOSITORY, RunningEngine
from .spans import send, span, span_id, trace_id

pytestmark = pytest.mark.slow

FILE = REPOSITORY / "examples" / "kosmos" / "alerts.yaml"
KEY = ProjectKey(DEFAULT_KEYS.project_id, DEFAULT_KEYS.public_key, DEFAULT_KEYS.secret_key)
BOOLEAN = ("gap_fill_success", "task_success")


@dataclass(frozen=True)
class Run:
    """An agent's run: what its own model call cost, how it ended, and the agent that it called."""

    agent: str
    cost: float
    tokens: int
    seconds: float
    failed: bool = False
    success: bool | None = None
    inner: Run | None = None

    def chain(self) -> Iterator[Run]:
        """Yield this run and those below it."""
        yield self
        if self.inner:
            yield from self.inner.chain()


@dataclass(frozen=True)
class Trace:
    """A trace whose root is an agent's run, and scores on the root."""

    name: str
    run: Run
    tags: tuple[str, ...] = ()
    environment: str = "production"
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def runs(self) -> list[Run]:
        """All runs, the outermost first."""
        return list(self.run.chain())

    @property
    def cost(self) -> float:
        """USD of all calls."""
        return sum(run.cost for run in self.runs)

    @property
    def tokens(self) -> int:
        """Tokens of all calls."""
        return sum(run.tokens for run in self.runs)


def gap(kind: str, *more: str, filled: bool) -> Trace:
    """A conversation about a gap."""
    run = Run("assistant", 0.004, 900, 2.0)
    scores = {"gap_fill_success": float(filled), "turns_to_fill": 2.0 if filled else 7.0}
    return Trace("chat-turn", run, ("gap-filling", f"gap:{kind}", *more), scores=scores)


def nested(number: int) -> Trace:
    """An orchestrator that is good and cheap, and calls a coder that is neither."""
    coder = Run("coder", 0.9, 30_000, 45.0, failed=number % 2 == 0, success=number % 3 == 0)
    return Trace("bug_fix", Run("planner", 0.01, 500, 60.0, success=True, inner=coder), ("nightly",))


TRACES = [
    *(gap("producer", filled=number < 8) for number in range(10)),
    # The failures of one type carry a tag more: grouped by whole lists they would be too few to be noticed.
    *(gap("bass", "live", filled=False) for _ in range(6)),
    *(gap("bass", filled=number < 3) for number in range(6)),
    # Dear traffic that fills no gap, and an experiment.
    *(nested(number) for number in range(24)),
    *(Trace("answer", Run("writer", 0.02, 1500, 3.0), ("web",)) for _ in range(20)),
    *(Trace("answer", Run("writer", 0.5, 9000, 3.0, failed=True), environment="offline") for _ in range(4)),
]
Groups = dict[str, float]


def by(key: Callable[[Trace], list[str]], traces: list[Trace]) -> dict[str, list[Trace]]:
    """Return the traces of each group."""
    groups: dict[str, list[Trace]] = defaultdict(list)
    for trace in traces:
        for group in key(trace):
            groups[group].append(trace)
    return groups


def gap_types(trace: Trace) -> list[str]:
    """Return the type of the gap that a trace is about."""
    return [tag for tag in trace.tags if tag.startswith("gap:")]


def agents(value: Callable[[Run], float | None], how: Callable[[list[float]], float]) -> Groups:
    """Return a statistic of the runs of each agent."""
    found: dict[str, list[float]] = defaultdict(list)
    for trace in TRACES:
        for run in trace.runs:
            if (number := value(run)) is not None:
                found[run.agent].append(number)
    return {agent: how(numbers) for agent, numbers in found.items()}


def filled(traces: list[Trace]) -> float:
    """Return how many gaps were filled."""
    return sum(trace.scores.get("gap_fill_success", 0) for trace in traces)


GAPS = [trace for trace in TRACES if "gap-filling" in trace.tags]
# The value that the left side of each alert's condition has, by group; computed from the raw data alone.
EXPECTED: dict[str, Groups] = {
    "cost_per_gap_fill_high": {"": sum(trace.cost for trace in GAPS) / filled(GAPS)},
    "gap_type_rate_low": {
        kind: filled(traces) / len(traces) for kind, traces in by(gap_types, TRACES).items()
    },
    "tokens_per_query_high": {
        name: sum(trace.tokens for trace in traces) / len(traces)
        for name, traces in by(lambda trace: [trace.name], TRACES).items()
    },
    "agent_success_rate_low": agents(
        lambda run: None if run.success is None else float(run.success), statistics.fmean
    ),
    "agent_error_rate_high": agents(lambda run: float(run.failed), statistics.fmean),
    "gap_fill_rate_low": {"": filled(GAPS) / len(GAPS)},
    "cost_spike": {"": sum(trace.cost for trace in TRACES)},
}
FIRING = {
    ("gap_type_rate_low", "gap:bass"),
    ("tokens_per_query_high", "bug_fix"),
    ("tokens_per_query_high", "answer"),
    ("agent_success_rate_low", "coder"),
    ("agent_error_rate_high", "coder"),
    ("agent_error_rate_high", "writer"),
}


def push(engine: RunningEngine) -> None:
    """Send all traces and scores; half of them with texts of metadata in quotes, as SDK 5 does."""
    sent = itertools.count()
    for trace in TRACES:
        identifier, parent = trace_id(), ""
        common = {
            "langfuse.trace.name": trace.name,
            "langfuse.trace.tags": json.dumps(list(trace.tags)),
            "langfuse.environment": trace.environment,
        }
        start = int((datetime.now(UTC) - timedelta(seconds=90)).timestamp() * 1000)
        spans, scores = [], []
        quoted = next(sent) % 2 == 0
        for run in trace.runs:
            own = span_id()
            level = "ERROR" if run.failed else "DEFAULT"
            agent = {
                **common,
                "langfuse.observation.type": "agent",
                "langfuse.observation.level": level,
                "langfuse.observation.metadata.agent": run.agent,
            }
            call = {
                **common,
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "acme-7b",
                "langfuse.observation.usage_details": json.dumps({"input": run.tokens}),
                "langfuse.observation.cost_details": json.dumps({"total": run.cost}),
                "langfuse.observation.metadata.agent": json.dumps(run.agent) if quoted else run.agent,
            }
            place = {"parent": parent} if parent else {}
            duration = int(run.seconds * 1000)
            spans.append(
                span(identifier, run.agent, id=own, start=start, duration=duration, attributes=agent, **place)
            )
            spans.append(span(identifier, "call", parent=own, start=start, duration=100, attributes=call))
            if run.success is not None:
                scores.append((own, "task_success", float(run.success)))
            if run is trace.run:
                scores += [(own, name, value) for name, value in trace.scores.items()]
            parent = own
        send(engine.client, *spans)
        for observation, name, value in scores:
            body = {"traceId": identifier, "observationId": observation, "name": name, "value": value}
            kind = {"dataType": "BOOLEAN" if name in BOOLEAN else "NUMERIC"}
            answer = engine.client.post("/api/public/scores", json=body | kind)
            assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def url(engine: RunningEngine) -> str:
    """The engine that holds the traces."""
    push(engine)
    return engine.base_url


def findings(text: str, url: str) -> list[Finding]:
    """Return what all alerts of a file say now."""
    file = parse_alerts(text, "alerts.yaml")
    now = datetime.now(UTC) + timedelta(seconds=1)
    return find(file, asyncio.run(read_values(file, [KEY], url, now)))


def measured(found: list[Finding], name: str) -> Groups:
    """Return what was measured for one alert, by group."""
    return {
        one.group: one.value
        for one in found
        if one.alert.name == name and one.value is not None and (one.group != "none" or one.samples)
    }


@pytest.fixture(scope="module")
def shipped(url: str) -> list[Finding]:
    """What the alerts of examples/kosmos/alerts.yaml say."""
    return findings(FILE.read_text(), url)


@pytest.mark.parametrize("name", list(EXPECTED))
def test_an_alert_measures_what_the_raw_data_say(shipped: list[Finding], name: str) -> None:
    assert measured(shipped, name) == pytest.approx(EXPECTED[name])


def test_alerts_fire_for_what_is_wrong_and_for_nothing_beside_it(shipped: list[Finding]) -> None:
    watched = {name for name, _ in FIRING} | {"cost_per_gap_fill_high"}
    firing = {
        (one.alert.name, one.group)
        for one in shipped
        if one.state.value == "FIRING" and one.alert.name in watched
    }
    assert firing == FIRING


def test_every_alert_that_divides_groups_or_selects_is_held_against_the_raw_data() -> None:
    file = load_alerts(FILE, "examples/kosmos/alerts.yaml")
    chosen = {
        alert.name
        for alert in file.alerts
        if alert.group_by or alert.filters or alert.excluded or "/" in alert.condition_text
    }
    # The percentile of latencies is an estimate; its grouping is that of agent_error_rate_high.
    assert chosen <= {*EXPECTED, "agent_latency_high"}


def mutants() -> Iterator[tuple[str, str, str]]:
    """Yield alerts with another grouping, selection or ratio: name, what was replaced, by what."""
    yield "cost_per_gap_fill_high", "filters: {tag: gap-filling}", "filters: {trace_name: bug_fix}"
    yield "cost_per_gap_fill_high", "filters: {tag: gap-filling}", "filters: {tag: live}"
    yield "cost_per_gap_fill_high", "filters: {tag: gap-filling}", "exclude: {tag: web}"
    yield "cost_per_gap_fill_high", "sum(gap_fill_success)", "count(gap_fill_success)"
    yield "cost_per_gap_fill_high", "sum(llm_cost) / sum", "sum(tokens) / sum"
    yield "gap_type_rate_low", 'group_by: "tag:gap:"', "group_by: tag"
    yield "gap_type_rate_low", 'group_by: "tag:gap:"', "group_by: trace_name"
    yield "gap_type_rate_low", 'group_by: "tag:gap:"', ""
    yield "tokens_per_query_high", "group_by: trace_name", ""
    yield "tokens_per_query_high", "group_by: trace_name", "group_by: environment"
    yield "tokens_per_query_high", "count(traces)", "count(generations)"
    yield "tokens_per_query_high", "sum(tokens)", "sum(output_tokens)"
    for name in ("agent_success_rate_low", "agent_error_rate_high"):
        yield name, "group_by: agent", ""
        yield name, "group_by: agent", "group_by: trace_name"


@pytest.mark.parametrize(("name", "before", "after"), list(mutants()))
def test_another_grouping_or_ratio_is_refused_or_measures_something_else(
    url: str, name: str, before: str, after: str
) -> None:
    text = FILE.read_text()
    start = text.index(f"- name: {name}\n")
    end = text.find("  - name:", start)
    assert before in text[start:end]
    changed = text[:start] + text[start:end].replace(before, after) + text[end:]
    refused = (name, after) == ("cost_per_gap_fill_high", "exclude: {tag: web}")
    with pytest.raises(AlertFileError, match="different traces") if refused else nullcontext():
        assert measured(findings(changed, url), name) != pytest.approx(EXPECTED[name])


def test_an_environment_can_be_left_out(url: str) -> None:
    text = FILE.read_text().replace(
        "group_by: trace_name\n", "group_by: trace_name\n    exclude: {environment: [offline]}\n"
    )
    assert measured(findings(text, url), "tokens_per_query_high")["answer"] == pytest.approx(1500)


BY_AGENT = """
actions:
  hook: {type: webhook, url: http://127.0.0.1:9/}
alerts:
  - {name: cost, metric: llm_cost, condition: sum > 5, window: 24h, group_by: agent, action: hook}
  - {name: a_run, metric: llm_cost, condition: sum / count(observations) > 0.5, window: 24h, group_by: agent,
     action: hook}
  - {name: mean, metric: tokens, condition: avg > 20000, window: 24h, group_by: agent, action: hook}
  - {name: dearest, metric: llm_cost, condition: max > 0.6, window: 24h, group_by: agent, action: hook}
  - {name: calls, metric: generations, condition: count > 23, window: 24h, group_by: agent, action: hook}
  - {name: online, metric: llm_cost, condition: sum > 5, window: 24h, group_by: agent, action: hook,
     exclude: {environment: [offline]}}
"""
ONLINE = [trace for trace in TRACES if trace.environment != "offline"]


def test_amounts_by_agent_are_those_of_the_agents_own_calls(url: str) -> None:
    found = findings(BY_AGENT, url)
    cost = agents(lambda run: run.cost, sum)
    expected = {
        "cost": cost,
        "a_run": agents(lambda run: run.cost, statistics.fmean),
        "mean": agents(lambda run: float(run.tokens), statistics.fmean),
        "dearest": agents(lambda run: run.cost, max),
        "calls": agents(lambda run: run.cost, len),
        "online": cost | {"writer": sum(trace.cost for trace in ONLINE if trace.run.agent == "writer")},
    }
    assert {name: measured(found, name) for name in expected} == {
        name: pytest.approx(groups) for name, groups in expected.items()
    }
    firing = {(one.alert.name, one.group) for one in found if one.state.value == "FIRING"}
    assert firing == {(name, "coder") for name in expected} | {("calls", "writer"), ("calls", "planner")}


def test_summary_and_report_tell_the_same_of_an_agent(url: str) -> None:
    file = load_alerts(FILE, "examples/kosmos/alerts.yaml")
    now = datetime.now(UTC) + timedelta(seconds=1)
    [values] = asyncio.run(read_values(file, [KEY], url, now)).values()
    summary = summarize(KEY.project, values)
    assert summary["tokens"] == {"24h": sum(trace.tokens for trace in TRACES)}
    rows = {row["agent"]: row for row in summary["agents"]}
    [report] = asyncio.run(gather_reports(url, [KEY], now, FixedCosts()))
    assert (
        {one.name for one in report.windows[0].agents} == set(rows) == set(agents(lambda run: run.cost, sum))
    )
    for one in report.windows[0].agents:
        row = rows[one.name]
        assert (row["tasks"], row["tokens"]) == (one.runs, one.tokens)
        assert row["cost_usd"] == pytest.approx(one.cost)
        assert row["cost_usd_per_task"] == pytest.approx(one.cost_per_run)
        assert row["input_tokens_share"] == pytest.approx(one.input_share)
        assert row.get("success_rate") == pytest.approx(one.success)
