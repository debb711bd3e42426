"""Experiments and their items: what spans with `langfuse.experiment.*` add up to."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from .harness import RunningEngine
from .spans import send, span, span_id, trace_id

EXPERIMENTS = "/api/public/experiments"
ITEMS = "/api/public/experiment-items"
MORNING = 1_768_471_200_000  # 2026-01-15T10:00:00Z
SINCE = {"fromStartTime": "2026-01-01T00:00:00Z"}


def run_item(
    client: httpx.Client, experiment: str, item: str, *, start: int = MORNING, dataset: str = ""
) -> tuple[str, str]:
    """Send an item of an experiment, a root of 50 ms and a child; return the ids of trace and root."""
    trace, root = trace_id(), span_id()
    attributes = {
        "langfuse.environment": "sdk-experiment",
        "langfuse.experiment.id": experiment,
        "langfuse.experiment.name": f"name of {experiment}",
        "langfuse.experiment.description": "A nightly run",
        "langfuse.experiment.metadata": '{"temperature": 0.5}',
        "langfuse.experiment.item.id": item,
        "langfuse.experiment.item.metadata": '{"topic": "parcels"}',
        "langfuse.experiment.item.expected_output": "In Athens",
        "langfuse.experiment.item.root_observation_id": root,
    }
    if dataset:
        attributes["langfuse.experiment.dataset.id"] = dataset
    own = {"langfuse.observation.input": "Where?", "langfuse.observation.metadata": '{"tier": "gold"}'}
    send(
        client,
        span(trace, "experiment-item-run", id=root, start=start, duration=50, attributes=attributes | own),
        span(trace, "task", parent=root, start=start + 10, duration=20, attributes=attributes),
    )
    return trace, root


def get(client: httpx.Client, path: str, **query: Any) -> dict[str, Any]:
    """Return the body of an answer that must succeed."""
    answer = client.get(path, params=SINCE | query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def pages(client: httpx.Client, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Return all pages of a list."""
    found, cursor = [], {}
    while True:
        body = get(client, path, **query, **cursor)
        found.append(body["data"])
        if "cursor" not in body["meta"]:
            return found
        cursor = {"cursor": body["meta"]["cursor"]}


def test_an_experiment_sums_up_its_observations(client: httpx.Client) -> None:
    run_item(client, "sums-up", "one", start=MORNING, dataset="parcels")
    run_item(client, "sums-up", "two", start=MORNING + 1000, dataset="parcels")
    [found] = get(client, EXPERIMENTS, id="sums-up")["data"]
    assert found == {
        "id": "sums-up",
        "name": "name of sums-up",
        "description": "A nightly run",
        "startTime": "2026-01-15T10:00:00.000Z",
        "endTime": "2026-01-15T10:00:01.050Z",
        "itemCount": 2,
        "datasetId": "parcels",
    }
    [found] = get(client, EXPERIMENTS, id="sums-up", fields="core,metadata")["data"]
    assert found["metadata"] == {"temperature": "0.5"}


def test_an_item_is_the_root_of_its_trace(client: httpx.Client) -> None:
    trace, root = run_item(client, "roots", "one")
    [found] = get(client, ITEMS, experimentId="roots")["data"]
    assert found == {
        "id": root,
        "traceId": trace,
        "startTime": "2026-01-15T10:00:00.000Z",
        "endTime": "2026-01-15T10:00:00.050Z",
        "level": "DEFAULT",
        "environment": "sdk-experiment",
        "experimentId": "roots",
        "experimentName": "name of roots",
        "experimentItemId": "one",
        "experimentDatasetId": None,
        "experimentItemVersion": None,
    }
    everything = "core,io,metadata,itemMetadata,experimentMetadata"
    [found] = get(client, ITEMS, experimentId="roots", fields=everything)["data"]
    assert "experimentDatasetId" not in found
    assert (found["input"], found["output"], found["expectedOutput"]) == ("Where?", "", "In Athens")
    assert found["metadata"]["tier"] == "gold"
    assert found["experimentItemMetadata"] == {"topic": "parcels"}
    assert found["experimentMetadata"] == {"temperature": "0.5"}
    assert found["experimentDescription"] == "A nightly run"


def test_scores_belong_to_the_experiment_or_to_the_item(engine: RunningEngine) -> None:
    client = engine.client
    trace, root = run_item(client, "scored", "one")
    stamp = "2026-01-15T10:00:01.000Z"
    targets = {
        "run": {"datasetRunId": "scored"},
        "trace": {"traceId": trace},
        "item": {"traceId": trace, "observationId": root},
        "elsewhere": {"traceId": trace, "observationId": span_id()},
    }
    events = [
        {
            "id": f"event-{name}",
            "type": "score-create",
            "timestamp": stamp,
            "body": {"id": f"experiment-{name}", "name": name, "value": 1.0, **target},
        }
        for name, target in targets.items()
    ]
    assert client.post("/api/public/ingestion", json={"batch": events}).json()["errors"] == []
    [found] = get(client, EXPERIMENTS, id="scored", fields="core,scores")["data"]
    assert [(score["name"], score["value"], score["subject"]) for score in found["scores"]] == [
        ("run", 1, {"kind": "experiment", "id": "scored"})
    ]
    [found] = get(client, ITEMS, experimentId="scored", fields="core,scores")["data"]
    assert sorted(score["name"] for score in found["scores"]) == ["item", "trace"]
    [found] = get(client, ITEMS, experimentId="scored", fields="core,scores", scoreLimit=1)["data"]
    assert len(found["scores"]) == 1


