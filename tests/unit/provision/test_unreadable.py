"""One object that a server does not give stops no command for all others, unless a file is about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scripts.api.errors import ObjectRefused
from scripts.provision.export import files_of, read_everything
from scripts.provision.kinds.prompts import Prompts
from scripts.provision.resources import Wanted
from scripts.provision.server import Server

LONG = "n" * 70_000
GOOD = {"name": "good", "type": "text", "version": 1, "prompt": "Hi", "config": {}, "labels": [], "tags": []}


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/v2/prompts"):
        names = ("good", LONG, "broken", "empty")
        rows = [{"name": name, "versions": [1], "labels": [], "tags": [], "type": "text"} for name in names]
        return httpx.Response(200, json={"data": rows, "meta": {"totalPages": 1}})
    name = request.url.path.rsplit("/", 1)[1]
    if name == "datasets":
        rows = [{"id": name[:4], "name": name} for name in ("good", LONG)]
        return httpx.Response(200, json={"data": rows, "meta": {"totalPages": 1}})
    if name == "dataset-items":
        if request.url.params["datasetName"] == LONG:
            return httpx.Response(414, text="URI too long")
        item = {"id": "one", "datasetName": "good", "status": "ACTIVE", "input": 1}
        return httpx.Response(200, json={"data": [item], "meta": {"totalPages": 1}})
    if name != "good" and "prompts" not in request.url.path:
        return httpx.Response(200, json={"data": [], "meta": {"totalPages": 1}})
    if name == "broken":
        return httpx.Response(500, json={"message": "Internal Server Error"})
    return httpx.Response(200, json={**GOOD}) if name == "good" else httpx.Response(404, json={})


@pytest.fixture
def server() -> Iterator[Server]:
    with Server("http://127.0.0.1:9", "pk", "sk", transport=httpx.MockTransport(answer)) as opened:
        yield opened


def wanted(name: str) -> Wanted:
    version: dict[str, Any] = {"prompt": "Hi", "config": {}, "labels": [], "commitMessage": None}
    return Wanted(name, {"type": "text", "tags": [], "versions": [version]}, 0)


def test_prompts_that_cannot_be_read_are_named_and_left_alone(server: Server) -> None:
    found = Prompts().found(server, [wanted("good")])
    assert [one.key for one in found] == ["good"]
    assert Prompts().compare(wanted("good"), found[0]) is None
    lines = sorted(server.unreadable)
    assert [line.split(" cannot be read")[0] for line in lines] == [
        "prompt broken",
        "prompt empty",
        f"prompt {'n' * 60}... (70,000 characters)",
    ]
    assert "answers 500" in lines[0]
    assert all(len(line) < 400 for line in lines)


@pytest.mark.parametrize("name", ["broken", LONG])
def test_one_that_a_file_is_about_is_an_error_with_a_short_text(server: Server, name: str) -> None:
    with pytest.raises(ObjectRefused) as caught:
        Prompts().found(server, [wanted(name)])
    assert len(str(caught.value)) < 2000


def test_an_export_leaves_out_a_dataset_whose_items_cannot_be_read(server: Server) -> None:
    files = {file.path: file.text for file in files_of(read_everything(server))}
    assert "name: good" in files["datasets.yaml"]
    assert LONG not in files["datasets.yaml"]
    assert [line.split(" cannot be read")[0] for line in server.unreadable if "dataset" in line] == [
        f"dataset {'n' * 60}... (70,000 characters)"
    ]
