"""An attribution query as applications send it: nesting, a priced generation, trace attributes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from langfuse import propagate_attributes

from smoke_tests.helpers.erasing import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from langfuse import Langfuse

    from smoke_tests.helpers.server import Row, Server
    from smoke_tests.helpers.target import Target

QUESTION = [{"role": "user", "content": "Who played bass on “Näheres 音”? 🎸"}]
ANSWER = {"role": "assistant", "content": "John Smith"}
INPUT_TOKENS, OUTPUT_TOKENS = 500, 200


@dataclass(frozen=True)
class Query:
    """The ids of what was sent, and what was read back, by name."""

    trace_id: str
    user_id: str
    session_id: str
    generation_name: str
    observations: dict[str, Row]


@pytest.fixture(scope="module")
def query(langfuse: Langfuse, server: Server, unique: Callable[[str], str], run_tag: str) -> Query:
    user_id, session_id, generation_name = unique("artist"), unique("album"), unique("gap_analysis_prompt")
    with propagate_attributes(
        trace_name="attribution_query",
        user_id=user_id,
        session_id=session_id,
        tags=["attribution", run_tag],
        version="1.2.3",
        metadata={"query_type": "full_album"},
    ):
        start = langfuse.start_as_current_observation
        with start(name="attribution_query", as_type="span", input={"album": "album-7"}) as root:
            with start(name="source_aggregation", as_type="retriever") as sources:
                sources.update(output=["musicbrainz", "discogs"], metadata={"sources_found": 2})
            with (
                start(name="gap_analysis", as_type="chain"),
                start(
                    name=generation_name,
                    as_type="generation",
                    model="gpt-4o",
                    model_parameters={"temperature": 0.3, "max_tokens": 200},
                    input=QUESTION,
                ) as generation,
            ):
                usage = {"input": INPUT_TOKENS, "output": OUTPUT_TOKENS}
                generation.update(output=ANSWER, usage_details=usage)
            root.update(output={"fields": 9})
            trace_id = root.trace_id
    langfuse.flush()
    names = ["attribution_query", "source_aggregation", "gap_analysis", generation_name]
    observations = server.await_observations(names, traceId=trace_id)
    return Query(trace_id, user_id, session_id, generation_name, observations)


def test_every_observation_hangs_below_its_parent(query: Query) -> None:
    rows = query.observations
    root, chain = rows["attribution_query"], rows["gap_analysis"]
    assert (root["parentObservationId"], root["isRootObservation"]) == (None, True)
    assert rows["source_aggregation"]["parentObservationId"] == root["id"]
    assert chain["parentObservationId"] == root["id"]
    assert rows[query.generation_name]["parentObservationId"] == chain["id"]
    assert {name: row["type"] for name, row in rows.items()} == {
        "attribution_query": "SPAN",
        "source_aggregation": "RETRIEVER",
        "gap_analysis": "CHAIN",
        query.generation_name: "GENERATION",
    }


def test_input_and_output_come_back_as_they_were_sent(query: Query) -> None:
    generation, root = query.observations[query.generation_name], query.observations["attribution_query"]
    assert json.loads(generation["input"]) == QUESTION
    assert json.loads(generation["output"]) == ANSWER
    assert json.loads(root["input"]) == {"album": "album-7"}
    assert json.loads(root["output"]) == {"fields": 9}


def test_the_generation_has_its_model_parameters_and_usage(query: Query) -> None:
    generation = query.observations[query.generation_name]
    assert generation["model"] == "gpt-4o"
    assert generation["modelParameters"] == {"temperature": 0.3, "max_tokens": 200}
    assert generation["usageDetails"] == {
        "input": INPUT_TOKENS,
        "output": OUTPUT_TOKENS,
        "total": INPUT_TOKENS + OUTPUT_TOKENS,
    }


def test_the_generation_of_a_known_model_has_a_cost(query: Query) -> None:
    generation = query.observations[query.generation_name]
    costs = generation["costDetails"]
    assert generation["totalCost"] > 0, "no price for gpt-4o: did the worker start before the migrations?"
    assert costs["input"] > 0
    assert costs["output"] > 0
    assert costs["total"] == pytest.approx(costs["input"] + costs["output"])
    assert generation["totalCost"] == pytest.approx(costs["total"])


def test_an_observation_without_a_model_costs_nothing(query: Query) -> None:
    assert query.observations["source_aggregation"]["totalCost"] == 0
    assert query.observations["source_aggregation"]["usageDetails"] == {}


def test_user_session_tags_version_and_environment_are_on_every_observation(
    query: Query, run_tag: str
) -> None:
    for row in query.observations.values():
        assert row["userId"] == query.user_id
        assert row["sessionId"] == query.session_id
        assert sorted(row["tags"]) == sorted(["attribution", run_tag])
        assert row["traceName"] == "attribution_query"
        assert row["version"] == "1.2.3"
        assert row["environment"] == ENVIRONMENT


def test_metadata_of_the_trace_and_of_the_observation_come_back(query: Query) -> None:
    for row in query.observations.values():
        assert row["metadata"]["query_type"] == "full_album"
    assert query.observations["source_aggregation"]["metadata"]["sources_found"] == 2
    assert "sources_found" not in query.observations["gap_analysis"]["metadata"]


def test_times_follow_the_nesting(query: Query) -> None:
    root, generation = query.observations["attribution_query"], query.observations[query.generation_name]
    assert root["startTime"] <= generation["startTime"] <= generation["endTime"] <= root["endTime"]


def test_the_observations_are_found_by_user_session_and_type(query: Query, server: Server) -> None:
    assert len(server.observations(userId=query.user_id)) == 4
    assert len(server.observations(sessionId=query.session_id)) == 4
    (generation,) = server.observations(sessionId=query.session_id, type="GENERATION")
    assert generation["name"] == query.generation_name
    assert server.observations(sessionId=query.session_id, type="TOOL") == []


def test_a_filter_finds_the_observations_by_tag(query: Query, server: Server, run_tag: str) -> None:
    condition = {"type": "arrayOptions", "column": "tags", "operator": "any of", "value": [run_tag]}
    rows = server.observations(traceId=query.trace_id, filter=json.dumps([condition]))
    assert {row["name"] for row in rows} == set(query.observations)
    absent = {**condition, "value": [f"{run_tag}-absent"]}
    assert server.observations(traceId=query.trace_id, filter=json.dumps([absent])) == []


def test_the_cursor_walks_through_all_pages_without_a_repetition(query: Query, server: Server) -> None:
    pages: list[list[str]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = server.read("/api/public/v2/observations", traceId=query.trace_id, limit=3, **cursor)
        pages.append([row["name"] for row in answer["data"]])
        if "cursor" not in answer["meta"]:
            break
        cursor = {"cursor": answer["meta"]["cursor"]}
    assert [len(page) for page in pages] == [3, 1]
    assert {name for page in pages for name in page} == set(query.observations)


def test_the_metrics_sum_tokens_and_cost_by_model(query: Query, server: Server) -> None:
    now = datetime.now(UTC)
    request: dict[str, Any] = {
        "view": "observations",
        "metrics": [
            {"measure": "count", "aggregation": "count"},
            {"measure": "totalTokens", "aggregation": "sum"},
            {"measure": "totalCost", "aggregation": "sum"},
        ],
        "dimensions": [{"field": "providedModelName"}],
        "filters": [
            {"column": "name", "operator": "=", "value": query.generation_name, "type": "string"},
        ],
        "fromTimestamp": (now - timedelta(hours=1)).isoformat(),
        "toTimestamp": (now + timedelta(hours=1)).isoformat(),
    }
    (row,) = server.await_metrics(
        request,
        lambda rows: "" if rows else "a row for the model",
        what=f"metrics of the generation {query.generation_name}",
    )
    generation = query.observations[query.generation_name]
    assert row["providedModelName"] == "gpt-4o"
    # A server may quote 64-bit integers and decimals, depending on its ClickHouse settings.
    assert float(row["count_count"]) == 1
    assert float(row["sum_totalTokens"]) == INPUT_TOKENS + OUTPUT_TOKENS
    assert float(row["sum_totalCost"]) == pytest.approx(generation["totalCost"])


def test_another_project_does_not_see_the_trace(query: Query, other_project: Target, server: Server) -> None:
    keys = (other_project.public_key, other_project.secret_key)
    answer = server.anonymous.get(
        "/api/public/v2/observations", params={"traceId": query.trace_id}, auth=keys
    )
    assert (answer.status_code, answer.json()["data"]) == (200, [])
