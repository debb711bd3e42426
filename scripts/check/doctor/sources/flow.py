"""Data on its way: a canary through the whole pipeline, and a media file there and back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass

from scripts.api import signed_urls
from scripts.api.client import Api, AsyncApi
from scripts.api.errors import ApiError, NoAnswer
from scripts.api.keys import ProjectKey, project_keys
from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.watch.exporter.canary import Canary, Run

from .containers import Containers, run_inside
from .server import Server

# A real server shows a score after six seconds at most (measured); a doctor has no time for more.
DEADLINE_S = 6.5
TIMEOUT_S = 5.0
MEDIA_TIMEOUT_S = 4.0


@dataclass(frozen=True, slots=True)
class Flow:
    """How the canary went."""

    run: Run


@dataclass(frozen=True, slots=True)
class Media:
    """How a media file went there and back through signed URLs.

    Attributes:
        problem: of the way from this machine, or empty; `step` says where.
        url: signed URL for reading; whoever has it may read the file for an hour.
        container: why web cannot read it from inside its container, or empty; None: not tried.
    """

    problem: str
    step: str = ""
    url: str = ""
    container: str | None = None


def gather_flow(surroundings: Surroundings, facts: Facts) -> Flow:
    """Return how the canary went; it writes to the environment that dashboards leave out."""
    key = _key(surroundings, facts)
    return Flow(asyncio.run(_canary(surroundings, key)))


async def _canary(surroundings: Surroundings, key: ProjectKey) -> Run:
    slow = float(surroundings.settings.get("CANARY_SLOW_S") or DEADLINE_S)
    async with AsyncApi(surroundings.url(), timeout_s=TIMEOUT_S) as client:
        return await Canary(client, key, DEADLINE_S, slow).run()


def gather_media(surroundings: Surroundings, facts: Facts) -> Media:
    """Return how the media file went. The same file all day: the store keeps one a day and no more."""
    key = _key(surroundings, facts)
    content = f"written by make doctor on {surroundings.now:%Y-%m-%d}\n".encode()
    with Api(surroundings.url(), key.keys, timeout_s=MEDIA_TIMEOUT_S) as api:
        try:
            media = _there_and_back(api, surroundings, key, content)
        except NoAnswer as error:
            return Media(f"no answer ({error.reason})", "ask")
        except ApiError as error:
            return Media(error.message.rstrip("."), "ask")
    if media.problem or not surroundings.is_compose:
        return media
    return Media("", "", media.url, _from_container(surroundings, facts, media.url))


def _there_and_back(api: Api, surroundings: Surroundings, key: ProjectKey, content: bytes) -> Media:
    """Ask for a place, send, confirm, ask for the place to read, read, compare."""
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    trace = hashlib.sha256(f"doctor {key.project} {surroundings.now:%Y-%m-%d}".encode()).hexdigest()[:32]
    body = {
        "traceId": trace,
        "contentType": "text/plain",
        "contentLength": len(content),
        "sha256Hash": digest,
        "field": "metadata",
    }
    asked = api.post("media", body)
    upload, one = asked.get("uploadUrl"), f"media/{asked['mediaId']}"
    if upload:
        headers = {"content-type": "text/plain", "x-amz-checksum-sha256": digest}
        try:
            sent = signed_urls.send(
                "PUT", upload, content=content, headers=headers, timeout_s=MEDIA_TIMEOUT_S
            )
        except NoAnswer as error:
            return Media(f"{signed_urls.place(upload)} does not answer ({error.kind})", "send")
        if not sent.is_success:
            return Media(f"{signed_urls.place(upload)} answers {sent.status_code} to the upload", "send")
        done = {
            "uploadedAt": surroundings.now.isoformat().replace("+00:00", "Z"),
            "uploadHttpStatus": sent.status_code,
            "uploadHttpError": None,
            "uploadTimeMs": 0,
        }
        api.patch(one, done)
    url = str(api.get(one)["url"])
    try:
        read = signed_urls.send("GET", url, timeout_s=MEDIA_TIMEOUT_S)
    except NoAnswer as error:
        return Media(f"{signed_urls.place(url)} does not answer ({error.kind})", "read")
    if read.content != content:
        return Media(f"{signed_urls.place(url)} answers {read.status_code}, not what was sent", "read")
    return Media("", "", url)


def _from_container(surroundings: Surroundings, facts: Facts, url: str) -> str:
    try:
        web = facts.of(Containers).running("langfuse-web")
        run_inside(surroundings, web, ["wget", "-q", "-T", "3", "-O", "/dev/null", url])
    except NotGathered as error:
        return str(error).replace(url, "the URL")
    return ""


def _key(surroundings: Surroundings, facts: Facts) -> ProjectKey:
    if surroundings.read_only:
        raise NotGathered("it would write to the server")
    keys = facts.of(Server).accepted(project_keys(surroundings.context.layout.credentials_dir))
    wanted = surroundings.settings.get("CANARY_PROJECT")
    return next((key for key in keys if key.project == wanted), keys[0])
