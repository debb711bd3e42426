"""Sign in through a provider of OpenID Connect, as a browser does; every lie of the provider is noticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from . import openid_provider
from .conftest import StartEngine
from .exporting import free_port
from .harness import RunningEngine
from .openid_provider import CLIENT_ID, CLIENT_SECRET, Provider, new_key
from .viewer_client import EMAIL, sign_in

START = "/api/auth/signin/custom"
CALLBACK = "/api/auth/callback/custom"
FAILED = "single sign-on failed: "
TRACES = "/project/kosmos-support/traces"
ATHENA = {"email": "Athena@acme.example", "name": "Athena"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with openid_provider.running() as made:
        made.person = dict(ATHENA)
        yield made


def settings(provider: Provider, **more: str) -> dict[str, str]:
    """Return the variables that make an engine know a provider."""
    return {
        "AUTH_CUSTOM_NAME": "Acme",
        "AUTH_CUSTOM_ISSUER": provider.issuer,
        "AUTH_CUSTOM_CLIENT_ID": CLIENT_ID,
        "AUTH_CUSTOM_CLIENT_SECRET": CLIENT_SECRET,
        "NEXTAUTH_SECRET": "test-secret",
        "LANGFUSE_DEFAULT_ORG_ID": "acme",
        **more,
    }


def knowing(start_engine: StartEngine, provider: Provider, **more: str) -> RunningEngine:
    """Start an engine that the provider knows, too."""
    running = start_engine(**settings(provider, **more))
    provider.redirect_uri = f"{running.base_url}{CALLBACK}"
    return running


@contextmanager
def browsing(running: RunningEngine, target: str = TRACES) -> Iterator[tuple[httpx.Client, httpx.Response]]:
    """Go to a page as a new browser that follows the provider's button; yield it, and what it shows."""
    with httpx.Client(base_url=running.base_url, follow_redirects=True, timeout=30) as browser:
        yield browser, browser.get(START, params={"targetPath": target})


def refused(running: RunningEngine) -> tuple[int, str]:
    """Try to sign in; return status and page. No project is to be seen afterwards."""
    with browsing(running) as (browser, answer):
        assert answer.url.path == CALLBACK
        assert browser.get(TRACES).url.path == "/auth/sign-in"
    return answer.status_code, answer.text


def test_somebody_new_signs_in_with_the_button_and_sees_the_projects_of_the_default_organization(
    start_engine: StartEngine, provider: Provider
) -> None:
    running = knowing(start_engine, provider)
    page = httpx.get(f"{running.base_url}/auth/sign-in", params={"targetPath": TRACES})
    assert "Sign in with Acme" in page.text
    assert f'href="{START}?targetPath=%2Fproject%2Fkosmos-support%2Ftraces"' in page.text
    for _ in range(2):
        with browsing(running) as (_, answer):
            assert (answer.status_code, answer.url.path) == (200, TRACES)
            assert "athena@acme.example" in answer.text
    assert provider.refused == []


def test_the_ways_to_sign_in_are_listed_as_the_server_lists_them(
    start_engine: StartEngine, provider: Provider
) -> None:
    running = knowing(start_engine, provider)
    listed = httpx.get(f"{running.base_url}/api/auth/providers").json()
    assert set(listed) == {"credentials", "custom"}
    assert listed["custom"] == {
        "id": "custom",
        "name": "Acme",
        "type": "oauth",
        "signinUrl": f"{running.base_url}{START}",
        "callbackUrl": f"{running.base_url}{CALLBACK}",
    }


@pytest.mark.parametrize("missing", ["NAME", "ISSUER", "CLIENT_ID", "CLIENT_SECRET"])
def test_half_a_provider_is_none(start_engine: StartEngine, provider: Provider, missing: str) -> None:
    running = knowing(start_engine, provider, **{f"AUTH_CUSTOM_{missing}": ""})
    assert set(httpx.get(f"{running.base_url}/api/auth/providers").json()) == {"credentials"}
    assert httpx.get(f"{running.base_url}{START}").status_code == 404


