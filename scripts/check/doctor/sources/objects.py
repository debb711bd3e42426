"""The object store as it is published on this machine: its buckets, and whether strangers get in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.core.errors import StackError
from scripts.engines.embedded import local_url
from scripts.settings.values import Settings
from scripts.stores.s3 import Location, sign

from .containers import Containers, run_inside

TIMEOUT_S = 4.0
BUCKETS = ("S3_EVENTS_BUCKET", "S3_MEDIA_BUCKET", "S3_EXPORTS_BUCKET")
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True, slots=True)
class Objects:
    """What the object store answers.

    Attributes:
        statuses: bucket -> HTTP status of asking for it with our keys.
        anonymous: HTTP status of listing the media bucket without a key.
        expiry: whether the events bucket has a rule by which objects expire; None: it does not say.
    """

    statuses: Mapping[str, int]
    anonymous: int
    expiry: bool | None


def gather(surroundings: Surroundings, facts: Facts) -> Objects:
    """Return what it answers. Raises NotGathered when there is no answer."""
    import httpx

    settings = surroundings.settings
    endpoint = settings.get("S3_ENDPOINT") or local_url(
        settings["LANGFUSE_BIND_ADDRESS"], settings.integer("S3_PORT")
    )
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:

        def ask(name: str, query: str = "", *, signed: bool = True) -> int:
            place = _location(settings, endpoint, settings[name])
            path = place.base_path if not place.path_style else f"/{place.bucket}"
            headers = sign(place, "GET", path, query, {}, _EMPTY_SHA256, datetime.now(UTC)) if signed else {}
            scheme = httpx.URL(endpoint).scheme
            target = f"{scheme}://{place.host}{path}{f'?{query}' if query else ''}"
            return client.get(target, headers=headers).status_code

        try:
            statuses = {settings[name]: ask(name, "list-type=2&max-keys=1") for name in BUCKETS}
            anonymous = ask("S3_MEDIA_BUCKET", "list-type=2&max-keys=1", signed=False)
            lifecycle = ask("S3_EVENTS_BUCKET", "lifecycle=") if settings.get("S3_ENDPOINT") else 0
        except httpx.HTTPError as error:
            raise NotGathered(f"{endpoint} does not answer ({type(error).__name__})") from error
    expiry = {200: True, 404: False}.get(lifecycle)
    if not settings.get("S3_ENDPOINT"):
        expiry = _bundled_expiry(surroundings, facts, settings["S3_EVENTS_BUCKET"])
    return Objects(statuses, anonymous, expiry)


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
