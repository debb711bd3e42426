"""Prove that a running engine gives back what a manifest says: known things, read through the public API."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts.api import signed_urls
from scripts.api.client import Api, segment
from scripts.api.errors import ApiError, ErrorAnswer, reason_of
from scripts.api.keys import project_keys

from .manifest import Contents, Sample

TIMEOUT_S = 60.0
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
    wanted = {sample.project for sample in contents.samples}
    for key in project_keys(credentials_dir):
        if key.project not in wanted:
            continue
        with Api(base_url, key.keys, timeout_s=TIMEOUT_S) as api:
            for sample in contents.samples:
                if sample.project == key.project:
                    problems += _problem(api, sample, live=live)
                    read += 1
    return problems, read


def read_facts(api: Api, sample: Sample) -> dict[str, Any]:
    """Return what the API says now about the thing that a sample names: the facts that a manifest keeps.

    Raises:
        ApiError, LookupError: it cannot be read.
    """
    found = _READERS[sample.kind](api, sample)
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


def _problem(api: Api, sample: Sample, *, live: bool) -> list[str]:
    name = f"{sample.kind} {sample.id} of {sample.project}"
    try:
        found = _READERS[sample.kind](api, sample)
    except (ApiError, LookupError) as error:
        return [f"{name} cannot be read: {reason_of(error)}"]
    if live and has_grown(sample, found):
        return []
    return [
        f"{name}: {fact} is {found.get(fact)!r}, {value!r} in the backup"
        for fact, value in sample.facts.items()
        if found.get(fact) != value
    ]


def _trace(api: Api, sample: Sample) -> Mapping[str, Any]:
    query = {"traceId": sample.id, "fields": "core,basic,io", "limit": _PAGE}
    observations = [
        (row["id"], row["name"], row["type"], row["input"] or "", row["output"] or "")
        for page, _ in api.by_cursor("v2/observations", query)
        for row in page
    ]
    texts = [text for observation in sorted(observations) for text in observation]
    return {"observations": len(observations), "sha256": digest(texts)}


def _score(api: Api, sample: Sample) -> Mapping[str, Any]:
    found: Mapping[str, Any] = api.get("v3/scores", id=sample.id, fields="core,details")["data"][0]
    return found


def _prompt(api: Api, sample: Sample) -> Mapping[str, Any]:
    version = sample.facts["version"]
    path = f"v2/prompts/{segment(sample.id)}"
    found: Mapping[str, Any] = api.get(path, version=version, resolve="false")
    return found


def _dataset_item(api: Api, sample: Sample) -> Mapping[str, Any]:
    found: Mapping[str, Any] = api.get(f"dataset-items/{segment(sample.id)}")
    return found


def _media(api: Api, sample: Sample) -> Mapping[str, Any]:
    record = api.get(f"media/{segment(sample.id)}")
    content = _media_bytes(api, record["url"])
    return {**record, "sha256": base64.b64encode(hashlib.sha256(content).digest()).decode()}


def _media_bytes(api: Api, url: str) -> bytes:
    """Return what a signed link leads to.

    A link into the engine names the public address of the stack, which need not be the engine under test.
    """
    parts = urlsplit(url)
    if parts.path.startswith("/api/public/"):
        answer = api.request("GET", f"{parts.path}?{parts.query}")
    else:
        answer = signed_urls.send("GET", url, timeout_s=TIMEOUT_S)
    if not answer.is_success:
        raise ErrorAnswer(
            f"{signed_urls.place(url)} answers {answer.status_code}.", status=answer.status_code
        )
    return answer.content


def _llm_connection(api: Api, sample: Sample) -> Mapping[str, Any]:
    rows = api.get("llm-connections", limit=100)["data"]
    found: Mapping[str, Any] = next(row for row in rows if row["provider"] == sample.id)
    return found


_READERS: Mapping[str, Callable[[Api, Sample], Mapping[str, Any]]] = {
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
