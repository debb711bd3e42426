"""Pages are for people who signed in, and show them their own projects only."""

from __future__ import annotations

import http.cookies
import subprocess
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from langfuse_embedded.store.login_sessions import LoginSessions
from langfuse_embedded.store.passwords import hash_password
from langfuse_embedded.store.state import StateStore
from langfuse_embedded.viewer.login_cookie import LoginCookie
from langfuse_embedded.viewer.login_limit import FAILURES_PER_ACCOUNT

from .conftest import StartEngine
from .harness import RunningEngine, engine_command
from .spans import send, span, trace_id
from .viewer_client import EMAIL, PASSWORD, sign_in, visitor

TRACES = "/project/kosmos-support/traces"


@pytest.fixture(scope="module")
def visit(engine: RunningEngine) -> Iterator[httpx.Client]:
    with visitor(engine.base_url) as client:
        yield client


def test_who_did_not_sign_in_is_led_to_the_login_and_back(engine: RunningEngine) -> None:
    answer = httpx.get(f"{engine.base_url}{TRACES}?user=a%26b")
    assert answer.status_code == 303
    assert answer.headers["location"] == (
        "/auth/sign-in?targetPath=%2Fproject%2Fkosmos-support%2Ftraces%3Fuser%3Da%2526b"
    )
    assert (
        'name="targetPath" value="/project'
        in httpx.get(f"{engine.base_url}{answer.headers['location']}").text
    )
    back = sign_in(engine.base_url, target=f"{TRACES}?user=a%26b")
    assert back.headers["location"] == f"{TRACES}?user=a%26b"


def test_the_login_leads_to_no_other_site(engine: RunningEngine) -> None:
    assert sign_in(engine.base_url, target="//evil.example/").headers["location"] == "/"


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(engine: RunningEngine) -> None:
    cookie = sign_in(engine.base_url).headers["set-cookie"].lower()
    for attribute in ("httponly", "samesite=lax", "path=/", "max-age=604800"):
        assert attribute in cookie
    assert "secure" not in cookie


def test_behind_https_the_cookie_is_sent_over_https_only(start_engine: StartEngine) -> None:
    running = start_engine(NEXTAUTH_URL="https://langfuse.acme.example", NEXTAUTH_SECRET="test-secret")
    cookie = http.cookies.SimpleCookie(sign_in(running.base_url).headers["set-cookie"])
    (morsel,) = cookie.values()
    assert morsel["secure"]


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "wrong-password"), ("nobody@acme.example", PASSWORD), ("", ""), (EMAIL, "")],
)
def test_a_wrong_login_gets_no_cookie_and_no_hint_which_part_is_wrong(
    engine: RunningEngine, email: str, password: str
) -> None:
    answer = sign_in(engine.base_url, email, password)
    assert answer.status_code == 401
    assert "E-mail or password is wrong." in answer.text
    assert "set-cookie" not in answer.headers


def test_guessing_is_stopped(start_engine: StartEngine) -> None:
    running = start_engine()
    codes = [sign_in(running.base_url, password="wrong").status_code for _ in range(FAILURES_PER_ACCOUNT)]
    assert codes == [401] * FAILURES_PER_ACCOUNT
    answer = sign_in(running.base_url)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 300


def test_a_forged_an_expired_and_a_foreign_cookie_are_no_login(engine: RunningEngine) -> None:
    name, value = next(iter(sign_in(engine.base_url).cookies.items()))
    with (
        closing(LoginSessions(engine.data_dir)) as now,
        closing(LoginSessions(engine.data_dir, clock=lambda: 0)) as long_ago,
    ):
        ours = LoginCookie("test-salt", now)
        assert name == ours.name
        user_id = ours.user_id(value)
        assert user_id is not None
        old = LoginCookie("test-salt", long_ago).value_for(user_id)
        foreign = LoginCookie("guessed", now).value_for(user_id)
        unknown = ours.value_for("user-of-nobody")
    for bad in (value[:-1] + ("0" if value[-1] != "0" else "1"), old, foreign, unknown, "x"):
        answer = httpx.get(engine.base_url + TRACES, cookies={name: bad})
        assert answer.status_code == 303, bad
    assert httpx.get(engine.base_url + TRACES, cookies={name: value}).status_code == 200


def test_signing_out_takes_the_cookie_back(engine: RunningEngine) -> None:
    with visitor(engine.base_url) as client:
        assert client.get(TRACES).status_code == 200
        copied = dict(client.cookies)
        answer = client.post("/auth/sign-out")
        assert (answer.status_code, answer.headers["location"]) == (303, "/auth/sign-in")
        assert client.get(TRACES).status_code == 303
    # The session has ended on the server, too.
    assert httpx.get(engine.base_url + TRACES, cookies=copied).status_code == 303


