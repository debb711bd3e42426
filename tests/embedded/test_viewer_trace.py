"""One trace in the viewer: what is marked in it, what is shown beside it, and the forms that write."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from langfuse_embedded.provisioning import provision

from .harness import RunningEngine
from .spans import send, span, span_id, trace_id
from .viewer_client import sign_in, visitor
from .viewer_data import ANSWER, support_trace

PROJECT = "/project/kosmos-support"
OBSERVATION = "langfuse.observation."
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture(scope="module")
def visit(engine: RunningEngine) -> Iterator[httpx.Client]:
    with visitor(engine.base_url) as client:
        yield client


def page(visit: httpx.Client, path: str, **query: str) -> str:
    answer = visit.get(PROJECT + path, params=query or None)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return answer.text


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def tree_row(text: str, observation: str) -> str:
    found = re.search(rf'<tr id="o-{observation}".*?</tr>', text, re.DOTALL)
    assert found is not None
    return found[0]


def test_the_number_of_errors_leads_to_the_first_one(engine: RunningEngine, visit: httpx.Client) -> None:
    trace, ids = support_trace(engine.client)
    text = page(visit, f"/traces/{trace}")
    link = f"{PROJECT}/traces/{trace}?observation={ids['tool']}#o-{ids['tool']}"
    assert f'<a class="level error" href="{link}">1 error</a>' in text
    assert "The carrier answered 503" in visit.get(link).text


def test_the_critical_path_and_instants_are_marked_in_the_waterfall(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, root, slow, quick = trace_id(), span_id(), span_id(), span_id()
    send(
        engine.client,
        span(trace, "root", id=root, start=1_700_000_000_000, duration=1000),
        span(trace, "slow", id=slow, parent=root, start=1_700_000_000_000, duration=900),
        span(trace, "quick", id=quick, parent=root, start=1_700_000_000_100, duration=0),
    )
    text = page(visit, f"/traces/{trace}")
    assert "critical" in tree_row(text, slow)
    assert "<rect" in tree_row(text, slow)
    assert "critical" not in tree_row(text, quick)
    assert "<circle" in tree_row(text, quick)
    said = words(page(visit, f"/traces/{trace}", observation=root))
    assert "Own time 100 ms" in said
    assert "Critical path yes" in said


def test_times_without_a_child_are_marked_and_the_longest_is_named(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, root, first, second = trace_id(), span_id(), span_id(), span_id()
    send(
        engine.client,
        span(trace, "root", id=root, start=1_700_000_000_000, duration=1000),
        span(trace, "first", id=first, parent=root, start=1_700_000_000_000, duration=250),
        span(trace, "second", id=second, parent=root, start=1_700_000_000_750, duration=250),
    )
    text = page(visit, f"/traces/{trace}")
    assert '<rect class="gap" x="25.0%" width="50.0%"' in tree_row(text, root)
    assert "gap" not in tree_row(text, first)
    assert "Longest gap 500 ms at 250 ms" in words(text)
    assert "Longest gap" not in words(page(visit, f"/traces/{trace}", observation=first))


def test_a_text_is_found_within_an_observation_and_what_hides_it_is_opened(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, root = trace_id(), span_id()
    long = {f"field-{number}": number for number in range(40)}
    attributes = {
        f"{OBSERVATION}input": json.dumps({"rest": long, "order": {**long, "parcel": "4711"}}),
        f"{OBSERVATION}output": "The Parcel is late.",
        f"{OBSERVATION}metadata.parcel": "none",
    }
    send(engine.client, span(trace, id=root, attributes=attributes))
    path = f"/traces/{trace}"
    text = page(visit, path, observation=root, find="parcel")
    assert "3 found: 1 2 3" in words(text)
    assert '"<mark id="hit-1">parcel</mark>"' in text.replace("&#34;", '"')
    assert 'The <mark id="hit-2">Parcel</mark> is late.' in text
    assert '<dt><bdi><mark id="hit-3">parcel</mark></bdi></dt>' in text
    assert text.count('<details class="fold" open>') == 1
    assert text.count('<details class="fold">') == 1
    assert 'value="parcel"' in text
    assert "Nothing found." in words(page(visit, path, observation=root, find="nowhere"))
    plain = page(visit, path, observation=root)
    assert "<mark" not in plain
    assert 'name="find"' in plain
    # What the SDK says of itself is folded, unless it has what is looked for.
    assert "<details open><summary>From the SDK" in page(visit, path, find="resourceAttributes")


def test_scores_and_comments_stand_in_header_tree_and_detail(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, ids = support_trace(engine.client)
    for score in (
        {"name": "helpful", "value": 0.9, "traceId": trace},
        {"name": "tone", "value": "kind", "traceId": trace, "observationId": ids["answer"]},
    ):
        assert engine.client.post("/api/public/scores", json=score).status_code == 200
    for kind, target, content in (
        ("TRACE", trace, "Look at the carrier first."),
        ("OBSERVATION", ids["tool"], "It was down all morning."),
    ):
        comment = {"objectType": kind, "objectId": target, "content": content, "projectId": "kosmos-support"}
        assert engine.client.post("/api/public/comments", json=comment).status_code == 200
    text = page(visit, f"/traces/{trace}", observation=ids["tool"])
    head = words(text.partition('<div class="panes">')[0])
    assert "helpful 0.9" in head
    assert "Look at the carrier first." in head
    assert "tone kind" in words(tree_row(text, ids["answer"]))
    assert "1 comment" in words(tree_row(text, ids["tool"]))
    assert "It was down all morning." in words(text.partition('<section class="detail"')[2])


def test_what_the_sdk_says_of_itself_is_folded_below_what_people_attached(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, _ = support_trace(engine.client)
    text = page(visit, f"/traces/{trace}")
    own, _, folded = text.partition("<details><summary>From the SDK</summary>")
    assert "channel" in own.partition("<h3>Metadata</h3>")[2]
    assert "resourceAttributes" not in own
    assert "resourceAttributes" in folded


def upload(engine: RunningEngine, trace: str, content: bytes, content_type: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    announced = engine.client.post(
        "/api/public/media",
        json={
            "traceId": trace,
            "contentType": content_type,
            "contentLength": len(content),
            "sha256Hash": digest,
            "field": "input",
        },
    ).json()
    headers = {"content-type": content_type, "x-amz-checksum-sha256": digest}
    assert httpx.put(announced["uploadUrl"], content=content, headers=headers).status_code == 200
    report = {"uploadedAt": "2026-01-01T00:00:00Z", "uploadHttpStatus": 200, "uploadHttpError": None}
    assert engine.client.patch(f"/api/public/media/{announced['mediaId']}", json=report).is_success
    return str(announced["mediaId"])


def test_images_are_shown_and_what_could_run_is_a_file_to_keep(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, root = trace_id(), span_id()
    image, drawing = upload(engine, trace, PNG, "image/png"), upload(engine, trace, SVG, "image/svg+xml")
    said = [
        {"role": "user", "content": f"@@@langfuseMedia:type={kind}|id={one}|source=bytes@@@"}
        # The second one lies about what it is: the record decides.
        for kind, one in (("image/png", image), ("image/png", drawing))
    ]
    attributes = {f"{OBSERVATION}input": json.dumps(said)}
    send(engine.client, span(trace, id=root, attributes=attributes))
    text = page(visit, f"/traces/{trace}")
    assert f'<img src="{PROJECT}/media/{image}"' in text
    shown = visit.get(f"{PROJECT}/media/{image}")
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")
    kept = visit.get(f"{PROJECT}/media/{drawing}")
    assert kept.headers["content-type"] == "application/octet-stream"
    assert kept.headers["content-disposition"].startswith("attachment")
    for answer in (shown, kept):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert visit.get(f"{PROJECT}/media/nope").status_code == 404
    with httpx.Client(base_url=engine.base_url) as stranger:
        assert stranger.get(f"{PROJECT}/media/{image}").status_code == 303


def make_config(engine: RunningEngine, **fields: object) -> str:
    answer = engine.client.post("/api/public/score-configs", json={"name": f"c{span_id()}", **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def scores_of(engine: RunningEngine, trace: str) -> list[dict[str, object]]:
    answer = engine.client.get(
        "/api/public/v3/scores", params={"traceId": trace, "fields": "core,details,subject,annotation"}
    )
    found: list[dict[str, object]] = answer.json()["data"]
    return found


def test_a_person_scores_an_observation_and_its_trace(engine: RunningEngine, visit: httpx.Client) -> None:
    trace, ids = support_trace(engine.client)
    numeric = make_config(engine, dataType="NUMERIC", minValue=0, maxValue=1)
    category = make_config(
        engine,
        dataType="CATEGORICAL",
        categories=[{"label": "good", "value": 1}, {"label": "bad", "value": 0}],
    )
    text = page(visit, f"/traces/{trace}", observation=ids["answer"])
    assert f'<input type="hidden" name="config" value="{numeric}">' in text
    assert "<option>good</option>" in text
    url = f"{PROJECT}/traces/{trace}/scores"
    form = {
        "observation": ids["answer"],
        "config": numeric,
        "value": "0.25",
        "of": "observation",
        "comment": "so",
    }
    answer = visit.post(url, data=form)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{PROJECT}/traces/{trace}?observation={ids['answer']}"
    assert (
        visit.post(url, data={**form, "config": category, "value": "bad", "of": "trace"}).status_code == 303
    )
    found = {one["configId"]: one for one in scores_of(engine, trace)}
    assert found[numeric]["value"] == 0.25
    assert found[numeric]["source"] == "ANNOTATION"
    assert found[numeric]["comment"] == "so"
    assert found[numeric]["subject"] == {"kind": "observation", "id": ids["answer"], "traceId": trace}
    assert found[category]["value"] == "bad"
    assert found[category]["subject"] == {"kind": "trace", "id": trace}


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"value": "7"}, 400, "does not take this value"),
        ({"value": "much"}, 400, "is to be a number"),
        ({"config": "nope"}, 404, "score config"),
        ({"observation": "nope"}, 404, "observation"),
    ],
)
def test_a_score_that_does_not_fit_is_refused_with_the_reason(
    engine: RunningEngine, visit: httpx.Client, changes: dict[str, str], status: int, said: str
) -> None:
    trace, ids = support_trace(engine.client)
    config = make_config(engine, dataType="NUMERIC", minValue=0, maxValue=1)
    form = {"observation": ids["root"], "config": config, "value": "1", **changes}
    answer = visit.post(f"{PROJECT}/traces/{trace}/scores", data=form)
    assert answer.status_code == status
    assert said in words(answer.text)
    assert scores_of(engine, trace) == []


def test_an_observation_becomes_a_dataset_item(engine: RunningEngine, visit: httpx.Client) -> None:
    trace, ids = support_trace(engine.client)
    name = f"golden {span_id()}"
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    created = engine.client.post(
        "/api/public/v2/datasets", json={"name": name, "expectedOutputSchema": schema}
    )
    assert created.is_success, created.text
    text = page(visit, f"/traces/{trace}", observation=ids["root"])
    assert f"<option>{name}</option>" in text
    assert ANSWER in text.partition("<textarea")[2].partition("</textarea>")[0]
    url = f"{PROJECT}/traces/{trace}/dataset-items"
    form = {"observation": ids["root"], "dataset": name, "expected": '{"answer": "On Wednesday"}'}
    refused = visit.post(url, data={**form, "expected": "{}"})
    assert refused.status_code == 400
    assert "Expected output validation failed" in words(refused.text)
    assert visit.post(url, data=form).status_code == 303
    items = engine.client.get("/api/public/dataset-items", params={"datasetName": name}).json()["data"]
    assert [(one["input"], one["expectedOutput"]) for one in items] == [
        ("Where is my order 4711?\nIt was due on Monday.", {"answer": "On Wednesday"})
    ]
    assert (items[0]["sourceTraceId"], items[0]["sourceObservationId"]) == (trace, ids["root"])
    assert visit.post(url, data={**form, "dataset": "nope"}).status_code == 404


def test_an_observation_and_its_trace_are_put_into_a_queue_once(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    trace, ids = support_trace(engine.client)
    config = make_config(engine, dataType="BOOLEAN")
    name = f"Answers {span_id()}"
    made = engine.client.post(
        "/api/public/annotation-queues", json={"name": name, "scoreConfigIds": [config]}
    ).json()
    path = f"/traces/{trace}"
    text = page(visit, path, observation=ids["answer"])
    assert f'<option value="{made["id"]}">{name}</option>' in text
    assert f"in {name}" not in words(text)
    url = f"{PROJECT}{path}/annotation-queue-items"
    form = {"observation": ids["answer"], "queue": made["id"], "of": "observation"}
    for _ in range(2):
        answer = visit.post(url, data=form)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{PROJECT}{path}?observation={ids['answer']}"
    assert visit.post(url, data={**form, "of": "trace"}).status_code == 303
    items = engine.client.get(f"/api/public/annotation-queues/{made['id']}/items").json()["data"]
    assert {(one["objectType"], one["objectId"], one["status"]) for one in items} == {
        ("OBSERVATION", ids["answer"], "PENDING"),
        ("TRACE", trace, "PENDING"),
    }
    assert len(items) == 2
    said = words(page(visit, path, observation=ids["answer"]))
    assert f"Observation waits in {name}" in said
    assert f"Trace waits in {name}" in said
    said = words(page(visit, path, observation=ids["root"]))
    assert f"Observation waits in {name}" not in said
    assert f"Trace waits in {name}" in said
    [item] = [one["id"] for one in items if one["objectType"] == "OBSERVATION"]
    done = engine.client.patch(
        f"/api/public/annotation-queues/{made['id']}/items/{item}", json={"status": "COMPLETED"}
    )
    assert done.is_success
    assert f"Observation is completed in {name}" in words(page(visit, path, observation=ids["answer"]))
    # What was worked off may be looked at again.
    assert visit.post(url, data=form).status_code == 303
    items = engine.client.get(f"/api/public/annotation-queues/{made['id']}/items").json()["data"]
    assert len(items) == 3
    assert visit.post(url, data={**form, "queue": "nope"}).status_code == 404
    assert visit.post(url, data={**form, "observation": "nope"}).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://hermes.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)
@pytest.mark.parametrize("form", ["scores", "dataset-items", "annotation-queue-items"])
def test_forms_of_other_sites_write_nothing(
    engine: RunningEngine, visit: httpx.Client, form: str, headers: dict[str, str]
) -> None:
    trace, ids = support_trace(engine.client)
    config = make_config(engine, dataType="BOOLEAN")
    name = f"set {span_id()}"
    engine.client.post("/api/public/v2/datasets", json={"name": name}).raise_for_status()
    queues = "/api/public/annotation-queues"
    queue = engine.client.post(queues, json={"name": name, "scoreConfigIds": [config]}).json()["id"]
    fields = {"observation": ids["root"], "config": config, "value": "1", "dataset": name, "queue": queue}
    answer = visit.post(f"{PROJECT}/traces/{trace}/{form}", data=fields, headers=headers)
    assert answer.status_code == 403
    assert engine.client.get(f"{queues}/{queue}/items").json()["data"] == []
    assert scores_of(engine, trace) == []
    assert engine.client.get("/api/public/dataset-items", params={"datasetName": name}).json()["data"] == []


def test_forms_are_for_who_signed_in(engine: RunningEngine) -> None:
    trace, ids = support_trace(engine.client)
    with httpx.Client(base_url=engine.base_url) as stranger:
        answer = stranger.post(f"{PROJECT}/traces/{trace}/scores", data={"observation": ids["root"]})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/auth/sign-in")


def test_who_only_reads_sees_no_forms_and_writes_nothing(engine: RunningEngine) -> None:
    trace, ids = support_trace(engine.client)
    config = make_config(engine, dataType="BOOLEAN")
    email, password = "hermes@acme.example", "reads-only-password"
    user = {"email": email, "name": "Hermes", "password": password, "role": "VIEWER"}
    line = {"organizationId": "acme", "organizationName": "Acme", "user": user}
    provision(engine.data_dir, "", io.StringIO(json.dumps(line)), io.StringIO())
    signed_in = sign_in(engine.base_url, email, password)
    with httpx.Client(base_url=engine.base_url, cookies=signed_in.cookies) as visit:
        assert 'method="post" action="/project/' not in page(visit, f"/traces/{trace}")
        fields = {"observation": ids["root"], "config": config, "value": "1"}
        for form in ("scores", "dataset-items", "annotation-queue-items"):
            answer = visit.post(f"{PROJECT}/traces/{trace}/{form}", data=fields)
            assert answer.status_code == 403
            assert "Your role in this project only reads." in answer.text
        assert scores_of(engine, trace) == []
