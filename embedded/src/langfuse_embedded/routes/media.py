"""Media: announce, upload, report and read. The engine itself serves the signed URLs."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from langfuse_embedded.clock import iso, iso_or_none, now_ms
from langfuse_embedded.http.access import Access
from langfuse_embedded.http.errors import Conflict, InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.schema import CoercedDate, Enum, Null, Number, Object, String, Union
from langfuse_embedded.http.signed_urls import UrlSigner, Verdict
from langfuse_embedded.store.media import Media, MediaReference, Upload

from .call import Call
from .operations import Operation

_UPLOAD_SECONDS = 3600

# content type -> extension of the file in the URL
CONTENT_TYPES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "image/tiff": "tiff",
    "image/bmp": "bmp",
    "image/avif": "avif",
    "image/heic": "heic",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "audio/oga": "oga",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/flac": "flac",
    "audio/opus": "opus",
    "audio/webm": "weba",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/ogg": "ogv",
    "video/mpeg": "mpeg",
    "video/quicktime": "mov",
    "video/x-msvideo": "avi",
    "video/x-matroska": "mkv",
    "text/plain": "txt",
    "text/html": "html",
    "text/css": "css",
    "text/csv": "csv",
    "text/markdown": "md",
    "text/x-python": "py",
    "application/javascript": "js",
    "text/x-typescript": "ts",
    "application/x-yaml": "yaml",
    "application/pdf": "pdf",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/zip": "zip",
    "application/json": "json",
    "application/xml": "xml",
    "application/octet-stream": "bin",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/rtf": "rtf",
    "application/x-ndjson": "jsonl",
    "application/vnd.apache.parquet": "parquet",
    "application/gzip": "gz",
    "application/x-tar": "tar",
    "application/x-7z-compressed": "7z",
}

_FILE = {
    "contentType": Enum(
        *CONTENT_TYPES, message=f"Invalid content type. Only supporting {', '.join(CONTENT_TYPES)}"
    ),
    "contentLength": Number(integer=True, gt=0),
    "sha256Hash": String(
        patterns=((r"^[A-Za-z0-9+/=]{44}$", "Must be a 44 character base64 encoded SHA-256 hash"),)
    ),
}
_ABSENT = Null().optional()
_ANNOUNCE = Union(
    Object(
        {
            **_FILE,
            "traceId": String(),
            "observationId": String().nullish(),
            "field": Enum("input", "output", "metadata"),
            "datasetId": _ABSENT,
            "datasetItemId": _ABSENT,
        }
    ),
    Object(
        {
            **_FILE,
            "datasetId": String(),
            "datasetItemId": String(),
            "field": Enum("input", "expectedOutput", "metadata"),
            "traceId": _ABSENT,
            "observationId": _ABSENT,
        }
    ),
    message=(
        "Provide either traceId with field input/output/metadata, or datasetId + datasetItemId with field "
        "input/expectedOutput/metadata."
    ),
)
_REPORT = Object(
    {
        "uploadedAt": CoercedDate(),
        "uploadHttpStatus": Number(integer=True, gt=0),
        "uploadHttpError": String().nullish(),
        "uploadTimeMs": Number().nullish(),
    }
)


def media_id(sha256: str) -> str:
    """Return the id of the bytes with this base64 SHA-256: its beginning, made safe for URLs."""
    return sha256.replace("+", "-").replace("/", "_")[:22]


async def announce(call: Call) -> Response:
    """Answer where to upload some bytes to, or that they are here already."""
    body = await call.json(_ANNOUNCE)
    limit = call.engine.config.max_media_bytes
    if body["contentLength"] > limit:
        raise InvalidRequest(f"File size must be less than {limit} bytes")
    store, project_id = call.engine.media, call.project_id
    known = store.by_hash(project_id, body["sha256Hash"])
    here = known and known.upload_http_status == 200 and known.content_type == body["contentType"]
    wanted = Media(
        project_id,
        known.id if known else media_id(body["sha256Hash"]),
        body["sha256Hash"],
        body["contentType"],
        body["contentLength"],
    )
    with call.engine.state.transaction():
        if not here and not store.announce(wanted):
            raise Conflict(f"Media ID collision detected for media ID {wanted.id} in project {project_id}.")
        if body.get("traceId") is not None:
            store.link_trace(project_id, body["traceId"], body.get("observationId"), body["field"], wanted.id)
        elif call.engine.datasets.by_id(project_id, body["datasetId"]) is None:
            raise NotFound(f"Dataset {body['datasetId']} not found in project {project_id}")
    url = None if here else _url(call, "PUT", wanted, _UPLOAD_SECONDS)
    return json_response({"uploadUrl": url, "mediaId": wanted.id}, 201)


async def get_media(call: Call) -> Response:
    """Return a media record with a URL to its bytes."""
    media = call.engine.media.get(call.project_id, call.params["mediaId"])
    if media is None:
        raise NotFound("Media asset not found")
    if not media.upload_http_status:
        raise NotFound("Media not yet uploaded")
    if not media.is_uploaded:
        raise NotFound(
            f"Media upload failed with status {media.upload_http_status}: \n {media.upload_http_error}"
        )
    return json_response({**shown_media(call, media), "uploadedAt": iso_or_none(media.uploaded_at)})


def shown_media(call: Call, media: Media) -> dict[str, Any]:
    """Return an uploaded record as answers show it, with a URL that works for a while."""
    seconds = call.engine.config.media_url_seconds
    return {
        "mediaId": media.id,
        "contentType": media.content_type,
        "contentLength": media.content_length,
        "url": _url(call, "GET", media, seconds),
        "urlExpiry": iso(now_ms() + seconds * 1000),
    }


def shown_references(call: Call, found: list[tuple[MediaReference, Media]]) -> list[dict[str, Any]]:
    """Return the media references of one dataset item as answers show them."""
    return [
        {
            "field": reference.field,
            "referenceString": reference.reference,
            "jsonPath": reference.json_path,
            "media": shown_media(call, media),
        }
        for reference, media in found
    ]


async def report_upload(call: Call) -> Response:
    """Store what the client says of its upload."""
    body = await call.json(_REPORT)
    with call.engine.state.transaction():
        found = call.engine.media.report_upload(
            call.project_id,
            call.params["mediaId"],
            body["uploadedAt"],
            body["uploadHttpStatus"],
            body.get("uploadHttpError"),
        )
    if not found:
        raise NotFound(f"Media asset {call.params['mediaId']} not found in project {call.project_id}")
    return json_response({"message": "OK"})


async def upload(call: Call) -> Response:
    """Take the bytes that were announced, and nothing else: type, length and checksum must agree."""
    media, refusal = _signed_media(call, "PUT")
    if media is None:
        return refusal
    headers = call.request.headers
    if headers.get("content-type") != media.content_type or (
        headers.get("x-amz-checksum-sha256") != media.sha256
    ):
        return _refusal(
            403, "SignatureDoesNotMatch", "Content-Type and x-amz-checksum-sha256 must be those announced."
        )
    if headers.get("content-length", str(media.content_length)) != str(media.content_length):
        return _refusal(403, "SignatureDoesNotMatch", "Content-Length must be the one announced.")
    partial = call.engine.media.files.begin(media.project_id, media.id)
    try:
        return await _receive(call, media, partial)
    finally:
        partial.discard()


async def _receive(call: Call, media: Media, partial: Upload) -> Response:
    async for chunk in call.request.stream():
        partial.write(chunk)
        if partial.size > media.content_length:
            return _refusal(400, "EntityTooLarge", f"More than the announced {media.content_length} bytes.")
    if partial.size != media.content_length:
        return _refusal(400, "IncompleteBody", f"{partial.size} of {media.content_length} bytes arrived.")
    if partial.digest() != _decoded(media.sha256):
        return _refusal(400, "BadDigest", "The SHA-256 you specified did not match the calculated checksum.")
    await run_in_threadpool(partial.commit)
    return Response(status_code=200, headers={"x-amz-checksum-sha256": media.sha256})


async def download(call: Call) -> Response:
    """Return the bytes, or a range of them; to HEAD only their headers."""
    media, refusal = _signed_media(call, "GET")
    if media is None:
        return refusal
    path = call.engine.media.files.path(media.project_id, media.id)
    if not path.is_file():
        return _refusal(404, "NoSuchKey", "The specified key does not exist.")
    return FileResponse(
        path,
        media_type=media.content_type,
        # Uploads come from anybody with a key: a browser must not run them as pages of this origin.
        headers={"content-security-policy": "sandbox", "x-content-type-options": "nosniff"},
    )


def _url(call: Call, method: str, media: Media, seconds: int) -> str:
    name = f"{media.id}.{CONTENT_TYPES[media.content_type]}"
    query = call.engine.url_signer.query(method, _signed_name(media.project_id, name), seconds)
    path = f"/api/embedded/media/{quote(media.project_id, safe='')}/{quote(name, safe='')}"
    return f"{call.public_url}{path}?{query}"


def _signed_name(project_id: str, name: str) -> str:
    return f"media/{project_id}/{name}"


def _signed_media(call: Call, method: str) -> tuple[Media | None, Response]:
    """Return what a signed URL names, or ``None`` and the refusal."""
    project_id, name = call.params["projectId"], call.params["name"]
    signer: UrlSigner = call.engine.url_signer
    verdict = signer.check(method, _signed_name(project_id, name), call.request.query_params)
    if verdict is Verdict.EXPIRED:
        return None, _refusal(403, "AccessDenied", "Request has expired")
    if verdict is Verdict.FORGED:
        return None, _refusal(403, "SignatureDoesNotMatch", "The URL was not signed by this engine.")
    media = call.engine.media.get(project_id, name.rpartition(".")[0])
    return media, _refusal(404, "NoSuchKey", "The specified key does not exist.")


def _decoded(sha256: str) -> bytes:
    try:
        return base64.b64decode(sha256)
    except binascii.Error:
        return b""


def _refusal(status: int, code: str, message: str) -> Response:
    # In the words of S3, which this stands in for: clients log the body.
    return Response(
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>",
        status_code=status,
        media_type="application/xml",
    )


_FILES = "/api/embedded/media/{projectId}/{name}"

OPERATIONS = [
    Operation("POST", "/api/public/media", announce, "media_getUploadUrl"),
    Operation("GET", "/api/public/media/{mediaId}", get_media, "media_get"),
    Operation("PATCH", "/api/public/media/{mediaId}", report_upload, "media_patch"),
    Operation("PUT", _FILES, upload, access=Access.PUBLIC),
    Operation("GET", _FILES, download, access=Access.PUBLIC),
    # Routes of the API refuse HEAD, a file store does not: players and downloaders ask for the length first.
    Operation("HEAD", _FILES, download, access=Access.PUBLIC),
]
