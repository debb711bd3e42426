"""Bodies are read as the server's framework reads them: by their type, and as leniently as JavaScript."""

from __future__ import annotations

import math
from typing import Any

import pytest

from langfuse_embedded.http.request_bodies import parse_body

JSON = "application/json"


@pytest.mark.parametrize(
    "content_type",
    [
        JSON,
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8;a=b",
        'application/json; charset="utf-8"',
        "Application/JSON",
        "application/ld+json",
    ],
)
def test_a_body_of_a_json_type_is_its_document(content_type: str) -> None:
    assert parse_body(b'{"name": "accuracy"}', content_type) == {"name": "accuracy"}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/octet-stream",
        "json",
        ";",
        "application/json;",
        "application/json; utf-8",
    ],
)
def test_json_without_its_type_stays_a_text(content_type: str) -> None:
    assert parse_body(b'{"name": "accuracy"}', content_type) == '{"name": "accuracy"}'


def test_a_form_is_an_object_of_its_fields() -> None:
    body = parse_body(b"name=a%20b&value=", "application/x-www-form-urlencoded")
    assert body == {"name": "a b", "value": ""}
    assert parse_body(b"a=1&b=2&a=3", "application/x-www-form-urlencoded") == {"a": ["1", "3"], "b": "2"}


def test_an_empty_json_body_is_an_empty_object() -> None:
    assert parse_body(b"", JSON) == {}


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'["a\\ud800b"]', ["a\ufffdb"]),
        (b'["a\\ud83d\\ude00b"]', ["a\U0001f600b"]),
        (b'{"\\udfff": 1}', {"\ufffd": 1}),
        (b'["a\xff\xfeb"]', ["a\ufffd\ufffdb"]),
        (b"\xef\xbb\xbf[1]", [1]),
        (b"[1e400, -1e400]", [math.inf, -math.inf]),
        (b"[1e400, 1234567890123456789012]", [math.inf, 1234567890123456789012.0]),
    ],
)
def test_what_javascript_reads_is_read(body: bytes, document: Any) -> None:
    assert parse_body(body, JSON) == document


@pytest.mark.parametrize(
    "body", [b" ", b"[NaN]", b"[Infinity]", b"{'a': 1}", b"[1,]", b'["\n"]', b"[" * 100_000, b"\xff"]
)
def test_what_javascript_refuses_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_body(body, JSON)
