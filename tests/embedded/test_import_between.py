"""`import FROM_URL=`: a project of another server through its API, all compared, interrupted and repeated."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.api.client import Api
from scripts.core.errors import UsageError
from scripts.data.transfer import between
from scripts.data.transfer.remote import source_of
from scripts.engines.context import Context
from scripts.settings.envfile import read_env

from .backups import QUICK, Stack, everything, fill, stack_in, write
from .spans import read, send, span, trace_id
from .test_media import Upload, outside

pytestmark = pytest.mark.slow

# What another project or the moment of writing changes.
OWN = {
    *("projectId", "createdAt", "updatedAt", "datasetId", "authorUserId", "promptId", "url", "urlExpiry"),
    *("internalModelId", "usagePricingTierId"),
}
EVERY_FIELD = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
SINCE = "2020-01-01T00:00:00Z"
RUN = trace_id()
ROOT = "51400000000000e1"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = stack_in(tmp_path_factory.mktemp("between") / "source", QUICK)
    stack.up()
    with stack.client() as client:
        fill(client, traces=100)
        describe(client)
    yield stack
    stack.stop()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Stack]:
    stack = stack_in(tmp_path / "target", QUICK)
    stack.up()
    yield stack
    stack.stop()


def describe(client: httpx.Client) -> None:
    """Write something of each kind that the API reads and writes."""
    _configs_and_scores(client)
    _prompts(client)
    _dataset_with_experiment(client)
    body = {"modelName": "athena-1", "matchPattern": "(?i)^athena-1$", "unit": "TOKENS"}
    write(client, "models", {**body, "inputPrice": 0.25, "outputPrice": 0.5})
    later = {"modelName": "athena-2", "startDate": "2026-01-01T00:00:00.000Z", "tokenizerId": "openai"}
    tiers = [{"name": "Standard", "isDefault": True, "priority": 0, "conditions": [], "prices": {"input": 1}}]
    write(client, "models", {**body, **later, "pricingTiers": tiers})


def _configs_and_scores(client: httpx.Client) -> None:
    tone = {"name": "tone", "dataType": "CATEGORICAL"}
    categories = [{"label": "warm", "value": 1}, {"label": "cold", "value": 0}]
    ids = {}
    for body in (
        {**tone, "categories": categories},
        {"name": "depth", "dataType": "NUMERIC", "minValue": 0, "maxValue": 5, "description": "how deep"},
        {"name": "done", "dataType": "BOOLEAN"},
        {"name": "gone", "dataType": "NUMERIC"},
    ):
        ids[body["name"]] = (
            client.post("/api/public/score-configs", json=body).raise_for_status().json()["id"]
        )
    trace = trace_id()
    send(client, span(trace, "judged", id="51400000000000a1", attributes={"session.id": "call-7"}))
    queue = {"name": "to look at", "description": "by people", "scoreConfigIds": [ids["tone"], ids["depth"]]}
    queue_id = client.post("/api/public/annotation-queues", json=queue).raise_for_status().json()["id"]
    items = f"annotation-queues/{queue_id}/items"
    write(client, items, {"objectType": "TRACE", "objectId": trace})
    write(client, items, {"objectType": "SESSION", "objectId": "call-7", "status": "COMPLETED"})
    scores: list[dict[str, Any]] = [
        {"name": "tone", "dataType": "CATEGORICAL", "value": "warm", "configId": ids["tone"],
         "traceId": trace, "source": "ANNOTATION", "queueId": queue_id},
        {"name": "depth", "dataType": "NUMERIC", "value": 4.5, "configId": ids["depth"], "traceId": trace,
         "observationId": "51400000000000a1", "metadata": {"why": ["long", 2]}, "environment": "staging"},
        {"name": "done", "dataType": "BOOLEAN", "value": 1, "configId": ids["done"], "sessionId": "call-7",
         "source": "ANNOTATION"},
        {"name": "gone", "dataType": "NUMERIC", "value": 1, "configId": ids["gone"], "traceId": trace},
        {"name": "free", "dataType": "TEXT", "value": "a remark", "traceId": trace, "source": "EVAL"},
    ]  # fmt: skip
    events = [
        {
            "id": f"event-{at}",
            "type": "score-create",
            "timestamp": f"2025-03-04T05:06:0{at}.000Z",
            "body": {"id": f"score-{at}", **score},
        }
        for at, score in enumerate(scores)
    ]
    answer = client.post("/api/public/ingestion", json={"batch": events}).raise_for_status().json()
    assert answer["errors"] == []
    client.patch(f"/api/public/score-configs/{ids['gone']}", json={"isArchived": True}).raise_for_status()
    # Since then the limit is lower than the score.
    client.patch(f"/api/public/score-configs/{ids['depth']}", json={"maxValue": 4}).raise_for_status()
    comment = {"projectId": "kosmos", "objectType": "SESSION", "objectId": "call-7", "content": "call again"}
    write(client, "comments", comment)


def _prompts(client: httpx.Client) -> None:
    for number, labels in ((2, ["staging"]), (3, []), (4, ["production"])):
        body = {
            "name": "greeting",
            "type": "text",
            "prompt": f"Hi {number}",
            "labels": labels,
            "tags": ["kept"],
        }
        write(
            client, "v2/prompts", {**body, "config": {"temperature": 0.5}, "commitMessage": f"the {number}"}
        )
    client.delete("/api/public/v2/prompts/greeting?version=3").raise_for_status()
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "{{question}}"}]
    write(client, "v2/prompts", {"name": "folder/chat", "type": "chat", "prompt": chat, "labels": ["eu"]})
    second = client.get("/api/public/v2/prompts/greeting", params={"version": 4}).json()["id"]
    comment = {"projectId": "kosmos", "objectType": "PROMPT", "objectId": second, "content": "the best one"}
    write(client, "comments", comment)
    used = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.prompt.name": "greeting",
        "langfuse.observation.prompt.version": 4,
        "langfuse.observation.model.name": "athena-1",
        "langfuse.observation.usage_details": '{"input": 3, "output": 4}',
        "langfuse.trace.tags": ["a", "b"],
        "langfuse.environment": "staging",
    }
    send(client, span(trace_id(), "greets", attributes=used))


def _dataset_with_experiment(client: httpx.Client) -> None:
    schema = {"type": "object"}
    dataset = {
        "name": "folder/golden",
        "description": "the best",
        "metadata": {"a": 1},
        "inputSchema": schema,
    }
    known = client.post("/api/public/v2/datasets", json=dataset).raise_for_status().json()["id"]
    picture = Upload(b"a drawing of the question")
    place = {"traceId": None, "datasetId": known, "datasetItemId": "first"}
    announced = picture.announce(client, **place).raise_for_status().json()
    assert picture.put(announced["uploadUrl"]).status_code == 200
    reported = {"uploadedAt": "2026-01-01T00:00:00Z", "uploadHttpStatus": 200}
    client.patch(f"/api/public/media/{announced['mediaId']}", json=reported).raise_for_status()
    token = f"@@@langfuseMedia:type=image/png|id={announced['mediaId']}|source=bytes@@@"
    item = {"datasetName": "folder/golden", "id": "first", "expectedOutput": 42, "sourceTraceId": RUN}
    for text in ("why", "why not", "why"):
        write(client, "dataset-items", {**item, "input": {"q": text, "drawing": token}})
        time.sleep(1.1)  # versions are found by the second in which they were written
    write(
        client, "dataset-items", {**item, "id": "second", "input": {"q": "how"}, "metadata": {"hard": True}}
    )
    experiment = {
        "langfuse.experiment.id": "0123456789abcdef",
        "langfuse.experiment.name": "first run",
        "langfuse.experiment.description": "with the new prompt",
        "langfuse.experiment.metadata": json.dumps({"model": "athena-1", "deep": {"er": "x"}}),
        "langfuse.experiment.dataset.id": known,
        "langfuse.experiment.item.id": "first",
        "langfuse.experiment.item.expected_output": "42",
        "langfuse.experiment.item.root_observation_id": ROOT,
        "langfuse.experiment.item.metadata": json.dumps({"kind": "hard"}),
    }
    shown = {"langfuse.observation.input": "why", "langfuse.observation.output": "41"}
    send(client, span(RUN, "item run", id=ROOT, attributes={**experiment, **shown}))
    send(client, span(RUN, "answers", parent=ROOT, attributes=experiment))
    run_score = {"name": "accuracy", "value": 0.5, "datasetRunId": "0123456789abcdef"}
    write(client, "scores", run_score)


def url_of(stack: Stack) -> str:
    """Return the address of a stack as the command gets it."""
    return f"http://127.0.0.1:{stack.context.environment['LANGFUSE_PORT']}"


def context_with_key(source: Stack, target: Stack, **environment: str) -> Context:
    """Return the context of the target with the key of the source in its environment."""
    keys = read_env(source.layout.credentials_dir / "kosmos.env").values()
    given = {
        "FROM_PUBLIC_KEY": keys["LANGFUSE_PUBLIC_KEY"],
        "FROM_SECRET_KEY": keys["LANGFUSE_SECRET_KEY"],
        **environment,
    }
    return target.with_environment(**given).context


def bring(source: Stack, target: Stack, *, dry_run: bool = False, **environment: str) -> int:
    """Import the project of the source into one of the target."""
    context = context_with_key(source, target, **environment)
    return between.load_from_server(
        context, project="zeus", base_url="", from_url=url_of(source), dry_run=dry_run
    )


def whole(client: httpx.Client) -> dict[str, Any]:
    """Return what a project holds, without ids that another project has for itself."""
    found = {**everything(client), "observations": read(client, fields=EVERY_FIELD, limit="1000")}
    del found["llm-connections"]  # their secret cannot be read
    configs = rows(client, "score-configs")
    names = {row["id"]: row["name"] for row in configs}
    queues = rows(client, "annotation-queues")
    calls = {row["id"]: row["name"] for row in queues}
    found["configs"] = [without(row, "id") for row in configs]
    found["queues"] = [
        {**without(row, "id"), "scoreConfigIds": sorted(names[one] for one in row["scoreConfigIds"])}
        for row in queues
    ]
    found["queue items"] = [
        without(item, "id", "queueId", "completedAt")
        for queue in queues
        for item in rows(client, f"annotation-queues/{queue['id']}/items")
    ]
    found["scores"] = [
        {**row, "configId": names.get(row.get("configId")), "queueId": calls.get(row.get("queueId"))}
        for row in rows(client, "v3/scores", fields="core,details,subject,annotation")
    ]
    found["models"] = [without(row, "id") for row in rows(client, "models") if not row["isLangfuseManaged"]]
    found["models"] = [{**row, "pricingTiers": [without(one, "id") for one in row["pricingTiers"]]}
                       for row in found["models"]]  # fmt: skip
    found["datasets"] = [without(row, "id") for row in rows(client, "v2/datasets")]
    found["prompt versions"] = [
        without(client.get(f"/api/public/v2/prompts/{row['name'].replace('/', '%2F')}",
                           params={"version": version}).json(), "id")
        for row in found["v2/prompts"]
        for version in row["versions"]
    ]  # fmt: skip
    found["v2/prompts"] = [without(row, "lastUpdatedAt") for row in found["v2/prompts"]]
    versions = {row["id"]: (row["name"], 4) for row in [
        client.get("/api/public/v2/prompts/greeting", params={"version": 4}).json()]}  # fmt: skip
    found["comments"] = [
        {**without(row, "id"), "objectId": versions.get(row["objectId"], row["objectId"])}
        for row in rows(client, "comments")
    ]
    since = {"fromStartTime": SINCE}
    found["experiments"] = rows(client, "experiments", fields="core,metadata", **since)
    item_fields = "core,dataset,io,metadata,itemMetadata,experimentMetadata"
    found["experiment items"] = [
        without(row, "experimentDatasetId")
        for row in rows(client, "experiment-items", fields=item_fields, **since)
    ]
    return {kind: comparable(value) for kind, value in found.items()}


def rows(client: httpx.Client, path: str, **query: str) -> list[dict[str, Any]]:
    """Return the rows of a list."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {}
    while True:
        answer = client.get(f"/api/public/{path}", params={**query, "limit": "100", **page})
        content = answer.raise_for_status().json()
        found += content["data"]
        if cursor := content["meta"].get("cursor"):
            page = {"cursor": cursor}
        elif content["meta"].get("page", 1) < content["meta"].get("totalPages", 1):
            page = {"page": content["meta"]["page"] + 1}
        else:
            return found


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: comparable(one) for key, one in value.items() if key not in OWN}
    if isinstance(value, list):
        return sorted((comparable(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


def differing(wanted: dict[str, Any], found: dict[str, Any]) -> list[Any]:
    """Return the rows of all kinds but scores that are on one side only."""
    return [
        (kind, row)
        for kind in set(wanted) - {"scores"}
        for one, other in ((wanted[kind], found[kind]), (found[kind], wanted[kind]))
        for row in one
        if row not in other
    ]


def versions_of(client: httpx.Client, item: str) -> list[Any]:
    """Return the inputs that an item had, the last one first: from each, what was there a moment before."""
    found: list[Any] = []
    current = client.get(f"/api/public/dataset-items/{item}").json()
    while current:
        found.append(current["input"])
        before = datetime.fromisoformat(current["createdAt"]) - timedelta(milliseconds=1)
        query = {"datasetName": "folder/golden", "version": before.isoformat(), "limit": "100"}
        page = client.get("/api/public/dataset-items", params=query).raise_for_status().json()["data"]
        current = next((row for row in page if row["id"] == item), None)
    return found


def test_everything_that_the_api_gives_arrives_with_its_ids_and_times(source: Stack, target: Stack) -> None:
    assert bring(source, target) == 0
    with source.client() as before, target.client("zeus") as after:
        wanted, found = whole(before), whole(after)
        assert versions_of(after, "first") == versions_of(before, "first")
        assert len(versions_of(after, "first")) == 3
        shown = after.get("/api/public/dataset-items/first").json()["input"]["drawing"]
        media = after.get(f"/api/public/media/{shown.split('id=')[1].split('|')[0]}").json()
        assert outside("GET", media["url"]).content == b"a drawing of the question"
    different = differing(wanted, found)
    assert not different, json.dumps(different, indent=1)
    assert len(wanted["observations"]) == 504
    by_id = [sorted(one["scores"], key=lambda row: str(row["id"])) for one in (found, wanted)]
    for one, two in zip(*by_id, strict=True):
        # With what the config says now the server takes neither the score of the archived one nor 4.5 of 4.
        config = None if two["name"] == "depth" else two["configId"]
        assert one == {**two, "configId": config}
    assert not (target.layout.stack_dir / "import").exists() or not list(
        (target.layout.stack_dir / "import").iterdir()
    )
    said = " ".join(target.screen.out.getvalue().split())
    assert "What the API does not give or take" in said
    assert "LLM connections to set up anew, with their secret: athena" in " ".join(
        target.screen.err.getvalue().split()
    )


def test_a_repeated_import_changes_nothing(source: Stack, target: Stack) -> None:
    assert bring(source, target) == 0
    with target.client("zeus") as client:
        first, versions = whole(client), versions_of(client, "first")
        assert bring(source, target) == 0
        assert whole(client) == first
        assert versions_of(client, "first") == versions


class Stop(KeyboardInterrupt):
    """The process is killed."""


@pytest.mark.parametrize("calls", [3, 12, 30, 60])
def test_an_import_that_was_interrupted_goes_on(
    source: Stack, target: Stack, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any call: while it reads, between two versions of a prompt, between sending and noting that."""
    real, made = Api.request, 0

    def counted(self: Api, method: str, path: str, **options: Any) -> httpx.Response:
        nonlocal made
        made += 1
        answer = real(self, method, path, **options)
        if made == calls:
            raise Stop
        return answer

    monkeypatch.setattr(Api, "request", counted)
    monkeypatch.setattr("scripts.data.transfer.journal.SETTLED_S", 0.5)
    with pytest.raises(Stop):
        bring(source, target)
    assert bring(source, target) == 0
    with source.client() as before, target.client("zeus") as after:
        wanted, found = whole(before), whole(after)
        assert len(versions_of(after, "first")) == 3
    different = differing(wanted, found)
    assert not different, json.dumps(different, indent=1)
    assert len(found["scores"]) == len(wanted["scores"])


def test_a_limit_of_requests_is_waited_for_as_long_as_the_server_asks(
    source: Stack, target: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, limited = httpx.Client.request, 20
    waited: list[float | None] = []

    def limiting(self: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
        nonlocal limited
        if limited and method == "GET" and "v2/observations" in str(url) and "json" in options:
            limited -= 1
            return httpx.Response(
                429, headers={"Retry-After": "59"}, request=httpx.Request(method, "http://x")
            )
        return real(self, method, url, **options)

    monkeypatch.setattr(httpx.Client, "request", limiting)
    monkeypatch.setattr("threading.Event.wait", lambda _, seconds=None: bool(waited.append(seconds)))
    with source_of(context_with_key(source, target), url_of(source)) as api:
        assert len(api.get("v2/observations", limit=10)["data"]) == 10
    assert waited == [59.0] * 20
    assert "limit of requests: going on in 59 s" in " ".join(target.screen.err.getvalue().split())


def test_what_would_come_is_shown_without_a_change(source: Stack, target: Stack) -> None:
    assert bring(source, target, dry_run=True) == 0
    said = " ".join(target.screen.out.getvalue().split())
    assert "dataset items 3" in said
    assert "score configs 4" in said
    assert all(what in said for what in between.LOST)
    assert not (target.layout.stack_dir / "import").exists()
    with target.client("zeus") as client:
        assert read(client) == []


def test_without_a_key_or_from_a_project_into_itself_nothing_is_read(source: Stack, target: Stack) -> None:
    with pytest.raises(UsageError, match="There is no key for") as caught:
        bring(source, target, FROM_SECRET_KEY="")
    assert "FROM_PUBLIC_KEY and FROM_SECRET_KEY" in caught.value.fix
    with pytest.raises(UsageError, match="imported into itself"):
        between.load_from_server(
            context_with_key(source, source),
            project="kosmos",
            base_url="",
            from_url=url_of(source),
            dry_run=False,
        )


def test_a_server_before_version_4_is_refused_with_what_to_do(target: Stack) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("health"):
            return httpx.Response(200, json={"status": "OK", "version": "2.95.0"})
        return httpx.Response(404, json={"message": "not found"})

    old = Api("http://old.acme.example", ("pk", "sk"), transport=httpx.MockTransport(answer))
    with old as api, pytest.raises(UsageError) as caught:
        between.refuse_older(api)
    assert "is 2.95.0 and has no list of observations" in caught.value.message
    assert "upgrade it to version 4" in caught.value.fix
