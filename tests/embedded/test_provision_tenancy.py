"""Keys, members and projects on the embedded engine: rotation with overlap, roles, metadata."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from scripts.api.client import Api
from scripts.config import bootstrap, credentials, export_config
from scripts.core.console import Console
from scripts.core.errors import (
    EXIT_DRIFT,
    EngineError,
    ProvisioningError,
    StackError,
    StackFileError,
    UsageError,
)
from scripts.core.layout import Layout, only_one_command
from scripts.core.runner import SubprocessRunner
from scripts.develop.selftest import free_port
from scripts.engines.context import Context
from scripts.engines.embedded import EmbeddedEngine
from scripts.provision.credentials import Credentials, CredentialsStore
from scripts.provision.tenancy import Bootstrap, accepts
from scripts.run import destroy, down, logs, up
from scripts.settings.envfile import read_env, write_values

from .harness import REPOSITORY
from .provisioning import SECRETS, copy_of_example


class Stack:
    """A new stack: a configuration, an engine that is started by `up`, and what was printed."""

    def __init__(self, directory: Path) -> None:
        # The commands find config/ below the root, and the engine's package on the Python path.
        self.root = directory
        copy_of_example(directory / "config")
        shutil.copytree(REPOSITORY / "config" / "sizes", directory / "config" / "sizes")
        self.port = free_port()
        self.out, self.err = io.StringIO(), io.StringIO()
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "ENGINE": "embedded",
            "LANGFUSE_PORT": str(self.port),
            "ZEUS_SECRET_KEY": "sk-lf-test-zeus",
            "HERMES_PASSWORD": "long-enough-1",
            **SECRETS,
        }
        self.layout = Layout(directory, directory / ".env", directory / ".stack")
        console = Console(self.environment, self.out, self.err)
        self.context = Context(self.layout, self.environment, console, SubprocessRunner(directory))

    def edit(self, old: str, new: str, file: str = "stack.yaml") -> None:
        path = self.root / "config" / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    @contextmanager
    def edited(self, old: str, new: str, file: str = "stack.yaml") -> Iterator[None]:
        """Edit a file for a while."""
        path = self.root / "config" / file
        before = path.read_text()
        self.edit(old, new, file)
        try:
            yield
        finally:
            path.write_text(before)

    def bootstrap(self, **options: bool) -> str:
        """Run bootstrap; return what it printed."""
        begin = len(self.out.getvalue())
        assert bootstrap.bootstrap(self.context, dry_run=False, **options) == 0
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


@contextmanager
def running(directory: Path) -> Iterator[Stack]:
    stack = Stack(directory)
    assert up.up(stack.context) == 0
    try:
        yield stack
    finally:
        down.down(stack.context)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of the test's own."""
    with running(tmp_path / "stack") as stack:
        yield stack


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that tests share: they may look at it, and edit only what is put back."""
    with running(tmp_path_factory.mktemp("untouched") / "stack") as stack:
        yield stack


def test_up_makes_projects_keys_members_and_content_and_bootstrap_finds_nothing_to_do(
    untouched: Stack,
) -> None:
    stack = untouched
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
    assert f"  + API key ci  (replaces {old[0]}, which the next run revokes)\n" in stack.bootstrap()
    new = stack.keys("keys/kosmos.ci")
    assert new != old
    assert [stack.status(key) for key in (old, new, other)] == [200, 200, 200]
    assert f"- API key {old[0]}  (it was replaced in an earlier run)" in stack.bootstrap()
    assert [stack.status(key) for key in (old, new, other)] == [401, 200, 200]
    assert stack.bootstrap().endswith("Nothing to change.\n")
    assert [path.name for path in stack.layout.credentials_dir.rglob("*.retiring")] == []


def test_a_plan_of_a_rotation_names_the_key_and_nothing_that_is_there_already(untouched: Stack) -> None:
    begin = len(untouched.out.getvalue())
    with untouched.edited("      - name: app\n", "      - {name: app, rotation: 1}\n"):
        assert bootstrap.bootstrap(untouched.context, dry_run=True, check=True) == EXIT_DRIFT
    changes = [
        line
        for line in untouched.out.getvalue()[begin:].splitlines()
        if line.startswith("  ") and line[2] in "+~-"
    ]
    assert [line.split("(")[0].strip() for line in changes] == ["+ API key app"]


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
            bootstrap.bootstrap(stack.context, dry_run=False)
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (Bootstrap, "keep_new_keys"),
        (EmbeddedEngine, "revoke"),
        (CredentialsStore, "forget_retired"),
        (EmbeddedEngine, "provision"),
        (EmbeddedEngine, "set_organization"),
        (EmbeddedEngine, "set_members"),
        (EmbeddedEngine, "set_project"),
        (CredentialsStore, "keep_verified"),
    ],
)
def test_a_crash_after_any_step_of_keys_members_and_projects_is_made_good_by_the_next_run(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, owner: type, step: str
) -> None:
    old = stack.keys("keys/kosmos.ci")
    stack.edit("rotation: 1", "rotation: 2")
    stack.bootstrap()  # the next run has a key to revoke
    stack.edit("      - name: app\n", "      - name: app\n      - name: batch\n")
    stack.edit("role: MEMBER", "role: ADMIN")
    stack.edit("id: acme, name: Acme}", "id: acme, name: Acme Research}")
    stack.edit("metadata: {team: search}", "metadata: {team: rag}")
    stack.edit("include: [zeus.yaml]", "  - {id: athena, name: athena}\ninclude: [zeus.yaml]")
    original = getattr(owner, step)

    def then_crash(*arguments: object) -> None:
        original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, then_crash)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.bootstrap(stack.context, dry_run=False)
    pending = {path.name: path.read_text() for path in stack.layout.credentials_dir.rglob("*.pending")}
    stack.bootstrap()

    assert stack.bootstrap().endswith("Nothing to change.\n")
    stems = ("kosmos", "keys/kosmos.ci", "keys/kosmos.batch", "athena", "zeus")
    assert [stack.status(stack.keys(stem)) for stem in stems] == [200] * 5
    assert stack.status(old) == 401
    assert stack.known() == {
        "projects": {
            "kosmos": ("kosmos", {"team": "rag"}),
            "zeus": ("zeus", {}),
            "athena": ("athena", {}),
        },
        "members": {("acme", "admin@acme.example"): "OWNER", ("acme", "hermes@acme.example"): "ADMIN"},
    }
    files = {path.name: path.read_text() for path in stack.layout.credentials_dir.rglob("*.env*")}
    assert sorted(files) == ["athena.env", "kosmos.batch.env", "kosmos.ci.env", "kosmos.env", "zeus.env"]
    # A key that was made before the crash is the key that counts.
    assert pending.items() <= {f"{name}.pending": text for name, text in files.items()}.items()


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
        "  + API key batch",
        "  ~ project kosmos",
    ]
    assert stack.known()["projects"] == {"kosmos": ("kosmos two", {"team": "rag"}), "zeus": ("zeus", {})}
    assert stack.bootstrap().endswith("Nothing to change.\n")


def test_a_renamed_organization_is_renamed_on_the_server_and_up_says_what_the_server_says(
    stack: Stack,
) -> None:
    stack.edit("id: acme, name: Acme}", "id: acme, name: Acme Research}")
    assert bootstrap.bootstrap(stack.context, dry_run=True) == 0
    assert '~ organization acme\n      name: "Acme" -> "Acme Research"' in stack.out.getvalue()
    assert up.up(stack.context) == 0
    assert "in organization Acme Research" in stack.out.getvalue()
    answer = httpx.get(f"http://127.0.0.1:{stack.port}/api/public/projects", auth=stack.keys("kosmos"))
    assert answer.json()["data"][0]["organization"] == {"id": "acme", "name": "Acme Research"}
    assert stack.bootstrap().endswith("Nothing to change.\n")


def test_check_ends_with_3_on_drift_and_changes_nothing(untouched: Stack) -> None:
    assert bootstrap.bootstrap(untouched.context, dry_run=True, check=True) == 0
    begin = len(untouched.out.getvalue())
    with untouched.edited("max_value: 1\n", "max_value: 3\n", "scores.yaml"):
        assert (
            bootstrap.bootstrap(untouched.context, dry_run=True, check=True, as_json=True) == EXIT_DRIFT == 3
        )
        shown = json.loads(untouched.out.getvalue()[begin:])
        assert shown["changes"] == 1
        (change,) = shown["plans"][0]["changes"]
        assert change["differences"] == [{"field": "maxValue", "old": 1.0, "new": 3.0}]
        assert bootstrap.bootstrap(untouched.context, dry_run=True, check=True) == 3
    assert bootstrap.bootstrap(untouched.context, dry_run=True, check=True) == 0


def test_prune_without_anybody_to_ask_deletes_nothing(stack: Stack) -> None:
    shutil.rmtree(stack.root / "config" / "prompts")
    stack.edit("prompts, ", "")
    with pytest.raises(UsageError, match="not confirmed; nothing was changed"):
        bootstrap.bootstrap(stack.context, dry_run=False, prune=True)
    assert "4 prompts" in stack.bootstrap()
    assert "4 changes made" in stack.bootstrap(prune=True, yes=True)


def test_keys_projects_and_members_that_left_the_files_are_named_and_only_keys_can_be_pruned(
    stack: Stack,
) -> None:
    ci = stack.keys("keys/kosmos.ci")
    stack.edit("      - {name: ci, rotation: 1}\n", "")
    stack.edit("include: [zeus.yaml]", "include: []")
    stack.edit(
        "  - {email: hermes@acme.example, name: Hermes, role: MEMBER, password_from: HERMES_PASSWORD}\n", ""
    )
    stack.edit("members:\n", "")
    shown = stack.bootstrap()
    assert shown.startswith(
        "organization acme\n"
        "    left alone, not in config/: 1 member (hermes@acme.example)\n"
        "    left alone, not in config/: 1 project (zeus)\n"
    )
    assert "    left alone, not in config/: 1 API key (ci)\n" in shown
    assert stack.status(ci) == 200
    with pytest.raises(UsageError, match="not confirmed; nothing was changed"):
        bootstrap.bootstrap(stack.context, dry_run=False, prune=True)
    assert stack.status(ci) == 200
    shown = stack.bootstrap(prune=True, yes=True)
    assert f"  - API key {ci[0]}  (not in config/)\n" in shown
    assert stack.status(ci) == 401
    assert stack.status(stack.keys("kosmos")) == 200
    assert stack.status(stack.keys("zeus")) == 200
    assert not (stack.layout.credentials_dir / "keys" / "kosmos.ci.env").exists()


def test_a_key_that_is_still_in_use_is_not_revoked_after_a_crash_between_two_files(stack: Stack) -> None:
    old = stack.keys("keys/kosmos.ci")
    stack.edit("rotation: 1", "rotation: 2")
    path = stack.layout.credentials_dir / "keys" / "kosmos.ci.env"
    shutil.copy(path, path.with_name(f"{path.name}.retiring"))
    stack.bootstrap()
    assert [stack.status(key) for key in (old, stack.keys("keys/kosmos.ci"))] == [200, 200]
    stack.bootstrap()
    assert [stack.status(key) for key in (old, stack.keys("keys/kosmos.ci"))] == [401, 200]


def test_a_second_bootstrap_at_the_same_time_is_refused(untouched: Stack) -> None:
    with only_one_command(untouched.layout), pytest.raises(StackError, match="Another command"):
        bootstrap.bootstrap(untouched.context, dry_run=False)


def test_settings_that_name_another_port_than_the_running_engine_are_refused(untouched: Stack) -> None:
    moved = replace(
        untouched.context, environment={**untouched.context.environment, "LANGFUSE_PORT": str(free_port())}
    )
    with pytest.raises(EngineError, match=f"runs at http://127.0.0.1:{untouched.port}, but the settings"):
        bootstrap.bootstrap(moved, dry_run=True)


def test_an_invalid_configuration_touches_nothing(untouched: Stack) -> None:
    directory = untouched.layout.credentials_dir
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*")}
    with (
        untouched.edited("rotation: 1", "rotation: 2"),
        untouched.edited("data_type: TEXT", "data_type: TEXTS", "scores.yaml"),
        pytest.raises(StackFileError),
    ):
        bootstrap.bootstrap(untouched.context, dry_run=False)
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*")} == before


def test_a_missing_secret_is_found_before_anything_is_started(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack")
    del stack.environment["ACME_GATEWAY_KEY"]
    with pytest.raises(UsageError, match="acme-gateway takes its secret from ACME_GATEWAY_KEY") as caught:
        up.up(stack.context)
    assert caught.value.fix == "set ACME_GATEWAY_KEY in the environment or in .env."
    assert not stack.layout.stack_dir.exists()
    assert not stack.layout.env_file.exists()


def test_credentials_come_in_the_forms_that_applications_take(untouched: Stack) -> None:
    public, secret = untouched.keys("keys/kosmos.ci")

    def shown(file_format: str) -> str:
        begin = len(untouched.out.getvalue())
        assert (
            credentials.credentials(untouched.context, project="kosmos", key="ci", file_format=file_format)
            == 0
        )
        return untouched.out.getvalue()[begin:]

    assert f"LANGFUSE_SECRET_KEY={secret}\n" in shown("env")
    assert json.loads(shown("json"))["LANGFUSE_PUBLIC_KEY"] == public
    assert "kind: Secret" in shown("k8s-secret")
    assert secret not in shown("k8s-secret")
    assert f"gh secret set LANGFUSE_SECRET_KEY --body {secret}\n" in shown("github")
    for wrong in ({"project": "hera"}, {"key": "none"}, {"file_format": "xml"}):
        with pytest.raises(UsageError):
            credentials.credentials(
                untouched.context, **{"project": "kosmos", "key": "ci", "file_format": "env", **wrong}
            )


def test_export_config_writes_a_new_directory_only(untouched: Stack) -> None:
    into = untouched.root / "out"
    assert export_config.export_config(untouched.context, into=into, project="kosmos", base_url="") == 0
    assert sorted(path.name for path in into.iterdir())[:2] == ["annotation_queues.yaml", "dashboards.yaml"]
    with pytest.raises(UsageError, match="exists already"):
        export_config.export_config(untouched.context, into=into, project="kosmos", base_url="")
    with pytest.raises(UsageError, match=r"The key for https://langfuse\.acme\.example is not set"):
        export_config.export_config(
            untouched.context,
            into=untouched.root / "new",
            project="",
            base_url="https://langfuse.acme.example",
        )


def test_export_config_warns_of_secrets_that_the_files_would_not_be_taken_with(untouched: Stack) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{untouched.port}", auth=untouched.keys("zeus")) as client:
        for path, body in (
            ("v2/datasets", {"name": "leaked"}),
            ("dataset-items", {"datasetName": "leaked", "id": "leak", "input": "AKIA0123456789ABCDEF"}),
        ):
            client.post(f"/api/public/{path}", json=body).raise_for_status()
    into = untouched.root / "leaked"
    assert export_config.export_config(untouched.context, into=into, project="zeus", base_url="") == 0
    warning = " ".join(untouched.err.getvalue().split())
    assert f"{into}/datasets.yaml contains what looks like a secret" in warning
    assert "score_configs.yaml contains" not in warning


OTHER_SALT = "5a" * 32


def with_salt(stack: Stack, salt: str) -> str:
    """Write another SALT into `.env`; return the former one."""
    former = read_env(stack.layout.env_file).values()["SALT"]
    write_values(stack.layout.env_file, {"SALT": salt})
    return former


def test_another_encryption_key_than_that_of_the_data_is_refused_before_anything_starts(
    stack: Stack,
) -> None:
    name = "ENCRYPTION_KEY"
    former = read_env(stack.layout.env_file).values()[name]
    write_values(stack.layout.env_file, {name: OTHER_SALT})
    with pytest.raises(UsageError, match=f"{name} is not what this stack's data was written with"):
        bootstrap.bootstrap(stack.context, dry_run=False)
    down.down(stack.context)
    with pytest.raises(UsageError, match="make destroy"):
        up.up(stack.context)
    assert not stack.context.current_engine(stack.context.settings()).state().running
    write_values(stack.layout.env_file, {name: former})
    assert up.up(stack.context) == 0
    assert stack.status(stack.keys("kosmos")) == 200


def test_other_secrets_are_taken_once_the_data_are_deleted(stack: Stack) -> None:
    with_salt(stack, OTHER_SALT)
    assert destroy.destroy(stack.context, yes=True, dry_run=False) == 0
    assert up.up(stack.context) == 0
    assert stack.status(stack.keys("kosmos")) == 200


def test_with_another_salt_every_key_goes_on_working(stack: Stack) -> None:
    former = {stem: stack.keys(stem) for stem in ("kosmos", "keys/kosmos.ci", "zeus")}
    with_salt(stack, OTHER_SALT)
    down.down(stack.context)
    assert up.up(stack.context) == 0
    said = "the first call with each API key takes a moment longer"
    assert said in " ".join(stack.err.getvalue().split())
    assert {stem: stack.keys(stem) for stem in former} == former
    assert [stack.status(keys) for keys in former.values()] == [200] * 3
    assert stack.bootstrap().endswith("Nothing to change.\n")
    stack.err.truncate(0)
    down.down(stack.context)
    assert up.up(stack.context) == 0
    assert said not in " ".join(stack.err.getvalue().split())


@pytest.mark.parametrize("secret", ["mysalt", "Zm9v+/b4ckZ2FyeQ==", """a$b ${SALT} 'c' "d" # `e`=+/"""])
def test_secrets_are_taken_as_the_server_takes_them(stack: Stack, secret: str) -> None:
    keys = stack.keys("kosmos")
    write_values(stack.layout.env_file, {"SALT": secret, "NEXTAUTH_SECRET": secret})
    down.down(stack.context)
    assert up.up(stack.context) == 0
    assert stack.status(keys) == 200
    with closing(sqlite3.connect(stack.layout.embedded_dir / "state.db")) as db:
        query = "select secret_hash from api_keys where public_key = ?"
        [(stored,)] = db.execute(query, (keys[0],)).fetchall()
    half = hashlib.sha256(secret.encode()).hexdigest()
    assert stored == hashlib.sha256(f"{keys[1]}{half}".encode()).hexdigest()
    assert ("well known" in stack.err.getvalue()) == (secret == "mysalt")


