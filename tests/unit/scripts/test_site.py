"""`config/local`: what a site keeps there is read instead of what comes with the repository."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from scripts.check.doctor.sources.configuration import stale_rules
from scripts.config import init, validate
from scripts.core.console import Console
from scripts.core.errors import StackError, UsageError
from scripts.core.layout import default_layout
from scripts.core.runner import Completed
from scripts.data.backup import restoring
from scripts.docker.compose import Compose
from scripts.engines.context import Context
from scripts.images import bundle
from scripts.provision.loading import load_stack
from scripts.settings.places import layout_of, with_site
from scripts.watch.alerts import command as alerts
from scripts.watch.alerts.compiled import compile_for_site

from .fakes import FakeRunner, Screen, layout_in, settings_with

ROOT = Path(__file__).parents[3]


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def context(tmp_path: Path, screen: Screen) -> Context:
    """A checkout with the configuration of this one, in which `make init` was run."""
    for name in ("config", "examples/site", "examples/kosmos"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("local"))
    found = Context(layout_in(tmp_path), {}, Console({}, screen.out, screen.err), FakeRunner())
    assert init.init(found) == 0
    return found


def tracked(root: Path) -> dict[str, bytes]:
    """Every file of config/ that comes with the repository."""
    config = root / "config"
    paths = [path for path in config.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(config)): path.read_bytes()
        for path in paths
        if not path.is_relative_to(config / "local")
    }


def test_the_first_files_of_a_site_are_valid_and_neutral(context: Context, screen: Screen) -> None:
    assert validate.validate(context) == 0
    said = screen.out.getvalue()
    assert "config/local/stack.yaml is valid" in said
    assert "config/local/alerts.yaml is valid" in said
    assert "config/retention.yaml is valid" in said
    assert "id: kosmos" not in (context.layout.site_dir / "stack.yaml").read_text()


@pytest.mark.parametrize("source", [init.TEMPLATE, "examples/kosmos"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_files_of_a_site_are_never_written_over(context: Context, source: str, dry_run: bool) -> None:
    (context.layout.site_dir / "stack.yaml").write_text("mine")
    with pytest.raises(UsageError, match="config/local/ is not empty; nothing was written"):
        init.init(context, source=source, dry_run=dry_run)
    assert (context.layout.site_dir / "stack.yaml").read_text() == "mine"
    assert not (context.layout.site_dir / "content").exists()


def files(directory: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def test_the_example_company_is_put_in_place_as_a_whole_and_is_valid(
    context: Context, screen: Screen
) -> None:
    shutil.rmtree(context.layout.site_dir)
    example = context.layout.root / "examples" / "kosmos"
    (example / ".git").mkdir()
    begin = len(screen.out.getvalue())
    assert init.init(context, source="examples/kosmos", dry_run=True) == 0
    assert not context.layout.site_dir.exists()
    assert "Would write config/local/stack.yaml, read instead of config/stack.yaml." in screen.out.getvalue()
    assert "Next:" not in screen.out.getvalue()[begin:]
    assert init.init(context, source="examples/kosmos/") == 0
    said = screen.out.getvalue()[begin:]
    assert "Wrote config/local/content/." in said
    assert "Wrote config/local/judges.yaml." in said
    assert ".git" not in said
    (example / ".git").rmdir()
    assert files(context.layout.site_dir) == files(example)
    assert validate.validate(context) == 0
    assert "project zeus: 19 score configs, 7 models, 5 prompts, 2 datasets" in screen.out.getvalue()


def test_a_site_may_be_a_link_to_an_empty_directory(context: Context, tmp_path: Path) -> None:
    shutil.rmtree(context.layout.site_dir)
    (tmp_path / "ours").mkdir()
    context.layout.site_dir.symlink_to(tmp_path / "ours")
    assert init.init(context) == 0
    assert (tmp_path / "ours" / "stack.yaml").is_file()


def test_secrets_that_receivers_have_already_come_along(context: Context, screen: Screen) -> None:
    shutil.rmtree(context.layout.site_dir)
    secrets = context.layout.root / init.SECRETS
    (secrets / "slack_webhook_url").write_text("https://hooks.acme.example/x")
    (secrets / "slack_webhook_url").chmod(0o640)
    assert init.init(context, source="examples/kosmos", dry_run=True) == 0
    assert "Would copy slack_webhook_url to config/local/alertmanager/secrets/." in screen.out.getvalue()
    assert init.init(context, source="examples/kosmos") == 0
    copied = context.layout.site_dir / "alertmanager" / "secrets" / "slack_webhook_url"
    assert copied.read_text() == "https://hooks.acme.example/x"
    assert copied.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in copied.parent.iterdir()] == ["slack_webhook_url"]
    assert "hooks.acme.example" not in screen.out.getvalue()


@pytest.mark.parametrize("source", ["examples", "examples/none", "examples/site/stack.yaml"])
def test_what_is_not_a_site_is_refused(context: Context, source: str) -> None:
    shutil.rmtree(context.layout.site_dir)
    with pytest.raises(UsageError, match=f"{source} is not a site: there is no {source}/stack.yaml"):
        init.init(context, source=source)
    assert not context.layout.site_dir.exists()


def test_a_site_that_cannot_be_written_says_so(context: Context) -> None:
    shutil.rmtree(context.layout.site_dir)
    context.layout.site_dir.symlink_to(context.layout.root / "nowhere" / "at-all")
    with pytest.raises(StackError, match="config/local/ cannot be written"):
        init.init(context)


def test_alerts_of_a_site_are_compiled_beside_them_and_tracked_files_stay(context: Context) -> None:
    before = tracked(context.layout.root)
    assert alerts.alerts(context, dry_run=False) == 3  # no secret for Slack yet
    assert tracked(context.layout.root) == before
    rules = context.layout.site_dir / "prometheus" / "rules"
    assert "daily_budget_exceeded" in (rules / "alerts.yaml").read_text()
    assert "cost_spike" not in (rules / "alerts.yaml").read_text()
    assert (rules / "stack.yaml").read_bytes() == before["prometheus/rules/stack.yaml"]
    assert "slack_notify" in (context.layout.site_dir / "alertmanager" / "alertmanager.yml").read_text()


def test_an_update_of_the_repository_reaches_the_compiled_rules_with_the_next_start(context: Context) -> None:
    compile_for_site(context.layout)
    assert stale_rules(context) == {}
    shipped = context.layout.root / "config" / "prometheus" / "rules" / "stack.yaml"
    shipped.write_text(shipped.read_text() + "\n# newer\n")
    [stale] = stale_rules(context)
    assert stale.endswith("config/local/prometheus/rules/stack.yaml")
    compile_for_site(context.layout)
    assert stale_rules(context) == {}


def test_compose_mounts_what_the_site_has_and_else_what_is_shipped(context: Context) -> None:
    def mounted() -> list[str]:
        runner = FakeRunner()
        Compose(context.layout, settings_with(), {}, runner).run("config", "--quiet")
        [environment] = runner.environments
        assert environment is not None
        names = ("ALERTS_FILE", "ALERT_RULES_DIR", "ALERTMANAGER_DIR", "GRAFANA_DASHBOARDS_DIR")
        return [str(Path(environment[name]).relative_to(context.layout.root)) for name in names]

    assert mounted() == [
        "config/local/alerts.yaml",
        "config/local/prometheus/rules",
        "config/local/alertmanager",
        "config/grafana/dashboards",
    ]
    (context.layout.site_dir / "alerts.yaml").unlink()
    (context.layout.site_dir / "grafana" / "dashboards").mkdir(parents=True)
    assert mounted() == [
        "config/alerts.yaml",
        "config/prometheus/rules",
        "config/alertmanager",
        "config/local/grafana/dashboards",
    ]


def test_dashboards_of_a_site_have_those_of_the_repository_beside_them(context: Context) -> None:
    own = context.layout.site_dir / "grafana" / "dashboards"
    compile_for_site(context.layout)
    assert not own.exists()
    shutil.copytree(context.layout.root / "examples" / "kosmos" / "grafana", own.parent)
    before = tracked(context.layout.root)
    assert compile_for_site(context.layout) is True
    assert {path.stem for path in own.iterdir()} >= {"gap-filling", "stack-health"}
    assert (own / "stack-health.json").read_bytes() == before["grafana/dashboards/stack-health.json"]
    assert compile_for_site(context.layout) is False
    (context.layout.site_dir / "alerts.yaml").unlink()
    shipped = context.layout.root / "config" / "alerts.yaml"
    shipped.write_text(shipped.read_text().replace("cost_spike", "cost_jump"))
    (own / "agents.json").unlink()
    before = tracked(context.layout.root)
    assert compile_for_site(context.layout) is True
    assert tracked(context.layout.root) == before
    assert (own / "agents.json").is_file()


def test_a_bundle_carries_the_site_without_its_secrets(
    context: Context, screen: Screen, tmp_path: Path
) -> None:
    site = context.layout.site_dir
    for name in (".git/HEAD", "alertmanager/secrets/slack_webhook_url", "content/prompts/greeting.md"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)
    found: list[str] = []

    def look(*_: object) -> Completed:
        [archive] = tmp_path.glob(f"out/.bundle-*/parts/{bundle.SITE}")
        with tarfile.open(archive) as opened:
            found.extend(member.name for member in opened if member.isfile())
        return Completed(1, "", "no route to host")

    runner = FakeRunner({"pip download": look})
    (tmp_path / "out").mkdir()
    with pytest.raises(StackError, match="exit code 1"):
        bundle.bundle(
            Context(context.layout, {}, context.console, runner),
            file=tmp_path / "out" / "bundle.tar",
            key=None,
            with_images=False,
        )
    names = ("alerts.yaml", "content/prompts/greeting.md", "stack.yaml")
    assert sorted(found) == [f"config/local/{name}" for name in names]
    assert "secrets in config/local/alertmanager/secrets/ are not in the bundle: slack_webhook_url" in (
        " ".join(screen.err.getvalue().split())
    )


def test_a_running_stack_reads_what_was_compiled(context: Context) -> None:
    runner = FakeRunner({"ps --services": Completed(0, "prometheus\nlangfuse-web\nexporter\n")})
    running = Context(context.layout, {"LANGFUSE_INIT_USER_PASSWORD": "x" * 12}, context.console, runner)
    alerts.alerts(running, dry_run=True)
    assert runner.calls == []
    running.layout.stack_dir.mkdir()
    running.layout.engine_file.write_text("compose\n")
    alerts.alerts(running, dry_run=False)
    assert any(line.endswith("kill --signal SIGHUP prometheus") for line in runner.lines())
    assert any(line.endswith("restart exporter") for line in runner.lines())
    runner.calls.clear()
    alerts.alerts(running, dry_run=False)  # nothing has changed
    assert runner.calls == []


@pytest.fixture
def elsewhere(tmp_path: Path, screen: Screen) -> Context:
    """A checkout whose site is outside of it, as STACK_CONFIG_DIR in `.env` says."""
    root, site = tmp_path / "checkout", tmp_path / "etc" / "langfuse"
    for name in ("config", "examples/site", "examples/kosmos"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("local"))
    (root / ".env").write_text(f"STACK_CONFIG_DIR={site}\n")
    return Context(layout_of(root, {}), {}, Console({}, screen.out, screen.err), FakeRunner())


def test_the_environment_wins_over_env_and_a_path_may_be_relative(elsewhere: Context, tmp_path: Path) -> None:
    root = elsewhere.layout.root
    assert elsewhere.layout.site_dir == tmp_path / "etc" / "langfuse"
    assert layout_of(root, {"STACK_CONFIG_DIR": "../ours"}).site_dir == tmp_path / "ours"
    (root / ".env").write_bytes(b"\xff")
    assert layout_of(root, {}).site_dir == root / "config" / "local"


def test_a_site_elsewhere_is_begun_validated_and_mounted(
    elsewhere: Context, screen: Screen, tmp_path: Path
) -> None:
    before = tracked(elsewhere.layout.root)
    site = elsewhere.layout.site_dir
    assert init.init(elsewhere) == 0
    assert f"Wrote {site}/stack.yaml, read instead of config/stack.yaml." in screen.out.getvalue()
    assert validate.validate(elsewhere) == 0
    assert f"{site}/stack.yaml is valid" in screen.out.getvalue()
    alerts.alerts(elsewhere, dry_run=False)
    assert (site / "prometheus" / "rules" / "alerts.yaml").is_file()
    compose = Compose(elsewhere.layout, settings_with(), {}, FakeRunner())
    compose.run("ps")
    mounted = (compose.runner.environments[0] or {}) if isinstance(compose.runner, FakeRunner) else {}
    assert mounted["ALERTS_FILE"] == str(site / "alerts.yaml")
    assert mounted["ALERT_RULES_DIR"] == str(site / "prometheus" / "rules")
    assert mounted["ALERTMANAGER_DIR"] == str(site / "alertmanager")
    assert tracked(elsewhere.layout.root) == before
    assert not (elsewhere.layout.root / "config" / "local").exists()


def test_a_site_that_is_not_there_is_not_replaced_by_what_comes_with_the_repository(
    elsewhere: Context, screen: Screen
) -> None:
    with pytest.raises(UsageError, match=r"names .*etc/langfuse, and there is no such") as caught:
        load_stack(elsewhere.layout.stack_file, "")
    assert "make init" in caught.value.fix
    assert validate.validate(elsewhere) != 0
    assert "there is no such directory" in screen.out.getvalue() + screen.err.getvalue()


def test_a_bundle_has_a_site_from_elsewhere_at_its_usual_place(elsewhere: Context, tmp_path: Path) -> None:
    init.init(elsewhere)
    (elsewhere.layout.site_dir / ".git").mkdir()
    (elsewhere.layout.site_dir / ".git" / "HEAD").write_text("ref")
    bundle._site(elsewhere, tmp_path)
    with tarfile.open(tmp_path / bundle.SITE) as archive:
        names = archive.getnames()
    assert "config/local/stack.yaml" in names
    assert not any(".git" in name for name in names)


def test_a_backup_brings_a_site_to_where_the_settings_in_it_say(elsewhere: Context, tmp_path: Path) -> None:
    """And its own git is no difference."""
    init.init(elsewhere)
    site, stored = elsewhere.layout.site_dir, tmp_path / "config-of-backup"
    shutil.copytree(site, stored / "local")
    (site / ".git").mkdir()
    (site / ".git" / "HEAD").write_text("ref")
    assert not restoring._differs(stored / "local", site)
    shutil.rmtree(site)
    empty = default_layout(elsewhere.layout.root, {})
    found = with_site(empty, elsewhere.layout.env_file, {})
    assert restoring.bring_site(found, stored)
    assert files(site) == files(stored / "local")
    assert not restoring.bring_site(found, stored)
    shutil.rmtree(site)
    site.parent.rmdir()
    site.parent.write_text("in the way")
    with pytest.raises(StackError, match="cannot be written") as caught:
        restoring.bring_site(found, stored)
    assert "STACK_CONFIG_DIR" in caught.value.fix
