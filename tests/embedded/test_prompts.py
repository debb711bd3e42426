"""Prompts as clients use them: versions, labels, folders, composition, deletion, lists."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

PROMPTS = "/api/public/v2/prompts"


def fresh(name: str) -> str:
    """Return a name that no other test uses."""
    return f"{name}-{uuid4().hex[:8]}"


def create(client: httpx.Client, name: str, prompt: Any = "Hello", **rest: Any) -> dict[str, Any]:
    """Create a version and return it."""
    kind = "chat" if isinstance(prompt, list) else "text"
    answer = client.post(PROMPTS, json={"name": name, "type": kind, "prompt": prompt, **rest})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def get(client: httpx.Client, name: str, **query: Any) -> httpx.Response:
    """Read a prompt by its name, slashes and all."""
    return client.get(f"{PROMPTS}/{quote(name, safe='')}", params=query)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and message of an error."""
    return answer.status_code, answer.json()["message"]


def test_a_new_version_takes_labels_and_latest_from_older_ones(client: httpx.Client) -> None:
    name = fresh("zeus")
    create(client, name, "v1", labels=["production", "staging"])
    second = create(client, name, "v2", labels=["production"])
    assert (second["version"], second["labels"]) == (2, ["production", "latest"])
    first = get(client, name, version=1).json()
    assert (first["prompt"], first["labels"], first["isActive"]) == ("v1", ["staging"], False)
    assert get(client, name).json()["version"] == 2
    assert get(client, name, label="staging").json()["version"] == 1


def test_a_version_can_be_rolled_back_by_moving_its_label(client: httpx.Client) -> None:
    name = fresh("athena")
    create(client, name, "old", labels=["production"])
    create(client, name, "new", labels=["production"])
    moved = client.patch(f"{PROMPTS}/{name}/versions/1", json={"newLabels": ["production"]})
    assert (moved.status_code, moved.json()["labels"]) == (200, ["production"])
    assert get(client, name).json()["prompt"] == "old"
    assert get(client, name, version=2).json()["labels"] == ["latest"]


@pytest.mark.parametrize(("version", "number"), [("7", "7"), ("one", "NaN"), ("1.5", "1.5")])
def test_labels_of_a_version_that_does_not_exist_cannot_be_changed(
    client: httpx.Client, version: str, number: str
) -> None:
    """The server takes `Number()` of the path's part (promptVersionHandler.ts)."""
    name = fresh("athena")
    create(client, name)
    answer = client.patch(f"{PROMPTS}/{name}/versions/{version}", json={"newLabels": ["x"]})
    assert refusal(answer) == (404, f"Prompt '{name}' version {number} not found in project")


def test_a_name_with_slashes_is_one_prompt_in_a_folder(client: httpx.Client) -> None:
    name = f"support/{fresh('triage')}/answer"
    created = create(client, name, labels=["production"])
    assert get(client, name).json()["id"] == created["id"]
    assert client.get(f"{PROMPTS}/{name}").status_code == 404


def test_tags_and_config_stay_with_the_prompt_and_the_version(client: httpx.Client) -> None:
    name = fresh("hermes")
    create(client, name, tags=["kosmos", "kosmos", "mail"], config={"model": "m", "n": None})
    second = create(client, name, "v2")
    assert (second["tags"], second["config"]) == (["kosmos", "mail"], {})
    create(client, name, "v3", tags=["other"])
    assert get(client, name, version=1).json()["tags"] == ["other"]
    assert get(client, name, version=1).json()["config"] == {"model": "m", "n": None}


def test_the_type_of_a_prompt_cannot_change(client: httpx.Client) -> None:
    name = fresh("kosmos")
    create(client, name, "text")
    answer = client.post(PROMPTS, json={"name": name, "type": "chat", "prompt": []})
    message = "Previous versions have different prompt type. Create a new prompt with a different name."
    assert refusal(answer) == (400, message)


def test_a_chat_prompt_keeps_placeholders_and_drops_unknown_keys(client: httpx.Client) -> None:
    messages = [
        {"role": "system", "content": "Be {{style}}", "name": "x"},
        {"type": "placeholder", "name": "history"},
    ]
    created = create(client, fresh("chat"), messages)
    assert created["prompt"] == [
        {"role": "system", "content": "Be {{style}}"},
        {"type": "placeholder", "name": "history"},
    ]


def test_a_variable_and_a_placeholder_cannot_share_a_name(client: httpx.Client) -> None:
    messages = [{"role": "user", "content": "{{history}}"}, {"type": "placeholder", "name": "history"}]
    answer = client.post(PROMPTS, json={"name": fresh("clash"), "type": "chat", "prompt": messages})
    assert refusal(answer) == (
        400,
        "Cannot create prompt, variables and placeholders must be unique, the following are not: history",
    )


