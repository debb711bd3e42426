"""Scores of every data type on traces, observations and sessions, and what happens to wrong ones."""

from __future__ import annotations

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

pytestmark = pytest.mark.usefixtures("needs_scores")

# name, data type, value as sent, value as read
VALUES: list[tuple[str, str, Any, Any]] = [
    ("attribution_confidence", "NUMERIC", 0.92, 0.92),
    ("confidence_tier", "CATEGORICAL", "HIGH", "HIGH"),
    ("gap_fill_success", "BOOLEAN", True, True),
]
SUBJECTS = ["trace", "observation", "session"]


@dataclass(frozen=True)
class Scored:
    """The ids of a scored trace, and its nine scores by kind of subject and name."""

    trace_id: str
    observation_id: str
    session_id: str
    scores: dict[tuple[str, str], Row]

    def subject(self, kind: str) -> dict[str, str]:
        """What the server says a score of this kind belongs to."""
        return {
            "trace": {"kind": "trace", "id": self.trace_id},
            "observation": {"kind": "observation", "id": self.observation_id, "traceId": self.trace_id},
            "session": {"kind": "session", "id": self.session_id},
        }[kind]


@pytest.fixture(scope="module")
def scored(langfuse: Langfuse, server: Server, unique: Callable[[str], str]) -> Scored:
    session_id = unique("album")
    with (
        propagate_attributes(session_id=session_id),
        langfuse.start_as_current_observation(name="scored", as_type="span") as root,
        root.start_as_current_observation(name="field", as_type="generation") as field,
    ):
        for name, data_type, value, _ in VALUES:
            common = {"name": name, "data_type": data_type, "value": value, "comment": f"why {name}"}
            root.score_trace(**common)
            field.score(**common, metadata={"field": "bass", "source": "discogs"})
            langfuse.create_score(session_id=session_id, **common)
        trace_id, observation_id = root.trace_id, field.id
    langfuse.flush()
    # A trace's scores include those of its observations; a session's are its own.
    rows = server.await_scores(2 * len(VALUES), traceId=trace_id)
    rows += server.await_scores(len(VALUES), sessionId=session_id)
    scores = {(row["subject"]["kind"], row["name"]): row for row in rows}
    return Scored(trace_id, observation_id, session_id, scores)


@pytest.mark.parametrize("kind", SUBJECTS)
@pytest.mark.parametrize(("name", "data_type", "_sent", "read"), VALUES, ids=[row[1] for row in VALUES])
def test_a_score_comes_back_with_type_value_and_subject(
    scored: Scored, kind: str, name: str, data_type: str, _sent: object, read: object
) -> None:
    score = scored.scores[kind, name]
    assert score["dataType"] == data_type
    assert score["value"] == read
    assert type(score["value"]) is type(read)
    assert score["subject"] == scored.subject(kind)


@pytest.mark.parametrize("kind", SUBJECTS)
def test_a_score_comes_back_with_comment_source_and_environment(scored: Scored, kind: str) -> None:
    score = scored.scores[kind, "confidence_tier"]
    assert score["comment"] == "why confidence_tier"
    assert score["source"] == "API"
    assert score["environment"] == ENVIRONMENT


def test_the_metadata_of_a_score_comes_back(scored: Scored) -> None:
    score = scored.scores["observation", "attribution_confidence"]
    assert score["metadata"] == {"field": "bass", "source": "discogs"}


def test_scores_are_found_by_name_and_by_observation(scored: Scored, server: Server) -> None:
    found = server.scores(
        traceId=scored.trace_id, observationId=scored.observation_id, name="confidence_tier"
    )
    assert [row["id"] for row in found] == [scored.scores["observation", "confidence_tier"]["id"]]
    assert server.scores(traceId=scored.trace_id, name="no-such-score") == []


