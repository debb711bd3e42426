"""Login providers: what each needs, since Langfuse silently leaves out an incomplete one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_PLAIN = ("CLIENT_ID", "CLIENT_SECRET")
_WITH_ISSUER = (*_PLAIN, "ISSUER")

# As web/src/server/auth.ts of Langfuse 4.16.0 asks for them (lines 170 to 600).
NEEDS: Mapping[str, tuple[str, ...]] = {
    "AUTH0": _WITH_ISSUER,
    "AUTHENTIK": _WITH_ISSUER,
    "AZURE_AD": (*_PLAIN, "TENANT_ID"),
    "CLICKHOUSE_CLOUD": _WITH_ISSUER,
    "COGNITO": _WITH_ISSUER,
    "CUSTOM": (*_PLAIN, "NAME", "ISSUER"),
    "GITHUB": _PLAIN,
    "GITHUB_ENTERPRISE": (*_PLAIN, "BASE_URL"),
    "GITLAB": _PLAIN,
    "GOOGLE": _PLAIN,
    "JUMPCLOUD": _WITH_ISSUER,
    "KEYCLOAK": _WITH_ISSUER,
    "OKTA": _WITH_ISSUER,
    "ONELOGIN": _WITH_ISSUER,
    "WORDPRESS": _PLAIN,
    "WORKOS": _PLAIN,
}
_PROVIDER = re.compile(rf"AUTH_({'|'.join(sorted(NEEDS, key=len, reverse=True))})_[A-Z0-9_]+")


def begun_providers(values: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the providers of which anything is set, each with the names that it lacks."""
    begun = {match[1] for name, value in values.items() if value and (match := _PROVIDER.fullmatch(name))}
    return {
        provider: tuple(name for part in NEEDS[provider] if not values.get(name := f"AUTH_{provider}_{part}"))
        for provider in sorted(begun)
    }


def login_problems(values: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield a setting, what is wrong with logging in, and its fix."""
    providers = begun_providers(values)
    for provider, lacking in providers.items():
        if lacking:
            given = next(name for name in values if values[name] and name.startswith(f"AUTH_{provider}_"))
            yield (
                given,
                f"{' and '.join(lacking)} missing: Langfuse silently leaves the provider out",
                "set what is missing, or remove all of that provider",
            )
    if any(not lacking for lacking in providers.values()):
        return
    if values.get("AUTH_DISABLE_USERNAME_PASSWORD") == "true":
        yield (
            "AUTH_DISABLE_USERNAME_PASSWORD",
            "passwords are switched off and no other way to sign in is set up: nobody could sign in",
            "set up a provider (docs/how-to/sso.md), or remove this",
        )
    if values.get("AUTH_DOMAINS_WITH_SSO_ENFORCEMENT"):
        yield (
            "AUTH_DOMAINS_WITH_SSO_ENFORCEMENT",
            "these domains must use single sign-on, and none is set up: none of them could sign in",
            "set up a provider (docs/how-to/sso.md), or remove this",
        )
