"""What is rendered for a cluster agrees with the stack, holds no secret where none belongs, and is valid."""

from __future__ import annotations

import base64
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.config.kubernetes.rules import admitted
from scripts.core.errors import SettingsError, UsageError
from scripts.watch.alerts.document import load_alerts
from scripts.watch.alerts.rules import rule_file

from .conftest import CHART, ROOT, Checkout, needs_chart

SIZES = ("small", "medium", "large")
VALIDATOR = ROOT / ".venv-tools" / "bin" / "kubernetes-validate"
CUSTOM = ("values.yaml", "monitoring.yaml", "postgres.yaml", "autoscaling.yaml")
"""Files without objects of Kubernetes itself."""
EXTERNAL = {
    "DATABASE_URL": "postgresql://langfuse:pg-secret-value@pg.acme.example:5432/langfuse",
    "CLICKHOUSE_URL": "https://ch.acme.example:8443",
    "CLICKHOUSE_MIGRATION_URL": "clickhouse://ch.acme.example:9440",
    "REDIS_CONNECTION_STRING": "rediss://:redis-secret-value@valkey.acme.example:6379/0",
    "S3_ENDPOINT": "https://s3.acme.example",
}


@pytest.mark.parametrize("size", SIZES)
def test_replicas_and_limits_are_those_of_the_size(checkout: Checkout, size: str) -> None:
    values = yaml.safe_load(checkout.render(size=size)["values.yaml"])
    web, worker, clickhouse = {"small": (1, 1, 1), "medium": (2, 2, 2), "large": (3, 4, 3)}[size]
    assert values["langfuse"]["web"]["replicas"] == web
    assert values["langfuse"]["worker"]["replicas"] == worker
    assert values["clickhouse"]["cluster"]["replicas"] == clickhouse
    assert values["clickhouse"]["keeper"]["replicas"] == (1 if clickhouse == 1 else 3)
    memory = {"small": "2048Mi", "medium": "4096Mi", "large": "8192Mi"}[size]
    assert values["langfuse"]["worker"]["resources"]["limits"]["memory"] == memory


def test_replicas_and_disks_can_be_chosen(checkout: Checkout) -> None:
    values = yaml.safe_load(checkout.render(replicas=(5, 0, 0), disks_gib=(0, 777))["values.yaml"])
    assert values["langfuse"]["web"]["replicas"] == 5
    assert values["langfuse"]["worker"]["replicas"] == 2
    assert values["s3"]["allInOne"]["data"]["size"] == "777Gi"


def test_the_settings_that_keep_data_are_taken_along(checkout: Checkout) -> None:
    values = yaml.safe_load(checkout.render(size="large")["values.yaml"])
    shared = _variables(values["langfuse"]["additionalEnv"])
    assert shared["LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS"] == "10000"
    assert shared["LANGFUSE_INGESTION_CLICKHOUSE_WRITE_INTERVAL_MS"] == "250"
    assert shared["LANGFUSE_CLICKHOUSE_DELETED_MASK_CLEANER_ENABLED"] == "true"
    assert "maxmemory-policy noeviction" in values["redis"]["valkeyConfig"]
    assert "appendonly yes" in values["redis"]["valkeyConfig"]
    assert values["langfuse"]["features"] == {"telemetryEnabled": False, "signUpDisabled": True}
    worker = _variables(values["langfuse"]["worker"]["pod"]["additionalEnv"])
    assert "LANGFUSE_OTEL_INGESTION_QUEUE_PROCESSING_CONCURRENCY" in worker
    preloaded = re.findall(r"--require=/etc/langfuse/(\S+)", worker["NODE_OPTIONS"])
    assert sorted(preloaded) == ["exit-when-done.cjs", "set-refused-rows-aside.cjs"]


def test_no_variable_is_given_twice(checkout: Checkout) -> None:
    checkout.write(EXTERNAL)
    langfuse = yaml.safe_load(checkout.render()["values.yaml"])["langfuse"]
    for service in ("web", "worker"):
        names = [one["name"] for one in langfuse["additionalEnv"] + langfuse[service]["pod"]["additionalEnv"]]
        assert len(names) == len(set(names))


def test_bundled_stores_have_no_address_and_external_ones_no_disk(checkout: Checkout) -> None:
    bundled = yaml.safe_load(checkout.render()["values.yaml"])
    names = {one["name"] for one in bundled["langfuse"]["additionalEnv"]}
    assert not names & {"DATABASE_URL", "CLICKHOUSE_URL", "REDIS_HOST", "LANGFUSE_S3_EVENT_UPLOAD_BUCKET"}
    assert [bundled[store]["deploy"] for store in ("postgresql", "redis", "clickhouse", "s3")] == [True] * 4

    checkout.write(EXTERNAL)
    external = yaml.safe_load(checkout.render()["values.yaml"])
    shared = {one["name"]: one for one in external["langfuse"]["additionalEnv"]}
    assert [external[store]["deploy"] for store in ("postgresql", "redis", "clickhouse", "s3")] == [False] * 4
    assert "secretKeyRef" in shared["DATABASE_URL"]["valueFrom"]
    assert "secretKeyRef" in shared["REDIS_CONNECTION_STRING"]["valueFrom"]
    assert "secretKeyRef" in shared["CLICKHOUSE_PASSWORD"]["valueFrom"]
    assert shared["CLICKHOUSE_MIGRATION_URL"]["value"] == EXTERNAL["CLICKHOUSE_MIGRATION_URL"]
    assert external["s3"]["endpoint"] == EXTERNAL["S3_ENDPOINT"]
    assert "secretKeyRef" in external["s3"]["accessKeyId"]