def spoil(stack: Stack, *public_keys: str) -> None:
    """Give keys another secret in the database of the engine, which does not run."""
    with closing(sqlite3.connect(stack.layout.embedded_dir / "state.db")) as db, db:
        for public_key in public_keys:
            db.execute(
                "update api_keys set secret_hash = 'x' || id, slow_hash = null where public_key = ?",
                (public_key,),
            )


def test_a_pending_key_that_the_server_has_with_another_secret_is_made_anew(stack: Stack) -> None:
    """Data was put back from a time between two starts, and nobody was given the key yet."""
    down.down(stack.context)
    ci = stack.layout.credentials_dir / "keys" / "kosmos.ci.env"
    dead = stack.keys("keys/kosmos.ci")[0]
    ci.rename(ci.with_name(f"{ci.name}.pending"))
    spoil(stack, dead)
    assert up.up(stack.context) == 0
    assert stack.keys("keys/kosmos.ci")[0] != dead
    assert stack.status(stack.keys("keys/kosmos.ci")) == 200
    assert stack.bootstrap().endswith("Nothing to change.\n")


def test_the_first_key_is_made_anew_too_and_the_content_is_written_with_it(stack: Stack) -> None:
    down.down(stack.context)
    spoil(stack, *(stack.keys(stem)[0] for stem in ("kosmos", "keys/kosmos.ci", "zeus")))
    for path in stack.layout.credentials_dir.rglob("*.env"):
        path.rename(path.with_name(f"{path.name}.pending"))
    stack.edit("pk-lf-test-zeus", "pk-lf-test-zeus-2", "zeus.yaml")
    assert up.up(stack.context) == 0
    assert stack.status(stack.keys("kosmos")) == 200
    assert stack.bootstrap().endswith("Nothing to change.\n")


