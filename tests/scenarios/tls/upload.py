"""Send media as an SDK does. Also run inside of a container, which says what it saw as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx

# The signature is in the URL; an Authorization header beside it would be refused.
NO_LOGIN = httpx.Auth()


def announcement(content: bytes) -> dict[str, Any]:
    """Return the body of `POST /api/public/media` for these bytes."""
    return {
        "contentType": "image/png",
        "contentLength": len(content),
        "sha256Hash": base64.b64encode(hashlib.sha256(content).digest()).decode(),
        "traceId": secrets.token_hex(16),
        "field": "input",
    }


def put(client: httpx.Client, url: str, content: bytes, announced: dict[str, Any]) -> httpx.Response:
    """Send bytes to a presigned URL, with what the URL's signature asks for and no login."""
    headers = {
        "content-type": announced["contentType"],
        "x-amz-checksum-sha256": announced["sha256Hash"],
    }
    return client.put(url, content=content, headers=headers, auth=NO_LOGIN)


def round_trip(client: httpx.Client, content: bytes) -> tuple[str, bytes]:
    """Upload and download; return the URL of the upload and what came back. Raises httpx.HTTPError."""
    wanted = announcement(content)
    announced = client.post("/api/public/media", json=wanted).raise_for_status().json()
    put(client, announced["uploadUrl"], content, wanted).raise_for_status()
    report = {"uploadedAt": "2026-01-01T00:00:00Z", "uploadHttpStatus": 200}
    client.patch(f"/api/public/media/{announced['mediaId']}", json=report).raise_for_status()
    shown = client.get(f"/api/public/media/{announced['mediaId']}").raise_for_status().json()
    return announced["uploadUrl"], client.get(shown["url"], auth=NO_LOGIN).raise_for_status().content


def main() -> None:
    """Do it with the keys and the certificate of the environment."""
    context = ssl.create_default_context(cadata=os.environ["CERTIFICATE"])
    auth = (os.environ["PUBLIC_KEY"], os.environ["SECRET_KEY"])
    content = secrets.token_bytes(1000)
    with httpx.Client(base_url=os.environ["BASE_URL"], auth=auth, verify=context) as client:
        url, came_back = round_trip(client, content)
    print(json.dumps({"host": urlsplit(url).hostname, "same": came_back == content}))


if __name__ == "__main__":
    main()