def test_experiments_with_the_latest_activity_come_first_page_by_page(client: httpx.Client) -> None:
    for place, name in enumerate(("paged-a", "paged-b", "paged-c")):
        run_item(client, name, "one", start=MORNING + place * 1000, dataset="paged")
    run_item(client, "paged-a", "two", start=MORNING + 9000, dataset="paged")
    found = pages(client, EXPERIMENTS, datasetId="paged", limit=2)
    assert [[item["id"] for item in page] for page in found] == [["paged-a", "paged-c"], ["paged-b"]]


def test_items_come_newest_first_page_by_page(client: httpx.Client) -> None:
    for place in range(5):
        run_item(client, "many", str(place), start=MORNING + place // 2 * 1000)
    found = pages(client, ITEMS, experimentName="name of many", limit=2)
    assert [len(page) for page in found] == [2, 2, 1]
    items = [item for page in found for item in page]
    assert sorted(item["experimentItemId"] for item in items) == list("01234")
    starts = [item["startTime"] for item in items]
    assert starts == sorted(starts, reverse=True)


def test_time_bounds_decide_what_counts(client: httpx.Client) -> None:
    run_item(client, "bounded", "one", start=MORNING)
    run_item(client, "bounded", "two", start=MORNING + 60_000)
    window = {"id": "bounded", "toStartTime": "2026-01-15T10:01:00Z"}
    [found] = get(client, EXPERIMENTS, **window)["data"]
    assert found["itemCount"] == 1
    assert client.get(
        EXPERIMENTS, params={"fromStartTime": "2026-01-16T00:00:00Z", "id": "bounded"}
    ).json() == {
        "data": [],
        "meta": {},
    }


def test_a_filter_wins_over_the_parameter_of_the_same_column(client: httpx.Client) -> None:
    for name in ("filter-a", "filter-b"):
        run_item(client, name, "one")
    condition = {"column": "id", "type": "string", "operator": "=", "value": "filter-b"}
    found = get(client, EXPERIMENTS, id="filter-a", filter=json.dumps([condition]))["data"]
    assert [item["id"] for item in found] == ["filter-b"]


@pytest.mark.parametrize("how", ["parameter", "filter"])
def test_an_experiment_that_a_filter_finds_is_summed_up_whole(client: httpx.Client, how: str) -> None:
    mixed, dataset = f"mixed-{how}", f"parcels-{how}"
    run_item(client, mixed, "one", dataset=dataset)
    run_item(client, mixed, "two", start=MORNING + 1000)
    run_item(client, f"not-{mixed}", "one")
    condition = {"column": "datasetId", "type": "string", "operator": "=", "value": dataset}
    query = {"datasetId": dataset} if how == "parameter" else {"filter": json.dumps([condition])}
    [found] = get(client, EXPERIMENTS, **query)["data"]
    assert (found["id"], found["itemCount"]) == (mixed, 2)
    assert found["endTime"] == "2026-01-15T10:00:01.050Z"


def test_experiments_of_other_projects_are_not_listed(engine: RunningEngine) -> None:
    run_item(engine.client, "mine", "one")
    with engine.client_for(engine.provision("hermes")) as other:
        assert get(other, EXPERIMENTS)["data"] == []
        assert get(other, ITEMS)["data"] == []


@pytest.mark.parametrize("path", [EXPERIMENTS, ITEMS])
@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({}, ["fromStartTime"]),
        ({**SINCE, "fields": "core,everything"}, ["fields", 1]),
        ({**SINCE, "limit": "101"}, ["limit"]),
        ({**SINCE, "scoreLimit": "51"}, ["scoreLimit"]),
        (
            {**SINCE, "filter": '[{"column": "planet", "type": "string", "operator": "=", "value": "x"}]'},
            ["filter", 0, "column"],
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    client: httpx.Client, path: str, query: dict[str, str], where: list[str | int]
) -> None:
    answer = client.get(path, params=query)
    assert answer.status_code == 400
    assert [issue["path"] for issue in answer.json()["error"]] == [where]


@pytest.mark.parametrize(
    ("cursor", "message"),
    [
        ("x", "Invalid cursor format"),
        ("", "Invalid cursor format"),
        ("e30", "Invalid request data"),
        ("eyJ2IjoyfQ", "Invalid request data"),
    ],
)
def test_a_cursor_of_nobody_is_refused(client: httpx.Client, cursor: str, message: str) -> None:
    answer = client.get(EXPERIMENTS, params=SINCE | {"cursor": cursor})
    assert (answer.status_code, answer.json()["message"]) == (400, message)
