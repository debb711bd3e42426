"""Choose a few known things of each project through the public API: a restore must bring them back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.api.client import Api
from scripts.api.errors import ApiError, reason_of
from scripts.api.keys import project_keys
from scripts.core.errors import EngineError

from .manifest import Sample
from .proof import TIMEOUT_S, read_facts

_SAMPLES = 3
_PAGE = 100


def take_samples(base_url: str, credentials_dir: Path, media_ids: Sequence[tuple[str, str]]) -> list[Sample]:
    """Return samples of every project that has a key; `media_ids` are pairs of project and media id.

    Raises:
        EngineError: the API does not give them.
    """
    samples: list[Sample] = []
    for key in project_keys(credentials_dir):
        with Api(base_url, key.keys, timeout_s=TIMEOUT_S) as api:
            try:
                wanted = [*_wanted(api, key.project), *_media(key.project, media_ids)]
                samples += [Sample(one.kind, one.project, one.id, read_facts(api, one)) for one in wanted]
            except (ApiError, LookupError) as error:
                raise EngineError(
                    f"Project {key.project} cannot be read ({reason_of(error)}).",
                    fix="look at `make status`; a key that the server does not know belongs out of "
                    f"{key.project}.env (make bootstrap).",
                ) from error
    return samples


def _wanted(api: Api, project: str) -> Iterator[Sample]:
    """Yield what to read; the facts of some say which of several is meant."""
    page = api.get("v2/observations", fields="core,basic", limit=_PAGE)["data"]
    traces = list(dict.fromkeys(row["traceId"] for row in page))
    for trace in dict.fromkeys([*traces[:_SAMPLES], *traces[-1:]]):
        yield Sample("trace", project, trace, {})
    for row in api.get("v3/scores", limit=_SAMPLES)["data"]:
        yield Sample("score", project, row["id"], {})
    for row in api.get("v2/prompts", limit=_SAMPLES)["data"]:
        for version in row["versions"][-_SAMPLES:]:
            yield Sample("prompt", project, row["name"], {"version": version})
    for row in api.get("dataset-items", limit=_SAMPLES)["data"]:
        yield Sample("dataset_item", project, row["id"], {})
    for row in api.get("llm-connections", limit=_SAMPLES)["data"]:
        yield Sample("llm_connection", project, row["provider"], {})


def _media(project: str, media_ids: Sequence[tuple[str, str]]) -> Iterator[Sample]:
    mine = [media for owner, media in media_ids if owner == project]
    for media in mine[:_SAMPLES]:
        yield Sample("media", project, media, {})
