"""Settings that only work together, or that a store takes otherwise than it looks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.core.console import Console
from scripts.core.errors import SettingsError
from scripts.engines.context import Context
from scripts.settings.envfile import parse_env
from scripts.settings.langfuse_file import decided_names
from scripts.settings.login_rules import NEEDS, begun_providers
from scripts.settings.rules import advice
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings

from .fakes import FakeRunner, Screen, layout_in

ROOT = Path(__file__).resolve().parents[3]
CLICKHOUSE = (
    "CLICKHOUSE_URL=https://ch.acme.example:8443\n"
    "CLICKHOUSE_MIGRATION_URL=clickhouse://ch.acme.example:9440\n"
    "CLICKHOUSE_PASSWORD=obviously-fake\n"
)
S3 = (
    "S3_ENDPOINT=https://s3.acme.example\n"
    "S3_PUBLIC_ENDPOINT=https://s3.acme.example\n"
    "S3_ACCESS_KEY_ID=test-access-key-of-acme\n"
    "S3_SECRET_ACCESS_KEY=obviously-fake-0000\n"
)
REDIS = "REDIS_HOST=redis.acme.example\nREDIS_AUTH=obviously-fake\n"
OIDC = (
    "AUTH_CUSTOM_NAME=Acme\nAUTH_CUSTOM_ISSUER=https://login.acme.example\n"
    "AUTH_CUSTOM_CLIENT_ID=langfuse\nAUTH_CUSTOM_CLIENT_SECRET=obviously-fake\n"
)


def problems_of(text: str) -> list[str]:
    try:
        load_settings(SETTINGS, parse_env(text), {})
    except SettingsError as error:
        return list(error.details)
    return []


@pytest.mark.parametrize(
    "text",
    [
        CLICKHOUSE,
        f"{CLICKHOUSE}CLICKHOUSE_USER=acme\nCLICKHOUSE_DB=traces\nCLICKHOUSE_MIGRATION_SSL=true\n",
        S3,
        f"{S3}S3_FORCE_PATH_STYLE=false\n",
        S3.replace("example\n", "example/\n"),
        REDIS,
        f"{REDIS}REDIS_PORT=6380\nREDIS_TLS_ENABLED=true\nREDIS_USERNAME=acme\n",
        "REDIS_CONNECTION_STRING=rediss://:p%40ss@redis.acme.example:6380/2\nREDIS_TLS_ENABLED=true\n",
        "DATABASE_URL=postgresql://acme:p%40s%2Fs@db.acme.example:5432/langfuse?sslmode=require&sslaccept=strict\n",
        "DATABASE_URL=postgresql://pooler.acme.example/l\nDIRECT_URL=postgresql://db.acme.example/l\n",
        OIDC,
        f"{OIDC}AUTH_DISABLE_USERNAME_PASSWORD=true\nAUTH_DOMAINS_WITH_SSO_ENFORCEMENT=acme.example\n",
        "AUTH_GITLAB_CLIENT_ID=a\nAUTH_GITLAB_CLIENT_SECRET=obviously-fake\n",
        "CLICKHOUSE_DB=default\nCLICKHOUSE_USER=langfuse\nREDIS_PORT=6379\n",
        "STACK_PROFILES=tls,monitoring\nSTATUS_PAGES=on\n",
        "STACK_PROFILES=tls\nTLS_BIND_ADDRESS=192.0.2.7\nHTTPS_PORT=3000\n",
        f"{S3}S3_PORT=3000\n",
        "LANGFUSE_PORT=3001\n",
        "AUTH_HTTPS_PROXY=http://proxy.acme.example:3128/a@b\n",
    ],
)
def test_what_fits_together_is_taken(text: str) -> None:
    assert problems_of(text) == []


@pytest.mark.parametrize(
    ("text", "names", "reason"),
    [
        (
            "CLICKHOUSE_URL=https://ch.acme.example:8443\n",
            ["CLICKHOUSE_MIGRATION_URL", "CLICKHOUSE_PASSWORD"],
            "is needed beside CLICKHOUSE_URL",
        ),
        (
            "S3_ENDPOINT=https://s3.acme.example\n",
            ["S3_PUBLIC_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"],
            "is needed beside S3_ENDPOINT",
        ),
        ("REDIS_HOST=redis.acme.example\n", ["REDIS_AUTH"], "is needed beside REDIS_HOST"),
        ("CLICKHOUSE_DB=traces\n", ["CLICKHOUSE_DB"], "does not fit the bundled store"),
        ("CLICKHOUSE_USER=acme\n", ["CLICKHOUSE_USER"], "does not fit the bundled store"),
        (
            "CLICKHOUSE_MIGRATION_URL=clickhouse://ch.acme.example:9000\n",
            ["CLICKHOUSE_MIGRATION_URL"],
            "does not fit the bundled store",
        ),
        ("CLICKHOUSE_CLUSTER_ENABLED=true\n", ["CLICKHOUSE_CLUSTER_ENABLED"], "without CLICKHOUSE_URL"),
        ("DIRECT_URL=postgresql://db.acme.example/l\n", ["DIRECT_URL"], "without DATABASE_URL"),
        ("REDIS_TLS_ENABLED=true\n", ["REDIS_TLS_ENABLED"], "REDIS_HOST or REDIS_CONNECTION_STRING"),
        ("REDIS_PORT=6380\n", ["REDIS_PORT"], "does not fit the bundled store"),
        ("S3_FORCE_PATH_STYLE=false\n", ["S3_FORCE_PATH_STYLE"], "does not fit the bundled store"),
        (
            f"{REDIS}REDIS_CONNECTION_STRING=redis://redis.acme.example\n",
            ["REDIS_HOST"],
            "is ignored beside REDIS_CONNECTION_STRING",
        ),
        (REDIS.replace("example\n", "example:6380\n"), ["REDIS_HOST"], "is not a host name alone"),
        (
            S3.replace("IC_ENDPOINT=https://s3.acme.example", "IC_ENDPOINT=https://acme.example/s3"),
            ["S3_PUBLIC_ENDPOINT"],
            "signatures do not survive",
        ),
        (
            S3.replace("S3_ENDPOINT=https://s3.acme.example", "S3_ENDPOINT=https://a:b1@s3.acme.example"),
            ["S3_ENDPOINT"],
            "holds a user or a password",
        ),
        (
            "DATABASE_URL=postgresql://acme@localhost/l\n",
            ["DATABASE_URL"],
            "inside of a container is that container",
        ),
        (REDIS.replace("redis.acme.example", "127.0.0.1"), ["REDIS_HOST"], "inside of a container"),
        (
            "DATABASE_URL=postgresql://db.acme.example/l?sslmode=verify-full\n",
            ["DATABASE_URL"],
            "sslmode=verify-full is not known to Prisma",
        ),
        (
            "DATABASE_URL=postgresql://db.acme.example/l?connect_timeout=5&sslmode=verify-ca\n",
            ["DATABASE_URL"],
            "sslmode=verify-ca",
        ),
        (
            "DATABASE_URL=postgresql://p.acme.example/a\nDIRECT_URL=postgresql://db.acme.example/b\n",
            ["DIRECT_URL"],
            "another database",
        ),
        (CLICKHOUSE.replace("9440", "9440?secure=true"), ["CLICKHOUSE_MIGRATION_URL"], "has a query"),
        ("S3_MEDIA_BUCKET=langfuse-events\n", ["S3_MEDIA_BUCKET"], "serves twice"),
        (
            "STACK_PROFILES=monitoring\nLANGFUSE_PORT=3001\n",
            ["LANGFUSE_PORT and GRAFANA_PORT"],
            "cannot share a port",
        ),
        (
            "STACK_PROFILES=tls\nLANGFUSE_BIND_ADDRESS=0.0.0.0\nLANGFUSE_PORT=443\n",
            ["LANGFUSE_PORT and HTTPS_PORT"],
            "cannot share a port",
        ),
        (
            "STACK_PROFILES=tls\nTLS_ISSUER=acme\nTLS_DOMAIN=langfuse.acme.example\n",
            ["S3_DOMAIN"],
            "no public authority",
        ),
        ("STACK_PROFILES=monitoring\nSTATUS_PAGES=on\n", ["STATUS_PAGES"], "tls is off"),
        ("BACKUP_S3_ACCESS_KEY_ID=acme\n", ["BACKUP_S3_SECRET_ACCESS_KEY"], "is needed beside"),
        ("LANGFUSE_DEFAULT_ORG_ROLE=MEMBER\n", ["LANGFUSE_DEFAULT_ORG_ID"], "is needed beside"),
        (
            "AUTH_CUSTOM_CLIENT_ID=langfuse\n",
            ["AUTH_CUSTOM_CLIENT_ID"],
            "AUTH_CUSTOM_CLIENT_SECRET and AUTH_CUSTOM_NAME and AUTH_CUSTOM_ISSUER missing",
        ),
        (
            "AUTH_OKTA_CLIENT_ID=a\nAUTH_OKTA_CLIENT_SECRET=obviously-fake\n",
            ["AUTH_OKTA_CLIENT_ID"],
            "AUTH_OKTA_ISSUER missing",
        ),
        ("AUTH_AZURE_AD_TENANT_ID=a\n", ["AUTH_AZURE_AD_TENANT_ID"], "AUTH_AZURE_AD_CLIENT_ID"),
        ("AUTH_DISABLE_USERNAME_PASSWORD=true\n", ["AUTH_DISABLE_USERNAME_PASSWORD"], "nobody could sign in"),
        (
            "AUTH_DOMAINS_WITH_SSO_ENFORCEMENT=acme.example\n",
            ["AUTH_DOMAINS_WITH_SSO_ENFORCEMENT"],
            "none is set up",
        ),
    ],
)
def test_what_does_not_fit_together_is_named_with_its_reason(
    text: str, names: list[str], reason: str
) -> None:
    problems = problems_of(text)
    assert [problem.partition(" (")[0] for problem in problems] == names
    assert all(reason in problem for problem in problems)


@pytest.mark.parametrize(
    "password", ["p#1word", "p/1word", "p?1word", "p@1word", "p:1word", "p[1word", "1/2word", "50%word"]
)
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("DATABASE_URL", "postgresql://acme:", "@db.acme.example:5432/langfuse"),
        ("REDIS_CONNECTION_STRING", "redis://:", "@redis.acme.example:6379"),
        ("SMTP_CONNECTION_URL", "smtp://acme:", "@mail.acme.example:587"),
        ("AUTH_HTTPS_PROXY", "http://acme:x", "@proxy.acme.example:3128"),
    ],
)
def test_a_password_that_splits_its_url_is_refused_and_not_shown(
    name: str, before: str, after: str, password: str
) -> None:
    (problem,) = problems_of(f"{name}={before}{password}{after}\n")
    assert problem.startswith(f"{name} (.env:1)")
    assert "percent-encode them" in problem or "is not a URL" in problem
    assert not re.search("1word|2word|50%", problem)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("LANGFUSE_BIND_ADDRESS=0.0.0.0\n", ["LANGFUSE_BIND_ADDRESS=0.0.0.0 opens the stack"]),
        (
            (
                "LANGFUSE_BIND_ADDRESS=0.0.0.0\nNEXTAUTH_URL=http://langfuse.acme.example:3000\n"
                "S3_PUBLIC_ENDPOINT=http://langfuse.acme.example:9090\n"
            ),
            [],
        ),
        ("STACK_PROFILES=tls\nTLS_BIND_ADDRESS=0.0.0.0\n", ["TLS_BIND_ADDRESS=0.0.0.0 opens the stack"]),
        ("TLS_BIND_ADDRESS=0.0.0.0\n", []),
        ("EMAIL_FROM_ADDRESS=a@acme.example\n", ["EMAIL_FROM_ADDRESS alone sends no mail"]),
        (f"SALT=mysalt\nENCRYPTION_KEY={'0' * 64}\n", ["SALT and ENCRYPTION_KEY are well known or of very"]),
        ("NEXTAUTH_SECRET=mysecret\n", ["NEXTAUTH_SECRET is well known or of very"]),
        ("SALT=T2JzZXJ2ZSBtZSwgYnV0IG5ldmVyIGd1ZXNzIG1lIQ==\n", []),
        ("", []),
    ],
)
def test_what_works_but_hardly_as_meant_is_said(text: str, said: list[str]) -> None:
    found = advice(load_settings(SETTINGS, parse_env(text), {}).values)
    assert len(found) == len(said)
    assert all(one.startswith(begin) for one, begin in zip(found, said, strict=True))


def settings_problems(directory: Path, langfuse: str, env: str = "") -> list[str]:
    layout = layout_in(directory)
    layout.env_file.write_text(env)
    layout.langfuse_file.write_text(langfuse)
    (directory / "compose.yaml").write_text((ROOT / "compose.yaml").read_text())
    screen = Screen()
    try:
        Context(layout, {}, Console({}, screen.out, screen.err), FakeRunner()).settings()
    except SettingsError as error:
        return list(error.details)
    return []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("SALT=abc", "SALT (.env.langfuse:1): has no effect in this file; move it to .env"),
        ("DIRECT_URL=postgresql://x", "has no effect in this file; move it to .env"),
        ("LANGFUSE_S3_EVENT_UPLOAD_BUCKET=mine", "has no effect here: compose.yaml sets it"),
        ("LANGFUSE_INIT_PROJECT_PUBLIC_KEY=pk", "has no effect here: compose.yaml sets it"),
        ("nonsense", "a line (.env.langfuse:1): is not NAME=value"),
        ('CLICKHOUSE_CLUSTER_NAME="acme"', "is wrapped in quotes; remove the quotes"),
        ("CLICKHOUSE_CLUSTER_NAME=$ACME", "contains $, which Docker Compose replaces"),
        ("AUTH_SSO_TIMEOUT=soon", "'soon' is not a number"),
        ("AUTH_COGNITO_CLIENT_AUTH_METHOD=basic", "is not one of its values"),
        ("AUTH_COGNITO_CLIENTID=a", "did you mean AUTH_COGNITO_CLIENT_ID"),
        ("AUTH_COGNITO_CLIENT_ID=a", "AUTH_COGNITO_CLIENT_SECRET and AUTH_COGNITO_ISSUER missing"),
        ("CLICKHOUSE_CLUSTER_NAME=a\nCLICKHOUSE_CLUSTER_NAME=b", "is set in line 1 already"),
    ],
)
def test_the_file_of_further_variables_is_checked_as_the_settings_are(
    tmp_path: Path, line: str, reason: str
) -> None:
    (problem,) = settings_problems(tmp_path, f"{line}\n")
    assert reason in problem


def test_further_variables_that_the_server_takes_pass_and_complete_a_login(tmp_path: Path) -> None:
    provider = (
        "AUTH_COGNITO_CLIENT_ID=a\nAUTH_COGNITO_CLIENT_SECRET=obviously-fake\n"
        "AUTH_COGNITO_ISSUER=https://login.acme.example\nCLICKHOUSE_CLUSTER_NAME=acme\nACME_OWN=1\n"
    )
    assert settings_problems(tmp_path, provider, "AUTH_DISABLE_USERNAME_PASSWORD=true\n") == []


def test_every_name_that_compose_names_for_the_server_is_refused_in_the_file_of_further_variables(
    tmp_path: Path,
) -> None:
    names = decided_names(ROOT / "compose.yaml")
    assert len(names) > 100
    lines = "".join(f"{name}=1\n" for name in sorted(names))
    problems = settings_problems(tmp_path, lines)
    assert {problem.partition(" (")[0] for problem in problems} == names


def test_providers_are_those_of_the_settings_and_of_the_server() -> None:
    """A provider that the table of settings learns has to say here what it needs."""
    parts = re.compile(r"AUTH_([A-Z0-9_]+)_CLIENT_ID")
    known = {match[1] for setting in SETTINGS if (match := parts.fullmatch(setting.name))}
    assert known <= NEEDS.keys()
    assert begun_providers({"AUTH_GITHUB_ENTERPRISE_BASE_URL": "https://git.acme.example"}) == {
        "GITHUB_ENTERPRISE": ("AUTH_GITHUB_ENTERPRISE_CLIENT_ID", "AUTH_GITHUB_ENTERPRISE_CLIENT_SECRET")
    }
