"""`alerts`, `alerts-check`, `canary` and `dashboard`, run as an operator does beside an engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from .browsing import WIDTHS, Open, show
from .exporting import IN_ROOT, write_keys
from .harness import DEFAULT_KEYS, REPOSITORY, RunningEngine
from .seeding import Seed, make_seed, push
from .viewer_client import visitor

pytestmark = pytest.mark.slow

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A stack's directory with the alerts of the example company and the keys of the engine."""
    shutil.copytree(REPOSITORY / "config", tmp_path / "config", ignore=shutil.ignore_patterns("local"))
    shutil.copy(REPOSITORY / "examples" / "kosmos" / "alerts.yaml", tmp_path / "config")
    write_keys(tmp_path / ".stack" / "credentials", [DEFAULT_KEYS])
    return tmp_path


@pytest.fixture
def command(root: Path) -> Command:
    """A function that runs a command in that directory."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", IN_ROOT, str(root), *arguments],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


@pytest.fixture(scope="module")
def seed() -> Seed:
    """The raw data."""
    return make_seed(9)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, seed: Seed) -> Iterator[RunningEngine]:
    """An engine with seeded data."""
    engine = RunningEngine(tmp_path_factory.mktemp("seeded") / "data").start()
    push(engine.client, seed)
    yield engine
    engine.stop()


def test_alerts_check_fires_exactly_where_the_raw_data_cross_a_threshold(
    seeded: RunningEngine, seed: Seed, command: Command
) -> None:
    done = command("alerts-check", "--base-url", seeded.base_url)
    assert done.returncode == 1, done.stdout + done.stderr
    firing = {line.split()[2] for line in done.stdout.splitlines() if line.startswith("FIRING")}
    scores = seed.scores
    crossed = {
        "confidence_drop": scores["attribution_confidence"].mean() < 0.7,
        "high_confidence_share_low": (scores["attribution_confidence"] >= 0.9).mean() < 0.6,
        "single_source_share_high": (scores["source_count"] == 1).mean() > 0.3,
        "gap_fill_rate_low": scores["gap_fill_success"].mean() < 0.5,
        "gap_fill_turns_high": scores["turns_to_fill"].mean() > 5,
        "satisfaction_low": scores["satisfaction"].mean() < 3.5,
        "cost_per_gap_fill_high": seed.costs.sum() / scores["gap_fill_success"].sum() > 0.1,
        "tokens_per_query_high": seed.tokens.mean() > 2000,
        "voice_sla_missed": scores["latency-sla"].mean() < 0.95,
        "cost_spike": seed.costs.sum() > 60,
        "error_rate_high": seed.failed.mean() / 2 > 0.1,
        "conformal_miscalibration": abs(scores["conformal_coverage"].mean() - 0.9) > 0.05,
    }
    assert {name for name in crossed if name in firing} == {name for name, is_so in crossed.items() if is_so}
    with visitor(seeded.base_url) as visit:
        overview = visit.get("/project/kosmos-support/overview").text
    shown = re.findall(r"<strong><bdi>([^<]*)</bdi></strong>", overview)
    assert sorted(set(shown)) == sorted(firing)
    runbooks = re.findall(r'href="http://localhost:3001/public/runbooks/([a-z_]+)\.md"', overview)
    assert sorted(runbooks) == sorted(shown)


def test_alerts_check_of_an_empty_project_says_that_there_is_no_data(
    command: Command, engine: RunningEngine
) -> None:
    done = command("alerts-check", "--base-url", engine.base_url)
    assert done.returncode == 3, done.stdout + done.stderr


def test_alerts_check_of_a_dead_server_says_what_to_do(command: Command) -> None:
    done = command("alerts-check", "--base-url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "The metrics of project kosmos-support cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_alerts_check_of_an_unknown_project_is_wrong_use(command: Command) -> None:
    done = command("alerts-check", "--project", "hermes")
    assert done.returncode == 2
    assert "no credentials of project hermes" in done.stderr


def test_the_file_shows_what_the_viewer_shows_and_every_alert(
    seeded: RunningEngine, seed: Seed, command: Command, root: Path
) -> None:
    assert command("alerts-check", "--base-url", seeded.base_url).returncode == 1
    done = command("dashboard", "--base-url", seeded.base_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == ".stack/dashboard.html"
    page = (root / ".stack" / "dashboard.html").read_text()
    since, until = re.findall(r'<time datetime="([^"]+)"', page)[:2]
    end = datetime.fromisoformat(until) + timedelta(milliseconds=1)  # which the viewer leaves out
    with visitor(seeded.base_url) as visit:
        shown = visit.get(
            "/project/kosmos-support/overview", params={"from": since, "to": end.isoformat()}
        ).text
    for part in (FIRED, CARDS, CHARTS):
        assert in_words(part, page) == in_words(part, shown)
    assert f"Cost ${seed.costs.sum():,.2f}" in in_words(CARDS, page)
    assert len(re.findall(FIRED, page, re.DOTALL)[0].split("<li ")) > 10
    row = re.search(r"<bdi>router</bdi></td>(.*?)</tr>", page)
    assert row is not None
    assert f"<bdi>{int((seed.agents == 'router').sum())}</bdi>" in row[1]
    alerts = page.partition("<h2>All alerts</h2>")[2]
    assert alerts.index("<bdi>FIRING</bdi>") < alerts.index("<bdi>ok</bdi>")
    average = f"{seed.scores['attribution_confidence'].mean():.4g}"
    assert f'<bdi>{average}</bdi></td><td class="number"><bdi>avg &lt; 0.7, 1h</bdi>' in alerts


FIRED = r"<h2>\d+ alerts fire</h2>(.*?)</ul>"
CARDS = r'<dl class="cards">(.*?)</dl>'
CHARTS = r'<div class="charts">(.*?)<h2>Models</h2>'


def in_words(part: str, page: str) -> str:
    """Return the text of one part of a page, drawings as they are."""
    [found] = re.findall(part, page, re.DOTALL)
    return " ".join(re.sub(r"</?(?:a|dd|dt|div)\b[^>]*>", " ", found).split())


def test_names_from_traces_cannot_put_markup_into_the_page(
    engine: RunningEngine, command: Command, root: Path
) -> None:
    from .spans import send, span, trace_id

    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "<script>alert(1)</script>",
        "langfuse.observation.cost_details": '{"total": 1}',
    }
    send(engine.client, span(trace_id(), "answer", attributes=attributes))
    assert command("dashboard", "--base-url", engine.base_url).returncode == 0
    page = (root / ".stack" / "dashboard.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'; style-src 'sha256-" in page


def test_the_written_pages_fit_every_width_and_scroll_what_is_wider(
    seeded: RunningEngine, command: Command, root: Path, open_browser: Open
) -> None:
    for name in ("dashboard", "report"):
        assert command(name, "--base-url", seeded.base_url).returncode == 0
    pages = [root / ".stack" / "dashboard.html", *(root / ".stack" / "report").glob("*/report.html")]
    assert len(pages) == 2
    browser = open_browser(True)
    for width in WIDTHS.values():
        show(browser, width, "dark")
        for page in pages:
            browser.get(page.as_uri())
            content = browser.execute_script("return document.documentElement.scrollWidth")
            assert content <= width, f"{page.name} is {content} pixels wide on {width}"
            wide = "return [...document.querySelectorAll('table, svg')].filter(one => one.closest('.scroll'))"
            assert browser.execute_script(f"{wide}.length") >= 3
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_alerts_compiles_and_warns_of_missing_secrets(command: Command, root: Path) -> None:
    (root / "config" / "prometheus" / "rules" / "alerts.yaml").unlink()
    first = command("alerts")
    assert first.returncode == 3
    assert "rules/alerts.yaml: written" in first.stderr
    assert "action slack_notify cannot send" in first.stderr
    assert "secrets/slack_webhook_url is missing" in first.stderr
    for name in ("slack_webhook_url", "pagerduty_routing_key"):
        (root / "config" / "alertmanager" / "secrets" / name).write_text("x")
    second = command("alerts")
    assert second.returncode == 0
    assert "rules/alerts.yaml: unchanged" in second.stderr
    (root / "config" / "alertmanager" / "secrets" / "pagerduty_routing_key").write_text("\n")
    third = command("alerts")
    assert third.returncode == 3
    assert "secrets/pagerduty_routing_key is empty" in third.stderr


def test_a_faulty_file_is_refused_and_the_compiled_rules_stay(command: Command, root: Path) -> None:
    rules = root / "config" / "prometheus" / "rules" / "alerts.yaml"
    before = rules.read_text()
    path = root / "config" / "alerts.yaml"
    path.write_text(path.read_text().replace("condition: avg < 0.7\n", "condition: avrg < 0.7\n"))
    done = command("alerts")
    assert done.returncode == 2
    assert "config/alerts.yaml:" in done.stderr
    assert "unknown variable avrg" in done.stderr
    assert rules.read_text() == before


def test_the_canary_tells_how_long_each_step_took(command: Command, engine: RunningEngine) -> None:
    done = command("canary", EXPORTER_LANGFUSE_URL=engine.base_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "write_span",
        "read_span",
        "write_score",
        "read_score",
    ]


def test_a_canary_that_gets_no_answer_names_the_step(command: Command) -> None:
    done = command("canary", EXPORTER_LANGFUSE_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "unreachable at write_span" in done.stdout
    assert "fix: make doctor" in done.stderr