def test_a_score_sent_again_under_its_id_replaces_the_first(
    langfuse: Langfuse, server: Server, unique: Callable[[str], str]
) -> None:
    trace_id, score_id = langfuse.create_trace_id(), unique("feedback")
    now = datetime.now(UTC)
    for value, comment in ((0.0, "first"), (1.0, "second thoughts")):
        langfuse.create_score(
            trace_id=trace_id,
            score_id=score_id,
            name="user-feedback",
            value=value,
            data_type="NUMERIC",
            comment=comment,
            timestamp=now,
        )
        langfuse.flush()
    (score,) = server.await_scores(
        1,
        lambda rows: "" if rows[0]["value"] == 1 else "the later value",
        traceId=trace_id,
    )
    assert (score["id"], score["value"], score["comment"]) == (score_id, 1, "second thoughts")


def test_the_current_span_and_trace_can_be_scored(langfuse: Langfuse, server: Server) -> None:
    with langfuse.start_as_current_observation(name="current") as span:
        langfuse.score_current_span(name="prediction_set_size", value=2, data_type="NUMERIC")
        langfuse.score_current_trace(name="conformal_coverage", value=0.9, data_type="NUMERIC")
    langfuse.flush()
    rows = {row["name"]: row for row in server.await_scores(2, traceId=span.trace_id)}
    assert rows["prediction_set_size"]["value"] == 2
    assert rows["prediction_set_size"]["subject"]["id"] == span.id
    assert rows["conformal_coverage"]["value"] == 0.9
    assert rows["conformal_coverage"]["subject"] == {"kind": "trace", "id": span.trace_id}


def test_a_single_score_can_be_posted_without_the_sdk(server: Server, langfuse: Langfuse) -> None:
    trace_id = langfuse.create_trace_id()
    body = {"traceId": trace_id, "name": "turns_to_fill", "value": 3}
    answer = server.http.post("/api/public/scores", json=body)
    assert answer.status_code in {200, 202}, answer.text
    (score,) = server.await_scores(1, traceId=trace_id)
    assert (score["name"], score["value"], score["dataType"]) == ("turns_to_fill", 3, "NUMERIC")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"name": "no-target", "value": 1}, "exactly one of"),
        ({"traceId": "t", "sessionId": "s", "name": "two-targets", "value": 1}, "exactly one of"),
        ({"traceId": "t", "value": 1}, "name"),
        ({"traceId": "t", "name": "two", "value": 2, "dataType": "BOOLEAN"}, "0 or 1"),
        ({"traceId": "t", "name": "text", "value": "high", "dataType": "NUMERIC"}, "value"),
    ],
    ids=["no target", "two targets", "no name", "BOOLEAN of 2", "NUMERIC of text"],
)
def test_a_wrong_score_is_refused_with_the_reason(server: Server, body: Row, reason: str) -> None:
    answer = server.http.post("/api/public/scores", json=body)
    assert (answer.status_code, answer.json()["message"]) == (400, "Invalid request data")
    assert reason in answer.text


def test_the_metrics_average_a_numeric_score(
    langfuse: Langfuse, server: Server, unique: Callable[[str], str]
) -> None:
    name, now = unique("coverage"), datetime.now(UTC)
    for value in (0.5, 0.75, 1.0):
        langfuse.create_score(
            trace_id=langfuse.create_trace_id(), name=name, value=value, data_type="NUMERIC"
        )
    langfuse.flush()
    request = {
        "view": "scores-numeric",
        "metrics": [
            {"measure": "value", "aggregation": "avg"},
            {"measure": "count", "aggregation": "count"},
        ],
        "dimensions": [{"field": "name"}],
        "filters": [{"column": "name", "operator": "=", "value": name, "type": "string"}],
        "fromTimestamp": (now - timedelta(hours=1)).isoformat(),
        "toTimestamp": (now + timedelta(hours=1)).isoformat(),
    }
    (row,) = server.await_metrics(
        request,
        lambda rows: "" if rows and float(rows[0]["count_count"]) == 3 else "the three scores",
        what=f"the average of the score {name}",
    )
    assert row["name"] == name
    assert float(row["avg_value"]) == pytest.approx(0.75)
