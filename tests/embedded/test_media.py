"""Media: announced, uploaded to a signed URL, reported, read back; dataset items refer to them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit
from uuid import uuid4

import httpx
import pytest

from tests.waiting import wait_for

from .conftest import StartEngine

MEDIA = "/api/public/media"


def outside(method: str, url: str, **options: Any) -> httpx.Response:
    """Send a request without any key, as whoever was given the URL does."""
    # A TLS context costs 0.1 s and is of no use here.
    return httpx.request(method, url, verify=False, **options)  # noqa: S501


class Upload:
    """Some bytes, and what the API wants to know of them."""

    def __init__(self, content: bytes = b"", content_type: str = "image/png") -> None:
        self.content = content or uuid4().bytes * 10
        self.type = content_type
        self.sha256 = base64.b64encode(hashlib.sha256(self.content).digest()).decode()

    def announce(self, client: httpx.Client, **changes: Any) -> httpx.Response:
        """Ask where to upload to."""
        body = {
            "traceId": "a" * 32,
            "field": "input",
            "contentType": self.type,
            "contentLength": len(self.content),
            "sha256Hash": self.sha256,
        }
        return client.post(MEDIA, json={**body, **changes})

    def put(self, url: str, content: bytes | None = None, **headers: str) -> httpx.Response:
        """Upload as the SDKs do: without a key, with type and checksum."""
        given = {"content-type": self.type, "x-amz-checksum-sha256": self.sha256, **headers}
        return outside("PUT", url, content=self.content if content is None else content, headers=given)

    def store(self, client: httpx.Client) -> str:
        """Announce, upload and report; return the id."""
        announced = self.announce(client).json()
        assert self.put(announced["uploadUrl"]).status_code == 200
        report(client, announced["mediaId"])
        return str(announced["mediaId"])


def report(
    client: httpx.Client, media_id: str, status: int = 200, error: str | None = None
) -> httpx.Response:
    """Say how an upload went."""
    return client.patch(
        f"{MEDIA}/{media_id}",
        json={
            "uploadedAt": "2026-01-15T10:00:00.123456Z",
            "uploadHttpStatus": status,
            "uploadHttpError": error,
            "uploadTimeMs": 5,
        },
    )


def with_query(url: str, **changes: str) -> str:
    """Return a URL with other query parameters."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return urlunsplit(parts._replace(query=urlencode({**query, **changes})))


def test_what_was_uploaded_can_be_downloaded_without_a_key(client: httpx.Client) -> None:
    upload = Upload()
    announced = upload.announce(client)
    assert announced.status_code == 201
    media_id = announced.json()["mediaId"]
    assert media_id == upload.sha256.replace("+", "-").replace("/", "_")[:22]
    assert client.get(f"{MEDIA}/{media_id}").json()["message"] == "Media not yet uploaded"
    assert upload.put(announced.json()["uploadUrl"]).status_code == 200
    assert report(client, media_id).json() == {"message": "OK"}
    media = client.get(f"{MEDIA}/{media_id}").json()
    assert (media["contentType"], media["contentLength"], media["uploadedAt"]) == (
        "image/png",
        len(upload.content),
        "2026-01-15T10:00:00.123Z",
    )
    downloaded = outside("GET", media["url"])
    assert downloaded.content == upload.content
    assert downloaded.headers["content-type"] == "image/png"


def test_the_same_bytes_need_no_second_upload(client: httpx.Client) -> None:
    upload = Upload()
    media_id = upload.store(client)
    assert upload.announce(client, traceId="b" * 32).json() == {"uploadUrl": None, "mediaId": media_id}
    other_type = Upload(upload.content, "image/jpeg").announce(client).json()
    assert other_type["mediaId"] == media_id
    assert other_type["uploadUrl"] is not None


