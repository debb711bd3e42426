"""Choose a few known things of each project through the public API: a restore must bring them back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from scripts.core.errors import EngineError
from scripts.settings.envfile import read_env

from .manifest import Sample
from .proof import project_client, read_facts

_SAMPLES = 3
_PAGE = 100


def take_samples(base_url: str, credentials_dir: Path, media_ids: Sequence[tuple[str, str]]) -> list[Sample]:
    """Return samples of every project that has a key; `media_ids` are pairs of project and media id.

    Raises:
        EngineError: the API does not give them.
    """
    samples: list[Sample] = []
    for path in sorted(credentials_dir.glob("*.env")):
        keys = read_env(path).values()
        with project_client(base_url, keys) as client:
            try:
                wanted = [*_wanted(client, path.stem), *_media(path.stem, media_ids)]
                samples += [Sample(one.kind, one.project, one.id, read_facts(client, one)) for one in wanted]
            except (httpx.HTTPError, ValueError, LookupError) as error:
                raise EngineError(
                    f"Project {path.stem} cannot be read ({type(error).__name__}: {error}).",
                    fix="look at `make status`; a key that the server does not know belongs out of "
                    f"{path.name} (make bootstrap).",
                ) from error
    return samples


def _wanted(client: httpx.Client, project: str) -> Iterator[Sample]:
    """Yield what to read; the facts of some say which of several is meant."""
    page = _get(client, "v2/observations", fields="core,basic", limit=_PAGE)["data"]
    traces = list(dict.fromkeys(row["traceId"] for row in page))
    for trace in dict.fromkeys([*traces[:_SAMPLES], *traces[-1:]]):
        yield Sample("trace", project, trace, {})
    for row in _get(client, "v3/scores", limit=_SAMPLES)["data"]:
        yield Sample("score", project, row["id"], {})
    for row in _get(client, "v2/prompts", limit=_SAMPLES)["data"]:
        for version in row["versions"][-_SAMPLES:]:
            yield Sample("prompt", project, row["name"], {"version": version})
    for row in _get(client, "dataset-items", limit=_SAMPLES)["data"]:
        yield Sample("dataset_item", project, row["id"], {})
    for row in _get(client, "llm-connections", limit=_SAMPLES)["data"]:
        yield Sample("llm_connection", project, row["provider"], {})


def _media(project: str, media_ids: Sequence[tuple[str, str]]) -> Iterator[Sample]:
    mine = [media for owner, media in media_ids if owner == project]
    for media in mine[:_SAMPLES]:
        yield Sample("media", project, media, {})


def _get(client: httpx.Client, path: str, **query: str | int) -> Any:
    return client.get(f"/api/public/{path}", params=query).raise_for_status().json()
