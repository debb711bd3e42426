"""The commands `trust` and `reload-tls`: what they call, write and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.config import certificates
from scripts.core.console import Console
from scripts.core.errors import CommandFailed, UsageError
from scripts.core.runner import Completed
from scripts.engines.context import Context
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def context_with(directory: Path, runner: FakeRunner, screen: Screen, **settings: str) -> Context:
    environment = {"ENGINE": "compose", "STACK_PROFILES": "tls", "COMPOSE_PROJECT_NAME": "acme", **settings}
    layout = layout_in(directory)
    layout.stack_dir.mkdir(parents=True)
    return Context(layout, environment, Console({}, screen.out, screen.err), runner)


def test_trust_writes_the_root_certificate_and_prints_what_python_needs(tmp_path: Path) -> None:
    screen, runner = Screen(), FakeRunner({"exec --no-TTY caddy cat": Completed(0, PEM)})
    assert certificates.trust(context_with(tmp_path, runner, screen)) == 0
    written = tmp_path / ".stack" / "root.crt"
    assert written.read_text() == PEM
    assert screen.out.getvalue() == f"SSL_CERT_FILE={written}\nREQUESTS_CA_BUNDLE={written}\n"


@pytest.mark.parametrize("issuer", ["acme", "acme-private", "own"])
def test_trust_is_refused_where_somebody_else_signs(tmp_path: Path, issuer: str) -> None:
    runner = FakeRunner()
    domains = {"TLS_DOMAIN": "langfuse.acme.example", "S3_DOMAIN": "s3.acme.example"}
    context = context_with(tmp_path, runner, Screen(), TLS_ISSUER=issuer, **domains)
    with pytest.raises(UsageError, match=f"TLS_ISSUER is {issuer}"):
        certificates.trust(context)
    assert [line for line in runner.lines() if "--filter" not in line] == []


def test_trust_says_to_start_a_caddy_that_does_not_run(tmp_path: Path) -> None:
    runner = FakeRunner({"exec --no-TTY caddy cat": Completed(1, "", 'service "caddy" is not running')})
    with pytest.raises(CommandFailed) as caught:
        certificates.trust(context_with(tmp_path, runner, Screen()))
    assert caught.value.fix == "start it: make up"
    assert not (tmp_path / ".stack" / "root.crt").exists()


def test_reload_sends_the_signal_that_reads_files_again(tmp_path: Path) -> None:
    runner = FakeRunner()
    assert certificates.reload_tls(context_with(tmp_path, runner, Screen(), TLS_ISSUER="own")) == 0
    assert runner.calls[-1][-4:] == ["kill", "--signal", "SIGUSR1", "caddy"]


@pytest.mark.parametrize("changed", [{"STACK_PROFILES": ""}, {"ENGINE": "embedded"}])
def test_a_stack_without_https_is_told_how_to_get_it(tmp_path: Path, changed: dict[str, str]) -> None:
    runner = FakeRunner()
    for command in (certificates.trust, certificates.reload_tls):
        with pytest.raises(UsageError) as caught:
            command(context_with(tmp_path / command.__name__, runner, Screen(), **changed))
        assert "STACK_PROFILES" in caught.value.fix
    assert [line for line in runner.lines() if "--filter" not in line] == []