def test_nobody_new_gets_in_where_sign_up_is_off(start_engine: StartEngine, provider: Provider) -> None:
    running = knowing(start_engine, provider, AUTH_DISABLE_SIGNUP="true")
    status, page = refused(running)
    assert (status, "There is no account for you here" in page) == (403, True)
    assert "athena@acme.example is unknown, and sign-up is off" in running.log()


def test_somebody_with_a_password_is_linked_only_where_that_is_wanted(
    start_engine: StartEngine, provider: Provider
) -> None:
    provider.person = {"email": EMAIL, "name": "Zeus"}
    running = knowing(start_engine, provider)
    status, page = refused(running)
    assert (status, "Your account here has a password" in page) == (403, True)
    running.stop()
    linking = knowing(start_engine, provider, AUTH_CUSTOM_ALLOW_ACCOUNT_LINKING="true")
    with browsing(linking) as (_, answer):
        assert (answer.status_code, answer.url.path) == (200, TRACES)
    assert sign_in(linking.base_url).status_code == 303


def test_who_came_through_the_provider_has_no_password(start_engine: StartEngine, provider: Provider) -> None:
    running = knowing(start_engine, provider)
    with browsing(running) as (_, answer):
        assert answer.url.path == TRACES
    for password in ("", "0" * 64, "test-password"):
        assert sign_in(running.base_url, "athena@acme.example", password).status_code == 401


@pytest.mark.parametrize(
    ("more", "form"),
    [
        ({"AUTH_DOMAINS_WITH_SSO_ENFORCEMENT": "zeus.example, ACME.example"}, True),
        ({"AUTH_DISABLE_USERNAME_PASSWORD": "true"}, False),
    ],
)
def test_passwords_can_be_switched_off(
    start_engine: StartEngine, provider: Provider, more: dict[str, str], form: bool
) -> None:
    running = knowing(start_engine, provider, **more)
    answer = sign_in(running.base_url, f" {EMAIL} ")
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert "use single sign-on" in answer.text
    page = httpx.get(f"{running.base_url}/auth/sign-in").text
    assert ("<form" in page, "Sign in with Acme" in page) == (form, True)


def test_other_domains_keep_their_passwords(start_engine: StartEngine, provider: Provider) -> None:
    running = knowing(start_engine, provider, AUTH_DOMAINS_WITH_SSO_ENFORCEMENT="zeus.example")
    assert sign_in(running.base_url).status_code == 303


NOW = int(time.time())
LIES: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://evil.example"}, "iss"),
    ({"aud": "another-client"}, "aud"),
    ({"aud": [CLIENT_ID, "another-client"]}, "several clients"),
    ({"nonce": "of-another-sign-in"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"exp": NOW - 3600}, "expired"),
    ({"exp": None}, "exp"),
    ({"iat": NOW + 3600}, "issued in the future"),
    ({"sub": None}, "sub"),
    ({"email": None}, "names no e-mail address"),
    ({"email": "athena"}, "names no e-mail address"),
    ({"email_verified": False}, "has not verified"),
    ({"email_verified": "false"}, "has not verified"),
    ({"email_verified": 0}, "has not verified"),
    ({"email_verified": ""}, "has not verified"),
    ({"email_verified": []}, "has not verified"),
]


# One engine; each test tells its provider what to do wrong. The page says little, the log says what.


@pytest.fixture(scope="module")
def lying() -> Iterator[Provider]:
    with openid_provider.running() as made:
        yield made


