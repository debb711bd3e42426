"""The object store, asked from this machine: its buckets, whether they take objects, and from strangers."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.core.errors import StackError
from scripts.engines.embedded import local_url
from scripts.settings.values import Settings
from scripts.stores.s3 import Location, sign

from .clients import DoesNotAnswer
from .containers import Containers, run_inside

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 4.0
BUCKETS = ("S3_EVENTS_BUCKET", "S3_MEDIA_BUCKET", "S3_EXPORTS_BUCKET")
PROBE = "langfuse-stack-doctor"
"""The name of the object whose upload is begun and given up."""
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True, slots=True)
class Objects:
    """What the object store answers.

    Attributes:
        statuses: bucket -> HTTP status of asking for it with our keys.
        anonymous: bucket -> HTTP status of listing it without a key.
        expiry: whether the events bucket has a rule by which objects expire; None: it does not say.
        writes: bucket -> HTTP status of beginning an upload, where that was tried.
        ahead_s: how far the store's clock is ahead of this machine's; None: it does not say.
        external: whether someone else runs it.
    """

    statuses: Mapping[str, int]
    anonymous: Mapping[str, int]
    expiry: bool | None
    writes: Mapping[str, int] = field(default_factory=dict)
    ahead_s: float | None = None
    external: bool = False


def gather_objects(surroundings: Surroundings, facts: Facts) -> Objects:
    """Return what it answers. Raises NotGathered when there is no answer."""
    import httpx

    settings = surroundings.settings
    external = bool(settings.get("S3_ENDPOINT"))
    endpoint = settings.get("S3_ENDPOINT") or local_url(
        settings["LANGFUSE_BIND_ADDRESS"], settings.integer("S3_PORT")
    )
    buckets = {name: _location(settings, endpoint, settings[name]) for name in BUCKETS}
    listing = "list-type=2&max-keys=1"
    writes = {}
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        try:
            answers = {place.bucket: _ask(client, place, "GET", listing) for place in buckets.values()}
            anonymous = {
                place.bucket: _ask(client, place, "GET", listing, signed=False).status_code
                for place in buckets.values()
            }
            lifecycle = _ask(client, buckets["S3_EVENTS_BUCKET"], "GET", "lifecycle=") if external else None
            if external and not surroundings.read_only:
                writes = {place.bucket: _begin_upload(client, place) for place in buckets.values()}
        except httpx.HTTPError as error:
            text = f"{endpoint} does not answer ({type(error).__name__})"
            raise (_unreachable(endpoint, text) if external else NotGathered(text)) from error
    expiry = {200: True, 404: False}.get(lifecycle.status_code) if lifecycle is not None else None
    if not external:
        expiry = _bundled_expiry(surroundings, facts, settings["S3_EVENTS_BUCKET"])
    last = next(reversed(answers.values()))
    statuses = {bucket: answer.status_code for bucket, answer in answers.items()}
    return Objects(statuses, anonymous, expiry, writes, _ahead(last), external)


def _unreachable(endpoint: str, text: str) -> NotGathered:
    """Return why an external store is not reached: Docker may know names that this machine does not."""
    host = urlsplit(endpoint).hostname or ""
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return NotGathered(f"{host} has no address on this machine, from which backups read it")
    return DoesNotAnswer(text)


def _ask(
    client: httpx.Client, place: Location, method: str, query: str, key: str = "", *, signed: bool = True
) -> httpx.Response:
    path = f"{place.base_path}{key}" if key or not place.path_style else f"/{place.bucket}"
    headers = sign(place, method, path, query, {}, _EMPTY_SHA256, datetime.now(UTC)) if signed else {}
    scheme = place.endpoint.partition("://")[0]
    return client.request(method, f"{scheme}://{place.host}{path}?{query}", headers=headers)


def _begin_upload(client: httpx.Client, place: Location) -> int:
    """Return the status of beginning an upload in parts, which is given up: no object is made, no version."""
    begun = _ask(client, place, "POST", "uploads=", PROBE)
    if begun.status_code == 200:
        upload = ET.fromstring(begun.content).findtext("{*}UploadId", "")  # noqa: S314 - the site's own store
        _ask(client, place, "DELETE", f"uploadId={quote(upload, safe='')}", PROBE)
    return begun.status_code


def _ahead(answer: httpx.Response) -> float | None:
    """Return how far the clock of an answer is ahead, as far as whole seconds tell."""
    try:
        there = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return None
    return (there - datetime.now(UTC)).total_seconds()


def _bundled_expiry(surroundings: Surroundings, facts: Facts, bucket: str) -> bool | None:
    """Return whether SeaweedFS has a time to live for the bucket; its S3 interface does not tell."""
    argv = ["weed", "shell", "-master=127.0.0.1:9333", "-filer=127.0.0.1:8888"]
    try:
        store = facts.of(Containers).running("seaweedfs")
        said = run_inside(surroundings, store, argv, stdin="fs.configure\n")
    except (NotGathered, StackError):
        return None
    return expires(said, bucket)


def expires(configuration: str, bucket: str) -> bool:
    """Return whether what `fs.configure` prints has a time to live for the bucket."""
    for place in re.findall(r"\{[^{}]*\}", configuration):
        if f'"/buckets/{bucket}/"' in place and re.search(r'"ttl":\s*"[1-9]', place):
            return True
    return False


def _location(settings: Settings, endpoint: str, bucket: str) -> Location:
    return Location(
        endpoint,
        settings["S3_REGION"],
        bucket,
        settings.get("S3_ACCESS_KEY_ID"),
        settings.get("S3_SECRET_ACCESS_KEY"),
        path_style=settings["S3_FORCE_PATH_STYLE"] == "true",
    )
