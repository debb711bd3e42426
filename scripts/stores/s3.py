"""A bucket of an S3 store: list, read, write and delete objects with signed requests.

Four operations over HTTP do not need the usual client, which is 14 MB in every installation. AWS Signature 4:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote
from xml.etree import ElementTree as ET

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from scripts.core.errors import StackError

_TIMEOUT_S = 60.0
_ATTEMPTS = 5
_CHUNK = 1 << 20
_PAGE = 1000


class ObjectStoreError(StackError):
    """The object store refused something or did not answer."""


class NoSuchObject(ObjectStoreError):
    """There is no object of that name."""


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket, and who asks for it. `endpoint` is a URL without a slash at its end."""

    endpoint: str
    region: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    path_style: bool = True

    @property
    def host(self) -> str:
        """The host that requests go to, with its port where it is not the usual one."""
        netloc = httpx.URL(self.endpoint).netloc.decode()
        return netloc if self.path_style else f"{self.bucket}.{netloc}"

    @property
    def base_path(self) -> str:
        """The path of the bucket."""
        return f"/{self.bucket}/" if self.path_style else "/"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a list shows it; size in bytes."""

    key: str
    bytes: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Content:
    """What an object consisted of when it was read."""

    content_type: str
    sha256: str


class Bucket:
    """Talks to one bucket. Close it, or use it in a `with`. Threads may share it."""

    def __init__(
        self,
        location: Location,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.location = location
        self._now = now
        scheme = httpx.URL(location.endpoint).scheme
        self._http = httpx.Client(
            base_url=f"{scheme}://{location.host}", timeout=_TIMEOUT_S, trust_env=False, transport=transport
        )
        self._retry = Retrying(
            retry=retry_if_exception(_passes),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=0.3, max=5),
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects below a prefix by name; `after` leaves out what comes before it or is it.

        Raises:
            ObjectStoreError: the store refuses, or does not answer.
        """
        for page in self._pages({"prefix": prefix}, after):
            for element in page.iterfind("{*}Contents"):
                yield StoredObject(
                    key=element.findtext("{*}Key", ""),
                    bytes=int(element.findtext("{*}Size", "0")),
                    modified=datetime.fromisoformat(element.findtext("{*}LastModified", "")),
                )

    def folders(self, prefix: str) -> list[str]:
        """Return what comes next below a prefix, each with a slash at its end. Raises ObjectStoreError."""
        pages = self._pages({"prefix": prefix, "delimiter": "/"}, "")
        return [
            found.findtext("{*}Prefix", "") for page in pages for found in page.iterfind("{*}CommonPrefixes")
        ]

    def _pages(self, query: Mapping[str, str], after: str) -> Iterator[ET.Element]:
        token = ""
        while True:
            more = {"continuation-token": token} if token else {"start-after": after} if after else {}
            whole = {"list-type": "2", "max-keys": str(_PAGE), **query, **more}
            page = ET.fromstring(self._request("GET", "", whole).content)  # noqa: S314 - the stack's own store
            yield page
            token = page.findtext("{*}NextContinuationToken", "")
            if page.findtext("{*}IsTruncated") != "true" or not token:
                return

    def get(self, key: str) -> bytes:
        """Return an object. Raises NoSuchObject, or another ObjectStoreError."""
        return self._request("GET", key, {}).content

    def save(self, key: str, path: Path) -> Content:
        """Write an object to a file; return what it was. Raises ObjectStoreError."""
        try:
            return self._retry(self._save, key, path)
        except httpx.HTTPError as error:
            raise self._failure("GET", key, error) from error

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Write an object from memory. Raises ObjectStoreError."""
        digest = hashlib.sha256(body).hexdigest()
        self._request("PUT", key, {}, body, {"content-type": content_type}, digest)

    def put_file(self, key: str, path: Path, content: Content) -> None:
        """Write an object from a file. Raises ObjectStoreError."""

        def send() -> None:
            headers = {"content-type": content.content_type, "content-length": str(path.stat().st_size)}
            target, signed = self._signed("PUT", key, {}, headers, content.sha256)
            with path.open("rb") as file:
                chunks = iter(lambda: file.read(_CHUNK), b"")
                self._http.put(target, content=chunks, headers=signed).raise_for_status()

        try:
            self._retry(send)
        except httpx.HTTPError as error:
            raise self._failure("PUT", key, error) from error

    def delete(self, key: str) -> None:
        """Delete an object; one that is gone already is not an error. Raises ObjectStoreError."""
        self._request("DELETE", key, {})

    def _save(self, key: str, path: Path) -> Content:
        target, headers = self._signed("GET", key, {}, {}, _EMPTY)
        whole = hashlib.sha256()
        with self._http.stream("GET", target, headers=headers) as answer:
            if answer.is_error:
                answer.read()
            answer.raise_for_status()
            with path.open("wb") as file:
                for chunk in answer.iter_raw(_CHUNK):
                    whole.update(chunk)
                    file.write(chunk)
        return Content(answer.headers.get("content-type", "application/octet-stream"), whole.hexdigest())

    def _request(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        digest: str = "",
    ) -> httpx.Response:
        def send() -> httpx.Response:
            target, signed = self._signed(method, key, query, headers or {}, digest or _EMPTY)
            return self._http.request(method, target, content=body, headers=signed).raise_for_status()

        try:
            return self._retry(send)
        except httpx.HTTPError as error:
            raise self._failure(method, key, error) from error

    def _signed(
        self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str], digest: str
    ) -> tuple[str, dict[str, str]]:
        path = self.location.base_path + quote(key, safe="/-_.~")
        text = "&".join(
            f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query)
        )
        signed = sign(self.location, method, path, text, headers, digest, self._now())
        return (f"{path}?{text}" if text else path), signed

    def _failure(self, method: str, key: str, error: httpx.HTTPError) -> ObjectStoreError:
        where = f"{self.location.endpoint}, bucket {self.location.bucket}"
        if isinstance(error, httpx.HTTPStatusError):
            answer = f"answers {error.response.status_code}"
            details = [error.response.text[:300]] if error.response.is_stream_consumed else []
        else:
            answer, details = f"does not answer ({type(error).__name__})", []
        absent = isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 404
        return (NoSuchObject if absent else ObjectStoreError)(
            f"The object store ({where}) {answer} to {method} {key or 'the list'}.",
            details=details,
            fix="look at `make status`; the keys are S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY.",
        )


def sign(
    location: Location,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    digest: str,
    now: datetime,
) -> dict[str, str]:
    """Return the headers of a request with its signature.

    `path` and `query` are encoded as they are sent, the names of the query in order; `digest` is the
    SHA-256 of the body in hexadecimal.
    """
    moment = f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{now:%Y%m%d}/{location.region}/s3/aws4_request"
    lengths = {name: value for name, value in headers.items() if name == "content-length"}
    signed = {
        **{name: value for name, value in headers.items() if name not in lengths},
        "host": location.host,
        "x-amz-content-sha256": digest,
        "x-amz-date": moment,
    }
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [
            method,
            path,
            query,
            *(f"{name}:{signed[name].strip()}" for name in sorted(signed)),
            "",
            names,
            digest,
        ]
    )
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    secret = f"AWS4{location.secret_key}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    credential = f"{location.access_key}/{scope}"
    return {
        **signed,
        **lengths,
        "authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names},"
        f" Signature={signature}",
    }


def _passes(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


_EMPTY = hashlib.sha256(b"").hexdigest()