def test_a_part_of_a_file_can_be_asked_for(client: httpx.Client) -> None:
    upload = Upload()
    url = client.get(f"{MEDIA}/{upload.store(client)}").json()["url"]
    part = outside("GET", url, headers={"range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, upload.content[2:6])
    head = outside("HEAD", url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(upload.content))


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"x" * 160, {}, 400, "BadDigest"),
        (b"short", {}, 403, "SignatureDoesNotMatch"),
        (None, {"content-type": "text/html"}, 403, "SignatureDoesNotMatch"),
        (None, {"x-amz-checksum-sha256": "A" * 44}, 403, "SignatureDoesNotMatch"),
    ],
)
def test_other_bytes_than_the_announced_are_refused_and_not_stored(
    client: httpx.Client, content: bytes | None, headers: dict[str, str], status: int, code: str
) -> None:
    upload = Upload()
    announced = upload.announce(client).json()
    refused = upload.put(announced["uploadUrl"], content, **headers)
    assert refused.status_code == status
    assert f"<Code>{code}</Code>" in refused.text
    report(client, announced["mediaId"])
    url = client.get(f"{MEDIA}/{announced['mediaId']}").json()["url"]
    assert outside("GET", url).status_code == 404


def test_a_stream_without_a_length_is_cut_off_at_the_announced_one(client: httpx.Client) -> None:
    upload = Upload()
    announced = upload.announce(client).json()
    chunks = iter([upload.content, b"more"])
    headers = {"content-type": upload.type, "x-amz-checksum-sha256": upload.sha256}
    refused = outside("PUT", announced["uploadUrl"], content=chunks, headers=headers)
    assert (refused.status_code, "EntityTooLarge" in refused.text) == (400, True)


def test_a_url_works_for_what_it_was_signed_for_and_nothing_else(client: httpx.Client) -> None:
    first, second = Upload(), Upload()
    url = first.announce(client).json()["uploadUrl"]
    other = second.announce(client).json()["mediaId"]
    assert first.put(with_query(url, **{"X-Signature": "0" * 64})).status_code == 403
    assert first.put(with_query(url, **{"X-Expires": "99999999999"})).status_code == 403
    assert first.put(with_query(url, **{"X-Expires": "soon"})).status_code == 403
    assert first.put(url.split("?")[0]).status_code == 403
    stolen = url.replace(first.sha256.replace("+", "-").replace("/", "_")[:22], other)
    assert stolen != url
    assert second.put(stolen).status_code == 403
    # A URL to upload to is none to download from.
    assert outside("GET", url).status_code == 403


def test_a_url_ends_with_its_time(start_engine: StartEngine) -> None:
    client = start_engine(LANGFUSE_S3_MEDIA_DOWNLOAD_URL_EXPIRY_SECONDS="0").client
    url = client.get(f"{MEDIA}/{Upload().store(client)}").json()["url"]
    # Valid to the end of the second in which it was given.
    wait_for(lambda: outside("GET", url).status_code != 200, "the end of the second")
    answer = outside("GET", url)
    assert (answer.status_code, "Request has expired" in answer.text) == (403, True)


def test_uploaded_pages_are_not_run_by_a_browser(client: httpx.Client) -> None:
    upload = Upload(b"<script>alert(1)</script>" + uuid4().hex.encode(), "text/html")
    answer = outside("GET", client.get(f"{MEDIA}/{upload.store(client)}").json()["url"])
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_failed_upload_is_told(client: httpx.Client) -> None:
    media_id = Upload().announce(client).json()["mediaId"]
    report(client, media_id, 503, "slow down")
    answer = client.get(f"{MEDIA}/{media_id}")
    assert (answer.status_code, answer.json()["message"]) == (
        404,
        "Media upload failed with status 503: \n slow down",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"contentType": "x/y"},
        {"contentLength": 0},
        {"contentLength": 1.5},
        {"sha256Hash": "short"},
        {"field": "expectedOutput"},
        {"traceId": None},
        {"datasetId": "d"},
    ],
)
def test_an_announcement_that_does_not_fit_is_refused(client: httpx.Client, changes: dict[str, Any]) -> None:
    answer = Upload().announce(client, **changes)
    assert (answer.status_code, answer.json()["message"]) == (400, "Invalid request data")


