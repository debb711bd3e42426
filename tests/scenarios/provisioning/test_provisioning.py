"""Projects beyond the first, further keys, their rotation and removal, and content, on the compose engine."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import httpx
import pytest

from scripts.config import bootstrap, init
from scripts.config.rotate.stores import Stores
from scripts.core.console import Console
from scripts.core.errors import UsageError
from scripts.core.waiting import Look
from scripts.engines.base import EngineName
from scripts.engines.compose import ComposeEngine
from scripts.run import up
from scripts.settings.envfile import read_env
from tests.scenarios.stack import EXAMPLE, Stack, other_checkout

DESCRIPTION = """\
organization: {id: acme, name: Acme}
admin: {email: admin@acme.example, name: Acme Admin}
projects:
  - id: kosmos
    name: kosmos
    keys:
      - name: app
      - {name: ci, rotation: 1}
    content: [content]
  - id: zeus
    name: zeus
    key: {public: pk-lf-test-zeus, secret_from: ZEUS_SECRET_KEY}
"""
ZEUS = ("pk-lf-test-zeus", "sk-lf-test-zeus")
ATHENA = "  - {id: athena, name: athena}\n"
BATCH = "      - name: batch\n"
Key = tuple[str, str]


@dataclass
class Described:
    """A stack whose description is a copy that scenarios may edit."""

    stack: Stack
    out: io.StringIO

    @property
    def file(self) -> Path:
        """The description."""
        return self.stack.context.layout.stack_file

    def edit(self, old: str, new: str) -> None:
        """Replace what stands once in the description."""
        text = self.file.read_text()
        assert text.count(old) == 1
        self.file.write_text(text.replace(old, new))

    def bootstrap(self, *, prune: bool = False) -> str:
        """Run the command; return what it printed."""
        begin = len(self.out.getvalue())
        assert bootstrap.bootstrap(self.stack.context, dry_run=False, prune=prune, yes=True) == 0
        return self.out.getvalue()[begin:]

    def key(self, stem: str) -> Key:
        """Return a key by the name of its file."""
        values = self.variables(stem)
        return values["LANGFUSE_PUBLIC_KEY"], values["LANGFUSE_SECRET_KEY"]

    def variables(self, stem: str) -> Mapping[str, str]:
        """Return what stands in the file of a key."""
        return read_env(self.stack.context.layout.credentials_dir / f"{stem}.env").values()

    def with_secret(self, name: str, value: str) -> Described:
        """Return the same with a further variable in the environment."""
        context = self.stack.context
        environment = {**context.environment, name: value}
        return replace(self, stack=replace(self.stack, context=replace(context, environment=environment)))

    def has_password(self, email: str, password: str) -> bool:
        """Return whether a password is that of a user, by the rules of the server."""
        stores = Stores(self.stack.context, self.stack.context.settings())
        return stores.user_has_password(EngineName.COMPOSE, email, password)

    def answers(self, *keys: Key) -> list[int | str]:
        """Return the project that each key opens, or the status of the refusal."""
        found: list[int | str] = []
        with self.stack.client() as client:
            for key in keys:
                answer = client.get("/api/public/projects", auth=key)
                found.append(answer.json()["data"][0]["id"] if answer.is_success else answer.status_code)
        return found

    def names(self, path: str) -> set[str]:
        """Return the names of what the first project has."""
        with self.stack.client(self.variables("kosmos")) as client:
            answer: httpx.Response = client.get(f"/api/public/{path}", params={"limit": 100})
            return {row["name"] for row in answer.raise_for_status().json()["data"]}


@pytest.fixture(scope="module")
def described(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    """Return a stack that runs, as described, in a checkout of its own."""
    other = other_checkout(stack, tmp_path_factory.mktemp("described"))
    context, out = other.context, io.StringIO()
    assert init.init(context, source=EXAMPLE) == 0
    context.layout.stack_file.write_text(DESCRIPTION)
    environment = {**context.environment, "ZEUS_SECRET_KEY": ZEUS[1]}
    context = replace(context, environment=environment, console=Console(environment, out))
    found = Described(replace(other, context=context), out)
    try:
        assert up.up(context) == 0
        yield found
    finally:
        found.stack.destroy()


def test_one_start_makes_all_projects_keys_and_content_and_then_nothing_is_left_to_do(
    described: Described,
) -> None:
    """Two projects, three keys, and the content of the first."""
    keys = [described.key(stem) for stem in ("kosmos", "keys/kosmos.ci", "zeus")]
    assert keys[2] == ZEUS
    assert described.answers(*keys) == ["kosmos", "kosmos", "zeus"]
    assert {"quality", "attribution_confidence"} <= described.names("score-configs")
    assert "zeus-routing" in described.names("v2/prompts")
    assert "golden/routing" in described.names("v2/datasets")
    shown = described.bootstrap()
    assert shown.startswith("project kosmos\n    ")
    assert shown.endswith(" as wanted\nproject zeus\n    1 as wanted\nNothing to change.\n")


def test_a_rotated_key_works_beside_the_old_one_until_the_next_run(described: Described) -> None:
    """The old one is gone for the server, too, and no other key is touched."""
    old, others = described.key("keys/kosmos.ci"), [described.key("kosmos"), ZEUS]
    described.edit("rotation: 1", "rotation: 2")
    assert f"+ API key ci  (replaces {old[0]}, which the next run revokes)" in described.bootstrap()
    new = described.key("keys/kosmos.ci")
    assert new != old
    assert described.answers(old, new, *others) == ["kosmos", "kosmos", "kosmos", "zeus"]
    assert f"- API key {old[0]}  (it was replaced in an earlier run)" in described.bootstrap()
    assert described.answers(old, new, *others) == [401, "kosmos", "kosmos", "zeus"]
    assert described.bootstrap().endswith("Nothing to change.\n")


def test_a_further_project_and_key_that_were_interrupted_are_finished_by_the_next_run(
    described: Described, engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the short-lived web container starts: it goes, and the same keys are used again."""
    described.edit("  - id: zeus\n", f"{ATHENA}  - id: zeus\n")
    described.edit("      - name: app\n", f"      - name: app\n{BATCH}")
    with monkeypatch.context() as patch:
        patch.setattr(ComposeEngine, "_look_at", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.bootstrap(described.stack.context, dry_run=False)
    assert web_containers(engine, described.stack) == 1
    pending = described.stack.context.layout.credentials_dir / "athena.env.pending"
    made = read_env(pending).values()["LANGFUSE_PUBLIC_KEY"]
    shown = described.bootstrap()
    assert "project athena\n  + project athena\n  + API key default\n" in shown
    assert "  + API key batch\n" in shown
    assert described.key("athena")[0] == made
    assert described.answers(described.key("athena"), described.key("keys/kosmos.batch")) == [
        "athena",
        "kosmos",
    ]
    assert web_containers(engine, described.stack) == 1
    assert described.bootstrap().endswith("Nothing to change.\n")


def _interrupt(_engine: ComposeEngine, _container: str) -> Look:
    raise KeyboardInterrupt


def test_a_key_that_no_file_names_any_more_is_revoked_by_prune_only(described: Described) -> None:
    """And its file goes with it."""
    batch = described.key("keys/kosmos.batch")
    described.edit(BATCH, "")
    assert "left alone, not in config/: 1 API key (batch)" in described.bootstrap()
    assert described.answers(batch) == ["kosmos"]
    assert f"- API key {batch[0]}  (not in config/)" in described.bootstrap(prune=True)
    assert described.answers(batch, described.key("kosmos")) == [401, "kosmos"]
    assert not (described.stack.context.layout.credentials_dir / "keys" / "kosmos.batch.env").exists()


def test_a_member_is_made_while_sign_up_is_closed_and_gets_another_role_later(described: Described) -> None:
    """With the first password, which a later run does not change."""
    described.file.write_text(
        described.file.read_text()
        + "members:\n"
        + "  - {email: Hermes@acme.example, name: Hermes, role: MEMBER, password_from: HERMES_PASSWORD}\n"
    )
    with pytest.raises(UsageError, match="HERMES_PASSWORD"):
        described.bootstrap()
    shown = described.with_secret("HERMES_PASSWORD", "it's a first \\ password").bootstrap()
    assert shown.startswith("organization acme\n  + member Hermes@acme.example\n")
    assert described.has_password("hermes@acme.example", "it's a first \\ password")
    described.edit("role: MEMBER", "role: VIEWER")
    shown = described.with_secret("HERMES_PASSWORD", "another one").bootstrap()
    assert "  ~ member Hermes@acme.example" in shown
    assert described.has_password("hermes@acme.example", "it's a first \\ password")
    assert not described.has_password("hermes@acme.example", "another one")
    assert described.bootstrap().endswith("Nothing to change.\n")


def test_metadata_is_named_as_beyond_this_engine_and_the_rest_is_done(described: Described) -> None:
    """The run does not fail for it."""
    described.edit("    name: zeus\n", "    name: zeus\n    metadata: {team: search}\n")
    shown = described.bootstrap()
    assert "  ! project zeus  (metadata: without a licence" in shown
    assert shown.endswith("1 that the API cannot make.\n")


def web_containers(engine: docker.DockerClient, stack: Stack) -> int:
    """Return how many containers of web there are, running or not."""
    label = [f"com.docker.compose.project={stack.name}", "com.docker.compose.service=langfuse-web"]
    return len(engine.containers.list(all=True, filters={"label": label}))
