"""Sign in through a provider, by the variables of `.env`: web reaches it, and the doctor sees it."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import httpx
import pytest

from scripts.check.doctor.catalog import chosen
from scripts.check.doctor.command import look
from scripts.check.doctor.model import Result, Status
from tests.embedded import openid_provider
from tests.embedded.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.scenarios.conftest import MakeStack
from tests.scenarios.load import container
from tests.scenarios.stack import Stack, with_environment

START = "/api/auth/signin/custom"
CALLBACK = "/api/auth/callback/custom"
# Of examples/kosmos/stack.yaml.
ADMIN = "admin@acme.example"
CHECKS = ("configuration.login", "langfuse.sso", "langfuse.issuer")


@pytest.fixture(scope="module")
def provider(engine: docker.DockerClient) -> Iterator[Provider]:
    """A provider on this machine, at an address that is the same for browsers and containers."""
    (network,) = engine.networks.get("bridge").attrs["IPAM"]["Config"]
    with openid_provider.running(network["Gateway"]) as made:
        yield made


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, provider: Provider) -> Stack:
    """A stack that knows the provider; its admin may come with a password or through it."""
    made = with_environment(
        make_stack(),
        AUTH_CUSTOM_NAME="Acme",
        AUTH_CUSTOM_ISSUER=provider.issuer,
        AUTH_CUSTOM_CLIENT_ID=CLIENT_ID,
        AUTH_CUSTOM_CLIENT_SECRET=CLIENT_SECRET,
        AUTH_CUSTOM_ALLOW_ACCOUNT_LINKING="true",
    )
    provider.redirect_uri = f"{public_url(made)}{CALLBACK}"
    made.up()
    return made


@pytest.fixture
def honest(provider: Provider) -> Provider:
    """The provider, as long as a test does not make it lie: it knows the admin."""
    provider.person = {"email": ADMIN, "name": "Admin"}
    provider.lies, provider.calls_itself = {}, ""
    return provider


def public_url(stack: Stack) -> str:
    """Return where people's browsers go."""
    return stack.url.replace("127.0.0.1", "localhost")


def browse(stack: Stack) -> httpx.Response:
    """Return what a browser sees that follows the provider's button."""
    with httpx.Client(base_url=public_url(stack), follow_redirects=True, timeout=30) as browser:
        return browser.get(START)


def examine(stack: Stack) -> dict[str, Result]:
    """Return what the doctor says of single sign-on."""
    results, _ = look(stack.context, chosen(CHECKS), read_only=True, everything=False)
    return {result.check.id: result for result in results}


def said_by_web(engine: docker.DockerClient, stack: Stack) -> str:
    """Return the log of web."""
    return container(engine, stack, "langfuse-web").logs().decode()


def test_the_admin_signs_in_through_the_provider_and_sees_the_projects(
    stack: Stack, honest: Provider
) -> None:
    answer = browse(stack)
    assert (answer.status_code, answer.url.path) == (200, "/")
    assert ADMIN in answer.text
    assert "kosmos" in answer.text
    assert honest.refused == []


def test_the_doctor_sees_that_web_reaches_the_provider_and_offers_it(stack: Stack, honest: Provider) -> None:
    found = examine(stack)
    assert {name: one.status for name, one in found.items()} == dict.fromkeys(CHECKS, Status.OK)
    assert found["langfuse.issuer"].verdict.found.endswith("can be discovered from web's container")


def test_somebody_unknown_does_not_get_in(
    stack: Stack, honest: Provider, engine: docker.DockerClient
) -> None:
    honest.person = {"email": "hermes@acme.example", "name": "Hermes"}
    answer = browse(stack)
    assert (answer.status_code, answer.url.path) == (403, CALLBACK)
    assert "hermes@acme.example is unknown, and sign-up is off" in said_by_web(engine, stack)


def test_a_token_for_another_client_opens_nothing(
    stack: Stack, honest: Provider, engine: docker.DockerClient
) -> None:
    honest.lies = {"aud": "another-client"}
    answer = browse(stack)
    assert (answer.status_code, answer.url.path) == (502, CALLBACK)
    assert "its token is not right" in said_by_web(engine, stack)


def test_the_doctor_names_a_provider_that_calls_itself_otherwise(stack: Stack, honest: Provider) -> None:
    honest.calls_itself = "https://login.acme.example"
    found = examine(stack)["langfuse.issuer"]
    assert found.status is Status.FAILED
    assert "calls itself 'https://login.acme.example'" in found.verdict.found
    assert "set the issuer as the provider writes it" in found.fix


def test_the_doctor_names_a_provider_that_web_does_not_reach(stack: Stack) -> None:
    away = with_environment(stack, AUTH_CUSTOM_ISSUER="http://127.0.0.1:9")
    found = examine(away)["langfuse.issuer"]
    assert found.status is Status.FAILED
    assert "http://127.0.0.1:9/.well-known/openid-configuration cannot be read" in found.verdict.found
