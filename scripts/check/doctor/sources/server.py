"""What the server says over HTTP: health, version, keys, prices, queues, logins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.api.client import Api
from scripts.api.errors import NoAnswer
from scripts.api.keys import ProjectKey, project_keys
from scripts.check.doctor.facts import Facts, NotGathered, Surroundings

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 4.0


@dataclass(frozen=True, slots=True)
class Server:
    """The server as this machine sees it.

    Attributes:
        url: where it was asked.
        problem: why there was no usable answer, or empty.
        ready, health: HTTP status; health includes the database.
        keys: credentials file -> project that the server says its key belongs to, or None for a refusal.
        prices: how many models it has prices of; None without an answer.
        queues: queue -> state -> jobs; None where the server has no queues or refuses the admin key.
        queues_status: HTTP status of asking for them.
        legacy_status: HTTP status of a read route of Langfuse v3: 404 in the mode events_only.
        providers: ids of the ways to sign in; None where the server does not say.
    """

    url: str
    problem: str
    ready: int = 0
    health: int = 0
    version: str = ""
    keys: Mapping[str, str | None] | None = None
    prices: int | None = None
    queues: Mapping[str, Mapping[str, int]] | None = None
    queues_status: int = 0
    legacy_status: int = 0
    providers: frozenset[str] | None = None

    def answering(self) -> Server:
        """Return itself. Raises NotGathered when it does not answer."""
        if self.problem:
            raise NotGathered(self.problem)
        return self

    def accepted(self, keys: Sequence[ProjectKey]) -> list[ProjectKey]:
        """Return the keys that it accepts. Raises NotGathered where there are none."""
        found = [key for key in keys if (self.answering().keys or {}).get(key.project)]
        if not found:
            raise NotGathered("there is no API key that the server accepts")
        return found


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """What answers at the URL that people use.

    Attributes:
        version: of the server that answers; empty when none does.
        problem: why not.
    """

    url: str
    version: str
    problem: str


def gather_server(surroundings: Surroundings, _facts: Facts) -> Server:
    """Return what the server of this stack answers."""
    url = surroundings.url()
    with Api(url, timeout_s=TIMEOUT_S) as api:
        try:
            ready = api.request("GET", "ready")
            health = api.request("GET", "health", query={"failIfDatabaseUnavailable": "true"})
        except NoAnswer as error:
            return Server(url, f"{url} does not answer ({error.kind})")
        try:
            return _ask(surroundings, api, ready.status_code, health)
        except NoAnswer as error:
            # Health is right with a dead store behind it, and everything else hangs then.
            return Server(
                url,
                f"{url} answers health only, not requests ({error.kind})",
                ready.status_code,
                health.status_code,
            )


def gather_public_url(surroundings: Surroundings, _facts: Facts) -> PublicUrl:
    """Return what answers at NEXTAUTH_URL."""
    url = surroundings.settings.get("NEXTAUTH_URL")
    try:
        # What clients trust beyond that is the matter of the group tls.
        with Api(url, timeout_s=TIMEOUT_S, any_certificate=True) as api:
            answer = api.request("GET", "health")
        return PublicUrl(url, _version(answer), "" if _version(answer) else f"answers {answer.status_code}")
    except NoAnswer as error:
        return PublicUrl(url, "", f"does not answer ({error.kind})")


def _ask(surroundings: Surroundings, api: Api, ready: int, health: httpx.Response) -> Server:
    directory = surroundings.context.layout.credentials_dir
    keys = {key.project: _project_of(api, key) for key in project_keys(directory)}
    working = next((key for key in project_keys(directory) if keys[key.project]), None)
    prices, legacy = None, 0
    if working:
        models = api.request("GET", "models", query={"limit": 1}, keys=working.keys)
        prices = int(models.json()["meta"]["totalItems"]) if models.is_success else None
        legacy = api.request("GET", "traces", query={"limit": 1}, keys=working.keys).status_code
    queues = api.request("GET", "/api/admin/bullmq", keys=surroundings.settings.get("ADMIN_API_KEY"))
    return Server(
        api.base_url,
        "",
        ready,
        health.status_code,
        _version(health),
        keys,
        prices,
        _queues(queues),
        queues.status_code,
        legacy,
        _providers(api),
    )


def _project_of(api: Api, key: ProjectKey) -> str | None:
    answer = api.request("GET", "projects", keys=key.keys)
    if not answer.is_success:
        return None
    rows = answer.json().get("data") or [{}]
    return str(rows[0].get("id", "")) or None


def _queues(answer: httpx.Response) -> dict[str, dict[str, int]] | None:
    if not answer.is_success:
        return None
    return {row["queueName"]: row["jobCount"] for row in answer.json() if row.get("jobCount")}


def _providers(api: Api) -> frozenset[str] | None:
    answer = api.request("GET", "/api/auth/providers")
    if not answer.is_success or "json" not in answer.headers.get("content-type", ""):
        return None
    body = answer.json()
    return frozenset(body) if isinstance(body, dict) else None


def _version(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("version", ""))
    except (ValueError, AttributeError):
        return ""