def test_a_file_above_the_limit_is_refused(start_engine: StartEngine) -> None:
    client = start_engine(LANGFUSE_S3_MEDIA_MAX_CONTENT_LENGTH="100").client
    answer = Upload(b"x" * 101).announce(client)
    assert (answer.status_code, answer.json()["message"]) == (400, "File size must be less than 100 bytes")


def test_media_that_do_not_exist_are_not_found(client: httpx.Client) -> None:
    assert client.get(f"{MEDIA}/nope").json()["message"] == "Media asset not found"
    assert report(client, "nope").json()["message"] == (
        "Media asset nope not found in project kosmos-support"
    )
    answer = Upload().announce(
        client, traceId=None, datasetId="nowhere", datasetItemId="x", field="expectedOutput"
    )
    assert (answer.status_code, answer.json()["message"]) == (
        404,
        "Dataset nowhere not found in project kosmos-support",
    )


def test_dataset_items_carry_urls_of_the_media_in_their_values(client: httpx.Client) -> None:
    name = f"media-{uuid4().hex[:8]}"
    dataset = client.post("/api/public/v2/datasets", json={"name": name}).json()
    first, second = Upload(), Upload()
    announced = first.announce(
        client, traceId=None, datasetId=dataset["id"], datasetItemId="new", field="expectedOutput"
    ).json()
    assert first.put(announced["uploadUrl"]).status_code == 200
    report(client, announced["mediaId"])
    string, other = (
        f"@@@langfuseMedia:type=image/png|id={media_id}|source=bytes@@@"
        for media_id in (announced["mediaId"], second.store(client))
    )
    values = {"input": {"b": [[other]], "a": string, "in text": f"see {string}"}, "metadata": string}
    written = client.post("/api/public/dataset-items", json={"datasetName": name, **values}).json()
    found = [(one["field"], one["jsonPath"], one["referenceString"]) for one in written["mediaReferences"]]
    assert found == [
        ("input", "$['a']", string),
        ("input", "$['b'][0][0]", other),
        ("metadata", "$", string),
    ]
    (listed,) = client.get("/api/public/dataset-items", params={"datasetName": name}).json()["data"]
    contents = [outside("GET", one["media"]["url"]).content for one in listed["mediaReferences"]]
    assert contents == [first.content, second.content, first.content]


def test_an_item_cannot_refer_to_media_that_were_never_uploaded(client: httpx.Client) -> None:
    name = f"media-{uuid4().hex[:8]}"
    client.post("/api/public/v2/datasets", json={"name": name})
    pending = Upload().announce(client).json()["mediaId"]
    string = f"@@@langfuseMedia:type=image/png|id={pending}|source=bytes@@@"
    answer = client.post("/api/public/dataset-items", json={"datasetName": name, "input": string})
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        f"Dataset item references unknown media: {pending}",
    )
    malformed = "@@@langfuseMedia:type=image/png|id@@@"
    answer = client.post("/api/public/dataset-items", json={"datasetName": name, "input": malformed})
    assert answer.json()["mediaReferences"] == []


def test_media_survive_a_kill_and_unfinished_uploads_do_not(start_engine: StartEngine) -> None:
    first = start_engine()
    upload = Upload()
    media_id = upload.store(first.client)
    first.kill()
    (first.data_dir / "media" / "unfinished" / "half").write_bytes(b"of an upload that was cut off")
    again = start_engine(first.data_dir)
    url = again.client.get(f"{MEDIA}/{media_id}").json()["url"]
    assert outside("GET", url).content == upload.content
    assert list((again.data_dir / "media" / "unfinished").iterdir()) == []
