"""compose.yaml keeps every rule in every profile and size, and no rule is one that cannot be broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from scripts.docker.compose import CLIENTS as COMPOSE_CLIENTS
from scripts.docker.images_lock import Locked, read_lock
from scripts.docker.policy import CLIENTS, RULES, Breach, check

from .conftest import ROOT, Render, run_config

Config = dict[str, Any]
Change = Callable[[Config], object]

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - a setting under test; nothing is bound
SIZES = ("ci", "small", "medium", "large")
PROFILES = ("", "tls", "monitoring", "tls,monitoring")
EXTERNAL = {
    "DATABASE_URL": "postgresql://langfuse:0123456789ab@db.acme.example/langfuse",
    "CLICKHOUSE_URL": "https://clickhouse.acme.example:8443",
    "CLICKHOUSE_MIGRATION_URL": "clickhouse://clickhouse.acme.example:9440",
    "REDIS_HOST": "valkey.acme.example",
    "S3_ENDPOINT": "https://s3.acme.example",
    "S3_PUBLIC_ENDPOINT": "https://s3.acme.example",
}
EVERYTHING = {"STACK_PROFILES": "tls,monitoring"}


def extras(profiles: str) -> dict[str, str]:
    return {"STACK_PROFILES": profiles} if profiles else {}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("profiles", PROFILES)
def test_every_profile_and_size_keeps_every_rule(render: Render, size: str, profiles: str) -> None:
    assert check(render(STACK_SIZE=size, **extras(profiles)), lock=read_lock(ROOT / "images.lock")) == []


def test_a_stack_on_stores_of_ones_own_keeps_every_rule(render: Render) -> None:
    assert check(render(**EXTERNAL)) == []


def test_programs_that_reach_external_stores_keep_every_rule_and_are_in_no_profile(render: Render) -> None:
    text = "".join(f"{name}={value}\n" for name, value in EXTERNAL.items())
    services = ("langfuse-web", "langfuse-worker", *CLIENTS)
    config = json.loads(run_config(text, "--format", "json", *services).stdout)
    assert config["services"].keys() >= CLIENTS
    assert set(COMPOSE_CLIENTS.values()) == CLIENTS
    assert check(config) == []
    assert not CLIENTS & render(STACK_PROFILES="tls,monitoring", **EXTERNAL)["services"].keys()


def test_an_address_that_the_operator_opened_is_no_breach(render: Render) -> None:
    config = render(LANGFUSE_BIND_ADDRESS=EVERY_ADDRESS)
    assert {breach.rule for breach in check(config)} == {"ports-on-known-addresses"}
    assert check(config, bind_addresses=[EVERY_ADDRESS]) == []


def put(path: str, value: object) -> Change:
    """Set what stands at a path such as `services/valkey/user`."""

    def change(config: Config) -> None:
        *parents, last = path.split("/")
        place = config
        for name in parents:
            place = place[name]
        place[last] = value

    return change


def drop(path: str) -> Change:
    """Delete what stands at a path."""

    def change(config: Config) -> None:
        *parents, last = path.split("/")
        place = config
        for name in parents:
            place = place[name]
        del place[last]

    return change


def publish(service: str, target: int, host_ip: str = "127.0.0.1") -> Change:
    port = {"mode": "ingress", "host_ip": host_ip, "target": target, "published": str(target)}
    return lambda config: config["services"][service].setdefault("ports", []).append(port)


def mount(service: str, **volume: object) -> Change:
    return lambda config: config["services"][service].setdefault("volumes", []).append(volume)


def say(service: str, word: str) -> Change:
    """Add a word to the command line of a service."""
    return lambda config: config["services"][service]["command"].append(word)


def repeat_secret(service: str, variable: str) -> Change:
    """Put the value of a secret into the command line, as an interpolation by Compose would."""

    def change(config: Config) -> None:
        value = config["services"][service]["environment"][variable]
        config["services"][service]["command"] = ["program", f"--password={value}"]

    return change


def leave_unsaid(service: str, word: str) -> Change:
    return lambda config: config["services"][service]["command"].remove(word)


def port_on(service: str, address: str | None) -> Change:
    def change(config: Config) -> None:
        port = config["services"][service]["ports"][0]
        port.pop("host_ip")
        if address:
            port["host_ip"] = address

    return change


WEB, WORKER = "services/langfuse-web", "services/langfuse-worker"


def both(variable: str, value: str) -> Change:
    """Set a variable of web and worker, so that they still agree."""

    def change(config: Config) -> None:
        for service in ("langfuse-web", "langfuse-worker"):
            config["services"][service]["environment"][variable] = value

    return change


MUTATIONS: tuple[tuple[str, Change], ...] = (
    ("exact-tags", put("services/valkey/image", "docker.io/valkey/valkey:latest")),
    ("exact-tags", put("services/valkey/image", "docker.io/valkey/valkey")),
    ("exact-tags", put("services/valkey/image", "docker.io/valkey/valkey:8.1")),
    ("exact-tags", put(f"{WEB}/image", "docker.io/langfuse/langfuse:4")),
    ("exact-tags", put("services/postgres/image", "docker.io/library/postgres:17")),
    ("no-known-secrets", put("services/postgres/environment/POSTGRES_PASSWORD", "postgres")),
    ("no-known-secrets", put("services/valkey/environment/REDIS_AUTH", "myredissecret")),
    ("no-known-secrets", both("ENCRYPTION_KEY", "0" * 64)),
    ("no-known-secrets", both("SALT", "mysalt")),
    ("no-known-secrets", put("services/clickhouse/environment/CLICKHOUSE_PASSWORD", "")),
    ("only-listed-ports", publish("postgres", 5432)),
    ("only-listed-ports", publish("seaweedfs", 9333)),
    ("ports-on-known-addresses", port_on("langfuse-web", EVERY_ADDRESS)),
    ("ports-on-known-addresses", port_on("seaweedfs", None)),
    ("ports-on-known-addresses", port_on("caddy", "192.168.1.2")),
    ("limits", drop("services/caddy/deploy/resources/limits/memory")),
    ("limits", drop("services/postgres/deploy/resources/limits/cpus")),
    ("limits", drop("services/valkey/deploy/resources/limits/pids")),
    ("limits", drop("services/buckets/deploy")),
    ("log-rotation", drop("services/clickhouse/logging")),
    ("log-rotation", drop("services/clickhouse/logging/options/max-size")),
    ("log-rotation", put("services/clickhouse/logging/driver", "syslog")),
    ("no-new-privileges", drop("services/seaweedfs/security_opt")),
    ("no-new-privileges", put("services/seaweedfs/security_opt", ["no-new-privileges:false"])),
    ("capabilities", drop("services/postgres/cap_drop")),
    ("capabilities", put("services/postgres/cap_drop", ["NET_RAW"])),
    ("capabilities", put("services/caddy/cap_add", ["NET_BIND_SERVICE", "SYS_ADMIN"])),
    ("capabilities", put("services/clickhouse/cap_add", ["NET_BIND_SERVICE"])),
    ("nothing-of-the-host", put("services/prometheus/privileged", True)),
    ("nothing-of-the-host", put("services/prometheus/pid", "host")),
    ("nothing-of-the-host", put("services/prometheus/devices", [{"source": "/dev/kmsg"}])),
    (
        "nothing-of-the-host",
        mount(
            "prometheus", type="bind", source="/config/docker.sock", target="/var/docker.sock", read_only=True
        ),
    ),
    ("read-only", put("services/postgres/read_only", False)),
    ("read-only", drop(f"{WEB}/read_only")),
    ("not-root", put("services/valkey/user", "0:0")),
    ("not-root", put("services/valkey/user", "999:0")),
    ("not-root", put("services/valkey/user", "root")),
    ("not-root", drop("services/seaweedfs/user")),
    ("health-checks", drop(f"{WORKER}/healthcheck")),
    ("health-checks", put("services/valkey/healthcheck/disable", True)),
    ("health-checks", put("services/valkey/healthcheck/test", ["NONE"])),
    ("health-checks", put("services/valkey/healthcheck/test", ["CMD-SHELL", "valkey-cli ping || true"])),
    ("health-checks", put(f"{WEB}/healthcheck/test", ["CMD", "wget", "http://localhost:3000/"])),
    ("health-checks", drop("services/postgres/healthcheck/timeout")),
    *(
        ("no-secrets-in-arguments", put(f"services/{service}/healthcheck/test", ["CMD-SHELL", script]))
        for service, script in (
            ("clickhouse", 'wget --header="X-ClickHouse-Key: $$CLICKHOUSE_PASSWORD" http://127.0.0.1:8123/'),
            ("clickhouse", "clickhouse-client --password ${CLICKHOUSE_PASSWORD} -q 'SELECT 1' | grep -qx 1"),
            ("valkey", "valkey-cli -a $$REDIS_AUTH ping | grep -qx PONG"),
            ("valkey", 'echo x | valkey-cli -a "$$REDIS_AUTH" ping | grep -qx PONG'),
            ("postgres", "psql postgresql://langfuse:$$POSTGRES_PASSWORD@127.0.0.1/langfuse -c 'SELECT 1'"),
            ("postgres", "true && A=1 psql password=$$POSTGRES_PASSWORD"),
            ("postgres", 'test -n "$$(psql password=$$POSTGRES_PASSWORD)"'),
        )
    ),
    ("no-secrets-in-arguments", repeat_secret("valkey", "REDIS_AUTH")),
    ("no-secrets-in-arguments", repeat_secret("grafana", "GF_SECURITY_ADMIN_PASSWORD")),
    ("administration", drop("services/seaweedfs/environment/WEED_JWT_FILER_SIGNING_KEY")),
    ("administration", put("services/buckets/environment/WEED_JWT_FILER_SIGNING_KEY", "0123456789abcdef")),
    ("administration", say("seaweedfs", "-metricsPort=9327")),
    ("administration", leave_unsaid("seaweedfs", "-ip.bind=127.0.0.1")),
    ("administration", leave_unsaid("seaweedfs", "-s3.port.iceberg=0")),
    ("administration", say("prometheus", "--web.enable-lifecycle")),
    ("administration", say("prometheus", "--web.enable-admin-api")),
    ("administration", leave_unsaid("alertmanager", "--cluster.listen-address=")),
    ("administration", say("statsd-exporter", "--web.enable-lifecycle")),
    ("administration", drop("services/grafana/environment/GF_METRICS_BASIC_AUTH_PASSWORD")),
    ("no-fixed-names", put("services/postgres/container_name", "postgres")),
    ("no-fixed-names", put("volumes/postgres/name", "postgres")),
    ("no-fixed-names", put("networks/stores/external", True)),
    ("networks", put("services/postgres/networks", {"stores": None, "edge": None})),
    ("networks", put("services/caddy/networks", {"edge": None, "stores": None})),
    ("networks", drop("services/valkey/networks")),
    ("networks", put("services/prometheus/network_mode", "host")),
    ("networks", drop("networks/stores/internal")),
    ("networks", put("networks/edge/internal", True)),
    ("networks", put("services/seaweedfs/networks", {"stores": None, "edge": None})),
    ("networks", put("services/alertmanager/networks", {"alerts": None, "edge": None})),
    ("networks", drop("networks/alerts/internal")),
    (
        "host-files",
        mount("postgres", type="bind", source="/repository/config/x.conf", target="/x", read_only=False),
    ),
    ("host-files", mount("postgres", type="bind", source="/etc/passwd", target="/x", read_only=True)),
    ("host-files", mount("postgres", type="volume", target="/var/lib/postgresql/data")),
    ("restart", drop("services/postgres/restart")),
    ("restart", put("services/buckets/restart", "always")),
    ("utc", put("services/postgres/environment/TZ", "Europe/Berlin")),
    ("utc", drop("services/clickhouse/environment/TZ")),
    ("proxies", drop("services/valkey/environment/http_proxy")),
    ("proxies", drop("services/exporter/environment/NO_PROXY")),
    ("proxies", put("services/clickhouse/environment/HTTP_PROXY", "http://proxy.acme.example:3128")),
    ("proxies", both("http_proxy", "http://proxy.acme.example:3128")),
    ("start-order", drop(f"{WORKER}/depends_on/langfuse-web")),
    ("start-order", put(f"{WORKER}/depends_on/langfuse-web/condition", "service_started")),
    ("start-order", drop(f"{WEB}/depends_on/clickhouse")),
    ("start-order", put(f"{WEB}/depends_on/buckets/condition", "service_started")),
    ("nothing-lost", both("LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS", "3")),
    ("nothing-lost", both("LANGFUSE_INGESTION_CLICKHOUSE_WRITE_INTERVAL_MS", "1000")),
    ("nothing-lost", both("LANGFUSE_S3_EVENT_UPLOAD_PREFIX", "events/")),
    ("nothing-lost", both("LANGFUSE_S3_MEDIA_UPLOAD_BUCKET", "langfuse-events")),
    ("agreement", put(f"{WORKER}/environment/SALT", "0123456789abcdef")),
    ("agreement", put(f"{WEB}/environment/CLICKHOUSE_DB", "other")),
    ("memory", put(f"{WEB}/environment/NODE_OPTIONS", "--max-old-space-size=2000")),
    ("memory", put("services/clickhouse/environment/CLICKHOUSE_MAX_MEMORY_BYTES", str(4 * 2**30))),
    ("memory", drop("services/valkey/environment/VALKEY_MAXMEMORY_MB")),
    ("grace", drop(f"{WORKER}/stop_grace_period")),
    ("grace", put("services/seaweedfs/stop_grace_period", "20s")),
    ("open-files", drop("services/clickhouse/ulimits")),
    ("open-files", put("services/clickhouse/ulimits/nofile/soft", 1024)),
    # The services of monitoring see much, so they get little.
    ("exact-tags", put("services/grafana/image", "docker.io/grafana/grafana:12.4")),
    ("no-known-secrets", put("services/grafana/environment/GF_SECURITY_ADMIN_PASSWORD", "admin")),
    ("no-known-secrets", put("services/postgres-exporter/environment/DATA_SOURCE_PASS", "postgres")),
    ("only-listed-ports", publish("prometheus", 9090)),
    ("only-listed-ports", publish("exporter", 9464)),
    ("ports-on-known-addresses", port_on("grafana", "192.168.1.2")),
    ("limits", drop("services/node-exporter/deploy/resources/limits/memory")),
    ("not-root", put("services/exporter/user", "0:0")),
    ("not-root", put("services/node-exporter/user", "root")),
    ("health-checks", drop("services/statsd-exporter/healthcheck")),
    ("read-only", drop("services/grafana/read_only")),
    ("networks", put("services/postgres-exporter/networks", {"monitoring": None, "edge": None})),
    ("networks", put("services/node-exporter/network_mode", "host")),
    ("nothing-of-the-host", put("services/node-exporter/pid", "host")),
    ("host-files", mount("node-exporter", type="bind", source="/", target="/host", read_only=True)),
    ("host-files", mount("exporter", type="bind", source="/r/.stack", target="/x", read_only=True)),
    (
        "host-files",
        mount("grafana", type="bind", source="/r/.stack/credentials", target="/x", read_only=True),
    ),
)


@pytest.mark.parametrize(
    ("rule", "change"), MUTATIONS, ids=[f"{number}-{rule}" for number, (rule, _) in enumerate(MUTATIONS)]
)
def test_what_breaks_a_rule_breaks_exactly_that_rule(render: Render, rule: str, change: Change) -> None:
    config = render(**EVERYTHING)
    change(config)
    assert {breach.rule for breach in check(config)} == {rule}


def test_every_rule_is_broken_by_a_test() -> None:
    assert {rule for rule, _ in MUTATIONS} == {*RULES, "ports-on-known-addresses"}


DIGEST, OTHER = (f"sha256:{letter * 64}" for letter in "ab")


def locked(config: Config) -> dict[str, Locked]:
    images = {service["image"] for service in config["services"].values() if "build" not in service}
    return {image: Locked(DIGEST, OTHER) for image in images}


def test_with_a_lock_of_all_images_tags_and_their_digests_are_both_right(render: Render) -> None:
    config = render(**EVERYTHING)
    lock = locked(config)
    assert check(config, lock=lock) == []
    put("services/valkey/image", f"{config['services']['valkey']['image']}@{DIGEST}")(config)
    assert check(config, lock=lock) == []


def test_an_image_that_the_lock_does_not_know_is_a_breach(render: Render) -> None:
    config = render()
    lock = locked(config)
    del lock["docker.io/valkey/valkey:8.1.10"]
    assert [str(breach) for breach in check(config, lock=lock)] == [
        "valkey: images.lock does not know docker.io/valkey/valkey:8.1.10 (locked-images)"
    ]


def test_another_digest_than_that_of_the_lock_is_a_breach(render: Render) -> None:
    config = render()
    lock = locked(config)
    put("services/valkey/image", f"docker.io/valkey/valkey:8.1.10@{OTHER}")(config)
    assert {breach.rule for breach in check(config, lock=lock)} == {"locked-images"}


def test_a_service_that_nobody_drew_is_a_breach(render: Render) -> None:
    config = render()
    config["services"]["adminer"] = config["services"]["valkey"]
    shown = [str(breach) for breach in check(config)]
    assert shown == ["adminer: is on ['stores']; no place in the drawing (networks)"]


@pytest.mark.parametrize(
    "script",
    [
        'PGPASSWORD="$$POSTGRES_PASSWORD" psql -h 127.0.0.1 -w -Atqc "SELECT 1"',
        'printf \'%s\' "$$MONITOR_PASSWORD" >/tmp/file; exec prometheus "$$@"',
        "printf '%s' \"$$CLICKHOUSE_PASSWORD\" | wget -i -",
        "exec valkey-server - <<END\nrequirepass $$REDIS_AUTH\nEND\n",
        "HASH=$$(printf '%s' \"$$STATUS_PASSWORD\" | caddy hash-password); export HASH; exec caddy run",
        'export REDISCLI_AUTH="$$REDIS_AUTH"; valkey-cli ping',
    ],
)
def test_a_secret_over_standard_input_or_in_the_environment_is_no_argument(
    render: Render, script: str
) -> None:
    config = render(**EVERYTHING)
    config["services"]["valkey"]["healthcheck"]["test"] = ["CMD-SHELL", script]
    assert check(config) == []


def test_a_breach_names_where_what_and_which_rule() -> None:
    breach = Breach("restart", "postgres", "restart is no, not unless-stopped")
    assert str(breach) == "postgres: restart is no, not unless-stopped (restart)"
