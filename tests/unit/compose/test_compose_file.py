"""What compose.yaml promises operators: documented variables, refusals, defaults, external stores."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import yaml

from scripts.settings.envfile import parse_env, plan_env_change
from scripts.settings.model import Reader, SetBy
from scripts.settings.table import GROUP, GROUPS, SETTINGS
from scripts.settings.values import load_settings

from .conftest import ROOT, Render, run_config


def referenced_variables(text: str) -> frozenset[str]:
    """Return the variables that the text of a compose file takes from outside, interpolated or passed on."""
    interpolated = re.findall(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)", text)
    services = yaml.safe_load(text).get("services", {}).values()
    passed_on = [
        name
        for service in services
        for name, value in (service.get("environment") or {}).items()
        if value is None
    ]
    return frozenset([*interpolated, *passed_on])


SIZE_NAMES = ("ci", "small", "medium", "large")
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
SECRETS = [
    setting.name
    for setting in SETTINGS
    if setting.set_by is SetBy.GENERATED and setting.name in referenced_variables(TEXT)
]


def test_every_variable_of_the_file_is_a_documented_setting() -> None:
    known = {setting.name for setting in SETTINGS if Reader.COMPOSE in setting.used_by}
    assert referenced_variables(TEXT) - known == {"LANGFUSE_INIT_USER_PASSWORD"} - known


def test_every_setting_of_langfuse_and_its_stores_reaches_the_file() -> None:
    read_by_compose = {setting.name for setting in SETTINGS if setting.used_by == (Reader.COMPOSE,)}
    assert read_by_compose - referenced_variables(TEXT) == set()


def test_interpolated_and_passed_on_variables_are_both_found() -> None:
    text = "services: {a: {image: 'x:${TAG:-1}', environment: {PASSED: , FIXED: '$${INSIDE}'}}}"
    assert referenced_variables(text) == {"TAG", "PASSED"}


@pytest.mark.parametrize("secret", [name for name in SECRETS if name != "LANGFUSE_INIT_USER_PASSWORD"])
def test_nothing_starts_without_a_secret(secret: str) -> None:
    done = run_config("", "--quiet", without=secret)
    assert done.returncode != 0
    assert secret in done.stderr
    assert "run make up" in done.stderr


def test_the_secrets_are_those_of_web_and_of_every_store() -> None:
    assert {
        *("NEXTAUTH_SECRET", "SALT", "ENCRYPTION_KEY", "ADMIN_API_KEY"),
        *("POSTGRES_PASSWORD", "CLICKHOUSE_PASSWORD", "REDIS_AUTH"),
        *("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
    } <= set(SECRETS)


def test_compose_by_hand_says_to_use_make() -> None:
    done = run_config("", "--quiet", without="COMPOSE_PROFILES")
    assert done.returncode != 0
    assert "start the stack with make up" in done.stderr


def test_switching_a_profile_on_restarts_nothing_but_who_is_told_of_it(render: Render) -> None:
    before, after = render()["services"], render(STACK_PROFILES="monitoring")["services"]
    assert {name for name in before if before[name] != after[name]} == {"langfuse-worker"}


def test_a_fresh_stack_reports_nothing_and_lets_nobody_sign_up(render: Render) -> None:
    services = render()["services"]
    assert services["langfuse-web"]["environment"]["AUTH_DISABLE_SIGNUP"] == "true"
    for name in ("langfuse-web", "langfuse-worker"):
        assert services[name]["environment"]["TELEMETRY_ENABLED"] == "false"
    assert "-master.telemetry=false" in services["seaweedfs"]["command"]


def test_only_web_and_the_object_store_are_published_by_default(render: Render) -> None:
    ports = {
        (name, port["host_ip"], port["published"], port["target"])
        for name, service in render()["services"].items()
        for port in service.get("ports", ())
    }
    assert ports == {
        ("langfuse-web", "127.0.0.1", "3000", 3000),
        ("seaweedfs", "127.0.0.1", "9090", 8333),
    }


def test_profiles_add_their_services_and_nothing_else(render: Render) -> None:
    core = set(render()["services"])
    assert core == {
        *("langfuse-web", "langfuse-worker", "postgres", "roles", "clickhouse", "valkey", "seaweedfs"),
        "buckets",
    }
    assert set(render(STACK_PROFILES="tls")["services"]) - core == {"caddy"}
    assert set(render(STACK_PROFILES="monitoring")["services"]) - core == {
        *("prometheus", "alertmanager", "grafana", "exporter"),
        *("statsd-exporter", "postgres-exporter", "valkey-exporter", "node-exporter"),
    }


@pytest.mark.parametrize(
    ("settings", "gone", "variable", "value"),
    [
        (
            {"DATABASE_URL": "postgresql://u:0123456789ab@db.acme.example/langfuse"},
            {"postgres", "roles"},
            "DATABASE_URL",
            "postgresql://u:0123456789ab@db.acme.example/langfuse",
        ),
        (
            {
                "CLICKHOUSE_URL": "https://ch.acme.example:8443",
                "CLICKHOUSE_MIGRATION_URL": "clickhouse://ch.acme.example:9440",
            },
            {"clickhouse"},
            "CLICKHOUSE_URL",
            "https://ch.acme.example:8443",
        ),
        ({"REDIS_HOST": "valkey.acme.example"}, {"valkey"}, "REDIS_HOST", "valkey.acme.example"),
        (
            {
                "S3_ENDPOINT": "https://s3.acme.example",
                "S3_PUBLIC_ENDPOINT": "https://s3.acme.example",
            },
            {"seaweedfs", "buckets"},
            "LANGFUSE_S3_EVENT_UPLOAD_ENDPOINT",
            "https://s3.acme.example",
        ),
    ],
)
def test_a_store_of_ones_own_replaces_the_bundled_service(
    render: Render, settings: dict[str, str], gone: set[str], variable: str, value: str
) -> None:
    bundled, services = render()["services"], render(**settings)["services"]
    assert set(bundled) - set(services) == gone
    for name in ("langfuse-web", "langfuse-worker"):
        assert services[name]["environment"][variable] == value


def test_links_to_media_carry_the_public_address_and_the_worker_stays_inside(render: Render) -> None:
    services = render(S3_PORT="9190")["services"]
    web, worker = (services[name]["environment"] for name in ("langfuse-web", "langfuse-worker"))
    assert web["LANGFUSE_S3_MEDIA_UPLOAD_ENDPOINT"] == "http://localhost:9190"
    assert web["LANGFUSE_S3_MEDIA_UPLOAD_INTERNAL_ENDPOINT"] == "http://seaweedfs:8333"
    assert worker["LANGFUSE_S3_MEDIA_UPLOAD_ENDPOINT"] == "http://seaweedfs:8333"
    assert worker["LANGFUSE_S3_BATCH_EXPORT_EXTERNAL_ENDPOINT"] == "http://localhost:9190"


def test_with_https_containers_reach_the_public_names_too(render: Render) -> None:
    config = render(STACK_PROFILES="tls", TLS_DOMAIN="langfuse.acme.example", S3_DOMAIN="s3.acme.example")
    aliases = config["services"]["caddy"]["networks"]["edge"]["aliases"]
    assert aliases == ["langfuse.acme.example", "s3.acme.example"]
    web = config["services"]["langfuse-web"]["environment"]
    assert web["NEXTAUTH_URL"] == "https://langfuse.acme.example"
    assert web["LANGFUSE_S3_MEDIA_UPLOAD_ENDPOINT"] == "https://s3.acme.example"


def test_two_stacks_share_no_name_and_no_port(render: Render) -> None:
    first = render()
    second = render(COMPOSE_PROJECT_NAME="zeus", LANGFUSE_PORT="3100", S3_PORT="9190")
    for kind in ("volumes", "networks"):
        names = [{item["name"] for item in config[kind].values()} for config in (first, second)]
        assert names[0] & names[1] == set()
    ports = [
        {port["published"] for service in config["services"].values() for port in service.get("ports", ())}
        for config in (first, second)
    ]
    assert ports[0] & ports[1] == set()


def test_what_an_operator_does_not_set_is_not_passed_on_empty(render: Render) -> None:
    # An empty SMTP_CONNECTION_URL would not be the same as none.
    assert render()["services"]["langfuse-web"]["environment"]["SMTP_CONNECTION_URL"] is None
    mail = render(SMTP_CONNECTION_URL="smtp://mail.acme.example:587")
    web = mail["services"]["langfuse-web"]["environment"]
    assert web["SMTP_CONNECTION_URL"] == "smtp://mail.acme.example:587"


@pytest.mark.parametrize("size", SIZE_NAMES)
def test_every_size_sets_every_variable_to_a_right_value(size: str) -> None:
    values = parse_env((ROOT / "config" / "sizes" / f"{size}.env").read_text(encoding="utf-8")).values()
    assert list(values) == list(dict.fromkeys(values))
    assert set(values) == {setting.name for setting in GROUP["sizes"].settings}
    flaws = {setting.name: setting.kind.check(values[setting.name]) for setting in GROUP["sizes"].settings}
    assert {name for name, flaw in flaws.items() if flaw} == set()


@pytest.mark.parametrize(("size", "memory_gib"), [("ci", 6), ("small", 12), ("medium", 28), ("large", 58)])
def test_the_limits_of_a_size_fit_the_memory_that_it_is_for(
    render: Render, size: str, memory_gib: int
) -> None:
    services = render(STACK_SIZE=size)["services"].values()
    total = sum(int(service["deploy"]["resources"]["limits"]["memory"]) for service in services)
    assert 0.8 * memory_gib * 2**30 < total <= memory_gib * 2**30


@pytest.mark.parametrize("replicas", [1, 3])
def test_workers_are_as_many_as_asked_for(render: Render, replicas: int) -> None:
    assert (
        render(WORKER_REPLICAS=str(replicas))["services"]["langfuse-worker"]["deploy"]["replicas"] == replicas
    )


def test_a_line_of_env_wins_over_the_size(render: Render) -> None:
    limits = render(WEB_MEMORY="3g")["services"]["langfuse-web"]["deploy"]["resources"]["limits"]
    assert int(limits["memory"]) == 3 * 2**30


PAGE = (ROOT / "docs" / "reference" / "compose.md").read_text(encoding="utf-8")


def test_the_reference_page_has_image_and_user_of_every_service(render: Render) -> None:
    for name, service in render(STACK_PROFILES="tls,monitoring")["services"].items():
        row = next((line for line in PAGE.splitlines() if line.startswith(f"| `{name}`")), "")
        user = "EXPORTER_USER" if name == "exporter" else service["user"]
        assert f"| `{service['image']}` | `{user}` |" in row, name


@pytest.mark.parametrize("size", SIZE_NAMES)
def test_the_reference_page_has_the_sum_of_every_size(render: Render, size: str) -> None:
    services = render(STACK_SIZE=size)["services"].values()
    total = sum(int(service["deploy"]["resources"]["limits"]["memory"]) for service in services)
    assert f"| `{size}` | {total / 2**30:.1f} GiB |" in PAGE


def test_sign_up_is_opened_by_one_call_and_closed_by_the_next() -> None:
    """As docs/how-to/rotate.md lets a person in: the environment wins over .env, where nothing changes."""
    closed = parse_env("AUTH_DISABLE_SIGNUP=true\n")
    assert load_settings(SETTINGS, closed, {"AUTH_DISABLE_SIGNUP": "false"})["AUTH_DISABLE_SIGNUP"] == "false"
    assert load_settings(SETTINGS, closed, {})["AUTH_DISABLE_SIGNUP"] == "true"
    change = plan_env_change(GROUPS, closed, {"AUTH_DISABLE_SIGNUP": "false"}, lambda: datetime.now(UTC))
    assert "AUTH_DISABLE_SIGNUP" not in change.added
    web = yaml.safe_load(TEXT)["services"]["langfuse-web"]["environment"]
    assert web["AUTH_DISABLE_SIGNUP"] == "${AUTH_DISABLE_SIGNUP:-true}"
