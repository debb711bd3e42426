"""Scores over HTTP: one or a list, data types, configs, updates, reads with every parameter, deletion."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import StartEngine
from .harness import RunningEngine

URL = "/api/public/scores"
READ = "/api/public/v3/scores"


@pytest.fixture
def trace_id() -> str:
    return secrets.token_hex(16)


def _create(client: httpx.Client, **body: Any) -> str:
    answer = client.post(URL, json={"name": "quality", "value": 1, **body})
    assert answer.status_code == 200, answer.text
    score_id: str = answer.json()["id"]
    return score_id


def _read(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(READ, params={"fields": "details,subject,annotation", **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def _one(client: httpx.Client, score_id: str) -> dict[str, Any]:
    [score] = _read(client, id=score_id)
    return score


@pytest.mark.parametrize(
    ("body", "data_type", "value"),
    [
        ({"value": 0.92}, "NUMERIC", 0.92),
        ({"value": "HIGH"}, "CATEGORICAL", "HIGH"),
        ({"value": 1, "dataType": "BOOLEAN"}, "BOOLEAN", True),
        ({"value": 0, "dataType": "BOOLEAN"}, "BOOLEAN", False),
        ({"value": "3", "dataType": "CATEGORICAL"}, "CATEGORICAL", "3"),
        ({"value": "long feedback", "dataType": "TEXT"}, "TEXT", "long feedback"),
    ],
)
def test_a_score_of_each_type_is_readable_when_it_was_answered(
    client: httpx.Client, trace_id: str, body: dict[str, Any], data_type: str, value: Any
) -> None:
    score = _one(client, _create(client, traceId=trace_id, **body))
    assert (score["dataType"], score["value"], score["source"]) == (data_type, value, "API")
    assert (score["name"], score["environment"], score["metadata"]) == ("quality", "default", {})
    assert score["subject"] == {"kind": "trace", "id": trace_id}


def test_a_correction_is_named_output_and_needs_a_trace(client: httpx.Client, trace_id: str) -> None:
    correction = {"value": "x" * 9000, "dataType": "CORRECTION"}
    score = _one(client, _create(client, traceId=trace_id, observationId="o1", **correction))
    assert (score["name"], score["value"]) == ("output", "x" * 9000)
    assert score["subject"] == {"kind": "observation", "id": "o1", "traceId": trace_id}


def test_a_correction_of_a_session_is_accepted_and_dropped(client: httpx.Client, trace_id: str) -> None:
    # `packages/shared/src/server/ingestion/validateAndInflateScore.ts`: only the worker finds out.
    correction = {"id": f"c-{trace_id}", "name": "q", "value": "x", "dataType": "CORRECTION"}
    for target in ("sessionId", "datasetRunId"):
        assert client.post(URL, json={target: "s", **correction}).json() == {"id": correction["id"]}
    assert client.get("/api/public/v3/scores", params={"id": correction["id"]}).json()["data"] == []
    refused = client.post(URL, json={"traceId": "t", "configId": "c", **correction})
    assert [one["message"] for one in refused.json()["error"]] == [
        "Invalid input: expected undefined, received string"
    ]


@pytest.mark.parametrize("bad", ["x" * 801, "a\rb"])
def test_an_id_that_no_event_may_have_is_refused_in_a_message(client: httpx.Client, bad: str) -> None:
    # `web/src/pages/api/public/scores/index.ts`: the score becomes an event, whose issues are one text.
    answer = client.post(URL, json={"id": bad, "name": "n", "value": 1, "traceId": "t"})
    assert (answer.status_code, answer.json().keys()) == (400, {"message"})
    [issue] = json.loads(answer.json()["message"])
    assert issue["path"] == ["body", "id"]


def test_an_annotation_without_a_config_is_refused_alone_and_dropped_in_a_batch(
    client: httpx.Client, trace_id: str
) -> None:
    body = {"id": f"a-{trace_id}", "name": "n", "value": 1, "traceId": "t", "source": "ANNOTATION"}
    assert client.post(URL, json=body).status_code == 400
    event = {"id": "e", "type": "score-create", "timestamp": "2026-01-15T10:00:00Z", "body": body}
    answer = client.post("/api/public/ingestion", json={"batch": [event]})
    assert answer.json() == {"successes": [{"id": "e", "status": 201}], "errors": []}
    assert client.get("/api/public/v3/scores", params={"id": body["id"]}).json()["data"] == []


@pytest.mark.parametrize(
    ("target", "subject"),
    [
        ({"sessionId": "album-1"}, {"kind": "session", "id": "album-1"}),
        ({"datasetRunId": "run-1"}, {"kind": "experiment", "id": "run-1"}),
    ],
)
def test_sessions_and_experiments_are_scored_too(
    client: httpx.Client, target: dict[str, str], subject: dict[str, str]
) -> None:
    assert _one(client, _create(client, **target))["subject"] == subject


def test_details_come_back_as_they_were_sent(client: httpx.Client, trace_id: str) -> None:
    metadata = {"text": "5 apples", "number": 5, "nested": {"list": [1, None]}, "quoted": '"x"'}
    score_id = _create(
        client,
        traceId=trace_id,
        comment="why",
        metadata=metadata,
        environment="Staging",
        queueId="queue-1",
    )
    score = _one(client, score_id)
    assert score["metadata"] == {**metadata, "quoted": "x"}
    assert (score["comment"], score["environment"], score["queueId"]) == ("why", "staging", "queue-1")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"traceId": "t", "value": 1},
        {"name": "q", "value": 1},
        {"name": "q", "value": 1, "traceId": "t", "sessionId": "s"},
        {"name": "q", "value": 1, "observationId": "o"},
        {"name": "q", "value": 1, "sessionId": "s", "observationId": "o"},
        {"name": "q", "value": 2, "traceId": "t", "dataType": "BOOLEAN"},
        {"name": "q", "value": "1", "traceId": "t", "dataType": "NUMERIC"},
        {"name": "q", "value": "", "traceId": "t", "dataType": "TEXT"},
        {"name": "q", "value": 1, "traceId": "t", "source": "EVAL"},
        {"name": "q", "value": 1, "traceId": "t", "source": "ANNOTATION"},
        {"name": "q", "value": 1, "traceId": "t", "dataType": "NOPE"},
    ],
)
def test_a_body_that_is_no_score_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    answer = client.post(URL, json=body)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Invalid request data"


def test_a_score_that_is_sent_again_changes_and_keeps_what_is_not_sent(
    client: httpx.Client, trace_id: str
) -> None:
    first = {"value": 0, "dataType": "BOOLEAN", "comment": "first", "metadata": {"a": 1, "b": 1}}
    score_id = _create(client, id=f"score-{trace_id}", traceId=trace_id, **first)
    before = _one(client, score_id)
    _create(client, id=score_id, traceId=trace_id, value=1, dataType="BOOLEAN", metadata={"b": 2})
    after = _one(client, score_id)
    assert (after["value"], after["comment"], after["metadata"]) == (True, "first", {"a": 1, "b": 2})
    assert (after["timestamp"], after["createdAt"]) == (before["timestamp"], before["createdAt"])


@pytest.fixture(scope="module")
def configs(client: httpx.Client) -> dict[str, str]:
    bodies = {
        "range": {"dataType": "NUMERIC", "minValue": 0, "maxValue": 1},
        "tier": {"dataType": "CATEGORICAL", "categories": [{"label": "HIGH", "value": 2}]},
        "flag": {"dataType": "BOOLEAN"},
        "note": {"dataType": "TEXT"},
        "old": {"dataType": "NUMERIC"},
    }
    url = "/api/public/score-configs"
    found = {
        name: client.post(url, json={"name": f"c-{name}", **body}).json()["id"]
        for name, body in bodies.items()
    }
    client.patch(f"{url}/{found['old']}", json={"isArchived": True}).raise_for_status()
    return found


@pytest.mark.parametrize(
    ("config", "value", "data_type", "shown"),
    [
        ("range", 0.5, "NUMERIC", 0.5),
        ("tier", "HIGH", "CATEGORICAL", "HIGH"),
        ("flag", 1, "BOOLEAN", True),
        ("note", "text", "TEXT", "text"),
    ],
)
def test_a_config_gives_a_score_its_name_and_type(
    client: httpx.Client, configs: dict[str, str], config: str, value: Any, data_type: str, shown: Any
) -> None:
    score_id = _create(client, traceId="t", name="other", value=value, configId=configs[config])
    score = _one(client, score_id)
    assert (score["name"], score["dataType"], score["value"]) == (f"c-{config}", data_type, shown)
    assert score["configId"] == configs[config]


@pytest.mark.parametrize(
    ("config", "body", "reason"),
    [
        ("range", {"value": 1.1}, "above the maximum 1"),
        ("range", {"value": -0.1}, "below the minimum 0"),
        ("range", {"value": "0.5"}, "is not a number"),
        ("range", {"value": 1, "dataType": "BOOLEAN"}, "its data type is BOOLEAN"),
        ("tier", {"value": "LOW"}, "is not a category"),
        ("tier", {"value": 2}, "is not text"),
        ("flag", {"value": 2}, "neither 0 nor 1"),
        ("note", {"value": 2}, "is not text"),
        ("old", {"value": 2}, "is archived"),
        (None, {"value": 2}, "no score config"),
    ],
)
def test_a_score_against_its_config_is_accepted_dropped_and_named_in_the_log(
    client: httpx.Client,
    engine: RunningEngine,
    configs: dict[str, str],
    config: str | None,
    body: dict[str, Any],
    reason: str,
) -> None:
    score_id = _create(client, traceId="t", configId=configs[config] if config else "nope", **body)
    assert _read(client, id=score_id) == []
    [line] = [line for line in engine.log().splitlines() if score_id in line]
    assert reason in line
    assert "WARNING" in line


def test_a_list_of_scores_is_accepted_as_a_whole_with_their_own_times(
    client: httpx.Client, trace_id: str
) -> None:
    scores = [
        {"id": f"a-{trace_id}", "traceId": trace_id, "name": "n", "value": 1},
        {
            "id": f"b-{trace_id}",
            "traceId": trace_id,
            "name": "n",
            "value": "x",
            "timestamp": "2026-01-15T10:00:00.123456+01:00",
        },
    ]
    answer = client.post(URL, json=scores)
    assert (answer.status_code, answer.json()) == (202, {"message": "Accepted"})
    newest, oldest = _read(client, traceId=trace_id)
    assert (newest["id"], oldest["id"]) == (f"a-{trace_id}", f"b-{trace_id}")
    assert oldest["timestamp"] == "2026-01-15T09:00:00.123Z"


def test_of_a_list_the_valid_scores_are_kept_and_the_others_are_explained(
    client: httpx.Client, trace_id: str
) -> None:
    answer = client.post(
        URL,
        json=[
            {"traceId": trace_id, "name": "n", "value": 1},
            {"traceId": trace_id, "value": 1},
            "no score",
        ],
    )
    assert answer.status_code == 207
    body = answer.json()
    assert (body["accepted"], body["rejected"], len(body["errors"])) == (1, 2, 2)
    assert body["errors"][0]["message"] == (
        "Score 1 was rejected: name: Invalid input: expected string, received undefined"
    )
    assert len(_read(client, traceId=trace_id)) == 1


def test_a_score_that_json_can_spell_and_no_store_can_hold_spoils_no_other(
    client: httpx.Client, trace_id: str
) -> None:
    half, beyond, whole = (
        f'{{"traceId": "{trace_id}", "name": "{name}", "value": {value}}}'
        for name, value in (("a\\ud800", 1), ("b", "1e400"), ("c", 2))
    )
    answer = client.post(
        URL, content=f"[{half}, {beyond}, {whole}]", headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["accepted"]) == (207, 2)
    assert answer.json()["errors"][0]["message"].startswith("Score 1 was rejected: value: ")
    assert {score["name"]: score["value"] for score in _read(client, traceId=trace_id)} == {
        "a\ufffd": 1,
        "c": 2,
    }


def test_a_score_without_its_content_type_is_refused(client: httpx.Client, trace_id: str) -> None:
    answer = client.post(URL, content=f'{{"traceId": "{trace_id}", "name": "n", "value": 1}}')
    assert answer.status_code == 400
    assert answer.json()["error"][0]["message"] == "Invalid input: expected object, received string"
    assert _read(client, traceId=trace_id) == []


@pytest.mark.parametrize("version", ["4.16.0", "4.58.3"])
def test_lists_of_scores_are_refused_at_the_level_of_an_older_server(
    start_engine: StartEngine, version: str
) -> None:
    old = start_engine(EMBEDDED_COMPAT=version).client
    answer = old.post(URL, json=[{"traceId": "t", "name": "n", "value": 1}])
    assert answer.status_code == 400
    assert answer.json()["error"][0]["message"] == "Invalid input: expected object, received array"
    assert _one(old, _create(old, traceId="t"))["value"] == 1


def test_the_public_key_alone_may_create_scores_and_nothing_else(engine: RunningEngine) -> None:
    headers = {"authorization": f"Bearer {engine.keys.public_key}"}
    with httpx.Client(base_url=engine.base_url, headers=headers) as browser:
        score_id = _create(browser, traceId="t", name="thumbs")
        assert browser.get(READ).status_code == 403
        assert browser.delete(f"{URL}/{score_id}").status_code == 403
    assert _one(engine.client, score_id)["name"] == "thumbs"


@pytest.fixture(scope="module")
def scored(engine: RunningEngine) -> Iterator[httpx.Client]:
    """A project with five known scores."""
    events = [
        ("n1", 1, {"traceId": "aa", "name": "quality", "value": 0.1, "environment": "prod"}),
        ("n2", 2, {"traceId": "aa", "observationId": "bb", "name": "quality", "value": 0.9}),
        ("c1", 3, {"traceId": "cc", "name": "tier", "value": "HIGH", "queueId": "q1"}),
        ("b1", 4, {"sessionId": "s1", "name": "ok", "value": 1, "dataType": "BOOLEAN", "source": "EVAL"}),
        ("e1", 5, {"datasetRunId": "r1", "name": "run", "value": 5, "authorUserId": "u1"}),
    ]
    batch = [
        {
            "id": f"event-{score_id}",
            "type": "score-create",
            "timestamp": f"2026-01-01T00:00:0{second}Z",
            "body": {"id": score_id, **body},
        }
        for score_id, second, body in events
    ]
    with engine.client_for(engine.provision("athena-scores")) as client:
        answer = client.post("/api/public/ingestion", json={"batch": batch})
        assert answer.json()["errors"] == []
        yield client


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, "e1 b1 c1 n2 n1"),
        ({"id": "n1,c1"}, "c1 n1"),
        ({"name": "quality,run"}, "e1 n2 n1"),
        ({"source": "eval"}, "b1"),
        ({"dataType": "numeric,Boolean"}, "e1 b1 n2 n1"),
        ({"environment": "prod"}, "n1"),
        ({"queueId": "q1"}, "c1"),
        # Only people have scores of their name: what a batch says of an author is dropped.
        ({"authorUserId": "u1"}, ""),
        ({"configId": "none"}, ""),
        ({"traceId": "aa"}, "n2 n1"),
        ({"traceId": "aa,cc"}, "c1 n2 n1"),
        ({"traceId": "aa", "observationId": "bb"}, "n2"),
        ({"sessionId": "s1"}, "b1"),
        ({"experimentId": "r1"}, "e1"),
        ({"value": "0.9,5", "dataType": "NUMERIC"}, "e1 n2"),
        ({"value": "true", "dataType": "BOOLEAN"}, "b1"),
        ({"value": "false", "dataType": "BOOLEAN"}, ""),
        ({"value": "HIGH", "dataType": "CATEGORICAL"}, "c1"),
        ({"valueMin": "0.5", "dataType": "NUMERIC"}, "e1 n2"),
        ({"valueMin": "0.1", "valueMax": "0.9", "dataType": "NUMERIC"}, "n2 n1"),
        ({"fromTimestamp": "2026-01-01T00:00:02Z", "toTimestamp": "2026-01-01T00:00:04Z"}, "c1 n2"),
        ({"name": "quality", "environment": "default"}, "n2"),
    ],
)
def test_every_parameter_narrows_the_list(scored: httpx.Client, query: dict[str, str], ids: str) -> None:
    assert [score["id"] for score in _read(scored, **query)] == ids.split()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"scoreIds": "x"}, 'Unrecognized key: "scoreIds"'),
        (
            {"userId": "x"},
            "userId filter requires a trace JOIN and is not supported in v3 — use v2 or omit this filter",
        ),
        (
            {"observationId": "x"},
            "observationId filter requires traceId — observation IDs are scoped to a trace",
        ),
        (
            {"traceId": "x", "sessionId": "y"},
            "At most one of traceId, sessionId, experimentId may be specified",
        ),
        ({"fields": "nope"}, 'Invalid option: expected one of "core"|"details"|"subject"|"annotation"'),
        ({"limit": "101"}, "Too big: expected number to be <=100"),
        ({"limit": "0"}, "Too small: expected number to be >=1"),
        ({"value": "1"}, "value filter requires a single dataType from: NUMERIC, BOOLEAN, CATEGORICAL"),
        (
            {"value": "1", "dataType": "TEXT"},
            'value filter requires dataType to be NUMERIC, BOOLEAN, or CATEGORICAL (got "TEXT")',
        ),
        (
            {"value": "x", "dataType": "NUMERIC"},
            'value filter with dataType=NUMERIC requires each value to be a finite number (got "x")',
        ),
        (
            {"valueMin": "1", "dataType": "BOOLEAN"},
            "valueMin and valueMax require dataType=NUMERIC as a single value",
        ),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(
    scored: httpx.Client, query: dict[str, str], message: str
) -> None:
    answer = scored.get(READ, params=query)
    assert answer.status_code == 400
    assert [issue["message"] for issue in answer.json()["error"]] == [message]


def test_cursors_lead_through_the_list_without_gap_or_repetition(scored: httpx.Client) -> None:
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = scored.get(READ, params=query).json()
        seen += [score["id"] for score in page["data"]]
        assert page["meta"]["limit"] == 2
        if "cursor" not in page["meta"]:
            break
        query["cursor"] = page["meta"]["cursor"]
    assert seen == ["e1", "b1", "c1", "n2", "n1"]


@pytest.mark.parametrize("cursor", ["nope", "e30", "eyJsYXN0VGltZXN0YW1wIjoxfQ"])
def test_a_cursor_of_ones_own_making_is_refused(scored: httpx.Client, cursor: str) -> None:
    assert scored.get(READ, params={"cursor": cursor}).status_code == 400


def test_only_the_asked_groups_of_fields_are_shown(scored: httpx.Client) -> None:
    core = {
        "id",
        "projectId",
        "name",
        "source",
        "timestamp",
        "environment",
        "createdAt",
        "updatedAt",
        "dataType",
        "value",
    }
    groups = {
        "core": set(),
        "details": {"comment", "configId", "metadata"},
        "subject": {"subject"},
        "annotation": {"authorUserId", "queueId"},
    }
    for group, fields in groups.items():
        [score] = scored.get(READ, params={"fields": group, "id": "n1"}).json()["data"]
        assert score.keys() == core | fields
    assert scored.get(READ, params={"id": "n1"}).json()["data"][0].keys() == core


def test_a_deleted_score_is_gone_and_deleting_again_is_no_error(client: httpx.Client) -> None:
    score_id = _create(client, traceId="t")
    for _ in range(2):
        answer = client.delete(f"{URL}/{score_id}")
        assert (answer.status_code, answer.json()) == (202, {"message": "Score deletion queued successfully"})
        assert _read(client, id=score_id) == []


def test_a_project_neither_reads_nor_deletes_nor_changes_scores_of_another(
    engine: RunningEngine, client: httpx.Client, trace_id: str
) -> None:
    score_id = _create(client, id=f"mine-{trace_id}", traceId=trace_id, comment="mine")
    with engine.client_for(engine.provision("zeus-scores")) as other:
        assert _read(other, id=score_id) == []
        assert _read(other, traceId=trace_id) == []
        other.delete(f"{URL}/{score_id}")
        _create(other, id=score_id, traceId=trace_id, value=9)
        assert _one(other, score_id)["comment"] is None
    assert (_one(client, score_id)["value"], _one(client, score_id)["comment"]) == (1, "mine")


def test_an_acknowledged_score_survives_a_kill(start_engine: StartEngine) -> None:
    first = start_engine()
    score_id = _create(first.client, traceId="t", value=0.25)
    first.kill()
    again = start_engine(data_dir=first.data_dir)
    assert _one(again.client, score_id)["value"] == 0.25


def test_an_artificial_lag_hides_a_score_at_first(start_engine: StartEngine) -> None:
    client = start_engine(INGEST_LAG_MS="600000").client
    assert _read(client, id=_create(client, traceId="t")) == []
