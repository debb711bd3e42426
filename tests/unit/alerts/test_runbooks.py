"""Every alert has a runbook, and every command and file that a runbook names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from scripts.cli import app
from scripts.settings.table import SETTINGS
from scripts.watch.alerts.document import load_alerts

from .promtool import CONFIG, EXAMPLE, ROOT

RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted(RUNBOOKS.glob("*.md"))
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Prevention"]
# Variables of the server itself that pages name, besides the settings of this stack.
SERVER_VARIABLES = {
    "LANGFUSE_INGESTION_QUEUE_DELAY_MS",
    "LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS",
    "LANGFUSE_INGESTION_CLICKHOUSE_WRITE_INTERVAL_MS",
    "DD_AGENT_HOST",
    "SSL_CERT_FILE",
}


def alerts() -> set[str]:
    """Return the names of all alerts, of applications and of the stack."""
    stack = yaml.safe_load((CONFIG / "prometheus" / "rules" / "stack.yaml").read_text())
    own = {rule["alert"] for group in stack["groups"] for rule in group["rules"]}
    files = [directory / "alerts.yaml" for directory in (CONFIG, EXAMPLE)]
    return own | {alert.name for file in files for alert in load_alerts(file, str(file)).alerts}


def targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {page.stem for page in PAGES} == alerts()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_all_sections_with_text(page: Path) -> None:
    text = page.read_text()
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    assert parts[1::2] == SECTIONS
    assert all(part.strip() for part in parts[2::2])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_only_commands_settings_and_files_that_exist(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets()
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"python -m scripts ([a-z-]+)", text)) <= commands
    settings = {setting.name for setting in SETTINGS} | SERVER_VARIABLES
    named = set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`", text))
    assert named <= settings
    for path in re.findall(r"\bconfig/[\w./-]*\w", text):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (RUNBOOKS / link).is_file(), link


def test_a_diagnosis_begins_with_something_to_do() -> None:
    for page in PAGES:
        diagnosis = page.read_text().split("## Diagnosis")[1].split("##")[0]
        assert "1. " in diagnosis, page.name
