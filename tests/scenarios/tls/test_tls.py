"""The profile tls: HTTPS for web and object store, for clients on the host and in containers."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.scenarios.extras import DOMAIN, S3_DOMAIN, Extras

from .upload import announcement, put, round_trip

UPLOAD = Path(__file__).parent / "upload.py"
IMAGE = "langfuse-stack-rehearsal/web:4.59.0"


def test_web_answers_with_a_certificate_of_the_internal_authority(extras: Extras) -> None:
    """And says that browsers shall come back over HTTPS only."""
    with extras.https() as client:
        answer = client.get("/api/public/projects").raise_for_status()
    assert [one["id"] for one in answer.json()["data"]] == ["kosmos"]
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "server" not in answer.headers


def test_who_does_not_know_the_authority_gets_nothing(extras: Extras) -> None:
    """As long as the root certificate is not installed."""
    with extras.https(verify=True) as client, pytest.raises(httpx.ConnectError, match="certificate"):
        client.get("/api/public/health")


@pytest.mark.parametrize("domain", [DOMAIN, S3_DOMAIN])
def test_http_is_sent_on_to_https(extras: Extras, domain: str) -> None:
    """Both host names."""
    answer = httpx.get(f"http://{extras.address}/", headers={"host": domain})
    assert answer.status_code == 308
    assert httpx.URL(answer.headers["location"]) == httpx.URL(f"https://{domain}/")


def test_media_of_a_client_on_the_host_go_through_the_object_store(extras: Extras) -> None:
    """By URLs that take the announced bytes and no others."""
    content = secrets.token_bytes(1000)
    wanted = announcement(content)
    with extras.https() as client:
        announced = client.post("/api/public/media", json=wanted).raise_for_status().json()
        assert put(client, announced["uploadUrl"], content[::-1], wanted).status_code == 400
        url, came_back = round_trip(client, content)
    assert url.startswith(f"https://{S3_DOMAIN}/langfuse-media/kosmos/")
    assert came_back == content


def test_media_of_a_client_in_a_container_take_the_same_way(
    extras: Extras, engine: docker.DockerClient
) -> None:
    """On the stack's network, by the same host names."""
    keys = extras.stack.keys()
    output: Any = engine.containers.run(
        IMAGE,
        ["python", "-c", UPLOAD.read_text()],
        network=f"{extras.stack.name}_edge",
        environment={
            "BASE_URL": f"https://{DOMAIN}",
            "PUBLIC_KEY": keys["LANGFUSE_PUBLIC_KEY"],
            "SECRET_KEY": keys["LANGFUSE_SECRET_KEY"],
            "CERTIFICATE": extras.certificate,
        },
        remove=True,
        stderr=True,
    )
    found = json.loads(output.decode().splitlines()[-1])
    assert found == {"host": S3_DOMAIN, "same": True}
