"""The jobs of the page about CI: their files are well formed, and their commands do what the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .documented import Checkout, blocks, embedded_environment
from .harness import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "run-in-ci.md"
CHECKOUT = "langfuse-stack"
CLONE = "git clone --depth 1 https://git.acme.example/platform/langfuse-stack.git"


def files() -> dict[str, str]:
    """Return the files on the page by the name in their first line."""
    named = {}
    for block in blocks(PAGE):
        if found := re.match(r"# (\S+\.(?:ya?ml|py))\n", block.text):
            named[found[1]] = block.text
    return named


def github_job() -> dict[str, Any]:
    """Return the job of GitHub Actions."""
    workflow = yaml.safe_load(files()[".github/workflows/traces.yml"])
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert isinstance(job, dict)
    return job


def gitlab_job() -> dict[str, Any]:
    """Return the job of GitLab."""
    (job,) = yaml.safe_load(files()[".gitlab-ci.yml"]).values()
    assert isinstance(job, dict)
    return job


def github_commands(*, after_failure: bool) -> list[str]:
    """Return what the steps run, in their order."""
    return [
        step["run"]
        for step in github_job()["steps"]
        if "run" in step and (step.get("if") == "failure()") == after_failure
    ]


def gitlab_commands() -> list[str]:
    """Return what the job runs until its end; the clone is there already."""
    job = gitlab_job()
    assert job["before_script"][0] == CLONE
    return [*job["before_script"][1:], *job["script"]]


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """An application with its test, and a checkout of this repository in it."""
    application = tmp_path / "application"
    Checkout(application / CHECKOUT, embedded_environment(), {}).make()
    name = "tests/integration/test_traces.py"
    (application / name).parent.mkdir(parents=True)
    (application / name).write_text(files()[name])
    # Its packages are in the environment of this repository, where `pip` has nothing to do.
    (application / "requirements.txt").write_text("langfuse>=5\npytest\n")
    environment = {
        **embedded_environment(),
        "PATH": f"{REPOSITORY / '.venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    made = Checkout(application, environment, {"pip install": "pip install --no-index -q"})
    yield made
    made.run(f"make -C {CHECKOUT} down")


def test_every_action_is_pinned_by_commit_with_its_version() -> None:
    used = re.findall(r"uses: (\S+)(.*)", files()[".github/workflows/traces.yml"])
    assert len(used) == 4
    for action, comment in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)


def test_actions_are_those_of_this_repository_where_it_uses_them() -> None:
    ours = (REPOSITORY / ".github" / "workflows" / "ci.yml").read_text()
    pins = set(re.findall(r"uses: (\S+)", files()[".github/workflows/traces.yml"]))
    assert {pin for pin in pins if "upload-artifact" not in pin} == set(re.findall(r"uses: (\S+)", ours))


def test_what_a_failed_job_keeps_is_what_it_wrote() -> None:
    (written,) = github_commands(after_failure=True)
    file = re.findall(r"INTO=(\S+)", written)[0]
    assert github_job()["steps"][-1]["with"]["path"] == f"{CHECKOUT}/{file}"
    assert gitlab_job()["artifacts"] == {"when": "on_failure", "paths": [f"{CHECKOUT}/{file}"]}


@pytest.mark.slow
@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_a_job_starts_langfuse_reads_its_trace_and_leaves_a_support_bundle_when_it_fails(
    checkout: Checkout, system: str
) -> None:
    commands = github_commands(after_failure=False) if system == "github" else gitlab_commands()
    after = github_commands(after_failure=True) if system == "github" else gitlab_job()["after_script"]
    done = checkout.run("\n".join(["set -e", *commands]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Engine: embedded" in done.stderr
    assert "1 passed" in done.stdout
    done = checkout.run("\n".join(["set -e", "CI_JOB_STATUS=failed", *after]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (checkout.root / CHECKOUT / "langfuse.tar.gz").stat().st_size > 1000