@pytest.mark.parametrize("external", [False, True])
def test_every_reference_has_its_key_in_a_secret(checkout: Checkout, external: bool) -> None:
    if external:
        checkout.write(EXTERNAL)
    files = checkout.render()
    held = {
        (secret["metadata"]["name"], key)
        for secret in yaml.safe_load_all(files["secrets.yaml"])
        for key in secret["data"]
    }
    wanted = {
        (found["name"], found["key"])
        for text in files.values()
        for document in yaml.safe_load_all(text)
        for found in _references(document)
    }
    assert wanted
    assert wanted <= held


@pytest.mark.parametrize("external", [False, True])
def test_secrets_stand_in_secrets_only(checkout: Checkout, external: bool) -> None:
    if external:
        checkout.write(EXTERNAL)
        checkout.write({"SMTP_CONNECTION_URL": "smtps://user:smtp-secret-value@mail.acme.example:465"})
    planted = {**checkout.secrets}
    if external:
        planted |= {name: f"{name}-secret-value" for name in ("pg", "redis", "smtp")}
    files = checkout.render()
    encoded = files.pop("secrets.yaml")
    for name, secret in planted.items():
        for shown in (secret, base64.b64encode(secret.encode()).decode()):
            assert [file for file, text in files.items() if shown in text] == [], name
    assert all(one["kind"] == "Secret" for one in yaml.safe_load_all(encoded))
    assert stat.S_IMODE((checkout.root / "out" / "secrets.yaml").stat().st_mode) == 0o600


def test_nobody_but_its_own_pods_reaches_the_other_ports_of_the_object_store(checkout: Checkout) -> None:
    policies = list(yaml.safe_load_all(checkout.render()["network-policies.yaml"]))
    store = {"app.kubernetes.io/instance": "langfuse", "app.kubernetes.io/name": "s3"}
    web = {"app.kubernetes.io/instance": "langfuse", "app.kubernetes.io/name": "langfuse", "app": "web"}
    makes_buckets = {"app.kubernetes.io/instance": "langfuse", "app.kubernetes.io/managed-by": "Helm"}
    postgres = {"app.kubernetes.io/instance": "langfuse", "app.kubernetes.io/name": "postgresql"}
    assert admitted(policies, store, ("elsewhere", {}), 8333, "langfuse")
    for port in (18333, 8888, 18888, 9333, 19333, 8080, 18080):
        assert not admitted(policies, store, ("elsewhere", {}), port, "langfuse")
        assert not admitted(policies, store, ("langfuse", web), port, "langfuse")
        assert admitted(policies, store, ("langfuse", store), port, "langfuse")
    assert admitted(policies, store, ("langfuse", makes_buckets), 9333, "langfuse")
    assert not admitted(policies, store, ("elsewhere", makes_buckets), 9333, "langfuse")
    assert admitted(policies, postgres, ("langfuse", web), 5432, "langfuse")
    assert not admitted(policies, postgres, ("elsewhere", {}), 5432, "langfuse")
    assert admitted(policies, web, ("elsewhere", {}), 3000, "langfuse")


def test_only_prometheus_reads_the_exporter(checkout: Checkout) -> None:
    policies = list(
        yaml.safe_load_all(checkout.render(monitoring_namespace="watch")["network-policies.yaml"])
    )
    exporter = {"app.kubernetes.io/name": "langfuse-stack-exporter"}
    prometheus = {"app.kubernetes.io/name": "prometheus"}
    assert admitted(policies, exporter, ("watch", prometheus), 9464, "langfuse")
    for peer in (("watch", {}), ("elsewhere", prometheus), ("langfuse", {}), ("langfuse", prometheus)):
        assert not admitted(policies, exporter, peer, 9464, "langfuse")


def test_the_object_store_asks_for_a_key_on_its_internal_port(checkout: Checkout) -> None:
    files = checkout.render()
    variables = yaml.safe_load(files["values.yaml"])["s3"]["allInOne"]["secretExtraEnvironmentVars"]
    key = variables["WEED_JWT_FILER_SIGNING_KEY"]["secretKeyRef"]
    assert key == {"name": "langfuse-stack", "key": "S3_INTERNAL_KEY"}


