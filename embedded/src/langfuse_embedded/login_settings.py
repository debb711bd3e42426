"""How people may sign in: with passwords, and through one provider of OpenID Connect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_DEFAULT_SCOPE = "openid email profile"
_ROLES = ("OWNER", "ADMIN", "MEMBER", "VIEWER", "NONE")


@dataclass(frozen=True, slots=True)
class LoginProvider:
    """A provider of OpenID Connect and what it knows this installation as.

    Attributes:
        name: what the button says.
        issuer: its discovery document stands below, at `.well-known/openid-configuration`.
        link_accounts: whether its word is enough to be someone who has a password here.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: str
    scope: str = _DEFAULT_SCOPE
    link_accounts: bool = False


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """What the server's variables `AUTH_*` and `LANGFUSE_DEFAULT_ORG_*` say.

    Attributes:
        provider: None: passwords only.
        passwords: whether anybody may sign in with a password.
        provider_domains: e-mail domains whose people have to use the provider.
        sign_up: whether people of the provider who are unknown here get an account.
        organization_id: what they join, if anything.
        role: as what.
    """

    provider: LoginProvider | None = None
    passwords: bool = True
    provider_domains: frozenset[str] = frozenset()
    sign_up: bool = True
    organization_id: str = ""
    role: str = "VIEWER"

    def takes_password_of(self, email: str) -> bool:
        """Return whether someone with this address may sign in with a password."""
        return self.passwords and email.strip().lower().rpartition("@")[2] not in self.provider_domains


def read_login_settings(env: Mapping[str, str], problems: list[str]) -> LoginSettings:
    """Return what the environment says; what cannot be used is added to `problems`."""
    role = env.get("LANGFUSE_DEFAULT_ORG_ROLE") or "VIEWER"
    if role not in _ROLES:
        problems.append(f"LANGFUSE_DEFAULT_ORG_ROLE is {role!r}: use one of {', '.join(_ROLES)}")
    domains = env.get("AUTH_DOMAINS_WITH_SSO_ENFORCEMENT", "").lower().split(",")
    return LoginSettings(
        provider=_provider(env),
        passwords=env.get("AUTH_DISABLE_USERNAME_PASSWORD") != "true",
        provider_domains=frozenset(domain.strip() for domain in domains if domain.strip()),
        sign_up=env.get("AUTH_DISABLE_SIGNUP") != "true",
        organization_id=env.get("LANGFUSE_DEFAULT_ORG_ID", ""),
        role=role,
    )


def _provider(env: Mapping[str, str]) -> LoginProvider | None:
    needed = {
        name: env.get(f"AUTH_CUSTOM_{name}", "") for name in ("NAME", "ISSUER", "CLIENT_ID", "CLIENT_SECRET")
    }
    if not all(needed.values()):
        # As on the server: one that is not complete is not there.
        return None
    return LoginProvider(
        name=needed["NAME"],
        issuer=needed["ISSUER"],
        client_id=needed["CLIENT_ID"],
        client_secret=needed["CLIENT_SECRET"],
        scope=env.get("AUTH_CUSTOM_SCOPE") or _DEFAULT_SCOPE,
        link_accounts=env.get("AUTH_CUSTOM_ALLOW_ACCOUNT_LINKING") == "true",
    )
