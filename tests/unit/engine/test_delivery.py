"""The headers of API answers: tags as the server's framework makes them, and what a browser asks for."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from langfuse_embedded.http.delivery import deliver, etag
from langfuse_embedded.http.json_answers import json_response


def _request(method: str = "GET", **headers: str) -> Request:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    pairs = [(name.encode(), value.encode()) for name, value in names.items()]
    return Request({"type": "http", "method": method, "path": "/", "query_string": b"", "headers": pairs})


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        ('{"status":"OK","version":"4.16.0"}', '"s071lloo1ty"'),
        ('{"message":"No authorization header"}', '"o7q8nmw1d411"'),
        ('{"error":"UnauthorizedError","message":"No authorization header"}', '"qbsj589wj31t"'),
    ],
)
def test_a_short_answer_has_the_tag_of_the_server(body: str, tag: str) -> None:
    assert etag(body.encode()) == tag


def test_long_and_odd_answers_have_tags_that_tell_them_apart() -> None:
    bodies = [b"", "\U0001f600".encode(), b"x" * 2000, b"x" * 1999 + b"y", b"\xff"]
    tags = [etag(body) for body in bodies]
    assert len(set(tags)) == len(tags)
    assert tags == [etag(body) for body in bodies]


@pytest.mark.parametrize("known", ["*", "{tag}", "W/{tag}", '"other", {tag}', '"other",W/{tag}'])
def test_a_client_that_has_the_answer_gets_an_empty_one(known: str) -> None:
    answer = json_response({"a": 1})
    tag = etag(bytes(answer.body))
    again = deliver(_request(if_none_match=known.format(tag=tag)), answer)
    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", tag)
    assert again.headers["vary"] == "Origin, Accept-Encoding"


@pytest.mark.parametrize("headers", [{}, {"if_none_match": '"other"'}, {"if_none_match": ""}])
def test_another_client_gets_the_answer(headers: dict[str, str]) -> None:
    assert deliver(_request(**headers), json_response({"a": 1})).status_code == 200


def test_a_client_that_wants_no_cache_gets_the_answer() -> None:
    request = _request(if_none_match="*", cache_control="no-cache")
    assert deliver(request, json_response({"a": 1})).status_code == 200


def test_an_origin_is_named_and_no_cookies_are_allowed() -> None:
    answer = deliver(_request(origin="https://app.acme.example"), json_response({}))
    assert answer.headers["access-control-allow-origin"] == "https://app.acme.example"
    assert "access-control-allow-credentials" not in answer.headers
    assert "access-control-allow-methods" not in answer.headers


def test_a_preflight_says_what_is_allowed() -> None:
    request = _request("OPTIONS", origin="https://a.example", access_control_request_headers="x-foo")
    answer = deliver(request, Response(status_code=204))
    assert answer.headers["access-control-allow-headers"] == "x-foo"
    assert answer.headers["access-control-allow-methods"] == "GET,HEAD,PUT,PATCH,POST,DELETE"
    assert answer.headers["vary"] == "Origin, Access-Control-Request-Headers"


def test_an_empty_answer_has_no_tag_and_a_page_none_of_the_headers() -> None:
    empty = deliver(_request(), Response(status_code=204))
    assert (empty.headers.get("etag"), empty.headers["vary"]) == (None, "Origin")
    assert "vary" not in deliver(_request(), HTMLResponse("<p>")).headers