def test_names_of_secrets_replace_the_secrets(checkout: Checkout) -> None:
    files = checkout.render(with_secrets=False)
    assert "secrets.yaml" not in files
    assert "langfuse-stack: ENCRYPTION_KEY" in files["secret-names.txt"]
    assert "langfuse-stack-exporter: kosmos.env" in files["secret-names.txt"]
    assert not any(secret in text for text in files.values() for secret in checkout.secrets.values())


def test_the_alerts_are_those_of_compose(checkout: Checkout, tmp_path: Path) -> None:
    found = [
        rule
        for document in yaml.safe_load_all(checkout.render()["monitoring.yaml"])
        if document["kind"] == "PrometheusRule"
        for group in document["spec"]["groups"]
        for rule in group["rules"]
    ]
    alerts = ROOT / "config" / "alerts.yaml"
    expected = [
        rule
        for text in (
            rule_file(load_alerts(alerts, "config/alerts.yaml")),
            (ROOT / "config" / "prometheus" / "rules" / "stack.yaml").read_text(),
        )
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    ]
    assert len(expected) > 40
    assert found == expected


def test_the_rules_find_the_job_of_the_exporter(checkout: Checkout) -> None:
    files = checkout.render()
    monitor = next(yaml.safe_load_all(files["monitoring.yaml"]))
    service = list(yaml.safe_load_all(files["exporter.yaml"]))[2]
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "exporter"
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    assert selector <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_rendering_twice_gives_the_same(checkout: Checkout) -> None:
    assert checkout.render() == checkout.render()


def test_the_exporter_reads_the_alerts_and_the_keys(checkout: Checkout) -> None:
    config, deployment, service = yaml.safe_load_all(
        checkout.render(registry="r.acme.example")["exporter.yaml"]
    )
    assert config["data"]["alerts.yaml"] == (ROOT / "config" / "alerts.yaml").read_text()
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"].startswith("r.acme.example/langfuse-stack-exporter:")
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["EXPORTER_LANGFUSE_URL"] == "http://langfuse-web:3000"
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= labels


def test_a_release_of_another_name_has_another_service(checkout: Checkout) -> None:
    deployment = list(yaml.safe_load_all(checkout.render(release="zeus")["exporter.yaml"]))[1]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "EXPORTER_LANGFUSE_URL", "value": "http://zeus-langfuse-web:3000"} in container["env"]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("external", [False, True])
def test_objects_have_the_shapes_of_kubernetes(checkout: Checkout, size: str, external: bool) -> None:
    if not VALIDATOR.exists():
        pytest.skip("the schemas of Kubernetes are not installed: make .venv-tools/.runtime")
    if external:
        checkout.write(EXTERNAL)
    files = checkout.render(size=size, ingress="nginx", autoscale="keda", cloudnative_pg=not external)
    names = [name for name in files if name.endswith(".yaml") and name not in CUSTOM]
    assert len(names) == 6
    for name in names:
        done = subprocess.run(
            [VALIDATOR, "--strict", "-k", "1.37", checkout.root / "out" / name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


@needs_chart
@pytest.mark.slow
@pytest.mark.parametrize("autoscale", ["", "hpa"])
def test_objects_of_the_chart_have_the_shapes_of_kubernetes(checkout: Checkout, autoscale: str) -> None:
    if not VALIDATOR.exists():
        pytest.skip("the schemas of Kubernetes are not installed: make .venv-tools/.runtime")
    objects = [
        one
        for one in checkout.view(chart=CHART, autoscale=autoscale).objects
        if one.get("apiVersion", "").partition("/")[0] in ("v1", "apps", "policy", "autoscaling")
    ]
    assert {"Deployment", "PodDisruptionBudget", "Secret", "Service"} <= {one["kind"] for one in objects}
    path = checkout.root / "objects.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    done = subprocess.run(
        [VALIDATOR, "--strict", "-k", "1.37", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"size": "huge"}, UsageError, "--size 'huge'"),
        ({"release": "Langfuse"}, UsageError, "--release 'Langfuse'"),
        ({"namespace": "a_b"}, UsageError, "--namespace 'a_b'"),
        ({"monitoring_namespace": "a_b"}, UsageError, "--monitoring-namespace 'a_b'"),
        ({"replicas": (-1, 0, 0)}, UsageError, "must not be negative"),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_written(
    checkout: Checkout, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        checkout.render(**options)
    assert not (checkout.root / "out").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("NEXTAUTH_URL", "nobody reaches web"),
        ("S3_PUBLIC_ENDPOINT", "nobody reaches media"),
        ("SALT", "SALT"),
    ],
)
def test_settings_of_a_single_host_are_refused(checkout: Checkout, name: str, text: str) -> None:
    checkout.unset(name)
    with pytest.raises(SettingsError, match=text):
        checkout.render()
    assert not (checkout.root / "out").exists()


def _variables(given: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in given}


def _references(document: Any) -> Iterator[dict[str, str]]:
    if isinstance(document, dict):
        if "secretKeyRef" in document:
            yield document["secretKeyRef"]
        for value in document.values():
            yield from _references(value)
    elif isinstance(document, list):
        for value in document:
            yield from _references(value)
