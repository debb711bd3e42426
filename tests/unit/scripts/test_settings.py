"""Settings: where values come from, and how wrong ones are reported."""

from __future__ import annotations

import pytest

from scripts.core.errors import SettingsError
from scripts.settings.envfile import EnvFile, parse_env
from scripts.settings.model import SetBy
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings, load_settings_leniently


def problems_of(text: str, environment: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(SETTINGS, parse_env(text), environment or {})
    assert caught.value.exit_code == 2
    return caught.value.details


def test_the_environment_wins_over_the_file_and_that_over_the_default() -> None:
    file = parse_env("LANGFUSE_PORT=3100\nS3_PORT=9190\n")
    settings = load_settings(SETTINGS, file, {"LANGFUSE_PORT": "3200"})
    assert settings.integer("LANGFUSE_PORT") == 3200
    assert settings.integer("S3_PORT") == 9190
    assert settings["LANGFUSE_BIND_ADDRESS"] == "127.0.0.1"


def test_an_empty_value_counts_as_unset() -> None:
    settings = load_settings(SETTINGS, parse_env("LANGFUSE_PORT=3100\nENGINE=\n"), {"LANGFUSE_PORT": ""})
    assert settings["LANGFUSE_PORT"] == "3100"
    assert settings.get("ENGINE") == ""


def test_the_url_follows_the_port_unless_it_is_set() -> None:
    assert load_settings(SETTINGS, EnvFile(), {"LANGFUSE_PORT": "3100"})["NEXTAUTH_URL"] == (
        "http://localhost:3100"
    )
    given = {"LANGFUSE_PORT": "3100", "NEXTAUTH_URL": "https://langfuse.acme.example"}
    assert load_settings(SETTINGS, EnvFile(), given)["NEXTAUTH_URL"] == "https://langfuse.acme.example"


def test_every_generated_value_is_one_that_the_check_accepts() -> None:
    generated = [setting for setting in SETTINGS if setting.set_by is SetBy.GENERATED]
    assert len(generated) >= 10
    for setting in generated:
        assert setting.generate is not None, setting.name
        assert setting.kind.check(setting.generate()) is None, setting.name
        assert setting.generate() != setting.generate(), setting.name


def test_every_default_is_one_that_the_check_accepts() -> None:
    load_settings(SETTINGS, EnvFile(), {})
    for setting in SETTINGS:
        if isinstance(setting.default, str) and setting.default:
            assert setting.kind.check(setting.default) is None, setting.name


def test_names_of_settings_are_unique() -> None:
    names = [setting.name for setting in SETTINGS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("line", "reason", "fix"),
    [
        ("ENCRYPTION_KEY=abcd", "has 4 characters", "exactly 64 hexadecimal digits: openssl rand -hex 32"),
        (f"ENCRYPTION_KEY={'ab' * 33}", "has 66 characters", "exactly 64"),
        (f"ENCRYPTION_KEY={'xy' * 32}", "characters other than 0-9 and a-f", "openssl rand -hex 32"),
        ("ADMIN_API_KEY=ab", "has 2 characters", "at least 32"),
        ("SALT=a\tb", "cannot be printed", "one line of text"),
        ("LANGFUSE_PORT=70000", "70000 is out of range", "from 1 to 65535"),
        ("LANGFUSE_PORT=0", "0 is out of range", "from 1 to 65535"),
        ("LANGFUSE_PORT=web", "'web' is not a whole number", "from 1 to 65535"),
        ("LANGFUSE_BIND_ADDRESS=localhost", "'localhost' is not an IP address", "127.0.0.1"),
        ("NEXTAUTH_URL=langfuse.acme.example", "has no scheme", "begin with http:// or https://"),
        ("NEXTAUTH_URL=ftp://acme.example", "begins with ftp:", "begin with http:// or https://"),
        ("NEXTAUTH_URL=http://acme.example:port", "is not a URL", "http://host:port"),
        ("NEXTAUTH_URL=http://", "names no host", "http://host:port"),
        ("NEXTAUTH_URL=https://acme.example/", "has a path or a slash at the end", "end it after the host"),
        ("LANGFUSE_INIT_USER_PASSWORD=short", "has 5 characters", "at least 8"),
        ('LANGFUSE_PORT="3100"', "is wrapped in quotes", "remove the quotes"),
        ("LANGFUSE_VERSION='4'", "is not an exact version", "all three numbers"),
        ("LANGFUSE_VERSION=4", "is not an exact version", "all three numbers"),
        ("ENGINE=docker", "'docker' is not known", "one of compose, embedded"),
        ("STACK_SIZE=huge", "'huge' is not known", "one of ci, small, medium, large"),
        ("AUTH_DISABLE_SIGNUP=yes", "'yes' is not known", "one of true, false"),
        ("COMPOSE_PROJECT_NAME=My Stack", "not a name that Docker Compose takes", "lower-case"),
        ("INGEST_LAG_MS=-1", "-1 is out of range", "from 0 to"),
        ("NEXTAUTH_COOKIE_NAME_SUFFIX=a$b", "contains $", "put the value in single quotes"),
        ("LANGFUSE_INIT_ORG_ID=acme", "has no effect here", "config/stack.yaml"),
        ("STACK_DIR=/data", "is not read from this file", "set it in the environment"),
        ("S3_PORT=3000", "cannot share a port", "change one of them"),
        ("SALT", "is not NAME=value", "comment it out"),
    ],
)
def test_a_wrong_value_is_reported_with_its_name_line_reason_and_fix(
    line: str, reason: str, fix: str
) -> None:
    (problem,) = problems_of(f"# a comment\n{line}\n")
    assert reason in problem
    assert fix in problem
    assert line.partition("=")[0] in problem or ".env:2" in problem


def test_all_wrong_values_are_reported_at_once() -> None:
    problems = problems_of("LANGFUSE_PORT=x\nENCRYPTION_KEY=1\nNEXTAUTH_URL=acme\n", {"S3_PORT": "99999"})
    assert [problem.partition(":")[0] for problem in problems] == [
        "LANGFUSE_PORT (.env",
        "S3_PORT (environment)",
        "NEXTAUTH_URL (.env",
        "ENCRYPTION_KEY (.env",
    ]


def test_a_name_that_is_set_twice_is_reported_with_both_lines() -> None:
    (problem,) = problems_of("LANGFUSE_PORT=3100\nS3_PORT=9190\nLANGFUSE_PORT=3200\n")
    assert problem == "LANGFUSE_PORT (.env:3): is set in line 1 already; keep one of the two"


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.secret])
def test_a_wrong_secret_is_never_shown(name: str) -> None:
    secret = "s3c-t\a!"
    with pytest.raises(SettingsError) as caught:
        load_settings(SETTINGS, parse_env(f"{name}={secret}\n"), {})
    assert name in str(caught.value)
    assert secret not in str(caught.value)


def test_commands_that_stop_a_stack_work_with_defaults_in_the_place_of_wrong_values() -> None:
    settings = load_settings_leniently(SETTINGS, parse_env("LANGFUSE_PORT=x\nS3_PORT=9190\nnonsense\n"), {})
    assert settings.integer("LANGFUSE_PORT") == 3000
    assert settings.integer("S3_PORT") == 9190
