"""`kubernetes-render`: write what Helm and kubectl need, from the settings of the compose stack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from scripts.core.errors import EXIT_OK, SettingsError, UsageError
from scripts.core.layout import write_private
from scripts.engines.context import Context
from scripts.settings.envfile import read_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import Settings
from scripts.watch.alerts.document import load_alerts
from scripts.watch.alerts.paths import alerts_file
from scripts.watch.alerts.rules import rule_file

from .interpolate import service_environment
from .manifests import web_service
from .model import CHART, CHART_VERSION, DISKS_GIB, REPLICAS, Cluster
from .render import SECRETS_FILE, render

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,51}[a-z0-9])?")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1", ""})
_EXPORTER_IMAGE = "langfuse-stack-exporter:0.1.0"


def run(
    context: Context,
    *,
    into: Path | None,
    size: str,
    release: str,
    namespace: str,
    monitoring_namespace: str,
    registry: str,
    with_secrets: bool,
    replicas: tuple[int, int, int],
    disks_gib: tuple[int, int],
) -> int:
    """The command. Zeros among replicas and disks mean those of the size. Exit code 0: all was written.

    Raises:
        SettingsError: a setting is missing, or fits one host only.
        UsageError: an option has a value that Kubernetes refuses.
    """
    if size not in REPLICAS:
        raise UsageError(f"--size {size!r} is not a size.", fix=f"use {', '.join(REPLICAS)}.")
    names = {
        "--release": release,
        "--namespace": namespace,
        "--monitoring-namespace": monitoring_namespace,
    }
    for option, name in names.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"{option} {name!r} is not a name for Kubernetes.", fix="use a-z, 0-9 and '-'.")
    if min(*replicas, *disks_gib) < 0:
        raise UsageError("Replicas and disks must not be negative.", fix="leave out what the size decides.")
    settings = _settings(context, size)
    web, worker, clickhouse = (one or other for one, other in zip(replicas, REPLICAS[size], strict=True))
    rows, objects = (one or other for one, other in zip(disks_gib, DISKS_GIB[size], strict=True))
    cluster = Cluster(
        settings=settings,
        web=_environment(context, "langfuse-web", settings),
        worker=_environment(context, "langfuse-worker", settings),
        secrets=frozenset(setting.name for setting in SETTINGS if setting.secret),
        size=size,
        replicas=(web, worker, clickhouse),
        disks_gib=(rows, objects),
        release=release,
        namespace=namespace,
        monitoring_namespace=monitoring_namespace,
        exporter_image=f"{registry.rstrip('/')}/{_EXPORTER_IMAGE}" if registry else _EXPORTER_IMAGE,
        credentials=_credentials(context),
    )
    alerts = alerts_file(context)
    files = render(cluster, alerts.read_text(encoding="utf-8"), _rules(context), with_secrets=with_secrets)
    directory = into or context.layout.stack_dir / "kubernetes"
    for name, text in files.items():
        # Values and rules name hosts and users: private like the secrets.
        write_private(directory / name, text)
    _next_steps(context, cluster, directory, sorted(files))
    return EXIT_OK


def _settings(context: Context, size: str) -> Settings:
    """Return the settings with the limits of the size below them."""
    given = {name: value for name, value in context.settings().values.items() if value}
    limits = read_env(context.layout.root / "config" / "sizes" / f"{size}.env").values()
    settings = Settings({**limits, **given, "STACK_SIZE": size})
    for name, needed in (("NEXTAUTH_URL", "web"), ("S3_PUBLIC_ENDPOINT", "media")):
        if urlsplit(settings[name]).hostname in _LOCAL or "${" in settings[name]:
            raise SettingsError(
                f"{name} is {settings[name]}: in a cluster nobody reaches {needed} there.",
                fix=f"set {name} in .env to the address that browsers and applications use.",
            )
    missing = [setting.name for setting in SETTINGS if setting.generate and not settings.get(setting.name)]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)}: no value yet.",
            fix="run make up once: it writes the secrets to .env.",
        )
    return settings


def _environment(context: Context, service: str, settings: Settings) -> dict[str, str]:
    found = service_environment(context.layout.root / "compose.yaml", service, settings.values)
    # Files that compose mounts are not in a pod, and Node does not start without one that it has to load.
    options = [one for one in found.get("NODE_OPTIONS", "").split() if not one.startswith("--require=")]
    found["NODE_OPTIONS"] = " ".join(options)
    return {**found, **read_env(context.layout.root / ".env.langfuse").values()}


def _credentials(context: Context) -> dict[str, str]:
    directory = context.layout.credentials_dir
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.env"))}


def _rules(context: Context) -> dict[str, list[dict[str, Any]]]:
    path = alerts_file(context)
    stack = context.layout.root / "config" / "prometheus" / "rules" / "stack.yaml"
    compiled = rule_file(load_alerts(path, context.layout.shown(path)))
    return {
        "quality": yaml.safe_load(compiled)["groups"],
        "stack": yaml.safe_load(stack.read_text(encoding="utf-8"))["groups"],
    }


def _next_steps(context: Context, cluster: Cluster, directory: Path, names: list[str]) -> None:
    shown = context.layout.shown(directory)
    web, worker, clickhouse = cluster.replicas
    console = context.console
    console.print(f"Written to {shown}: {', '.join(names)}")
    console.print(f"web {web}, worker {worker}, ClickHouse {clickhouse}: {cluster.size}")
    if not cluster.credentials:
        console.warn("no credentials of projects yet: the exporter will measure no application.")
    first = ["secrets.yaml"] if SECRETS_FILE in names else []
    after = ["network-policies.yaml", "exporter.yaml", "monitoring.yaml"]
    for name in first:
        console.print(f"kubectl apply -f {shown}/{name}")
    console.print(
        f"helm upgrade --install {cluster.release} {CHART} --version {CHART_VERSION} "
        f"--namespace {cluster.namespace} --values {shown}/values.yaml"
    )
    console.print("kubectl apply " + " ".join(f"-f {shown}/{name}" for name in after))
    console.print(f"Send web's address to the service {web_service(cluster)}: docs/how-to/scale-out.md.")
