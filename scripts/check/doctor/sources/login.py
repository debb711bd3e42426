"""Login providers that speak OpenID Connect: what their discovery document says to web."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.settings.values import Settings

from .containers import Containers, run_inside
from .stack import Stack

TIMEOUT_S = 4.0
# Where a provider's issuer stands, and what has to be in its document for a sign-in.
ISSUERS = ("AUTH_CUSTOM_ISSUER", "AUTH_KEYCLOAK_ISSUER", "AUTH_OKTA_ISSUER")
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
PROXIES = ("AUTH_HTTPS_PROXY", "AUTH_HTTP_PROXY")
# As web asks, with the authorities that it trusts; an image without Node.js has wget.
INSIDE = """
if command -v node >/dev/null; then exec node -e '
  fetch(process.argv[1], { signal: AbortSignal.timeout(4000) })
    .then(async (answer) => {
      if (!answer.ok) throw new Error("it answers " + answer.status);
      console.log(await answer.text());
    })
    .catch((error) => {
      console.error(String((error.cause && error.cause.code) || error.message));
      process.exitCode = 1;
    })' "$1"
fi
exec wget -T 4 -O - "$1"
"""

Fetch = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Issuers:
    """What is known of the issuers.

    Attributes:
        problems: setting of each issuer that is set -> what is wrong with it, or empty.
        place: where they were asked from.
    """

    problems: Mapping[str, str]
    place: str = "this machine"


def gather_issuers(surroundings: Surroundings, facts: Facts) -> Issuers:
    """Ask every issuer that is set for its discovery document."""
    found = {name: surroundings.settings.get(name) for name in ISSUERS}
    wanted = {name: issuer for name, issuer in found.items() if issuer}
    if not wanted:
        return Issuers({})
    if not facts.of(Stack).is_compose:
        return Issuers({name: problem_of(issuer, from_here) for name, issuer in wanted.items()})
    refuse_proxy(surroundings.settings)
    web = facts.of(Containers).running("langfuse-web")

    def from_web(url: str) -> str:
        return run_inside(surroundings, web, ["sh", "-c", INSIDE, "sh", url])

    problems = {name: problem_of(issuer, from_web) for name, issuer in wanted.items()}
    return Issuers(problems, "web's container")


def refuse_proxy(settings: Settings) -> None:
    """Raise NotGathered when web asks in another way than its container can."""
    if proxies := [name for name in PROXIES if settings.get(name)]:
        raise NotGathered(f"web asks providers through {proxies[0]}")


def problem_of(issuer: str, fetch: Fetch) -> str:
    """Return what is wrong with an issuer, or an empty string (OpenID Connect Discovery 1.0, section 4).

    Langfuse asks below its setting as it stands, and takes the issuer's name from the answer: one that
    differs in a slash at the end is the same provider.
    """
    url = f"{issuer}/.well-known/openid-configuration"
    try:
        text = fetch(url)
    except NotGathered as error:
        return f"{url} cannot be read: {error}"
    try:
        document = json.loads(text)
    except ValueError:
        return f"{url} is not JSON"
    if not isinstance(document, dict):
        return f"{url} is not a JSON object"
    named = document.get("issuer")
    if not isinstance(named, str) or named.rstrip("/") != issuer.rstrip("/"):
        return f"the provider calls itself {named!r}, the setting says {issuer!r}"
    missing = [name for name in ENDPOINTS if not document.get(name)]
    return f"{url} has no {', '.join(missing)}" if missing else ""


def from_here(url: str) -> str:
    """Return what a URL answers to this machine. Raises NotGathered."""
    import httpx

    try:
        return httpx.get(url, timeout=TIMEOUT_S).raise_for_status().text
    except httpx.HTTPStatusError as error:
        raise NotGathered(f"it answers {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise NotGathered(f"it does not answer ({type(error).__name__})") from error
