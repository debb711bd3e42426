"""The engine's configuration from its environment: the server's own variables, and a few of the engine's."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ConfigError
from .faults import Fault, FaultsUnreadable, parse_faults
from .judge_settings import JudgeSettings
from .login_settings import LoginSettings, read_login_settings
from .outbound_urls import AllowedHosts

EVENTS_ONLY = "events_only"
WRITE_MODES = (EVENTS_ONLY, "dual")
OFF, ERRORS, ALL = LOG_MODES = ("off", "errors", "all")


@dataclass(frozen=True, slots=True)
class InitialUser:
    """The login that `LANGFUSE_INIT_USER_*` asks for: an owner, unless told otherwise."""

    email: str
    name: str
    password: str
    role: str = "OWNER"


@dataclass(frozen=True, slots=True)
class InitialProject:
    """One organization with one project and one key, as `LANGFUSE_INIT_*` or `provision` asks for them."""

    organization_id: str
    organization_name: str
    project_id: str | None = None
    project_name: str | None = None
    public_key: str | None = None
    secret_key: str | None = None
    user: InitialUser | None = None


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Everything the engine needs to run.

    Attributes:
        data_dir: where all data lies; one engine at a time.
        host, port: the address; port 0 takes a free one.
        public_url: what links and presigned media URLs begin with, without a slash at the end; empty: the
            address that a request was sent to.
        max_media_bytes: largest media file.
        media_url_seconds: how long a download URL of media works.
        llm_allowed_hosts: addresses inside the network that an LLM connection may name.
        judge: how observations are judged where a rule asks for it.
        salt: part of every fast key hash, as on the server: after a change each key is hashed anew once.
        encryption_key: 32 bytes as hex, for secrets of LLM connections.
        session_secret: signs the cookies of people who signed in; empty: a random one until the process ends.
        login: how people may sign in.
        write_mode: `events_only` (legacy reads answer 404) or `dual`.
        admin_api_key: Bearer key of the admin routes; they answer 401 without one.
        init: what to create at start, if anything.
        max_otlp_bytes: largest body of a trace export, also after decompression.
        ingest_lag_ms: artificial time between the answer and visibility, for tests that must poll.
        faults: what to do to requests on purpose; ``None``: nothing, and no route that changes it.
        allow_reset: whether a project key may delete all that its project holds.
        trusted_proxies: addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
        access_log: which requests the log names: off, errors or all.
        compat: API level to imitate strictly (`4.16.0` refuses what that server refuses), or empty.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 3000
    public_url: str = ""
    max_media_bytes: int = 1_000_000_000
    media_url_seconds: int = 3600
    llm_allowed_hosts: AllowedHosts = field(default_factory=AllowedHosts)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    salt: str = ""
    encryption_key: str = ""
    session_secret: str = ""
    login: LoginSettings = field(default_factory=LoginSettings)
    write_mode: str = EVENTS_ONLY
    admin_api_key: str = ""
    init: InitialProject | None = None
    max_otlp_bytes: int = 64 * 2**20
    ingest_lag_ms: int = 0
    faults: tuple[Fault, ...] | None = None
    allow_reset: bool = False
    trusted_proxies: tuple[str, ...] = ()
    access_log: str = ERRORS
    compat: str = ""

    @property
    def events_only(self) -> bool:
        """Whether legacy reads answer 404."""
        return self.write_mode == EVENTS_ONLY


def config_from_environment(
    env: Mapping[str, str], *, data_dir: Path, host: str = "127.0.0.1", port: int = 3000
) -> EngineConfig:
    """Return the configuration that the environment describes.

    Raises:
        ConfigError: a variable has a value that cannot be used; all such variables are named.
    """
    problems: list[str] = []
    write_mode = env.get("LANGFUSE_MIGRATION_V4_WRITE_MODE") or EVENTS_ONLY
    if write_mode not in WRITE_MODES:
        problems.append(
            f"LANGFUSE_MIGRATION_V4_WRITE_MODE is {write_mode!r}: use one of {', '.join(WRITE_MODES)}"
        )
    init = _initial_project(env, problems)
    max_otlp = _number(env, "EMBEDDED_MAX_OTLP_BYTES", 64 * 2**20, problems)
    max_media = _number(env, "LANGFUSE_S3_MEDIA_MAX_CONTENT_LENGTH", 1_000_000_000, problems)
    media_url_seconds = _number(env, "LANGFUSE_S3_MEDIA_DOWNLOAD_URL_EXPIRY_SECONDS", 3600, problems)
    allowed_hosts = _allowed_hosts(env, problems)
    judge = _judge(env, allowed_hosts, problems)
    lag = _number(env, "INGEST_LAG_MS", 0, problems)
    faults = _faults(env, problems)
    allow_reset = _boolean(env, "EMBEDDED_ALLOW_RESET", problems)
    login = read_login_settings(env, problems)
    trusted_proxies = _networks(env, "EMBEDDED_TRUSTED_PROXIES", problems)
    access_log = env.get("EMBEDDED_ACCESS_LOG") or ERRORS
    if access_log not in LOG_MODES:
        problems.append(f"EMBEDDED_ACCESS_LOG is {access_log!r}: use one of {', '.join(LOG_MODES)}")
    if problems:
        raise ConfigError("The engine cannot start with these settings:\n  " + "\n  ".join(problems))
    return EngineConfig(
        data_dir=data_dir,
        host=host,
        port=port,
        public_url=env.get("NEXTAUTH_URL", "").rstrip("/"),
        max_media_bytes=max_media,
        media_url_seconds=media_url_seconds,
        llm_allowed_hosts=allowed_hosts,
        judge=judge,
        salt=env.get("SALT", ""),
        encryption_key=env.get("ENCRYPTION_KEY", ""),
        session_secret=env.get("NEXTAUTH_SECRET") or env.get("SALT", ""),
        login=login,
        write_mode=write_mode,
        admin_api_key=env.get("ADMIN_API_KEY", ""),
        init=init,
        max_otlp_bytes=max_otlp,
        ingest_lag_ms=lag,
        faults=faults,
        allow_reset=allow_reset,
        trusted_proxies=trusted_proxies,
        access_log=access_log,
        compat=env.get("EMBEDDED_COMPAT", ""),
    )


def _listed(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in env.get(name, "").split(",") if part.strip())


def _networks(env: Mapping[str, str], name: str, problems: list[str]) -> tuple[str, ...]:
    networks = _listed(env, name)
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            problems.append(f"{name} has {network!r}: use networks such as 10.0.0.0/8")
    return networks


def _allowed_hosts(env: Mapping[str, str], problems: list[str]) -> AllowedHosts:
    prefix = "LANGFUSE_LLM_CONNECTION_WHITELISTED"
    networks = _networks(env, f"{prefix}_IP_SEGMENTS", problems)
    return AllowedHosts(_listed(env, f"{prefix}_HOST"), _listed(env, f"{prefix}_IPS"), networks)


def _judge(env: Mapping[str, str], allowed: AllowedHosts, problems: list[str]) -> JudgeSettings:
    default, prefix = JudgeSettings(), "LANGFUSE_LLM_AS_JUDGE"
    budget = env.get("EMBEDDED_JUDGE_BUDGET_USD") or "0"
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", budget, re.ASCII):
        problems.append(
            f"EMBEDDED_JUDGE_BUDGET_USD is {budget!r}: use an amount such as 2.50, or 0 for no limit"
        )
        budget = "0"
    concurrency = _number(env, f"{prefix}_EXECUTION_WORKER_CONCURRENCY", default.concurrency, problems)
    retries = _number(env, f"{prefix}_QUEUE_RETRY_MAX_ATTEMPTS", default.retries, problems)
    seconds = _number(env, f"{prefix}_QUEUE_RETRY_MAX_AGE_SECONDS", default.retry_seconds, problems)
    timeout = _number(
        env, "LANGFUSE_FETCH_LLM_COMPLETION_TIMEOUT_MS", int(default.timeout_seconds * 1000), problems
    )
    return JudgeSettings(
        concurrency=max(concurrency, 1),
        retries=retries,
        retry_seconds=seconds,
        timeout_seconds=timeout / 1000,
        budget_usd=float(budget),
        allowed=allowed,
        encryption_key=env.get("ENCRYPTION_KEY", ""),
    )


def _faults(env: Mapping[str, str], problems: list[str]) -> tuple[Fault, ...] | None:
    text = env.get("EMBEDDED_FAULTS", "")
    try:
        return parse_faults(text) if text else None
    except FaultsUnreadable as error:
        problems.append(f"EMBEDDED_FAULTS: {error}")
        return None


def _boolean(env: Mapping[str, str], name: str, problems: list[str]) -> bool:
    text = env.get(name) or "false"
    if text not in ("true", "false"):
        problems.append(f"{name} is {text!r}: use true or false")
    return text == "true"


def _number(env: Mapping[str, str], name: str, default: int, problems: list[str]) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if not text.isdigit():
        problems.append(f"{name} is {text!r}: use a whole number")
        return default
    return int(text)


def _initial_project(env: Mapping[str, str], problems: list[str]) -> InitialProject | None:
    organization_id = env.get("LANGFUSE_INIT_ORG_ID")
    if not organization_id:
        # As on the server, nothing else is looked at without the organization (langfuse#11116).
        return None
    project_id = env.get("LANGFUSE_INIT_PROJECT_ID") or None
    user = None
    email, password = env.get("LANGFUSE_INIT_USER_EMAIL"), env.get("LANGFUSE_INIT_USER_PASSWORD")
    if email and password:
        if len(password) < 8:
            problems.append("LANGFUSE_INIT_USER_PASSWORD is shorter than 8 characters: choose a longer one")
        user = InitialUser(email.lower(), env.get("LANGFUSE_INIT_USER_NAME") or "Provisioned User", password)
    return InitialProject(
        organization_id=organization_id,
        organization_name=env.get("LANGFUSE_INIT_ORG_NAME") or "Provisioned Org",
        project_id=project_id,
        project_name=(env.get("LANGFUSE_INIT_PROJECT_NAME") or "Provisioned Project") if project_id else None,
        public_key=env.get("LANGFUSE_INIT_PROJECT_PUBLIC_KEY") or None,
        secret_key=env.get("LANGFUSE_INIT_PROJECT_SECRET_KEY") or None,
        user=user,
    )
