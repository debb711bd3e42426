"""Prove that a running engine gives back what a manifest says: known things, read through the public API."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from scripts.settings.envfile import read_env

from .manifest import Contents, Sample

_TIMEOUT_S = 60.0
_PAGE = 1000


def read_back(
    base_url: str, credentials_dir: Path, contents: Contents, *, live: bool
) -> tuple[list[str], int]:
    """Return what differs, a line each, and how many samples were read.

    Samples of projects without a file in `credentials_dir` cannot be read and are not counted. On a `live`
    engine applications go on writing: a trace may have got further observations there.
    """
    problems: list[str] = []
    read = 0
    for project in sorted({sample.project for sample in contents.samples}):
        keys = read_env(credentials_dir / f"{project}.env").values()
        public, secret = keys.get("LANGFUSE_PUBLIC_KEY"), keys.get("LANGFUSE_SECRET_KEY")
        if not public or not secret:
            continue
        with project_client(base_url, keys) as client:
            for sample in contents.samples:
                if sample.project == project:
                    problems += _problem(client, sample, live=live)
                    read += 1
    return problems, read


def project_client(base_url: str, keys: Mapping[str, str]) -> httpx.Client:
    """Return a client with the key of a project; the caller closes it."""
    auth = (keys["LANGFUSE_PUBLIC_KEY"], keys["LANGFUSE_SECRET_KEY"])
    return httpx.Client(base_url=base_url, auth=auth, timeout=_TIMEOUT_S, trust_env=False)


def read_facts(client: httpx.Client, sample: Sample) -> dict[str, Any]:
    """Return what the API says now about the thing that a sample names: the facts that a manifest keeps.

    Raises:
        httpx.HTTPError, ValueError, LookupError: it cannot be read.
    """
    found = _READERS[sample.kind](client, sample)
    return {name: found[name] for name in _FACTS[sample.kind] if name in found}


def digest(texts: Sequence[str]) -> str:
    """Return the SHA-256 over texts, each with its length in bytes before it."""
    whole = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        whole.update(b"%d:" % len(data))
        whole.update(data)
    return whole.hexdigest()


def has_grown(sample: Sample, found: Mapping[str, Any]) -> bool:
    """Return whether a trace has got observations since the sample was taken."""
    return sample.kind == "trace" and int(found["observations"]) > int(sample.facts["observations"])


def _problem(client: httpx.Client, sample: Sample, *, live: bool) -> list[str]:
    name = f"{sample.kind} {sample.id} of {sample.project}"
    try:
        found = _READERS[sample.kind](client, sample)
    except (httpx.HTTPError, ValueError, LookupError) as error:
        return [f"{name} cannot be read: {type(error).__name__}: {error}"]
    if live and has_grown(sample, found):
        return []
    return [
        f"{name}: {fact} is {found.get(fact)!r}, {value!r} in the backup"
        for fact, value in sample.facts.items()
        if found.get(fact) != value
    ]


def _get(client: httpx.Client, path: str, **query: str | int) -> Any:
    return client.get(f"/api/public/{path}", params=query).raise_for_status().json()


def _trace(client: httpx.Client, sample: Sample) -> Mapping[str, Any]:
    observations: list[tuple[str, ...]] = []
    cursor: dict[str, str] = {}
    while True:
        page = _get(
            client,
            "v2/observations",
            traceId=sample.id,
            fields="core,basic,io",
            limit=_PAGE,
            **cursor,
        )
        observations += [
            (row["id"], row["name"], row["type"], row["input"] or "", row["output"] or "")
            for row in page["data"]
        ]
        if "cursor" not in page["meta"]:
            break
        cursor = {"cursor": page["meta"]["cursor"]}
    texts = [text for observation in sorted(observations) for text in observation]
    return {"observations": len(observations), "sha256": digest(texts)}


def _score(client: httpx.Client, sample: Sample) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _get(client, "v3/scores", id=sample.id, fields="core,details")["data"][0]
    return found


def _prompt(client: httpx.Client, sample: Sample) -> Mapping[str, Any]:
    version = sample.facts["version"]
    path = f"v2/prompts/{quote(sample.id, safe='')}"
    found: Mapping[str, Any] = _get(client, path, version=version, resolve="false")
    return found


def _dataset_item(client: httpx.Client, sample: Sample) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _get(client, f"dataset-items/{quote(sample.id, safe='')}")
    return found


def _media(client: httpx.Client, sample: Sample) -> Mapping[str, Any]:
    record = _get(client, f"media/{quote(sample.id, safe='')}")
    content = _media_bytes(client, httpx.URL(record["url"]))
    return {**record, "sha256": base64.b64encode(hashlib.sha256(content).digest()).decode()}


def _media_bytes(client: httpx.Client, url: httpx.URL) -> bytes:
    """Return what a signed link leads to.

    A link into the engine names the public address of the stack, which need not be the engine under test.
    """
    if url.path.startswith("/api/public/"):
        return client.get(url.raw_path.decode()).raise_for_status().content
    return httpx.get(url, timeout=_TIMEOUT_S, trust_env=False).raise_for_status().content


def _llm_connection(client: httpx.Client, sample: Sample) -> Mapping[str, Any]:
    rows = _get(client, "llm-connections", limit=100)["data"]
    found: Mapping[str, Any] = next(row for row in rows if row["provider"] == sample.id)
    return found


_READERS: Mapping[str, Callable[[httpx.Client, Sample], Mapping[str, Any]]] = {
    "trace": _trace,
    "score": _score,
    "prompt": _prompt,
    "dataset_item": _dataset_item,
    "media": _media,
    "llm_connection": _llm_connection,
}
_FACTS: Mapping[str, tuple[str, ...]] = {
    "trace": ("observations", "sha256"),
    "score": ("name", "dataType", "comment"),
    "prompt": ("version", "type", "commitMessage"),
    "dataset_item": ("status", "sourceTraceId"),
    "media": ("contentType", "contentLength", "sha256"),
    "llm_connection": ("adapter", "displaySecretKey"),
}