def test_where_secrets_are_lost_a_rotation_makes_new_keys(stack: Stack) -> None:
    down.down(stack.context)
    spoil(stack, *(stack.keys(stem)[0] for stem in ("kosmos", "keys/kosmos.ci", "zeus")))
    with pytest.raises(ProvisioningError, match=r"refuses the secret of pk-lf-.*kosmos.*zeus") as refused:
        up.up(stack.context)
    assert "raise `rotation` of the key in config/stack.yaml" in refused.value.fix
    assert "choose a new public key there" in refused.value.fix
    stack.edit("      - name: app\n", "      - {name: app, rotation: 1}\n")
    stack.edit("{name: ci, rotation: 1}", "{name: ci, rotation: 2}")
    stack.edit("pk-lf-test-zeus", "pk-lf-test-zeus-2", "zeus.yaml")
    assert up.up(stack.context) == 0
    assert [stack.status(stack.keys(stem)) for stem in ("kosmos", "keys/kosmos.ci", "zeus")] == [200] * 3
    stack.bootstrap()  # revokes the former ones
    assert stack.bootstrap().endswith("Nothing to change.\n")


def test_the_log_shows_the_request_that_was_refused(
    untouched: Stack, capfd: pytest.CaptureFixture[str]
) -> None:
    assert untouched.status(("pk-lf-test-nobody", "sk-lf-test-nobody")) == 401
    assert logs.logs(untouched.context, service="", lines=20, follow=False) == 0
    shown = capfd.readouterr().out
    assert "GET /api/public/projects -> 401" in shown
    assert "key pk-lf-test-nobody" in shown
    assert "sk-lf" not in shown
