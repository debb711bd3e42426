"""Media of an export: what its observations and dataset items refer to, as files beside their rows."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson

from .files import Manifest, Part, read_part, sha256
from .remote import Remote, Row, TransferError

FILES = "media/files"
# What stands in a text in its place: https://langfuse.com/docs/observability/features/multi-modality
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


def download(remote: Remote, into: Path, manifest: Manifest) -> Iterator[Row]:
    """Yield the rows of all media, and write their files, which are added to the manifest.

    Raises:
        TransferError: one cannot be read.
    """
    known: dict[str, Row] = {}
    (into / FILES).mkdir(parents=True, exist_ok=True)
    for reference in references(into, manifest):
        media = reference["id"]
        if media not in known:
            known[media] = _fetch(remote, into, media)
            path = f"{FILES}/{media}"
            size = int(known[media]["contentLength"])
            manifest.parts = [part for part in manifest.parts if part.path != path]
            manifest.parts.append(Part(path, 0, size, sha256(into / path)))
        yield {**known[media], **reference}


def upload(remote: Remote, source: Path, row: Row) -> None:
    """Write one medium where its row says; what is there already stays. Raises TransferError."""
    path = source / str(row["file"])
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
        return
    headers = {"content-type": str(row["contentType"]), "x-amz-checksum-sha256": str(row["sha256"])}
    try:
        answer = httpx.put(
            announced["uploadUrl"], content=path.read_bytes(), headers=headers, timeout=_TIMEOUT_S
        )
    except httpx.HTTPError as error:
        raise TransferError(
            f"Medium {row['id']} cannot be uploaded ({type(error).__name__}).",
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
            f"The object store answers {answer.status_code} to medium {row['id']}.", fix="repeat the import."
        )


def _place(kind: str, row: Row) -> Row:
    if kind == "observations":
        return {"traceId": row["traceId"], "observationId": row["id"]}
    return {"datasetId": row["datasetId"], "datasetItemId": row["id"]}


def _fetch(remote: Remote, into: Path, media: str) -> Row:
    record = remote.get(f"media/{media}")
    try:
        content = httpx.get(record["url"], timeout=_TIMEOUT_S).raise_for_status().content
    except httpx.HTTPError as error:
        raise TransferError(
            f"Medium {media} cannot be read ({type(error).__name__}).",
            fix="the object store must be reachable from here (S3_PUBLIC_ENDPOINT), then repeat.",
        ) from error
    (into / FILES / media).write_bytes(content)
    return {
        "id": media,
        "contentType": record["contentType"],
        "contentLength": len(content),
        "sha256": base64.b64encode(hashlib.sha256(content).digest()).decode(),
        "file": f"{FILES}/{media}",
    }
