"""Bodies of trace exports that hold no span: what is refused, and with which text."""

from __future__ import annotations

import gzip

import httpx
import pytest

_URL = "/api/public/otel/v1/traces"
_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
_NO_JSON = "Failed to parse OTel JSON Trace"
_NO_PROTOBUF = "Failed to parse OTel Protobuf Trace"
_NO_GZIP = "Failed to decompress request body"


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("media_type", "body", "error"),
    [
        # Nothing at all is an empty message in protobuf, but not a document in JSON.
        (_JSON, b"", _NO_JSON),
        (_JSON, b" \n", _NO_JSON),
        (_JSON, b"null", _NO_JSON),
        (_JSON, b"{", _NO_JSON),
        (_JSON, b"\xef\xbb\xbf{}", _NO_JSON),
        (_JSON, b"{}", None),
        (_JSON, b"[]", None),
        (_JSON, b"1", None),
        (_JSON, b'"text"', None),
        (_JSON, b'{"resourceSpans": null}', None),
        (_JSON, b'{"resourceSpans": []}', None),
        (_PROTOBUF, b"", None),
        (_PROTOBUF, b"{}", _NO_PROTOBUF),
    ],
)
def test_an_export_without_spans_is_taken_where_it_can_be_read(
    client: httpx.Client, media_type: str, body: bytes, error: str | None, zipped: bool
) -> None:
    headers = {"content-type": media_type, **({"content-encoding": "gzip"} if zipped else {})}
    answer = client.post(_URL, content=gzip.compress(body) if zipped else body, headers=headers)
    expected = (400, {"error": error}) if error else (200, {})
    assert (answer.status_code, answer.json()) == expected


@pytest.mark.parametrize("media_type", [_JSON, _PROTOBUF])
def test_an_empty_body_is_not_gzip(client: httpx.Client, media_type: str) -> None:
    headers = {"content-type": media_type, "content-encoding": "gzip"}
    answer = client.post(_URL, content=b"", headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": _NO_GZIP})


def test_an_empty_body_of_another_type_is_refused_for_its_type(client: httpx.Client) -> None:
    answer = client.post(_URL, content=b"", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid content type"})
