"""A site's own configuration through a disaster: the backup brings it to a host with the repository alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.config import bootstrap, init
from scripts.core.errors import UsageError
from scripts.settings.envfile import read_env
from scripts.settings.places import with_site

from .backups import QUICK, Stack, stack_in
from .harness import REPOSITORY

pytestmark = pytest.mark.slow

EXAMPLE = REPOSITORY / "examples" / "kosmos"

STACK = """\
organization: {id: zeus, name: Zeus}
admin: {email: admin@acme.example}
projects:
  - {id: hermes, name: hermes}
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A checkout with a site and the backup of its stack, of which nothing else is left."""
    made = stack_in(tmp_path / "stack", QUICK)
    site = made.layout.site_dir
    site.mkdir()
    (site / "stack.yaml").write_text(STACK)
    shutil.copy(REPOSITORY / "examples" / "site" / "alerts.yaml", site)
    (made.layout.root / "config" / "prometheus" / "rules").mkdir(parents=True)
    made.up()
    made.back_up()
    password = read_env(made.layout.env_file).values()["BACKUP_PASSWORD"]
    made.lose_everything()
    yield made.with_environment(BACKUP_PASSWORD=password)
    made.stop()


def contents(directory: Path) -> dict[str, bytes]:
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def test_a_disaster_leaves_the_same_projects_and_alerts(stack: Stack) -> None:
    site = stack.layout.site_dir
    before = contents(site)
    assert "prometheus/rules/alerts.yaml" in before
    shutil.rmtree(site)
    assert stack.restore() == 0
    assert contents(site) == before
    with stack.client("hermes") as client:
        [project] = client.get("/api/public/projects").json()["data"]
    assert (project["id"], project["organization"]["name"]) == ("hermes", "Zeus")


def test_the_site_that_is_there_stays_and_the_other_one_is_put_beside_it(stack: Stack) -> None:
    changed = STACK.replace("name: Zeus", "name: Athena")
    (stack.layout.site_dir / "stack.yaml").write_text(changed)
    assert stack.restore() == 0
    assert (stack.layout.site_dir / "stack.yaml").read_text() == changed
    assert (stack.layout.stack_dir / "config-of-backup" / "stack.yaml").read_text() == STACK
    said = " ".join(stack.screen.err.getvalue().split())
    assert "config/local/ differs from that of the backup, now in .stack/config-of-backup" in said


def test_a_restore_that_fails_leaves_no_configuration_of_the_backup_behind(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(stack.layout.site_dir)

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("the spot check")

    monkeypatch.setattr("scripts.data.backup.restoring.prove", refuse)
    with pytest.raises(RuntimeError, match="the spot check"):
        stack.restore()
    assert not stack.layout.site_dir.exists()


def test_a_site_outside_of_the_checkout_is_read_saved_and_brought_back_to_its_place(tmp_path: Path) -> None:
    """The restored `.env` says where that is; until then nobody on the empty host knows."""
    made = stack_in(tmp_path / "stack", QUICK)
    site = tmp_path / "etc" / "langfuse"
    made.layout.env_file.write_text(f"STACK_CONFIG_DIR={site}\n")
    with pytest.raises(UsageError, match="there is no such directory"):
        seen_anew(made).up()
    found = seen_anew(made)
    template = found.layout.root / "examples" / "site"
    template.mkdir(parents=True)
    (template / "stack.yaml").write_text(STACK)
    assert init.init(found.context) == 0
    found.up()
    try:
        found.back_up()
        before = contents(site)
        password = read_env(found.layout.env_file).values()["BACKUP_PASSWORD"]
        found.lose_everything()
        shutil.rmtree(site.parent)
        empty = seen_anew(found).with_environment(BACKUP_PASSWORD=password)
        assert empty.layout.site is None
        assert empty.restore() == 0
        assert contents(site) == before
        assert not (empty.layout.root / "config" / "local").exists()
        assert seen_anew(empty).layout.site == site
        with seen_anew(empty).client("hermes") as client:
            [project] = client.get("/api/public/projects").json()["data"]
        assert (project["id"], project["organization"]["name"]) == ("hermes", "Zeus")
    finally:
        found.stop()


def seen_anew(stack: Stack) -> Stack:
    """Return the stack as the next command sees it: what `.env` says of its layout is read then."""
    layout = stack.layout
    found = with_site(replace(layout, site=None), layout.env_file, {})
    return Stack(replace(stack.context, layout=found), stack.screen)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Stack]:
    """A stack that was started when `config/` described the example company."""
    made = stack_in(tmp_path / "stack", QUICK)
    config = made.layout.root / "config"
    (config / "prometheus" / "rules").mkdir(parents=True)
    shutil.copytree(EXAMPLE, config, dirs_exist_ok=True)
    made.up()
    yield made
    made.stop()


def update(stack: Stack) -> None:
    """Bring the files of this repository, as `git pull` does."""
    config = stack.layout.root / "config"
    shutil.rmtree(config / "content")
    for name in ("stack.yaml", "alerts.yaml"):
        shutil.copy(REPOSITORY / "config" / name, config)
    shutil.copytree(REPOSITORY / "config" / "content", config / "content")
    shutil.copytree(EXAMPLE, stack.layout.root / "examples" / "kosmos")


def keys(stack: Stack) -> dict[str, str]:
    """Return the text of each file of credentials."""
    return {path.name: path.read_text() for path in stack.layout.credentials_dir.glob("*.env")}


def prompts(stack: Stack, project: str) -> int:
    with stack.client(project) as client:
        count: int = client.get("/api/public/v2/prompts").raise_for_status().json()["meta"]["totalItems"]
        return count


def test_who_used_the_projects_that_were_shipped_keeps_them_described_with_one_command(old: Stack) -> None:
    before, count = keys(old), prompts(old, "zeus")
    update(old)
    assert init.init(old.context, source="examples/kosmos") == 0
    begin = len(old.screen.out.getvalue())
    assert bootstrap.bootstrap(old.context, dry_run=True, check=True) == 0
    assert "Nothing to change." in old.screen.out.getvalue()[begin:]
    old.up()
    assert "does not name" not in old.screen.err.getvalue()
    assert (keys(old), prompts(old, "zeus")) == (before, count)


def test_without_it_they_stay_on_the_server_with_their_keys_and_are_named(old: Stack) -> None:
    before, count = keys(old), prompts(old, "zeus")
    update(old)
    old.up()
    said = " ".join(old.screen.err.getvalue().split())
    assert "config/stack.yaml does not name the projects kosmos, zeus, whose keys are in .stack/cred" in said
    assert before.items() < keys(old).items()
    assert keys(old).keys() - before.keys() == {"default.env"}
    assert prompts(old, "zeus") == count > 0
