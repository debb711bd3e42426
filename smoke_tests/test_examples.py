"""The examples run as a person runs them, and what they print is what arrived."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from smoke_tests.helpers.examples import EXAMPLES, result_of, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from smoke_tests.helpers.server import Row, Server
    from smoke_tests.helpers.target import Target

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"the examples are not at {EXAMPLES}")


def by_name_and_subject(scores: list[Row]) -> dict[tuple[str, str], Row]:
    return {(score["name"], score["subject"]["id"]): score for score in scores}


@pytest.mark.usefixtures("needs_scores")
def test_attribution_scores_every_field_and_the_coverage_of_every_query(
    target: Target, server: Server, unique: Callable[[str], str]
) -> None:
    session_id = unique("attribution")
    result = result_of(target, "attribution.py", "--queries", "3", "--seed", "11", "--session", session_id)

    fields = list(result["queries"][0]["tiers"])
    assert len(result["queries"]) == 3
    assert len(server.await_count(3 * (4 + len(fields)), sessionId=session_id)) == 3 * 9
    for query in result["queries"]:
        rows = {row["name"]: row for row in server.observations(traceId=query["trace_id"])}
        scores = server.await_scores(3 * len(fields) + 2, traceId=query["trace_id"])
        found = by_name_and_subject(scores)
        for field in fields:
            generation = rows[f"attribute_{field}"]
            confidence = found["attribution_confidence", generation["id"]]
            tier = found["confidence_tier", generation["id"]]
            assert (generation["type"], generation["model"]) == ("GENERATION", "gpt-4o-mini")
            assert generation["totalCost"] > 0
            assert confidence["value"] == pytest.approx(query["confidence"][field], abs=1e-6)
            assert confidence["comment"].startswith(f"Field: {field}, Sources: ")
            assert (tier["value"], tier["dataType"]) == (query["tiers"][field], "CATEGORICAL")
            sources = found["source_count", generation["id"]]
            assert sources["value"] == generation["metadata"]["sources"]
        coverage = found["conformal_coverage", query["trace_id"]]
        assert coverage["value"] == pytest.approx(query["coverage"])
        set_size = found["prediction_set_size", query["trace_id"]]
        assert set_size["value"] == pytest.approx(query["set_size"])
        assert json.loads(rows["gap_analysis"]["output"]) == {"gaps": query["gaps"]}
        assert (rows["gap_analysis"]["level"] == "WARNING") == bool(query["gaps"])
        assert rows["source_aggregation"]["type"] == "RETRIEVER"
        assert sorted(rows["attribution_query"]["tags"]) == ["attribution", "example"]
    coverages = [query["coverage"] for query in result["queries"]]
    assert result["empirical_coverage"] == pytest.approx(sum(coverages) / 3)


@pytest.mark.usefixtures("needs_scores")
def test_the_coverage_of_many_queries_comes_near_to_what_the_calibration_promises(target: Target) -> None:
    result = result_of(target, "attribution.py", "--queries", "60", "--alpha", "0.2")
    coverages = [query["coverage"] for query in result["queries"]]
    assert result["empirical_coverage"] == pytest.approx(sum(coverages) / 60)
    # 300 answers: the share of hits strays by 0.023 around 0.8; three times that, and 0.03 for calibration.
    assert result["empirical_coverage"] == pytest.approx(0.8, abs=0.1)


@pytest.mark.usefixtures("needs_scores")
def test_chat_scores_each_gap_and_the_session(
    target: Target, server: Server, unique: Callable[[str], str]
) -> None:
    session_id = unique("chat")
    arguments = ("--gaps", "3", "--turns", "2", "--seed", "1", "--session", session_id)
    result = result_of(target, "chat.py", *arguments)

    turns = [trace_id for gap in result["gaps"] for trace_id in gap["trace_ids"]]
    filled = [gap for gap in result["gaps"] if gap["credit"]]
    rows = server.await_count(2 * len(turns) + len(filled), sessionId=session_id)
    assert {row["traceId"] for row in rows if row["type"] == "AGENT"} == set(turns)
    saved = [json.loads(row["input"]) for row in rows if row["name"] == "save_credit"]
    assert saved == [{"field": gap["gap"], "artist": gap["credit"]} for gap in filled]
    for gap in result["gaps"]:
        scores = {row["name"]: row for row in server.await_scores(2, traceId=gap["trace_ids"][-1])}
        assert scores["gap_fill_success"]["value"] is (gap["credit"] is not None)
        assert scores["turns_to_fill"]["value"] == len(gap["trace_ids"])
        tags = {tuple(sorted(row["tags"])) for row in rows if row["traceId"] in gap["trace_ids"]}
        assert tags == {tuple(sorted(["example", "gap-filling", f"gap:{gap['gap']}"]))}
    of_session = {row["name"]: row for row in server.await_scores(2, sessionId=session_id)}
    assert of_session["user-feedback"]["value"] == result["user_feedback"]
    assert of_session["satisfaction"]["value"] == result["satisfaction"]
    assert {row["subject"]["kind"] for row in of_session.values()} == {"session"}
    # The seed was chosen so that both outcomes occur; without them the assertions above would prove little.
    assert 0 < len(filled) < len(result["gaps"])


@pytest.mark.usefixtures("needs_scores")
def test_voice_scores_the_measured_latency_of_every_turn(
    target: Target, server: Server, unique: Callable[[str], str]
) -> None:
    session_id = unique("call")
    result = result_of(target, "voice.py", "--turns", "3", "--sla-ms", "40", "--session", session_id)

    server.await_count(3 * 4, sessionId=session_id)
    for turn in result["turns"]:
        rows = {row["name"]: row for row in server.observations(traceId=turn["trace_id"])}
        scores = {row["name"]: row for row in server.await_scores(2, traceId=turn["trace_id"])}
        latency, spoken = scores["tts_latency_ms"], rows["text_to_speech"]
        assert latency["value"] == pytest.approx(turn["tts_latency_ms"])
        assert latency["subject"]["id"] == spoken["id"]
        # The observation encloses the work; the server cuts its start and end to milliseconds.
        assert spoken["latency"] * 1000 > turn["tts_latency_ms"] - 1.01
        assert scores["latency-sla"]["value"] is turn["in_time"]
        assert (rows["voice-turn"]["input"], rows["voice-turn"]["output"]) == (
            turn["transcript"],
            turn["reply"],
        )
        assert 0 < rows["reply"]["timeToFirstToken"] <= rows["reply"]["latency"]
    of_session = {row["name"]: row["value"] for row in server.await_scores(2, sessionId=session_id)}
    assert of_session == {
        "user-feedback": pytest.approx(result["in_time"]),
        "satisfaction": result["satisfaction"],
    }


def stable(value: Any) -> Any:
    """Return a result without what is new in every run."""
    if isinstance(value, dict):
        volatile = {"session_id", "trace_id", "trace_ids"}
        return {key: stable(inner) for key, inner in value.items() if key not in volatile}
    return [stable(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.usefixtures("needs_scores")
@pytest.mark.parametrize(
    ("script", "amount"),
    [("attribution.py", "--queries=1"), ("chat.py", "--gaps=2"), ("orchestrator.py", "--tasks=3")],
)
def test_the_same_seed_gives_the_same_answers(target: Target, script: str, amount: str) -> None:
    first, second = (result_of(target, script, amount, "--seed=5") for _ in range(2))
    assert stable(first) == stable(second)


def test_another_seed_gives_other_answers(target: Target) -> None:
    first, second = (result_of(target, "chat.py", "--gaps=2", f"--seed={seed}") for seed in (5, 6))
    assert stable(first) != stable(second)


def test_an_example_prints_the_link_to_its_trace(target: Target, server: Server) -> None:
    done = run(target, "voice.py", "--turns", "1")
    assert done.returncode == 0, done.stderr
    (project,) = server.read("/api/public/projects")["data"]
    assert f"{target.base_url}/project/{project['id']}/traces/" in done.stdout


def test_an_example_without_keys_says_what_to_do(target: Target) -> None:
    done = run(target, "chat.py", LANGFUSE_PUBLIC_KEY="", LANGFUSE_SECRET_KEY="")
    assert (done.returncode, done.stdout) == (2, "")
    assert "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY not set" in done.stderr


def test_an_example_with_a_wrong_key_says_so(target: Target) -> None:
    done = run(target, "attribution.py", LANGFUSE_SECRET_KEY="sk-lf-test-wrong")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Langfuse refused the keys (401)" in done.stderr


@pytest.mark.parametrize(
    ("script", "option"),
    [
        ("attribution.py", "--queries"),
        ("chat.py", "--turns"),
        ("voice.py", "--turns"),
        ("orchestrator.py", "--tasks"),
    ],
)
def test_an_example_refuses_nonsense(target: Target, script: str, option: str) -> None:
    done = run(target, script, option, "0")
    assert done.returncode == 2
    assert f"{option} must be at least 1" in done.stderr
