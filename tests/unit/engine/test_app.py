"""The application checks in the server's order and words refusals as the server does."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from langfuse_embedded import SERVER_VERSION
from langfuse_embedded.app import App
from langfuse_embedded.config import EngineConfig, InitialProject
from langfuse_embedded.engine import Engine
from langfuse_embedded.http.access import Access, ErrorStyle
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.router import Router
from langfuse_embedded.routes.call import Call
from langfuse_embedded.routes.operations import Operation
from langfuse_embedded.store import tenancy

KOSMOS = InitialProject("acme", "Acme", "kosmos", "Kosmos", "pk-lf-test", "sk-lf-test")
KEY = ("pk-lf-test", "sk-lf-test")


async def _echo(call: Call) -> Response:
    body = await call.body()
    return json_response({"project": call.project_id, "bytes": len(body), "params": call.params})


async def _crash(call: Call) -> Response:
    raise RuntimeError("planted")


EXTRA = [
    Operation("POST", "/api/public/test/echo", _echo, body_limit=1024),
    Operation("GET", "/api/public/test/crash", _crash),
    Operation("GET", "/api/public/test/legacy", _echo, legacy=True),
    Operation("GET", "/api/public/test/scores", _echo, access=Access.SCORES),
    Operation("GET", "/api/public/test/named", _echo, errors=ErrorStyle.NAMED),
    Operation("GET", "/api/public/test/admin", _echo, access=Access.ADMIN),
    Operation("GET", "/api/public/test/either", _echo, access=Access.PROJECT_OR_ADMIN),
    Operation("GET", "/api/public/test/names/{name}", _echo),
]


@asynccontextmanager
async def client(config: EngineConfig) -> AsyncIterator[httpx.AsyncClient]:
    engine = Engine(config)
    app = App(engine)
    app.router = Router([*app.router.operations, *EXTRA])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://engine.example") as http:
        yield http
    engine.state.close()


@pytest.fixture
def config(tmp_path: Path) -> EngineConfig:
    return EngineConfig(data_dir=tmp_path, salt="pepper", admin_api_key="admin-test", init=KOSMOS)


async def _ask(config: EngineConfig, method: str, path: str, **request: Any) -> httpx.Response:
    async with client(config) as http:
        return await http.request(method, path, **request)


def ask(config: EngineConfig, method: str, path: str, **request: Any) -> httpx.Response:
    return asyncio.run(_ask(config, method, path, **request))


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_health_needs_no_key_and_names_the_api_level(config: EngineConfig) -> None:
    answer = ask(config, "GET", "/api/public/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "OK", "version": SERVER_VERSION})


def test_the_project_of_a_key_is_returned(config: EngineConfig) -> None:
    answer = ask(config, "GET", "/api/public/projects", auth=KEY)
    assert answer.json() == {
        "data": [
            {
                "id": "kosmos",
                "name": "Kosmos",
                "organization": {"id": "acme", "name": "Acme"},
                "metadata": {},
            }
        ]
    }


HINT = "Confirm that you've configured the correct host."
WRONG = "Invalid credentials. Confirm that you've configured the correct host."


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 401, "No authorization header"),
        (basic("pk-lf-test:sk-lf-wrong"), 401, WRONG),
        (
            basic("no colon"),
            401,
            "Invalid authorization header. Confirm that you've configured the correct host.",
        ),
        (
            {"authorization": "Basic ÿ%%"},
            401,
            "Invalid character. Confirm that you've configured the correct host.",
        ),
        (
            {"authorization": "Basic YWJjZ"},
            401,
            f"The string to be decoded is not correctly encoded.. {HINT}",
        ),
        ({"authorization": ""}, 401, "No authorization header"),
        ({"authorization": "Basic"}, 401, "Invalid authorization header"),
        ({"authorization": "basic x"}, 401, "Invalid authorization header"),
        (
            {"authorization": "Bearer  pk-lf-test"},
            401,
            "Invalid public key. Confirm that you've configured the correct host.",
        ),
        ({"authorization": "Digest x"}, 401, "Invalid authorization header"),
        (
            {"authorization": "Bearer pk-lf-unknown"},
            401,
            "Invalid public key. Confirm that you've configured the correct host.",
        ),
        (
            {"authorization": "Bearer pk-lf-test"},
            403,
            "Access denied - insufficient permissions for this endpoint",
        ),
    ],
)
def test_a_refused_key_gets_the_servers_words(
    config: EngineConfig, headers: dict[str, str], status: int, message: str
) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = ask(config, "GET", "/api/public/test/names/x", headers=raw)
    assert (answer.status_code, answer.json()) == (status, {"message": message})


def test_a_wrong_public_key_with_a_right_secret_is_let_in(config: EngineConfig) -> None:
    answer = ask(config, "GET", "/api/public/projects", auth=("pk-lf-other", "sk-lf-test"))
    assert answer.status_code == 200


def test_the_public_key_alone_reaches_score_routes(config: EngineConfig) -> None:
    answer = ask(config, "GET", "/api/public/test/scores", headers={"authorization": "Bearer pk-lf-test"})
    assert answer.json()["project"] == "kosmos"


def test_routes_that_name_their_errors_do_so_for_keys_too(config: EngineConfig) -> None:
    answer = ask(config, "GET", "/api/public/test/named")
    assert answer.json() == {"message": "No authorization header", "error": "UnauthorizedError"}


def test_the_method_is_checked_before_the_key_and_the_mode_before_the_key(config: EngineConfig) -> None:
    wrong_method = ask(config, "PUT", "/api/public/test/echo")
    assert (wrong_method.status_code, wrong_method.json()) == (
        405,
        {"message": "Method not allowed", "error": "MethodNotAllowedError"},
    )
    legacy = ask(config, "GET", "/api/public/test/legacy")
    assert legacy.status_code == 404
    assert legacy.json()["message"].startswith("This endpoint is not available on deployments running in")
    dual = ask(replace(config, write_mode="dual"), "GET", "/api/public/test/legacy", auth=KEY)
    assert dual.status_code == 200


def test_an_unknown_path_is_a_page_not_json(config: EngineConfig) -> None:
    answer = ask(config, "GET", "/api/public/nope")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_a_body_over_the_limit_is_refused_declared_or_not(config: EngineConfig) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 512

    exact = ask(config, "POST", "/api/public/test/echo", auth=KEY, content=b"x" * 1024)
    assert exact.json()["bytes"] == 1024
    for content in (b"x" * 1025, chunks()):
        answer = ask(config, "POST", "/api/public/test/echo", auth=KEY, content=content)
        assert answer.status_code == 413
        assert answer.text == "Body exceeded 1kb limit"
        assert "content-type" not in answer.headers


def test_a_crash_in_a_handler_is_an_answer_and_a_log_line(
    config: EngineConfig, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(config, "GET", "/api/public/test/crash", auth=KEY)
    assert (answer.status_code, answer.json()["error"]) == (500, "InternalServerError")
    assert "planted" not in answer.text
    assert "planted" in caplog.text


def test_a_browser_of_any_origin_is_answered(config: EngineConfig) -> None:
    answer = ask(config, "OPTIONS", "/api/public/scores", headers={"origin": "https://app.acme.example"})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.acme.example"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/api/auth/providers", "/api/%61uth/providers", "/api/auth/callback/custom"]
)
def test_what_has_cookies_is_for_its_own_origin(config: EngineConfig, method: str, path: str) -> None:
    answer = ask(config, method, path, headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_one_key_is_remembered_once_however_its_header_is_spelled(config: EngineConfig) -> None:
    async def run() -> int:
        engine = Engine(config)
        transport = httpx.ASGITransport(App(engine))
        async with httpx.AsyncClient(transport=transport, base_url="http://engine.example") as http:
            for number in range(20):
                headers = basic(f"{'x' * number * 1000 + 'pk'}:sk-lf-test")
                assert (await http.get("/api/public/projects", headers=headers)).status_code == 200
        engine.state.close()
        return engine.authenticator.forget()

    assert asyncio.run(run()) == 1


@pytest.mark.parametrize("header", [basic("pk-lf-test:sk-lf-test"), {"authorization": "Bearer pk-lf-test"}])
def test_a_key_that_expires_ends_also_where_it_is_remembered(
    config: EngineConfig, header: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> list[int]:
        engine = Engine(config)
        soon = 2_000_000_000_000
        engine.state.db.execute("update api_keys set expires_at = ?", (soon,))
        app = App(engine)
        app.router = Router([*app.router.operations, *EXTRA])
        transport = httpx.ASGITransport(app)
        codes = []
        async with httpx.AsyncClient(transport=transport, base_url="http://engine.example") as http:
            for moment in (soon - 1, soon - 1, soon, soon + 1):
                monkeypatch.setattr(tenancy, "now_ms", lambda moment=moment: moment)
                codes.append((await http.get("/api/public/test/scores", headers=header)).status_code)
        engine.state.close()
        return codes

    assert asyncio.run(run()) == [200, 200, 401, 401]


def test_admin_routes_want_the_admin_key(config: EngineConfig) -> None:
    path = "/api/public/test/admin"
    assert ask(config, "GET", path, headers={"authorization": "Bearer admin-test"}).status_code == 200
    assert ask(config, "GET", path, headers={"authorization": "Bearer wrong"}).status_code == 401
    assert ask(config, "GET", path, auth=KEY).status_code == 401
    without = replace(config, admin_api_key="")
    assert ask(without, "GET", path, headers={"authorization": "Bearer "}).status_code == 401


@pytest.mark.parametrize(
    ("project", "status"), [("kosmos", 200), ("nowhere", 404), (None, 400)], ids=["known", "unknown", "none"]
)
def test_the_admin_key_speaks_for_the_project_it_names(
    config: EngineConfig, project: str | None, status: int
) -> None:
    headers = {"authorization": "Bearer admin-test", "x-langfuse-admin-api-key": "admin-test"}
    if project:
        headers["x-langfuse-project-id"] = project
    answer = ask(config, "GET", "/api/public/test/either", headers=headers)
    assert answer.status_code == status
    wrong = ask(
        config, "GET", "/api/public/test/either", headers={**headers, "x-langfuse-admin-api-key": "no"}
    )
    assert wrong.status_code == 401


def test_organization_operations_are_refused_as_without_a_licence(config: EngineConfig) -> None:
    answer = ask(config, "GET", "/api/public/projects/kosmos/apiKeys", auth=KEY)
    assert (answer.status_code, answer.json()) == (
        403,
        {"message": "Invalid API key. Organization-scoped API key required for this operation."},
    )
    admin = ask(config, "GET", "/api/admin/organizations", headers={"authorization": "Bearer admin-test"})
    assert (admin.status_code, admin.json()) == (
        403,
        {"error": "This feature is not available on your current plan."},
    )
