"""Media through the object store: presigned URLs of the bucket in the place of the engine's own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from .stores import Bucket

_PREFIX = "LANGFUSE_S3_MEDIA_UPLOAD_"
_UPLOAD_SECONDS = 3600
# What the engine writes: <public address>/api/embedded/media/<project>/<media id>.<extension>?<signature>
_OWN_URL = re.compile(rb'"https?://[^"]*?/api/embedded/media/([^"/?]+)/([^"/?]+)\?[^"]*"')


class MediaUrls:
    """Presigns with the public endpoint, as web does: clients use the URL, not the server."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._bucket = Bucket.of({**environment, f"{_PREFIX}INTERNAL_ENDPOINT": ""}, "MEDIA_UPLOAD")
        self._prefix = environment.get(f"{_PREFIX}PREFIX", "")
        self._seconds = int(environment.get("LANGFUSE_S3_MEDIA_DOWNLOAD_URL_EXPIRY_SECONDS") or 3600)

    def announced(self, answer: bytes, request: bytes) -> bytes:
        """Return the answer to `POST /api/public/media` with an upload URL that takes these bytes alone."""
        wanted = json.loads(request)
        signed = {
            "ContentType": wanted["contentType"],
            "ContentLength": wanted["contentLength"],
            "ChecksumSHA256": wanted["sha256Hash"],
        }
        return _OWN_URL.sub(lambda own: self._url("put_object", own, _UPLOAD_SECONDS, signed), answer)

    def shown(self, answer: bytes) -> bytes:
        """Return an answer with download URLs of the bucket."""
        return _OWN_URL.sub(lambda own: self._url("get_object", own, self._seconds, {}), answer)

    def _url(self, operation: str, own: re.Match[bytes], seconds: int, signed: Mapping[str, object]) -> bytes:
        key = f"{self._prefix}{own[1].decode()}/{own[2].decode()}"
        url = self._bucket.client.generate_presigned_url(
            operation, Params={"Bucket": self._bucket.name, "Key": key, **signed}, ExpiresIn=seconds
        )
        return json.dumps(url).encode()
