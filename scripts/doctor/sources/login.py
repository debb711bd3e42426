"""Login providers that speak OpenID Connect: what their discovery document says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.doctor.facts import Facts, Surroundings

TIMEOUT_S = 4.0
# Where a provider's issuer stands, and what has to be in its document for a sign-in.
ISSUERS = ("AUTH_CUSTOM_ISSUER", "AUTH_KEYCLOAK_ISSUER", "AUTH_OKTA_ISSUER")
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Issuers:
    """Setting of each issuer that is set -> what is wrong with it, or empty."""

    problems: Mapping[str, str]


def gather(surroundings: Surroundings, _facts: Facts) -> Issuers:
    """Ask every issuer that is set for its discovery document."""
    found = {name: surroundings.settings.get(name) for name in ISSUERS}
    return Issuers({name: ask(issuer) for name, issuer in found.items() if issuer})


def ask(issuer: str) -> str:
    """Return what is wrong with an issuer, or an empty string (OpenID Connect Discovery 1.0, section 4)."""
    import httpx

    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S)
        document: Any = answer.raise_for_status().json()
    except httpx.HTTPStatusError as error:
        return f"{url} answers {error.response.status_code}"
    except httpx.HTTPError as error:
        return f"{url} does not answer ({type(error).__name__})"
    except ValueError:
        return f"{url} is no JSON"
    if not isinstance(document, dict):
        return f"{url} is no JSON object"
    if document.get("issuer") != issuer:
        return f"the provider calls itself {document.get('issuer')!r}, the setting says {issuer!r}"
    missing = [name for name in ENDPOINTS if not document.get(name)]
    return f"{url} has no {', '.join(missing)}" if missing else ""
