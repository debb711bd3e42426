"""Where this machine cannot use HTTPS of its own stack, `make smoke` tests the plain address and says so."""

from __future__ import annotations

import io
import socket
from pathlib import Path
from typing import Any

import pytest

from scripts.core.console import Console
from scripts.engines import smoke
from scripts.engines.context import Context
from smoke_tests.helpers.target import discover, other_projects
from tests.embedded.doctoring import https_front, make_certificate
from tests.unit.scripts.fakes import FakeRunner, layout_in

NAME = "langfuse.localhost"
TLS = {"ENGINE": "compose", "STACK_PROFILES": "monitoring,tls", "LANGFUSE_PORT": "3210"}
DIRECT = "http://127.0.0.1:3210"


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Names below .localhost lead nowhere but where the dictionary says, as without systemd-resolved."""
    known: dict[str, str] = {}
    usual = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name.endswith(".localhost") and name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return usual(known.get(name, host), *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


def smoke_environment(directory: Path, **environment: str) -> tuple[dict[str, str], str]:
    """Return what the suite gets, and what was said."""
    said = io.StringIO()
    context = Context(layout_in(directory), environment, Console({"CI": "1"}, said, said), FakeRunner())
    return dict(smoke.smoke_environment(context)), said.getvalue()


def test_a_name_that_leads_nowhere_is_told_and_the_plain_address_tested(
    tmp_path: Path, resolve: dict[str, str]
) -> None:
    given, said = smoke_environment(tmp_path, **TLS)
    assert resolve == {}
    assert given["STACK_DIRECT_URL"] == DIRECT
    assert f"https://{NAME} cannot be used on this machine (its name leads nowhere here)" in said
    assert f"testing {DIRECT} instead" in said


@pytest.mark.parametrize(
    "other",
    [
        {"BASE_URL": "https://langfuse.acme.example"},
        {"LANGFUSE_BASE_URL": "https://langfuse.acme.example"},
        {"ENGINE": "embedded", "STACK_PROFILES": ""},
        {"STACK_PROFILES": "monitoring"},
    ],
)
def test_nothing_changes_for_another_server_or_without_https(
    tmp_path: Path, resolve: dict[str, str], other: dict[str, str]
) -> None:
    given, said = smoke_environment(tmp_path, **{**TLS, **other})
    assert "STACK_DIRECT_URL" not in given
    assert said == ""


def test_an_unknown_authority_is_told_from_a_certificate_that_is_wrong(
    tmp_path: Path, resolve: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve[NAME] = "127.0.0.1"
    with https_front(make_certificate(tmp_path, NAME)) as port:
        url = f"https://{NAME}:{port}"
        assert smoke.unusable_here(url) == "its certificate is not trusted here"
        assert smoke.unusable_here(url, public_authority=True) == ""
    expired = make_certificate(tmp_path, NAME, begins_days=-9, ends_days=-1)
    monkeypatch.setenv("SSL_CERT_FILE", str(expired))
    with https_front(expired) as port:
        assert smoke.unusable_here(f"https://{NAME}:{port}") == ""


def test_a_proxy_that_is_down_is_for_the_tests_to_find(resolve: dict[str, str]) -> None:
    resolve[NAME] = "127.0.0.1"
    assert smoke.unusable_here(f"https://{NAME}:1") == ""
    assert smoke.unusable_here("https://nowhere.acme.example") == ""


def test_stored_keys_go_to_the_direct_address_of_their_server(tmp_path: Path) -> None:
    for project in ("kosmos", "zeus"):
        (tmp_path / f"{project}.env").write_text(
            f"LANGFUSE_BASE_URL=https://{NAME}\nLANGFUSE_PUBLIC_KEY=pk-lf-test-{project}\n"
            f"LANGFUSE_SECRET_KEY=sk-lf-test-{project}\n"
        )
    environ = {"STACK_DIRECT_URL": DIRECT}
    target = discover(environ, tmp_path)
    assert (target.base_url, target.public_key) == (DIRECT, "pk-lf-test-kosmos")
    assert [other.public_key for other in other_projects(target, tmp_path, environ)] == ["pk-lf-test-zeus"]
    assert discover({}, tmp_path).base_url == f"https://{NAME}"
