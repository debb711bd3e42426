"""Look whether a stack that works on still gives back what a backup knows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from scripts.backup.manifest import Contents, Sample
from scripts.backup.proof import project_client, read_facts
from scripts.core.settings.envfile import read_env


def look_again(base_url: str, credentials_dir: Path, contents: Contents) -> tuple[list[str], int]:
    """Return what is not there as it was, a line each, and how many samples were read.

    Applications go on meanwhile: a trace may have got further observations. Samples of projects without a
    file in `credentials_dir` cannot be read and are not counted.
    """
    problems: list[str] = []
    read = 0
    for project in sorted({sample.project for sample in contents.samples}):
        keys = read_env(credentials_dir / f"{project}.env").values()
        if not keys.get("LANGFUSE_PUBLIC_KEY") or not keys.get("LANGFUSE_SECRET_KEY"):
            continue
        with project_client(base_url, keys) as client:
            for sample in contents.samples:
                if sample.project == project:
                    problems += _problem(client, sample)
                    read += 1
    return problems, read


def _problem(client: httpx.Client, sample: Sample) -> list[str]:
    name = f"{sample.kind} {sample.id} of {sample.project}"
    try:
        found = read_facts(client, sample)
    except (httpx.HTTPError, ValueError, LookupError) as error:
        return [f"{name} cannot be read ({type(error).__name__}: {error})"]
    as_it_was = all(found.get(name) == value for name, value in sample.facts.items())
    if as_it_was or has_grown(sample, found):
        return []
    return [f"{name} is {found}; it was {dict(sample.facts)}"]


def has_grown(sample: Sample, found: dict[str, Any]) -> bool:
    """Return whether a trace has got observations since the sample was taken."""
    return sample.kind == "trace" and int(found["observations"]) > int(sample.facts["observations"])
