"""The action, the template and the jobs of the page about CI, run as their systems run them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from .documented import Checkout, blocks, embedded_environment
from .harness import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "run-in-ci.md"
PINNED = re.compile(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
STACK = "stack"
# What `if:` says, by the command; the steps before have succeeded.
CONDITIONS: Mapping[str, Callable[[str], bool]] = {
    "inputs.command == 'up'": lambda command: command == "up",
    "always() && (inputs.command == 'support-bundle' || steps.up.outcome == 'failure')": (
        lambda command: command == "support-bundle"
    ),
    "inputs.command == 'destroy'": lambda command: command == "destroy",
    '!contains(fromJSON(\'["up", "support-bundle", "destroy"]\'), inputs.command)': (
        lambda command: command not in ("up", "support-bundle", "destroy")
    ),
}


def files() -> dict[str, str]:
    """Return the files on the page by the name in their first line."""
    named = {}
    for block in blocks(PAGE):
        if found := re.match(r"# (\S+\.(?:ya?ml|py))", block.text):
            named[found[1]] = block.text
    return named


def action() -> dict[str, Any]:
    """Return the action of this repository."""
    loaded = yaml.safe_load((REPOSITORY / "action.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def job() -> dict[str, Any]:
    """Return the job of GitHub Actions on the page."""
    workflow = yaml.safe_load(files()[".github/workflows/traces.yml"])
    assert workflow["permissions"] == {"contents": "read"}
    (found,) = workflow["jobs"].values()
    assert isinstance(found, dict)
    return found


def template() -> dict[str, Any]:
    """Return the job of GitLab on the page, with what it takes over from the template."""
    (base,) = yaml.safe_load((REPOSITORY / "ci" / "gitlab.yml").read_text()).items()
    page = yaml.safe_load(files()[".gitlab-ci.yml"])
    [included] = page.pop("include")
    assert included["file"] == "ci/gitlab.yml"
    assert included["project"] == base[1]["variables"]["LANGFUSE_STACK"]
    ((_, own),) = page.items()
    assert own["extends"] == base[0]
    return {**base[1], **own}


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Checkout]:
    """An application with its test, and a checkout of this repository where the systems put it."""
    root = tmp_path / "application"
    stack = Checkout(tmp_path / STACK, embedded_environment(), {}).make()
    name = "tests/integration/test_traces.py"
    (root / name).parent.mkdir(parents=True)
    (root / name).write_text(files()[name])
    # Its packages are in the environment of this repository, where `pip` has nothing to do.
    (root / "requirements.txt").write_text("langfuse>=5\npytest\n")
    environment = {
        **embedded_environment(),
        "PATH": f"{REPOSITORY / '.venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    yield Checkout(root, environment, {"pip install": "pip install --no-index -q"})
    stack.run("make down")


class Runner:
    """Runs steps of the action as a runner of GitHub does: in bash, with files for what a step hands over."""

    def __init__(self, application: Checkout, inputs: Mapping[str, str]) -> None:
        self.application = application
        self.action_path = application.root.parent / STACK
        defaults = {name: one["default"] for name, one in action()["inputs"].items()}
        assert inputs.keys() <= defaults.keys()
        self.inputs = {**defaults, **inputs}
        self.directory = application.root.parent / "runner"
        self.directory.mkdir()
        self.files = {name: self.directory / name for name in ("ENV", "OUTPUT", "STEP_SUMMARY")}

    def step(self, name: str, *, code: int = 0) -> str:
        """Run the step with this id; return what it printed."""
        [step] = [one for one in action()["runs"]["steps"] if one.get("id") == name]
        for path in self.files.values():
            path.touch()
        environment = {
            **self.application.environment,
            "GITHUB_ACTION_PATH": str(self.action_path),
            "GITHUB_WORKSPACE": str(self.application.root),
            "RUNNER_TEMP": str(self.directory),
            **{f"GITHUB_{one}": str(path) for one, path in self.files.items()},
            **{one: self._value(text) for one, text in step.get("env", {}).items()},
        }
        assert step["shell"] == "bash"
        # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax, `shell: bash`
        script = f"bash --noprofile --norc -eo pipefail -c {shlex.quote(step['run'])}"
        done = Checkout(self.application.root, environment, {}).run(script)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def all(self, **inputs: str) -> str:
        """Run all steps in their order, those that are to run with these inputs; return what they printed.

        What another action does (the cache, the upload) is left out.
        """
        self.inputs |= inputs
        steps = [step for step in action()["runs"]["steps"] if "run" in step]
        return "".join(
            self.step(step["id"]) for step in steps if CONDITIONS[step["if"]](self.inputs["command"])
        )

    def given(self, kind: str) -> dict[str, str]:
        """Return what steps wrote into one of the files, as names and values."""
        return dict(line.split("=", 1) for line in self.files[kind].read_text().splitlines())

    def _value(self, text: str) -> str:
        found = re.fullmatch(r"\$\{\{ inputs\.([a-z-]+) \}\}", text)
        assert found, text
        return self.inputs[found[1]]


def test_every_action_is_pinned_by_commit_with_its_version() -> None:
    ours = (REPOSITORY / ".github" / "workflows" / "ci.yml").read_text()
    used = re.findall(r"uses: (actions/.*)", files()[".github/workflows/traces.yml"])
    assert set(used) <= set(re.findall(r"uses: (.*)", ours))
    of_action = re.findall(r"uses: (.*)", (REPOSITORY / "action.yml").read_text())
    assert len(of_action) == 2
    assert all(PINNED.fullmatch(one) for one in of_action)


def test_the_job_on_the_page_gives_inputs_that_the_action_has() -> None:
    used = [step for step in job()["steps"] if "langfuse-stack" in step.get("uses", "")]
    assert [step.get("with") for step in used] == [{"engine": "embedded"}, {"command": "support-bundle"}]
    assert {name for step in used for name in step["with"]} <= action()["inputs"].keys()


def test_outputs_are_what_the_steps_write() -> None:
    values = {name: one["value"] for name, one in action()["outputs"].items()}
    ids = {one.get("id") for one in action()["runs"]["steps"]}
    for value in values.values():
        found = re.fullmatch(r"\$\{\{ steps\.([a-z]+)\.outputs\.[a-z-]+ \}\}", value)
        assert found
        assert found[1] in ids


@pytest.mark.slow
def test_the_action_starts_langfuse_for_the_steps_that_follow_and_leaves_a_support_bundle(
    application: Checkout,
) -> None:
    (application.root / "langfuse").mkdir()
    shipped = (REPOSITORY / "config" / "stack.yaml").read_text()
    own = shipped.replace("    name: default\n", "    name: athena\n")
    (application.root / "langfuse" / "stack.yaml").write_text(own)
    port = application.environment["LANGFUSE_PORT"]
    runner = Runner(application, {"port": port, "content": "langfuse"})
    runner.step("packages")
    assert re.fullmatch("[0-9a-f]{16}", runner.given("OUTPUT")["hash"])
    said = runner.step("up")
    outputs, variables = runner.given("OUTPUT"), runner.given("ENV")
    assert "Engine: embedded" in said
    assert f"::add-mask::{outputs['secret-key']}" in said
    assert variables == {
        "LANGFUSE_BASE_URL": outputs["base-url"],
        "LANGFUSE_PUBLIC_KEY": outputs["public-key"],
        "LANGFUSE_SECRET_KEY": outputs["secret-key"],
    }
    assert outputs["base-url"].endswith(f":{port}")
    summary = runner.files["STEP_SUMMARY"].read_text()
    assert f"| engine | embedded |\n| URL | {outputs['base-url']} |" in summary
    assert outputs["secret-key"] not in summary
    later = Checkout(application.root, {**application.environment, **variables}, application.replaced)
    done = later.run("\n".join(["set -e", *(step["run"] for step in job()["steps"] if "run" in step)]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    named = later.run(
        'curl -sfu "$LANGFUSE_PUBLIC_KEY:$LANGFUSE_SECRET_KEY" "$LANGFUSE_BASE_URL/api/public/projects"'
    )
    assert '"name":"athena"' in named.stdout.replace(" ", "")
    for _ in range(2):
        runner.step("bundle")
    assert Path(runner.given("OUTPUT")["file"]).stat().st_size > 1000
    runner.step("destroy")
    assert later.run('curl -sf "$LANGFUSE_BASE_URL/api/public/health"').returncode != 0


def test_a_command_that_is_not_known_is_told(application: Checkout) -> None:
    said = Runner(application, {"command": "start"}).step("unknown", code=2)
    assert said == "::error::command is 'start': use up, support-bundle or destroy\n"


@pytest.mark.slow
def test_the_template_starts_langfuse_before_the_script_and_leaves_nothing_but_a_support_bundle(
    application: Checkout,
) -> None:
    found = template()
    # What GitLab would answer to the clone is a copy of this repository.
    url = "https://gitlab-ci-token:$CI_JOB_TOKEN@$CI_SERVER_HOST/$LANGFUSE_STACK.git"
    (clone,) = [line for line in found["before_script"] if url in line]
    here = clone.replace(url, str(application.root.parent / STACK))
    predefined = {
        "CI_PROJECT_DIR": str(application.root),
        "CI_JOB_STATUS": "failed",
        "HOME": os.environ["HOME"],
    }
    of_template = {
        name: value.replace("$CI_PROJECT_DIR", str(application.root))
        for name, value in found["variables"].items()
        if name not in application.environment
    }
    job_environment = {**application.environment, **predefined, **of_template, "LANGFUSE_STACK_REF": "master"}
    # The copy has no branch of a name that is known here, and no environment of Python.
    venv = f"ln -s {REPOSITORY}/.venv .langfuse-stack/.venv"
    lines = [here, venv, *found["before_script"][1:], *found["script"]]
    running = Checkout(application.root, job_environment, application.replaced)
    running.run(f"git -C {application.root.parent / STACK} branch -M master")
    done = running.run("\n".join(["set -e", *lines]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    done = running.run("\n".join(["set -e", *found["after_script"]]))
    assert done.returncode == 0, done.stdout + done.stderr
    (kept,) = found["artifacts"]["paths"]
    assert (application.root / kept).stat().st_size > 1000
    port = application.environment["LANGFUSE_PORT"]
    assert running.run(f"curl -sf http://127.0.0.1:{port}/api/public/health").returncode != 0
    assert shutil.which("curl")
