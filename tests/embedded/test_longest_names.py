"""What can be made can be read and deleted: names and ids have a longest length, which addresses hold."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest

API = "/api/public"
Make = Callable[[httpx.Client, str], httpx.Response]


@dataclass(frozen=True)
class Kind:
    """A kind of object that its maker names.

    Attributes:
        longest: characters of a name.
        path: where one is, with `{}` for its name.
        deletes: whether it can be deleted there.
    """

    longest: int
    make: Make
    path: str
    deletes: bool = True


def posts(path: str, field: str, **body: Any) -> Make:
    """Return what makes an object whose name is one field of a body."""
    return lambda client, name: client.post(f"{API}/{path}", json={**body, field: name})


DATASET = "longest-names"
KINDS = {
    "prompt": Kind(1_000, posts("v2/prompts", "name", prompt="x", labels=["production"]), "v2/prompts/{}"),
    "dataset": Kind(1_000, posts("v2/datasets", "name"), "v2/datasets/{}", deletes=False),
    "dataset item": Kind(255, posts("dataset-items", "id", datasetName=DATASET, input=1), "dataset-items/{}"),
    "score": Kind(
        800, posts("scores", "id", name="x", value=1, traceId="ab" * 16), "v3/scores?id={}", deletes=False
    ),
}


@pytest.fixture(scope="module", autouse=True)
def dataset(client: httpx.Client) -> None:
    client.post(f"{API}/v2/datasets", json={"name": DATASET}).raise_for_status()


def name_of(length: int, letter: str) -> str:
    """Return a name of that length as the server counts it: in UTF-16."""
    unique = secrets.token_hex(8)
    letters, rest = divmod(length - len(unique), len(letter.encode("utf-16-le")) // 2)
    return unique + letter * letters + "x" * rest


@pytest.mark.parametrize("letter", ["x", "%", "\N{GRINNING FACE}", "ß"], ids=ascii)
@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_name_is_taken_read_and_deleted(client: httpx.Client, kind: str, letter: str) -> None:
    one = KINDS[kind]
    name = name_of(one.longest, letter)
    made = one.make(client, name)
    assert made.status_code in {200, 201}, made.text[:300]
    place = f"{API}/{one.path.format(quote(name, safe=''))}"
    read = client.get(place)
    assert read.status_code == 200
    assert name in str(read.json())
    if one.deletes:
        assert client.delete(place).is_success
        assert client.get(place).status_code == 404


@pytest.mark.parametrize("letter", ["x", "\N{GRINNING FACE}"], ids=ascii)
@pytest.mark.parametrize("more", [1, 69_000])
@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_name_is_refused_when_it_is_made(
    client: httpx.Client, kind: str, more: int, letter: str
) -> None:
    one = KINDS[kind]
    refused = one.make(client, name_of(one.longest + more, letter))
    assert refused.status_code == 400, refused.text[:300]
    listed = client.get(f"{API}/v2/{'datasets' if kind == 'dataset' else 'prompts'}")
    assert listed.status_code == 200