def test_included_prompts_are_resolved_on_reading_with_their_graph(client: httpx.Client) -> None:
    inner, outer = fresh("inner"), fresh("outer")
    child = create(client, inner, 'He said "{{x}}" \\1 $1\n', labels=["production"])
    tag = f"@@@langfusePrompt:name={inner}|label=production@@@"
    parent = create(client, outer, [{"role": "user", "content": f"A {tag} B"}], labels=["production"])
    resolved = get(client, outer).json()
    assert resolved["prompt"] == [{"role": "user", "content": 'A He said "{{x}}" \\1 $1\n B'}]
    assert resolved["resolutionGraph"] == {
        "root": {"name": outer, "version": 1, "id": parent["id"]},
        "dependencies": {parent["id"]: [{"id": child["id"], "name": inner, "version": 1}]},
    }
    raw = get(client, outer, resolve="false").json()
    assert (raw["prompt"][0]["content"], raw["resolutionGraph"]) == (f"A {tag} B", None)


def test_a_prompt_that_includes_itself_or_nothing_is_refused(client: httpx.Client) -> None:
    name = fresh("loop")
    create(client, name, "start")
    body = {"name": name, "prompt": f"@@@langfusePrompt:name={name}|version=1@@@"}
    assert refusal(client.post(PROMPTS, json=body)) == (
        400,
        f"Circular dependency detected involving prompt '{name}' version 1",
    )
    body = {"name": fresh("lost"), "prompt": "@@@langfusePrompt:name=nowhere|version=3@@@"}
    assert refusal(client.post(PROMPTS, json=body)) == (
        400,
        "Prompt dependency not found: nowhere - version 3",
    )


def test_a_chat_prompt_cannot_be_included(client: httpx.Client) -> None:
    name = fresh("chat")
    create(client, name, [{"role": "user", "content": "x"}])
    body = {"name": fresh("outer"), "prompt": f"@@@langfusePrompt:name={name}|version=1@@@"}
    assert refusal(client.post(PROMPTS, json=body)) == (
        400,
        f"Prompt dependency is not a text prompt: {name} - version 1",
    )


def test_inclusions_deeper_than_five_are_refused(client: httpx.Client) -> None:
    names = [fresh(f"level{depth}") for depth in range(6)]
    create(client, names[0], "bottom")
    for below, name in pairwise(names[:5]):
        create(client, name, f"@@@langfusePrompt:name={below}|version=1@@@")
    assert get(client, names[4], version=1).json()["prompt"] == "bottom"
    body = {"name": names[5], "prompt": f"@@@langfusePrompt:name={names[4]}|version=1@@@"}
    assert refusal(client.post(PROMPTS, json=body)) == (400, "Maximum nesting depth exceeded (5)")


@pytest.mark.parametrize(
    "tag", ["name=a", "label=x|name=a", "name=a|version=one", "name=a|label=x|version=1", "name=|version=1"]
)
def test_a_malformed_tag_stays_text(client: httpx.Client, tag: str) -> None:
    name = fresh("text")
    create(client, name, f"@@@langfusePrompt:{tag}@@@")
    assert get(client, name, label="latest").json()["prompt"] == f"@@@langfusePrompt:{tag}@@@"


def test_a_prompt_that_another_includes_cannot_be_deleted(client: httpx.Client) -> None:
    inner, outer = fresh("inner"), fresh("outer")
    create(client, inner, "text", labels=["production"])
    create(client, outer, f"@@@langfusePrompt:name={inner}|label=production@@@")
    status, message = refusal(client.delete(f"{PROMPTS}/{inner}"))
    assert status == 400
    assert message.splitlines()[2] == f"{outer} v1 depends on {inner} production"
    assert client.delete(f"{PROMPTS}/{outer}").status_code == 204
    assert client.delete(f"{PROMPTS}/{inner}").status_code == 204


def test_deleting_the_latest_version_gives_latest_to_the_one_before(client: httpx.Client) -> None:
    name = fresh("delete")
    for text in ("v1", "v2", "v3"):
        create(client, name, text)
    assert client.delete(f"{PROMPTS}/{name}", params={"version": 3}).status_code == 204
    assert get(client, name, label="latest").json()["version"] == 2
    assert client.delete(f"{PROMPTS}/{name}", params={"label": "latest"}).status_code == 204
    assert get(client, name, label="latest").json()["version"] == 1
    # Numbers go on from the highest that is left, as on the server.
    assert create(client, name, "again")["version"] == 2
    both = client.delete(f"{PROMPTS}/{name}", params={"label": "latest", "version": 1})
    assert refusal(both) == (400, "Cannot specify both version and label")


