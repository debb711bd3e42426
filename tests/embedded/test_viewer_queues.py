"""Annotation queues worked off in the viewer: items, scores, who gave them, and two people at once."""

from __future__ import annotations

import html
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from langfuse_embedded.provisioning import provision

from .harness import RunningEngine
from .spans import span_id
from .viewer_client import EMAIL, sign_in, visitor
from .viewer_data import ANSWER, support_trace

PROJECT = "/project/kosmos-support"
API = "/api/public/annotation-queues"


@pytest.fixture(scope="module")
def visit(engine: RunningEngine) -> Iterator[httpx.Client]:
    with visitor(engine.base_url) as client:
        yield client


@dataclass
class Queue:
    """A queue over the API, with the ids of its score configs."""

    engine: RunningEngine
    id: str
    numeric: str
    category: str
    boolean: str

    @property
    def path(self) -> str:
        return f"{PROJECT}/annotation-queues/{self.id}"

    def add(self, object_id: str, object_type: str) -> str:
        body = {"objectId": object_id, "objectType": object_type}
        answer = self.engine.client.post(f"{API}/{self.id}/items", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def status(self, item: str) -> str:
        return str(self.engine.client.get(f"{API}/{self.id}/items/{item}").json()["status"])

    def scores(self) -> list[dict[str, object]]:
        query = {"queueId": self.id, "fields": "core,details,subject,annotation"}
        found: list[dict[str, object]] = self.engine.client.get("/api/public/v3/scores", params=query).json()[
            "data"
        ]
        return found


@pytest.fixture
def queue(engine: RunningEngine) -> Queue:
    def config(**fields: object) -> str:
        body = {"name": f"c{span_id()}", **fields}
        answer = engine.client.post("/api/public/score-configs", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    configs = [
        config(dataType="NUMERIC", minValue=0, maxValue=1, description="How much of it is right"),
        config(
            dataType="CATEGORICAL",
            categories=[{"label": "kind", "value": 1}, {"label": "cold", "value": 0}],
        ),
        config(dataType="BOOLEAN"),
    ]
    body = {"name": f"q{span_id()}", "description": "Answers of the week", "scoreConfigIds": configs}
    answer = engine.client.post(API, json=body)
    assert answer.status_code == 200, answer.text
    return Queue(engine, answer.json()["id"], *configs)


def page(visit: httpx.Client, path: str) -> str:
    answer = visit.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:300]}"
    return answer.text


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def stored(engine: RunningEngine, query: str, value: str) -> object:
    """Return what no API shows."""
    with sqlite3.connect(f"file:{engine.data_dir}/state.db?mode=ro", uri=True) as state:
        return state.execute(query, (value,)).fetchone()[0]


def user_id(engine: RunningEngine, email: str) -> object:
    return stored(engine, "select id from users where email = ?", email)


def annotator(engine: RunningEngine, item: str) -> object:
    return stored(engine, "select annotator_user_id from annotation_queue_items where id = ?", item)


def person(engine: RunningEngine, name: str, role: str) -> httpx.Client:
    """Return a client of someone who signed in; the caller closes it."""
    email, password = f"{name}-{span_id()}@acme.example", "a-password-of-tests"
    user = {"email": email, "name": name, "password": password, "role": role}
    line = {"organizationId": "acme", "organizationName": "Acme", "user": user}
    provision(engine.data_dir, "", io.StringIO(json.dumps(line)), io.StringIO())
    return httpx.Client(base_url=engine.base_url, cookies=sign_in(engine.base_url, email, password).cookies)


