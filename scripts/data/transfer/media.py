"""Media of an export: what its observations and dataset items refer to, as files beside their rows."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson

from scripts.api import signed_urls
from scripts.api.client import Api, Row
from scripts.api.errors import NoAnswer, ObjectRefused
from scripts.core.checksums import file_sha256

from .files import Manifest, Part, read_part
from .remote import TransferError

FILES = "media/files"
# What is in a text in its place: https://langfuse.com/docs/observability/features/multi-modality
_TOKEN = re.compile(r"@@@langfuseMedia:type=[^|@]+\|id=([A-Za-z0-9_-]+)\|source=[^|@]+@@@")
_FIELDS = {
    "observations": ("input", "output", "metadata"),
    "dataset_items": ("input", "expectedOutput", "metadata"),
}
_TIMEOUT_S = 300.0


def references(into: Path, manifest: Manifest) -> Iterator[Row]:
    """Yield id and place of every medium that an exported row refers to."""
    for part in manifest.parts:
        kind = part.path.split("/")[0]
        for row in read_part(into / part.path) if kind in _FIELDS else ():
            for field in _FIELDS[kind]:
                value = row.get(field)
                text = value if isinstance(value, str) else orjson.dumps(value).decode()
                for media in dict.fromkeys(_TOKEN.findall(text)):
                    yield {"id": media, "field": field, **_place(kind, row)}


def download(remote: Api, into: Path, manifest: Manifest) -> Iterator[Row]:
    """Yield the rows of all media, and write their files, which are added to the manifest.

    Raises:
        TransferError: one cannot be read.
    """
    known: dict[str, Row] = {}
    absent: set[str] = set()
    (into / FILES).mkdir(parents=True, exist_ok=True)
    for reference in references(into, manifest):
        media = reference["id"]
        if media in absent:
            continue
        if media not in known:
            try:
                known[media] = _fetch(remote, into, media)
            except ObjectRefused as error:
                absent.add(media)
                manifest.skip(f"media item {media}", error.message)
                continue
            path = f"{FILES}/{media}"
            size = int(known[media]["contentLength"])
            manifest.parts = [part for part in manifest.parts if part.path != path]
            manifest.parts.append(Part(path, 0, size, file_sha256(into / path)))
        yield {**known[media], **reference}


def upload(remote: Api, source: Path, row: Row) -> bool:
    """Write one medium where its row says, and return whether it was not there.

    Raises:
        TransferError: the row names a file outside of the export, or the server does not take it.
    """
    content = _content_of(source, row)
    places = ("traceId", "observationId", "datasetId", "datasetItemId")
    announced = remote.post(
        "media",
        {
            "contentType": row["contentType"],
            "contentLength": int(row["contentLength"]),
            "sha256Hash": row["sha256"],
            "field": row["field"],
            **{name: row[name] for name in places if row.get(name)},
        },
    )
    if not announced.get("uploadUrl"):
        return False
    headers = {"content-type": str(row["contentType"]), "x-amz-checksum-sha256": str(row["sha256"])}
    try:
        answer = signed_urls.send(
            "PUT", announced["uploadUrl"], content=content, headers=headers, timeout_s=_TIMEOUT_S
        )
    except NoAnswer as error:
        raise TransferError(
            f"Media item {row['id']} cannot be uploaded ({error.kind}).",
            fix="the object store must be reachable from here (S3_PUBLIC_ENDPOINT), then repeat.",
        ) from error
    report = {
        "uploadedAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "uploadHttpStatus": answer.status_code,
        **({"uploadHttpError": answer.text[:500]} if answer.is_error else {}),
    }
    remote.patch(f"media/{announced['mediaId']}", report)
    if answer.is_error:
        raise TransferError(
            f"The object store returned {answer.status_code} for media item {row['id']}.",
            fix="repeat the import.",
        )
    return True


def _content_of(source: Path, row: Row) -> bytes:
    """Return the bytes of a medium: of a plain file in the folder of media, with the checksum of its row.

    A row may come from anywhere, and any other path would send files of this machine to the server.
    """
    folder = (source / FILES).resolve()
    path = source / str(row["file"])
    inside = path.resolve().parent == folder and path.is_file() and not path.is_symlink()
    content = path.read_bytes() if inside else b""
    if not inside or base64.b64encode(hashlib.sha256(content).digest()).decode() != row["sha256"]:
        raise ObjectRefused(
            f"Media item {row['id']} of the export is not a file in {FILES} with the checksum of its row.",
            fix="export again into a new directory.",
        )
    return content


def _place(kind: str, row: Row) -> Row:
    if kind == "observations":
        return {"traceId": row["traceId"], "observationId": row["id"]}
    return {"datasetId": row["datasetId"], "datasetItemId": row["id"]}


def _fetch(remote: Api, into: Path, media: str) -> Row:
    record = remote.get(f"media/{media}")
    try:
        answer = signed_urls.send("GET", record["url"], timeout_s=_TIMEOUT_S)
    except NoAnswer as error:
        raise TransferError(
            f"Media item {media} cannot be read ({error.kind}).",
            fix="the object store must be reachable from here (S3_PUBLIC_ENDPOINT), then repeat.",
        ) from error
    if not answer.is_success:
        raise ObjectRefused(
            f"The object store answers {answer.status_code}", fix="upload it again, or leave it out."
        )
    content = answer.content
    (into / FILES / media).write_bytes(content)
    return {
        "id": media,
        "contentType": record["contentType"],
        "contentLength": len(content),
        "sha256": base64.b64encode(hashlib.sha256(content).digest()).decode(),
        "file": f"{FILES}/{media}",
    }
