"""The S3 client: signatures of the published examples, pages, retries and what a failure says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from scripts.stores.s3 import Bucket, Content, Location, NoSuchObject, ObjectStoreError, sign

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples"
AWS = Location(
    endpoint="https://s3.amazonaws.com",
    region="us-east-1",
    bucket="examplebucket",
    access_key="AKIAIOSFODNN7EXAMPLE",
    secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    path_style=False,
)
MOMENT = datetime(2013, 5, 24, tzinfo=UTC)
EMPTY = hashlib.sha256(b"").hexdigest()
STORE = Location("http://127.0.0.1:9090", "us-east-1", "media", "key-of-test", "secret-of-test")


def signature(path: str, query: str, **headers: str) -> str:
    signed = sign(AWS, "GET", path, query, headers, EMPTY, MOMENT)
    return signed["authorization"].rpartition("Signature=")[2]


def test_a_read_is_signed_as_in_the_published_example() -> None:
    expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert signature("/test.txt", "", range="bytes=0-9") == expected


def test_a_list_is_signed_as_in_the_published_example() -> None:
    expected = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    assert signature("/", "max-keys=2&prefix=J") == expected


def bucket(answer: Callable[[httpx.Request], httpx.Response]) -> Bucket:
    return Bucket(STORE, httpx.MockTransport(answer), lambda: MOMENT)


def page(keys: list[str], token: str = "") -> str:
    entries = "".join(
        f"<Contents><Key>{key}</Key><Size>3</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
        for key in keys
    )
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    truncated = f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>"
    return (
        f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{truncated}{more}{entries}'
        "</ListBucketResult>"
    )


def test_a_list_goes_on_to_its_last_page() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        first = "continuation-token" not in request.url.params
        return httpx.Response(200, text=page(["a", "b"], "more") if first else page(["c"]))

    with bucket(answer) as opened:
        assert [found.key for found in opened.objects("x/", after="x/1")] == ["a", "b", "c"]
    assert [asked[0]["start-after"], asked[1]["continuation-token"]] == ["x/1", "more"]


def test_names_are_encoded_as_they_are_signed(tmp_path: Path) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return httpx.Response(200, stream=httpx.ByteStream(b"abc"), headers={"content-type": "image/png"})

    with bucket(answer) as opened:
        content = opened.save("kosmos/what is +%&ü.png", tmp_path / "file")
    assert seen == ["/media/kosmos/what%20is%20%2B%25%26%C3%BC.png"]
    assert content == Content("image/png", hashlib.sha256(b"abc").hexdigest())
    assert (tmp_path / "file").read_bytes() == b"abc"


def test_a_store_that_fails_for_a_moment_is_asked_again() -> None:
    answers = [httpx.Response(503), httpx.Response(200, content=b"abc")]
    with bucket(lambda _: answers.pop(0)) as opened:
        assert opened.get("one") == b"abc"
    assert answers == []


def test_an_object_that_is_not_there_is_no_failure_of_the_store() -> None:
    with bucket(lambda _: httpx.Response(404)) as opened, pytest.raises(NoSuchObject):
        opened.get("one")


def test_a_refusal_says_where_and_what() -> None:
    with (
        bucket(lambda _: httpx.Response(403, text="<Code>SignatureDoesNotMatch</Code>")) as opened,
        pytest.raises(
            ObjectStoreError, match=r"127\.0\.0\.1:9090, bucket media.* answers 403 to PUT one"
        ) as caught,
    ):
        opened.put("one", b"abc", "text/plain")
    assert caught.value.details == ("<Code>SignatureDoesNotMatch</Code>",)
    assert "S3_SECRET_ACCESS_KEY" in caught.value.fix
    assert "secret-of-test" not in str(caught.value)