@pytest.fixture(scope="module")
def lied_to(lying: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    engine = RunningEngine(tmp_path_factory.mktemp("engine") / "data", settings(lying)).start()
    lying.redirect_uri = f"{engine.base_url}{CALLBACK}"
    yield engine
    engine.stop()


@pytest.fixture
def honest(lying: Provider) -> Provider:
    """The provider that the shared engine knows, as long as a test does not make it lie."""
    lying.person = dict(ATHENA)
    lying.lies, lying.calls_itself, lying.signs_with, lying.refuses = {}, "", None, ""
    return lying


@pytest.fixture
def reason(lied_to: RunningEngine) -> Callable[[], str]:
    """What the log says since this test began of the one sign-in that failed, among other lines."""
    before = len(lied_to.log())

    def logged() -> str:
        lines = lied_to.log()[before:].splitlines()
        (line,) = [line for line in lines if FAILED in line]
        return line.partition(FAILED)[2]

    return logged


@pytest.mark.parametrize(("lies", "said"), LIES, ids=[f"{next(iter(lie))}-{said}" for lie, said in LIES])
def test_a_token_that_is_not_right_opens_nothing(
    honest: Provider, lied_to: RunningEngine, reason: Callable[[], str], lies: dict[str, Any], said: str
) -> None:
    honest.lies = lies
    status, page = refused(lied_to)
    assert (status, "The login provider" in page) == (502, True)
    assert said in reason()


def test_a_token_of_several_clients_that_was_issued_to_this_one_is_right(
    honest: Provider, lied_to: RunningEngine
) -> None:
    honest.lies = {"aud": [CLIENT_ID, "another-client"], "azp": CLIENT_ID}
    with browsing(lied_to) as (_, answer):
        assert answer.url.path == TRACES


def test_a_foreign_signature_opens_nothing(
    honest: Provider, lied_to: RunningEngine, reason: Callable[[], str]
) -> None:
    honest.signs_with = new_key()
    assert refused(lied_to)[0] == 502
    assert "its token is not right" in reason()


def test_a_provider_that_calls_itself_otherwise_is_not_visited(
    honest: Provider, lied_to: RunningEngine, reason: Callable[[], str]
) -> None:
    honest.calls_itself = "https://evil.example"
    answer = httpx.get(f"{lied_to.base_url}{START}")
    assert answer.status_code == 502
    assert "it calls itself 'https://evil.example'" in reason()


def test_who_gives_up_at_the_provider_is_told(
    honest: Provider, lied_to: RunningEngine, reason: Callable[[], str]
) -> None:
    honest.refuses = "access_denied"
    assert refused(lied_to)[0] == 502
    assert "the provider says 'access_denied'" in reason()


def test_the_answer_to_a_sign_in_of_another_browser_opens_nothing(
    honest: Provider, lied_to: RunningEngine
) -> None:
    """Somebody sends a link with a code of their own, so that others work in their account."""
    begun = httpx.get(f"{lied_to.base_url}{START}")
    link = httpx.get(begun.headers["location"]).headers["location"]
    answer = httpx.get(link)
    assert (answer.status_code, "was not begun here" in answer.text) == (400, True)
    assert "set-cookie" not in answer.headers
    state = parse_qs(urlsplit(link).query)["state"][0]
    with httpx.Client(base_url=lied_to.base_url, cookies=begun.cookies) as browser:
        wrong = link.replace(state, "0" * len(state))
        assert browser.get(wrong).status_code == 400
        assert browser.get(link).status_code == 303
        assert browser.get(link).status_code == 400, "a code is good once"


def test_the_way_back_leads_to_no_other_site(honest: Provider, lied_to: RunningEngine) -> None:
    with browsing(lied_to, target="//evil.example/") as (_, answer):
        assert str(answer.url).startswith(f"{lied_to.base_url}/project/")


def test_a_wrong_client_secret_opens_nothing_and_the_log_names_it(
    start_engine: StartEngine, provider: Provider
) -> None:
    running = knowing(start_engine, provider, AUTH_CUSTOM_CLIENT_SECRET="another-secret")
    assert refused(running)[0] == 502
    assert provider.refused == ["exchange"]
    assert "the exchange of the code: it answers 401: invalid_client" in running.log()
    assert "another-secret" not in running.log()


def test_a_provider_that_is_away_is_named_and_passwords_go_on(start_engine: StartEngine) -> None:
    away = Provider(f"http://127.0.0.1:{free_port()}")
    running = knowing(start_engine, away)
    assert httpx.get(f"{running.base_url}{START}").status_code == 502
    assert "it does not answer (ConnectError)" in running.log()
    assert sign_in(running.base_url).status_code == 303