def test_another_nextauth_secret_signs_everybody_out(start_engine: StartEngine) -> None:
    first = start_engine(NEXTAUTH_SECRET="one")
    cookies = dict(sign_in(first.base_url).cookies)
    assert httpx.get(first.base_url + TRACES, cookies=cookies).status_code == 200
    first.stop()
    again = start_engine(data_dir=first.data_dir, NEXTAUTH_SECRET="one")
    assert httpx.get(again.base_url + TRACES, cookies=cookies).status_code == 200
    again.stop()
    changed = start_engine(data_dir=first.data_dir, NEXTAUTH_SECRET="two")
    assert httpx.get(changed.base_url + TRACES, cookies=cookies).status_code == 303


@pytest.mark.parametrize(("trusted", "last"), [("", 429), ("127.0.0.0/8", 401), ("10.0.0.0/8", 429)])
def test_who_claims_to_come_from_elsewhere_is_believed_behind_a_known_proxy_only(
    start_engine: StartEngine, trusted: str, last: int
) -> None:
    running = start_engine(EMBEDDED_TRUSTED_PROXIES=trusted)
    url, form = f"{running.base_url}/auth/sign-in", {"email": EMAIL, "password": "wrong"}
    codes = [
        httpx.post(url, data=form, headers={"x-forwarded-for": f"198.51.100.{number}"}).status_code
        for number in range(FAILURES_PER_ACCOUNT + 1)
    ]
    assert codes == [401] * FAILURES_PER_ACCOUNT + [last]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/auth/sign-in", "/auth/sign-out"])
def test_a_form_of_another_site_is_refused(engine: RunningEngine, path: str, headers: dict[str, str]) -> None:
    form = {"email": EMAIL, "password": PASSWORD}
    answer = httpx.post(engine.base_url + path, data=form, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_form_of_this_site_is_taken(engine: RunningEngine) -> None:
    form = {"email": EMAIL, "password": PASSWORD}
    for headers in ({"origin": engine.base_url}, {"sec-fetch-site": "same-origin"}):
        answer = httpx.post(f"{engine.base_url}/auth/sign-in", data=form, headers=headers)
        assert answer.status_code == 303


def test_a_body_that_is_no_form_is_refused(engine: RunningEngine) -> None:
    url = f"{engine.base_url}/auth/sign-in"
    assert httpx.post(url, content=b"\xff\xfe").status_code == 400
    assert httpx.post(url, content=b"a=" + b"x" * 10_000).status_code == 413
    assert httpx.put(url).status_code == 405


def test_a_project_of_others_is_not_found_as_one_that_does_not_exist(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    secret = trace_id()
    wanted = (
        '{"organizationId": "olympus", "organizationName": "Olympus", "projectId": "hermes-private",'
        ' "projectName": "hermes", "publicKey": "pk-lf-test-hermes", "secretKey": "sk-lf-test-hermes"}\n'
    )
    subprocess.run(
        engine_command("provision", engine.data_dir),
        input=wanted,
        text=True,
        check=True,
        env=engine.process_environment(),
        stdout=subprocess.DEVNULL,
    )
    with httpx.Client(base_url=engine.base_url, auth=("pk-lf-test-hermes", "sk-lf-test-hermes")) as hermes:
        send(hermes, span(secret, "hermes-secret"))
    for page in ("", "/traces", f"/traces/{secret}", "/sessions", "/scores", "/prompts", "/datasets"):
        foreign = visit.get(f"/project/hermes-private{page}")
        absent = visit.get(f"/project/nowhere{page}")
        assert (foreign.status_code, absent.status_code) == (404, 404), page
        assert foreign.text == absent.text
    # A trace of another project does not show under one's own either.
    assert visit.get(f"{TRACES}/{secret}").status_code == 404
    assert "hermes-secret" not in visit.get(TRACES).text


def test_an_api_key_opens_no_page_and_a_cookie_opens_no_api(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    assert engine.client.get(TRACES).status_code == 303
    assert visit.get("/api/public/projects").status_code == 401


def test_pages_are_protected_by_their_headers(visit: httpx.Client) -> None:
    for path in (TRACES, "/auth/sign-in", "/project/nowhere"):
        headers = visit.get(path, headers={"origin": "https://evil.example"}).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert "script-src 'self'; " in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "private, no-store"
        assert not [name for name in headers if name.startswith("access-control")]


def test_without_users_the_login_says_what_to_do(start_engine: StartEngine) -> None:
    running = start_engine(LANGFUSE_INIT_USER_EMAIL="")
    assert "LANGFUSE_INIT_USER_EMAIL" in httpx.get(f"{running.base_url}/auth/sign-in").text


def test_somebody_without_projects_is_told_so(start_engine: StartEngine) -> None:
    running = start_engine()
    with visitor(running.base_url) as client:
        assert client.get("/").headers["location"] == TRACES
    running.stop()
    state = StateStore(running.data_dir, "test-salt")
    with state.transaction():
        state.db.execute(
            "insert into users (id, email, name, password_hash, created_at) values ('hera', ?, 'Hera', ?, 0)",
            ("hera@acme.example", hash_password(PASSWORD)),
        )
    state.close()
    running.start()
    answer = sign_in(running.base_url, "hera@acme.example")
    page = httpx.get(running.base_url, cookies=answer.cookies)
    assert "not a member of any project" in page.text
    assert httpx.get(running.base_url + TRACES, cookies=answer.cookies).status_code == 404