def test_lists_show_each_name_once_and_filter_by_version(client: httpx.Client) -> None:
    tag, name = fresh("tag"), fresh("list")
    create(client, name, "v1", labels=["staging"], tags=[tag], config={"n": 1})
    create(client, name, "v2", labels=["production"], config={"n": 2})
    create(client, fresh("list"), "other", tags=[tag])
    listed = client.get(PROMPTS, params={"name": name}).json()
    (row,) = listed["data"]
    assert (row["versions"], row["labels"], row["tags"], row["type"], row["lastConfig"]) == (
        [1, 2],
        ["latest", "production", "staging"],
        [tag],
        "text",
        {"n": 2},
    )
    assert (
        listed["meta"] == listed["pagination"] == {"page": 1, "limit": 10, "totalPages": 1, "totalItems": 1}
    )
    (staged,) = client.get(PROMPTS, params={"label": "staging", "name": name}).json()["data"]
    assert (staged["versions"], staged["lastConfig"]) == ([1], {"n": 1})
    paged = client.get(PROMPTS, params={"tag": tag, "limit": 1, "page": 2}).json()
    assert (len(paged["data"]), paged["meta"]["totalPages"]) == (1, 2)


def test_lists_can_be_bound_to_the_time_of_the_last_change(client: httpx.Client) -> None:
    name = fresh("when")
    updated = create(client, name)["updatedAt"]
    found = client.get(PROMPTS, params={"name": name, "fromUpdatedAt": updated}).json()["data"]
    assert [row["name"] for row in found] == [name]
    assert client.get(PROMPTS, params={"name": name, "toUpdatedAt": updated}).json()["data"] == []
    assert client.get(PROMPTS, params={"fromUpdatedAt": "yesterday"}).status_code == 400


@pytest.mark.parametrize("path", ["100%", "a%2", "a%zz", "%FF", "%C3%28"])
def test_a_path_that_cannot_be_decoded_is_a_bad_request(client: httpx.Client, path: str) -> None:
    url = client.base_url.copy_with(raw_path=f"{PROMPTS}/{path}".encode())
    assert client.get(url).status_code == 400


@pytest.mark.parametrize("name", ["100%", "ä ö?#&+=", "a%20b", "..", "日本"])
def test_a_name_of_any_characters_is_read_with_its_encoded_form(client: httpx.Client, name: str) -> None:
    unique = f"{fresh('odd')} {name}"
    create(client, unique)
    assert get(client, unique, label="latest").json()["name"] == unique


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a|b", "Prompt name cannot contain '|' character"),
        ("/a", "Name cannot start with a slash"),
        ("a//b", "Name cannot contain consecutive slashes"),
        ("a/", "Name cannot end with a slash"),
        ("<b>a</b>", "Text cannot contain HTML tags"),
        ("new", "Prompt name cannot be 'new'"),
        ("  ", "Name cannot be empty"),
    ],
)
def test_a_name_that_the_interface_cannot_show_is_refused(
    client: httpx.Client, name: str, message: str
) -> None:
    answer = client.post(PROMPTS, json={"name": name, "prompt": "x"})
    assert answer.status_code == 400
    assert [issue["message"] for issue in answer.json()["error"]] == [message]


def test_a_label_with_a_line_break_at_its_end_is_refused(client: httpx.Client) -> None:
    answer = client.post(PROMPTS, json={"name": fresh("label"), "prompt": "x", "labels": ["ok\n"]})
    assert answer.json()["error"][0]["path"] == ["labels", 0]


def test_refused_keys_are_named_as_errors_of_prompts(client: httpx.Client) -> None:
    answer = httpx.get(f"{client.base_url}{PROMPTS}")
    assert (answer.status_code, answer.json()) == (
        401,
        {"message": "No authorization header", "error": "UnauthorizedError"},
    )


def test_prompts_that_multiply_each_other_are_refused_before_they_fill_memory(client: httpx.Client) -> None:
    """Some hundred bytes on five levels name gigabytes."""
    answers = []
    for level in range(5):
        tag = f"@@@langfusePrompt:name=bomb-{level - 1}|version=1@@@"
        text = "x" * 10_000 if level == 0 else tag * 40
        answers.append(client.post(PROMPTS, json={"name": f"bomb-{level}", "prompt": text}))
    refused = next(answer for answer in answers if answer.status_code != 201)
    assert refused.status_code == 400
    assert "longer than 2000000 characters" in refused.json()["message"]


def test_a_prompt_with_more_inclusions_than_anybody_writes_is_refused(client: httpx.Client) -> None:
    for version in range(30):
        assert client.post(PROMPTS, json={"name": "leaf", "prompt": str(version)}).status_code == 201
    tags = "".join(f"@@@langfusePrompt:name=leaf|version={number}@@@" for number in range(1, 31))
    assert client.post(PROMPTS, json={"name": "branch", "prompt": tags}).status_code == 201
    for version in range(20):
        assert client.post(PROMPTS, json={"name": "branch", "prompt": tags + str(version)}).status_code == 201
    tags = "".join(f"@@@langfusePrompt:name=branch|version={number}@@@" for number in range(1, 21))
    answer = client.post(PROMPTS, json={"name": "tree", "prompt": tags})
    assert answer.status_code == 400
    assert "more than 500 other prompts" in answer.json()["message"]
