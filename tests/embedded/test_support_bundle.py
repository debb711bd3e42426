"""The support bundle of a real stack: every secret planted in every way, and none in the bundle."""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from scripts.check.support import command
from scripts.core.errors import EXIT_OK, UsageError
from scripts.settings.envfile import read_env
from scripts.settings.table import SETTINGS
from tests.unit.support.test_redaction import reveals, written

from .backups import Stack, stack_in

OF_OTHERS = {
    "DATABASE_URL": f"postgresql://zeus:{quote('p@ss/wörd1', safe='')}@db.acme.example:5432/langfuse",
    "SMTP_CONNECTION_URL": "smtps://hermes:mail-secret-1@mail.acme.example:465",
    "AUTH_CUSTOM_CLIENT_SECRET": "athena+client/secret==",
    "REDIS_CONNECTION_STRING": "rediss://:cache-secret-1@cache.acme.example:6379",
    "ACME_GATEWAY_KEY": "gateway-key-of-acme-1",
}
WITHIN = ("p@ss/wörd1", "mail-secret-1", "cache-secret-1")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that runs, with secrets of every kind."""
    made = stack_in(tmp_path_factory.mktemp("stack"))
    made.up()
    with made.layout.env_file.open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in OF_OTHERS.items())
    receivers = made.layout.root / "config" / "alertmanager" / "secrets"
    receivers.mkdir(parents=True)
    (receivers / "slack").write_text("https://hooks.acme.example/T000/receiver-secret-1\n")
    yield made
    made.stop()


def secrets_of(stack: Stack) -> dict[str, str]:
    """Return every secret by name, found without the code under test."""
    values = read_env(stack.layout.env_file).values()
    found = {
        setting.name: values[setting.name]
        for setting in SETTINGS
        if setting.secret and values.get(setting.name)
    }
    found["ACME_GATEWAY_KEY"] = OF_OTHERS["ACME_GATEWAY_KEY"]
    found |= {f"within {number}": text for number, text in enumerate(WITHIN)}
    for project in ("kosmos", "zeus"):
        keys = read_env(stack.layout.credentials_dir / f"{project}.env").values()
        found[f"secret key of {project}"] = keys["LANGFUSE_SECRET_KEY"]
    found["receiver"] = "https://hooks.acme.example/T000/receiver-secret-1"
    return found


def bundle(stack: Stack, into: Path) -> dict[str, str]:
    """Make a bundle; return its files by name."""
    assert command.support_bundle(stack.context, into=into) == EXIT_OK
    assert into.stat().st_mode & 0o777 == 0o600
    with tarfile.open(into) as archive:
        return {
            entry.name.partition("/")[2]: file.read().decode()
            for entry in archive.getmembers()
            if (file := archive.extractfile(entry))
        }


def test_no_secret_is_in_the_bundle_however_it_was_written(stack: Stack, tmp_path: Path) -> None:
    secrets = secrets_of(stack)
    assert len(secrets) > 20
    lines = [
        f"{name} {way}: {text}" for name, value in secrets.items() for way, text in written(value).items()
    ]
    log = stack.layout.embedded_log
    before = log.read_text()
    override = stack.layout.root / "compose.override.yaml"
    override.write_text("\n".join(f"# {line}" for line in lines))
    log.write_text(before + "\n".join(lines) + "\nthe last line\n")
    try:
        files = bundle(stack, tmp_path / "planted.tar.gz")
    finally:
        log.write_text(before)
        override.unlink()
    assert "the last line" in files["logs/embedded.log"]
    assert len(files["logs/embedded.log"].splitlines()) >= len(lines)
    for name, value in secrets.items():
        for file, text in files.items():
            assert not reveals(text, value), f"{name} is in {file}"
            assert base64.b64encode(value.encode()).decode().rstrip("=") not in text, f"{name} is in {file}"
            assert quote(value, safe="") not in text, f"{name} is in {file}"
            assert json.dumps(value)[1:-1] not in text, f"{name} is in {file}"


def test_what_helps_is_in_the_bundle(stack: Stack, tmp_path: Path) -> None:
    files = bundle(stack, tmp_path / "bundle.tar.gz")
    assert {
        "README.txt",
        "doctor.json",
        "doctor.txt",
        "versions.json",
        "configuration/env",
        "configuration/config/stack.yaml",
        "stores.json",
        "server.json",
        "logs/embedded.log",
    } <= set(files)
    doctor = {check["id"]: check["status"] for check in json.loads(files["doctor.json"])["checks"]}
    assert doctor["langfuse.answers"] == "ok"
    assert doctor["flow.span"] == "skipped"  # a bundle writes nothing to the server
    versions = json.loads(files["versions.json"])
    assert versions["packages"]["httpx"]
    assert versions["python"]["python"][:2] == [3, 11] or versions["python"]["python"][1] > 11
    assert json.loads(files["stores.json"])["EmbeddedData"]["levels"].keys() == {"state.db", "events.db"}
    env = files["configuration/env"]
    assert "SALT=<redacted SALT>" in env
    assert "# LANGFUSE_LOG_LEVEL=info" in env


def test_a_stack_that_does_not_run_has_a_bundle_too(tmp_path: Path) -> None:
    stack = stack_in(tmp_path / "broken")
    stack.layout.env_file.write_bytes(b"SALT=0123456789abcdef0123456789abcdef\nNOTE=\xff\xfe\n")
    files = bundle(stack, tmp_path / "broken.tar.gz")
    doctor = {check["id"]: check["status"] for check in json.loads(files["doctor.json"])["checks"]}
    assert doctor["langfuse.running"] == "failed"
    assert doctor["configuration.settings"] == "failed"
    assert "does not answer" in files["server.json"]
    assert "SALT=<redacted SALT>" in files["configuration/env"]


def test_a_file_that_is_there_is_not_overwritten(stack: Stack, tmp_path: Path) -> None:
    target = tmp_path / "mine.tar.gz"
    target.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        command.support_bundle(stack.context, into=target)
    assert target.read_text() == "mine"
