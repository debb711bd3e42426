"""The log says which requests were refused and why, without a secret and without end."""

from __future__ import annotations

import base64
import logging

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from langfuse_embedded.config import config_from_environment
from langfuse_embedded.errors import ConfigError
from langfuse_embedded.http.access_log import LINES_A_SECOND, AccessLog


def request(path: str = "/api/public/traces", *, keys: str = "pk-lf-test:sk-lf-test") -> Request:
    encoded = base64.b64encode(keys.encode())
    headers = [(b"authorization", b"Basic " + encoded)] if keys else []
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"sig=abc", "headers": headers}
    return Request({**scope, "server": ("localhost", 3000), "scheme": "http"})


REFUSED = JSONResponse({"message": "Invalid credentials."}, 401)


@pytest.mark.parametrize(
    ("mode", "response", "path", "lines"),
    [
        ("errors", REFUSED, "/api/public/traces", 1),
        ("errors", Response(status_code=404), "/nowhere", 1),
        ("errors", JSONResponse({}), "/api/public/traces", 0),
        ("all", JSONResponse({}), "/api/public/traces", 1),
        ("all", JSONResponse({}), "/api/public/health", 0),
        ("all", JSONResponse({}, 503), "/api/public/health", 1),
        ("off", REFUSED, "/api/public/traces", 0),
    ],
)
def test_the_mode_decides_what_is_written(
    caplog: pytest.LogCaptureFixture, mode: str, response: Response, path: str, lines: int
) -> None:
    with caplog.at_level(logging.INFO):
        AccessLog(mode).note(request(path), response, 0.0021)
    assert len(caplog.messages) == lines


def test_a_refusal_is_told_with_key_and_reason_and_without_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    log = AccessLog("errors")
    log.note(request(), REFUSED, 0.0021)
    log.note(request(keys="sk-lf-test:pk-lf-test"), REFUSED, 0.0021)
    log.note(request("/x\n2026 forged line\x1b[2J" + "a" * 500, keys=""), Response(status_code=404), 0.1)
    first, swapped, forged = caplog.messages
    assert first == "POST /api/public/traces -> 401 in 2 ms, key pk-lf-test: Invalid credentials."
    assert "key that begins otherwise than pk-lf-: Invalid" in swapped
    assert "\n" not in forged
    assert "\x1b" not in forged
    assert len(forged) < 300
    assert "sk-lf" not in caplog.text
    assert "sig=" not in caplog.text


def test_a_loop_of_mistakes_does_not_fill_the_disk(caplog: pytest.LogCaptureFixture) -> None:
    now = [1.0]
    log = AccessLog("errors", clock=lambda: now[0])
    for _ in range(LINES_A_SECOND + 50):
        log.note(request(), REFUSED, 0)
    assert len(caplog.messages) == LINES_A_SECOND
    now[0] = 2.0
    log.note(request(), REFUSED, 0)
    assert caplog.messages[-2] == "50 more requests were not written down"


def test_an_unknown_mode_is_refused_at_the_start(tmp_path: object) -> None:
    with pytest.raises(ConfigError, match="EMBEDDED_ACCESS_LOG is 'loud': use one of off, errors, all"):
        config_from_environment({"EMBEDDED_ACCESS_LOG": "loud"}, data_dir=tmp_path)  # type: ignore[arg-type]
