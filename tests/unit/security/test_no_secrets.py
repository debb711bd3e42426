"""No secret stands in the repository, nor in its history; and the scan that says so finds what is planted."""

from __future__ import annotations

import base64
import random
import shutil
import string
import subprocess
from pathlib import Path

import pytest

from scripts.settings.model import Setting
from scripts.settings.table import SETTINGS

from .secret_scan import scan

ROOT = Path(__file__).parents[3]
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
ANY = string.ascii_letters + string.digits


def chance(alphabet: str, length: int) -> str:
    """Return random characters: the same in every run, and without a row that looks made up."""
    return "".join(random.Random(length).choices(alphabet, k=length))


def git(*arguments: str) -> str:
    """Return what git prints about this repository; skips outside of a checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


PLANTED = {
    "private key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "age key": "AGE-SECRET-KEY-" + "1" + chance(UPPER, 58),
    "AWS key": "key: AK" + "IA" + chance(UPPER, 16),
    "GitHub token": "gh" + "p_" + chance(ANY, 36),
    "Slack token": "xo" + "xb-" + chance(ANY, 30),
    "Slack webhook": "https://hooks.slack"
    f".com/services/T{chance(UPPER, 9)}/B{chance(UPPER, 9)}/{chance(ANY, 24)}",
    "model provider key": "sk-" + "proj-" + chance(ANY, 40),
    "Google key": "AI" + "za" + chance(ANY, 35),
    "Langfuse key": "sk-lf" + "-" + "8-4-4-12".replace("8", chance(HEX, 8)).replace("12", chance(HEX, 12)),
    "JSON web token": ".".join(
        base64.urlsafe_b64encode(part.encode()).decode().rstrip("=")
        for part in ('{"alg":"HS256"}', '{"sub":"hermes"}', chance(ANY, 32))
    ),
    "password in a URL": "postgresql://langfuse:" + chance(HEX, 32) + "@postgres:5432/langfuse",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_of_each_kind_is_found_with_its_line(kind: str) -> None:
    text = f"# settings\nvalue = {PLANTED[kind]}\n"
    assert kind in {
        finding.kind for finding in scan(text, "planted.yaml") if finding.place == "planted.yaml:2"
    }


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.generate], ids=lambda one: one.name)
def test_every_secret_that_make_up_generates_is_found_in_a_copied_env_file(setting: Setting) -> None:
    assert setting.generate is not None
    line = f"{setting.name}={setting.generate()}\n"
    assert [str(found) for found in scan(line, ".env")] == [".env:1: secret in an assignment"]


@pytest.mark.parametrize(
    "line",
    [
        "LANGFUSE_SECRET_KEY=sk-lf-test-kosmos",
        "secret_from: ACME_GATEWAY_KEY_OF_2026",
        'SECRETS_DIR = "/etc/alertmanager/secrets"',
        "DATABASE_URL=postgresql://langfuse:${POSTGRES_PASSWORD}@postgres:5432/langfuse",
        "BACKUP_PASSWORD=",
    ],
)
def test_names_and_made_up_values_are_no_secrets(line: str) -> None:
    assert list(scan(line, "page.md")) == []


@pytest.mark.parametrize(
    "value",
    [
        "AK" + "IA" + "0" * 12 + chance(UPPER, 4),
        "sk-lf" + "-" + "0" * 12 + chance(HEX, 20),
        "sk-lf" + "-of-nobody-" + chance(HEX, 20),
    ],
)
def test_what_only_begins_like_a_made_up_key_is_found(value: str) -> None:
    assert [str(found) for found in scan(f"key: {value}\n", "page.md")] != []


def test_no_tracked_file_holds_a_secret() -> None:
    findings = [
        finding
        for name in git("ls-files", "-z").split("\0")
        if name and not name.endswith((".lock", "package-lock.json")) and (ROOT / name).is_file()
        for finding in scan((ROOT / name).read_text(errors="replace"), name)
    ]
    assert [str(finding) for finding in findings] == []


@pytest.mark.slow
def test_no_commit_has_ever_added_a_secret() -> None:
    added = (
        line
        for line in git(
            "log", "--all", "--no-color", "--unified=0", "-p", "--", ".", ":!*.lock", ":!*-lock.json"
        ).splitlines()
        if line.startswith("+")
    )
    assert [str(finding) for line in added for finding in scan(line, line[:60])] == []


@pytest.mark.parametrize(
    "path",
    [".env", ".env.langfuse", ".stack/credentials/kosmos.env", ".backups/config", "compose.override.yaml"],
)
def test_files_that_hold_secrets_are_ignored_by_git(path: str) -> None:
    assert git("check-ignore", "--no-index", path).strip() == path