def test_a_queue_is_worked_off_item_by_item(engine: RunningEngine, visit: httpx.Client, queue: Queue) -> None:
    session = f"s-{span_id()}"
    trace, ids = support_trace(engine.client, **{"session.id": session})
    items = [
        queue.add(trace, "TRACE"),
        queue.add(ids["answer"], "OBSERVATION"),
        queue.add(session, "SESSION"),
    ]
    assert f'href="{queue.path}"' in page(visit, f"{PROJECT}/annotation-queues")
    assert "0 of 3" in words(page(visit, queue.path))
    given: dict[str, dict[str, str]] = {
        items[0]: {f"value-{queue.numeric}": "0.5", f"comment-{queue.numeric}": "half of it"},
        items[1]: {f"value-{queue.category}": "cold", f"value-{queue.boolean}": "0"},
        items[2]: {f"value-{queue.boolean}": "1"},
    }
    at = f"{queue.path}/items"
    for item in items:
        led = visit.get(at)
        assert (led.status_code, led.headers["location"]) == (303, f"{queue.path}/items/{item}")
        text = page(visit, f"{queue.path}/items/{item}")
        assert ANSWER in html.unescape(text)
        assert "How much of it is right" in text
        assert "from 0 to 1" in words(text)
        sent = visit.post(f"{queue.path}/items/{item}", data={"status": "PENDING", **given[item]})
        assert sent.status_code == 303, sent.text
        assert sent.headers["location"] == f"{queue.path}/items?after={item}"
        at = sent.headers["location"]
        assert queue.status(item) == "COMPLETED"
    assert "All items are completed" in page(visit, at)
    zeus = user_id(engine, EMAIL)
    assert {annotator(engine, item) for item in items} == {zeus}
    found = {(one["configId"], json.dumps(one["subject"], sort_keys=True)): one for one in queue.scores()}

    def subject(**fields: str) -> str:
        return json.dumps(fields, sort_keys=True)

    of_answer = subject(kind="observation", id=ids["answer"], traceId=trace)
    half = found.pop((queue.numeric, subject(kind="trace", id=trace)))
    assert (half["value"], half["comment"]) == (0.5, "half of it")
    assert found.pop((queue.category, of_answer))["value"] == "cold"
    assert found.pop((queue.boolean, of_answer))["value"] is False
    assert found.pop((queue.boolean, subject(kind="session", id=session)))["value"] is True
    assert found == {}
    for one in queue.scores():
        assert (one["source"], one["authorUserId"], one["environment"]) == ("ANNOTATION", zeus, "production")
    done = words(page(visit, f"{queue.path}?status=COMPLETED"))
    assert done.count("completed") >= 3
    assert "No items with this status" in page(visit, f"{queue.path}?status=PENDING")


def test_scoring_again_changes_the_score_that_is_there(
    engine: RunningEngine, visit: httpx.Client, queue: Queue
) -> None:
    trace, ids = support_trace(engine.client)
    item = queue.add(ids["answer"], "OBSERVATION")
    url = f"{queue.path}/items/{item}"
    name = f"value-{queue.numeric}"
    assert visit.post(url, data={"status": "PENDING", name: "0.5"}).status_code == 303
    (before,) = queue.scores()
    text = page(visit, url)
    assert f'name="{name}" value="0.5" required' in text
    assert "Save and next" in text
    # The form beside the observation writes the same score, too.
    form = {"observation": ids["answer"], "config": queue.numeric, "value": "0.75", "of": "observation"}
    assert visit.post(f"{PROJECT}/traces/{trace}/scores", data=form).status_code == 303
    assert queue.scores() == [], "the server stores the queue of the last form, also where that names none"
    assert visit.post(url, data={"status": "COMPLETED", name: "1"}).status_code == 303
    (after,) = queue.scores()
    assert (after["id"], after["value"]) == (before["id"], 1)


def test_an_item_is_skipped_and_comes_again(engine: RunningEngine, visit: httpx.Client, queue: Queue) -> None:
    trace, ids = support_trace(engine.client)
    first, second = queue.add(trace, "TRACE"), queue.add(ids["answer"], "OBSERVATION")
    skip = f"{queue.path}/items?after={first}"
    assert f'href="{skip}">Skip</a>' in page(visit, f"{queue.path}/items/{first}")
    assert visit.get(skip).headers["location"] == f"{queue.path}/items/{second}"
    assert f'rel="prev" href="{queue.path}/items/{first}"' in page(visit, f"{queue.path}/items/{second}")
    end = page(visit, f"{queue.path}/items?after={second}")
    assert "You are at the end" in end
    assert "2 are still pending" in words(end)
    assert visit.get(f"{queue.path}/items").headers["location"] == f"{queue.path}/items/{first}"
    assert [queue.status(one) for one in (first, second)] == ["PENDING", "PENDING"]
    assert queue.scores() == []


def test_two_people_get_different_items_and_do_not_overwrite_each_other(
    engine: RunningEngine, visit: httpx.Client, queue: Queue
) -> None:
    trace, ids = support_trace(engine.client)
    first, second = queue.add(trace, "TRACE"), queue.add(ids["answer"], "OBSERVATION")
    start = f"{queue.path}/items"
    with person(engine, "Athena", "MEMBER") as athena:
        assert visit.get(start).headers["location"] == f"{start}/{first}"
        assert athena.get(start).headers["location"] == f"{start}/{second}"
        assert visit.get(f"{start}?after={first}").status_code == 200, "the second is Athena's for now"
        assert "open at Athena" in words(page(visit, f"{start}/{second}"))
        form = {"status": "PENDING", f"value-{queue.boolean}": "1"}
        assert athena.post(f"{start}/{second}", data=form).status_code == 303
        late = visit.post(f"{start}/{second}", data={**form, f"value-{queue.boolean}": "0"})
        assert late.status_code == 409
        assert "Athena completed this item" in words(late.text)
        assert [one["value"] for one in queue.scores()] == [True]
        assert "completed by Athena" in words(page(visit, f"{start}/{second}"))


