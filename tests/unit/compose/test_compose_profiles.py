"""Which services a stack needs, and that an application's variables do not decide it."""

from __future__ import annotations

import pytest
import yaml

from scripts.docker.compose import compose_environment
from scripts.settings.envfile import EnvFile, parse_env
from scripts.settings.profiles import compose_profiles, published_ports
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings

from .conftest import ROOT


def test_every_store_is_bundled_unless_a_setting_replaces_it() -> None:
    assert compose_profiles({}) == ("postgres", "clickhouse", "valkey", "s3")


@pytest.mark.parametrize(
    ("setting", "value", "replaced"),
    [
        ("DATABASE_URL", "postgresql://u:p@db.acme.example/langfuse", "postgres"),
        ("CLICKHOUSE_URL", "https://ch.acme.example:8443", "clickhouse"),
        ("REDIS_HOST", "valkey.acme.example", "valkey"),
        ("REDIS_CONNECTION_STRING", "rediss://valkey.acme.example", "valkey"),
        ("S3_ENDPOINT", "https://s3.acme.example", "s3"),
    ],
)
def test_a_store_of_ones_own_takes_the_bundled_one_out(setting: str, value: str, replaced: str) -> None:
    remaining = {"postgres", "clickhouse", "valkey", "s3"} - {replaced}
    assert set(compose_profiles({setting: value})) == remaining


def test_extras_come_after_the_stores() -> None:
    values = {"S3_ENDPOINT": "https://s3.acme.example", "STACK_PROFILES": "tls, monitoring"}
    stores = ("postgres", "clickhouse", "valkey")
    exporters = ("monitoring-postgres", "monitoring-valkey")
    assert compose_profiles(values) == (*stores, "tls", "monitoring", *exporters)


def test_a_store_of_ones_own_has_no_exporter_here() -> None:
    values = {"DATABASE_URL": "postgresql://u:p@db.acme.example/x", "STACK_PROFILES": "monitoring"}
    assert "monitoring-postgres" not in compose_profiles(values)
    assert "monitoring-valkey" in compose_profiles(values)


def test_without_monitoring_no_store_has_an_exporter() -> None:
    assert compose_profiles({}) == ("postgres", "clickhouse", "valkey", "s3")


def test_the_environment_of_compose_carries_the_profiles() -> None:
    settings = load_settings(SETTINGS, parse_env("STACK_PROFILES=tls\n"), {})
    environment = compose_environment({"PATH": "/bin", "COMPOSE_PROFILES": "old"}, settings)
    assert environment["COMPOSE_PROFILES"] == "postgres,clickhouse,valkey,s3,tls"
    assert environment["PATH"] == "/bin"


def test_the_database_of_an_application_on_this_host_is_left_alone() -> None:
    application = {"DATABASE_URL": "postgresql://app:secret@db/app", "REDIS_HOST": "redis"}
    settings = load_settings(SETTINGS, EnvFile(), application)
    environment = compose_environment(application, settings)
    assert environment["COMPOSE_PROFILES"] == "postgres,clickhouse,valkey,s3"
    assert "DATABASE_URL" not in environment
    assert environment.get("REDIS_HOST", "") == ""


def test_a_database_named_in_the_file_is_used_whatever_the_environment_says() -> None:
    url = "postgresql://langfuse:secret@db.acme.example/langfuse"
    application = {"DATABASE_URL": "postgresql://app:secret@db/app"}
    settings = load_settings(SETTINGS, parse_env(f"DATABASE_URL={url}\n"), application)
    assert compose_environment(application, settings)["DATABASE_URL"] == url


def test_the_public_addresses_follow_the_domains_when_tls_is_on() -> None:
    text = "STACK_PROFILES=tls\nTLS_DOMAIN=langfuse.acme.example\nS3_DOMAIN=s3.acme.example\n"
    settings = load_settings(SETTINGS, parse_env(text), {})
    assert settings["NEXTAUTH_URL"] == "https://langfuse.acme.example"
    assert settings["S3_PUBLIC_ENDPOINT"] == "https://s3.acme.example"
    other_port = load_settings(SETTINGS, parse_env(f"{text}HTTPS_PORT=8443\n"), {})
    assert other_port["NEXTAUTH_URL"] == "https://langfuse.acme.example:8443"


def test_the_public_addresses_follow_the_ports_without_tls() -> None:
    settings = load_settings(SETTINGS, parse_env("LANGFUSE_PORT=3100\nS3_PORT=9190\n"), {})
    assert settings["NEXTAUTH_URL"] == "http://localhost:3100"
    assert settings["S3_PUBLIC_ENDPOINT"] == "http://localhost:9190"


def test_the_worker_sends_metrics_only_where_the_stack_receives_them() -> None:
    assert load_settings(SETTINGS, EnvFile(), {}).get("DD_AGENT_HOST") == ""
    watched = load_settings(SETTINGS, parse_env("STACK_PROFILES=monitoring\n"), {})
    assert watched["DD_AGENT_HOST"] == "statsd-exporter"


def test_the_ports_to_be_free_are_those_of_what_will_run() -> None:
    usual = load_settings(SETTINGS, EnvFile(), {})
    assert published_ports(usual.values) == [("LANGFUSE_PORT", "127.0.0.1"), ("S3_PORT", "127.0.0.1")]
    text = "STACK_PROFILES=tls\nTLS_BIND_ADDRESS=192.168.1.2\nS3_ENDPOINT=https://s3.acme.example\n"
    text += "S3_PUBLIC_ENDPOINT=https://s3.acme.example\n"
    text += f"S3_ACCESS_KEY_ID={'ab' * 10}\nS3_SECRET_ACCESS_KEY={'ab' * 20}\n"
    assert published_ports(load_settings(SETTINGS, parse_env(text), {}).values) == [
        ("LANGFUSE_PORT", "127.0.0.1"),
        ("HTTPS_PORT", "192.168.1.2"),
        ("HTTP_PORT", "192.168.1.2"),
    ]


@pytest.mark.parametrize(("extras", "count", "said"), [("", 4, "takes four"), ("monitoring,tls", 7, "seven")])
def test_the_page_on_address_pools_says_how_many_networks_a_stack_takes(
    extras: str, count: int, said: str
) -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    wanted = {None, *compose_profiles({"STACK_PROFILES": extras})}
    networks = {
        network
        for service in services.values()
        if wanted.intersection(service.get("profiles", [None]))
        for network in service.get("networks", ())
    }
    assert len(networks) == count, networks
    page = (ROOT / "docs" / "how-to" / "troubleshoot-docker.md").read_text(encoding="utf-8")
    assert said in page.partition("address pool")[2].partition("##")[0]
