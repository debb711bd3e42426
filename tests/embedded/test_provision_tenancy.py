"""Keys, members and projects by the verbs on the embedded engine: rotation with overlap, roles, metadata."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from scripts import bootstrap, credentials, down, export_config, up, validate
from scripts.core.api import Api
from scripts.core.console import Console
from scripts.core.context import Context
from scripts.core.credentials import Credentials
from scripts.core.errors import EXIT_DRIFT, StackError, StackFileError, UsageError
from scripts.core.layout import Layout, only_one_verb
from scripts.core.runner import SubprocessRunner
from scripts.core.settings.envfile import read_env
from scripts.provision.tenancy import accepts
from scripts.selftest import free_port

from .harness import REPOSITORY
from .provisioning import SECRETS, copy_of_example


class Stack:
    """A stack of one's own: a configuration, an engine that is started by `up`, and what was printed."""

    def __init__(self, directory: Path) -> None:
        # The verbs find config/ below the root, and the engine's package on the Python path.
        self.root = directory
        copy_of_example(directory / "config")
        shutil.copytree(REPOSITORY / "config" / "sizes", directory / "config" / "sizes")
        self.port = free_port()
        self.out = io.StringIO()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "ENGINE": "embedded",
            "LANGFUSE_PORT": str(self.port),
            "ZEUS_SECRET_KEY": "sk-lf-test-zeus",
            "HERMES_PASSWORD": "long-enough-1",
            **SECRETS,
        }
        self.layout = Layout(directory, directory / ".env", directory / ".stack")
        console = Console(environment, self.out, io.StringIO())
        self.context = Context(self.layout, environment, console, SubprocessRunner(directory))

    def edit(self, old: str, new: str, file: str = "stack.yaml") -> None:
        path = self.root / "config" / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def bootstrap(self, **options: bool) -> str:
        """Run bootstrap; return what it printed."""
        begin = len(self.out.getvalue())
        assert bootstrap.run(self.context, dry_run=False, **options) == 0
        return self.out.getvalue()[begin:]

    def keys(self, stem: str) -> tuple[str, str]:
        values = read_env(self.layout.credentials_dir / f"{stem}.env").values()
        return values["LANGFUSE_PUBLIC_KEY"], values["LANGFUSE_SECRET_KEY"]

    def status(self, keys: tuple[str, str]) -> int:
        return httpx.get(f"http://127.0.0.1:{self.port}/api/public/projects", auth=keys).status_code

    def known(self) -> dict[str, object]:
        engine = self.context.current_engine(self.context.settings())
        tenancy = engine.tenancy()
        assert tenancy is not None
        return {"projects": dict(tenancy.projects), "members": dict(tenancy.members)}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "stack")
    assert up.run(stack.context) == 0
    yield stack
    down.run(stack.context)


def test_up_makes_projects_keys_members_and_content_and_bootstrap_finds_nothing_to_do(stack: Stack) -> None:
    assert stack.status(stack.keys("kosmos")) == 200
    assert stack.status(stack.keys("keys/kosmos.ci")) == 200
    assert stack.keys("zeus") == ("pk-lf-test-zeus", "sk-lf-test-zeus")
    assert stack.known() == {
        "projects": {"kosmos": ("kosmos", {"team": "search"}), "zeus": ("zeus", {})},
        "members": {("acme", "admin@acme.example"): "OWNER", ("acme", "hermes@acme.example"): "MEMBER"},
    }
    assert (
        stack.bootstrap()
        == "project kosmos\n    26 as wanted\nproject zeus\n    2 as wanted\nNothing to change.\n"
    )


def test_a_rotated_key_works_beside_the_old_one_until_the_next_run(stack: Stack) -> None:
    old, other = stack.keys("keys/kosmos.ci"), stack.keys("kosmos")
    stack.edit("rotation: 1", "rotation: 2")
    assert f"replaces {old[0]}, which the next run revokes" in stack.bootstrap()
    new = stack.keys("keys/kosmos.ci")
    assert new != old
    assert [stack.status(key) for key in (old, new, other)] == [200, 200, 200]
    assert f"- API key {old[0]}  (it was replaced in an earlier run)" in stack.bootstrap()
    assert [stack.status(key) for key in (old, new, other)] == [401, 200, 200]
    assert stack.bootstrap().endswith("Nothing to change.\n")
    assert [path.name for path in stack.layout.credentials_dir.rglob("*.retiring")] == []


def test_a_fixed_key_is_rotated_by_another_public_key(stack: Stack) -> None:
    stack.edit(
        "pk-lf-test-zeus, secret_from: ZEUS_SECRET_KEY",
        "pk-lf-test-zeus-2, secret_from: ACME_GATEWAY_KEY",
        "zeus.yaml",
    )
    stack.bootstrap()
    assert stack.keys("zeus") == ("pk-lf-test-zeus-2", SECRETS["ACME_GATEWAY_KEY"])
    assert stack.status(("pk-lf-test-zeus", "sk-lf-test-zeus")) == 200
    stack.bootstrap()
    assert stack.status(("pk-lf-test-zeus", "sk-lf-test-zeus")) == 401
    assert stack.status(stack.keys("zeus")) == 200