@pytest.mark.parametrize(
    ("field", "value", "status", "said"),
    [
        ("value-numeric", "7", 400, "above the maximum"),
        ("value-numeric", "much", 400, "is to be a number"),
        ("value-category", "lukewarm", 400, "is not a category"),
        ("value-boolean", "0.5", 400, "neither 0 nor 1"),
        ("comment-numeric", "but why", 400, "needs a score beside it"),
    ],
)
def test_what_does_not_fit_stores_nothing_and_completes_nothing(
    engine: RunningEngine,
    visit: httpx.Client,
    queue: Queue,
    field: str,
    value: str,
    status: int,
    said: str,
) -> None:
    trace, _ = support_trace(engine.client)
    item = queue.add(trace, "TRACE")
    part, _, config = field.partition("-")
    form = {f"value-{queue.boolean}": "1", f"{part}-{getattr(queue, config)}": value, "status": "PENDING"}
    answer = visit.post(f"{queue.path}/items/{item}", data=form)
    assert answer.status_code == status
    assert said in words(answer.text)
    assert queue.scores() == []
    assert queue.status(item) == "PENDING"


def test_an_item_whose_trace_is_gone_is_completed_without_scores(visit: httpx.Client, queue: Queue) -> None:
    for kind in ("TRACE", "OBSERVATION", "SESSION"):
        item = queue.add(f"nothing-{span_id()}", kind)
        url = f"{queue.path}/items/{item}"
        text = page(visit, url)
        assert f"This {kind.lower()} is not there" in words(text)
        assert 'name="value-' not in text
        assert visit.post(url, data={"status": "PENDING", f"value-{queue.boolean}": "1"}).status_code == 404
        assert queue.status(item) == "PENDING"
        assert visit.post(url, data={"status": "PENDING"}).status_code == 303
        assert queue.status(item) == "COMPLETED"


def test_any_observation_of_a_trace_is_looked_at_beside_the_form(
    engine: RunningEngine, visit: httpx.Client, queue: Queue
) -> None:
    trace, ids = support_trace(engine.client)
    judged = {"name": "judge", "value": 0.125, "traceId": trace, "observationId": ids["tool"]}
    engine.client.post("/api/public/scores", json=judged).raise_for_status()
    url = f"{queue.path}/items/{queue.add(trace, 'TRACE')}"
    assert f'href="{url}?observation={ids["tool"]}"' in page(visit, url)
    text = page(visit, f"{url}?observation={ids['tool']}")
    assert "The carrier answered 503" in text
    assert "0.125" not in text, "who scores is not led by a judge"


def test_who_only_reads_sees_queues_and_writes_nothing(engine: RunningEngine, queue: Queue) -> None:
    trace, _ = support_trace(engine.client)
    item = queue.add(trace, "TRACE")
    url = f"{queue.path}/items/{item}"
    with person(engine, "Hermes", "VIEWER") as reader:
        assert reader.get(f"{queue.path}/items").headers["location"] == url
        text = page(reader, url)
        assert "Your role in this project only reads." in text
        assert f'action="{url}"' not in text
        form = {"status": "PENDING", f"value-{queue.boolean}": "1"}
        assert reader.post(url, data=form).status_code == 403
    assert (queue.scores(), queue.status(item)) == ([], "PENDING")


@pytest.mark.parametrize("headers", [{"origin": "https://hermes.example"}, {"sec-fetch-site": "cross-site"}])
def test_a_form_of_another_site_completes_nothing(
    engine: RunningEngine, visit: httpx.Client, queue: Queue, headers: dict[str, str]
) -> None:
    trace, _ = support_trace(engine.client)
    item = queue.add(trace, "TRACE")
    form = {"status": "PENDING", f"value-{queue.boolean}": "1"}
    assert visit.post(f"{queue.path}/items/{item}", data=form, headers=headers).status_code == 403
    assert (queue.scores(), queue.status(item)) == ([], "PENDING")


def test_odd_addresses_of_queues_are_answered(visit: httpx.Client, queue: Queue) -> None:
    for path in ("/nope", "/nope/items", "/nope/items/nope", f"/{queue.id}/items/nope"):
        assert visit.get(f"{PROJECT}/annotation-queues{path}").status_code == 404, path
    assert visit.post(f"{queue.path}/items/nope", data={}).status_code == 404
    assert visit.get(f"{queue.path}?status=DONE").status_code == 400
    assert "No items: add one" in page(visit, queue.path)
    assert "All items are completed" in page(visit, f"{queue.path}/items?after=nope")