def test_an_interrupted_rotation_goes_on_with_the_key_that_was_made(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.edit("rotation: 1", "rotation: 2")
    with monkeypatch.context() as patch:
        patch.setattr("scripts.provision.tenancy.accepts", _interrupted_by_a_new_key())
        with pytest.raises(KeyboardInterrupt):
            bootstrap.run(stack.context, dry_run=False)
    (pending,) = stack.layout.credentials_dir.rglob("*.pending")
    made = read_env(pending).values()["LANGFUSE_PUBLIC_KEY"]
    stack.bootstrap()
    assert stack.keys("keys/kosmos.ci")[0] == made
    assert stack.status(stack.keys("keys/kosmos.ci")) == 200


def _interrupted_by_a_new_key() -> Callable[[Api, Credentials], bool]:
    def until_a_new_key(api: Api, keys: Credentials) -> bool:
        if not keys.verified:
            raise KeyboardInterrupt
        return accepts(api, keys)

    return until_a_new_key


def test_a_further_key_role_name_and_metadata_show_as_exactly_these_changes(stack: Stack) -> None:
    stack.edit("      - name: app\n", "      - name: app\n      - name: batch\n")
    stack.edit("role: MEMBER", "role: ADMIN")
    stack.edit(
        "    name: kosmos\n    metadata: {team: search}", "    name: kosmos two\n    metadata: {team: rag}"
    )
    lines = stack.bootstrap().splitlines()
    assert lines[:3] == [
        "organization acme",
        "  ~ member hermes@acme.example",
        '      role: "MEMBER" -> "ADMIN"',
    ]
    assert [line for line in lines if line.lstrip().startswith(("+", "~"))][1:] == [
        f"  + API key {stack.keys('keys/kosmos.batch')[0]}",
        "  ~ project kosmos",
    ]
    assert stack.known()["projects"] == {"kosmos": ("kosmos two", {"team": "rag"}), "zeus": ("zeus", {})}
    assert stack.bootstrap().endswith("Nothing to change.\n")


def test_check_ends_with_3_on_drift_and_changes_nothing(stack: Stack) -> None:
    assert bootstrap.run(stack.context, dry_run=True, check=True) == 0
    stack.edit("max_value: 1\n", "max_value: 3\n", "scores.yaml")
    begin = len(stack.out.getvalue())
    assert bootstrap.run(stack.context, dry_run=True, check=True, as_json=True) == EXIT_DRIFT == 3
    shown = json.loads(stack.out.getvalue()[begin:])
    assert shown["changes"] == 1
    (change,) = shown["plans"][0]["changes"]
    assert change["differences"] == [{"field": "maxValue", "old": 1.0, "new": 3.0}]
    assert bootstrap.run(stack.context, dry_run=True, check=True) == 3


def test_prune_without_anybody_to_ask_deletes_nothing(stack: Stack) -> None:
    shutil.rmtree(stack.root / "config" / "prompts")
    stack.edit("prompts, ", "")
    with pytest.raises(UsageError, match="not confirmed; nothing was changed"):
        bootstrap.run(stack.context, dry_run=False, prune=True)
    assert "4 prompts" in stack.bootstrap()
    assert "4 changes made" in stack.bootstrap(prune=True, yes=True)


def test_a_second_bootstrap_at_the_same_time_is_refused(stack: Stack) -> None:
    with only_one_verb(stack.layout), pytest.raises(StackError, match="Another verb"):
        bootstrap.run(stack.context, dry_run=False)


def test_an_invalid_configuration_touches_nothing(stack: Stack) -> None:
    before = {path: path.stat().st_mtime_ns for path in stack.layout.credentials_dir.rglob("*")}
    stack.edit("rotation: 1", "rotation: 2")
    stack.edit("data_type: TEXT", "data_type: TEXTS", "scores.yaml")
    with pytest.raises(StackFileError):
        bootstrap.run(stack.context, dry_run=False)
    assert {path: path.stat().st_mtime_ns for path in stack.layout.credentials_dir.rglob("*")} == before


def test_credentials_come_in_the_forms_that_applications_take(stack: Stack) -> None:
    public, secret = stack.keys("keys/kosmos.ci")

    def shown(file_format: str) -> str:
        begin = len(stack.out.getvalue())
        assert credentials.run(stack.context, project="kosmos", key="ci", file_format=file_format) == 0
        return stack.out.getvalue()[begin:]

    assert f"LANGFUSE_SECRET_KEY={secret}\n" in shown("env")
    assert json.loads(shown("json"))["LANGFUSE_PUBLIC_KEY"] == public
    assert "kind: Secret" in shown("k8s-secret")
    assert secret not in shown("k8s-secret")
    assert f"gh secret set LANGFUSE_SECRET_KEY --body {secret}\n" in shown("github")
    for wrong in ({"project": "hera"}, {"key": "none"}, {"file_format": "xml"}):
        with pytest.raises(UsageError):
            credentials.run(
                stack.context, **{"project": "kosmos", "key": "ci", "file_format": "env", **wrong}
            )


def test_validate_counts_what_the_files_describe_and_needs_no_server(stack: Stack) -> None:
    down.run(stack.context)
    begin = len(stack.out.getvalue())
    assert validate.run(stack.context) == 0
    assert "project kosmos: 6 score configs, 2 models, 4 prompts" in stack.out.getvalue()[begin:]


def test_export_config_writes_a_new_directory_only(stack: Stack) -> None:
    into = stack.root / "out"
    assert export_config.run(stack.context, into=into, project="kosmos", base_url="") == 0
    assert sorted(path.name for path in into.iterdir())[:2] == ["annotation_queues.yaml", "dashboards.yaml"]
    with pytest.raises(UsageError, match="exists already"):
        export_config.run(stack.context, into=into, project="kosmos", base_url="")
    with pytest.raises(UsageError, match=r"The key for https://langfuse\.acme\.example is not set"):
        export_config.run(
            stack.context, into=stack.root / "new", project="", base_url="https://langfuse.acme.example"
        )
