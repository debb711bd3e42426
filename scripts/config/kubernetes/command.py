"""`kubernetes-render`: write what Helm and kubectl need, from the settings of the compose stack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from scripts.core.errors import EXIT_FAILED, EXIT_OK, SettingsError, UsageError
from scripts.core.layout import write_private
from scripts.engines.context import Context
from scripts.settings.envfile import read_env
from scripts.settings.problem import Problem
from scripts.settings.table import SETTINGS
from scripts.settings.values import Settings
from scripts.watch.alerts.document import load_alerts
from scripts.watch.alerts.paths import alerts_file
from scripts.watch.alerts.rules import rule_file

from .autoscaling import KINDS
from .chart import render_chart
from .clickhouse import Config, default_profile, server_config
from .environments import FILE, Environment, differences, hosts, load_environments, own_settings, suffix
from .ingress import CHOICE, GATEWAY
from .interpolate import service_environment
from .manifests import web_service
from .model import CHART, CHART_VERSION, DISKS_GIB, REPLICAS, Cluster
from .outline import outline, stubs
from .render import SECRETS_FILE, Objects, own_objects, render
from .rules import RULES, View, check, log_tables
from .values import values

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,51}[a-z0-9])?")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1", ""})
_EXPORTER_IMAGE = "langfuse-stack-exporter:0.1.0"


def kubernetes_render(
    context: Context,
    *,
    into: Path | None,
    environment: str,
    size: str,
    release: str,
    namespace: str,
    monitoring_namespace: str,
    operator_namespace: str,
    ingress: str,
    issuer: str,
    autoscale: str,
    prometheus_url: str,
    cloudnative_pg: bool,
    registry: str,
    with_secrets: bool,
    replicas: tuple[int, int, int],
    disks_gib: tuple[int, int],
    chart: Path | None = None,
) -> int:
    """The command. What is empty, and zeros among replicas and disks, is that of the environment or the size.

    Exit code 0: all was written and holds together; 1: it was written, and a rule found a problem.

    Raises:
        SettingsError: a setting is missing, or fits one host only.
        StackError: the chart cannot be rendered.
        UsageError: an option has a value that Kubernetes refuses.
    """
    chosen = _environment_of(context, environment)
    size = size or (chosen.size if chosen else "medium")
    if size not in REPLICAS:
        raise UsageError(f"--size {size!r} is not a size.", fix=f"use {', '.join(REPLICAS)}.")
    _refuse_choices(ingress, issuer, autoscale)
    namespace = namespace or f"langfuse{suffix(environment)}"
    names = {
        "--release": release,
        "--namespace": namespace,
        "--monitoring-namespace": monitoring_namespace,
        "--operator-namespace": operator_namespace,
    }
    for option, name in names.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"{option} {name!r} is not a name for Kubernetes.", fix="use a-z, 0-9 and '-'.")
    if min(*replicas, *disks_gib) < 0:
        raise UsageError("Replicas and disks must not be negative.", fix="leave out what the size decides.")
    settings = _settings(context, size, environment, chosen)
    if cloudnative_pg and settings.get("DATABASE_URL"):
        raise UsageError(
            "--cloudnative-pg and DATABASE_URL of .env: PostgreSQL is either here or there.",
            fix="leave out one of them.",
        )
    usual = (chosen.replicas, chosen.disks_gib) if chosen else (REPLICAS[size], DISKS_GIB[size])
    web, worker, clickhouse = (one or other for one, other in zip(replicas, usual[0], strict=True))
    rows, objects = (one or other for one, other in zip(disks_gib, usual[1], strict=True))
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
        operator_namespace=operator_namespace,
        ingress=ingress,
        issuer=issuer,
        autoscale=autoscale,
        prometheus_url=prometheus_url or f"http://prometheus-operated.{monitoring_namespace}.svc:9090",
        cloudnative_pg=cloudnative_pg,
        exporter_image=f"{registry.rstrip('/')}/{_EXPORTER_IMAGE}" if registry else _EXPORTER_IMAGE,
        # The keys of production are not those of another environment.
        credentials={} if suffix(environment) else _credentials(context),
        files=_files(context, settings),
        clickhouse=_clickhouse(context, settings),
    )
    alerts = alerts_file(context)
    own = own_objects(cluster, alerts.read_text(encoding="utf-8"), _rules(context))
    files = render(cluster, own, with_secrets=with_secrets)
    problems = _check(context, cluster, own, chart)
    directory = into or context.layout.stack_dir / f"kubernetes{suffix(environment)}"
    for name, text in files.items():
        # Values and rules name hosts and users: private like the secrets.
        write_private(directory / name, text)
    if problems:
        console = context.console
        for problem in problems:
            console.warn(str(problem))
        shown = context.layout.shown(directory)
        console.print(f"Written to {shown}, with {len(problems)} problems: do not apply it.")
        return EXIT_FAILED
    if chosen:
        _show_differences(context)
    _next_steps(
        context,
        cluster,
        directory,
        sorted(files),
        against=chart,
        expire_days=chosen.retention_days if chosen else None,
    )
    return EXIT_OK


def _refuse_choices(ingress: str, issuer: str, autoscale: str) -> None:
    if not CHOICE.fullmatch(ingress):
        raise UsageError(
            f"--ingress {ingress!r} is not a class.", fix="use nginx, traefik or gateway:NAMESPACE/NAME."
        )
    if issuer and (not ingress or ingress.startswith(GATEWAY)):
        raise UsageError(
            "--issuer is for an ingress.", fix="use it with --ingress nginx or traefik, or leave it out."
        )
    if autoscale not in ("", *KINDS):
        raise UsageError(f"--autoscale {autoscale!r} is not known.", fix=f"use {' or '.join(KINDS)}.")


def _check(context: Context, cluster: Cluster, objects: Objects, chart: Path | None) -> list[Problem]:
    """Return what is wrong with all objects together: the given chart's, or those that 2.0.0 makes."""
    given, root = values(cluster), context.layout.root
    if chart is None:
        of_chart = outline(cluster, given)
    else:
        place = {"release": cluster.release, "namespace": cluster.namespace}
        of_chart = render_chart(context.runner, root, chart, given, **place)
    there = {(one["kind"], one["metadata"]["name"]) for one in of_chart}
    missing = [one for one in stubs(cluster) if (one["kind"], one["metadata"]["name"]) not in there]
    compose = yaml.safe_load((root / "compose.yaml").read_text(encoding="utf-8"))
    view = View(
        cluster=cluster,
        objects=[*of_chart, *missing, *(one for found in objects.values() for one in found)],
        compose_services=frozenset(compose["services"]),
        server_logs=log_tables(cluster.clickhouse[0]),
    )
    return check(view)


def _environment_of(context: Context, name: str) -> Environment | None:
    if not name:
        return None
    found = load_environments(*context.layout.edited(FILE))
    if name not in found:
        raise UsageError(f"--environment {name!r} is not an environment.", fix=f"use {', '.join(found)}.")
    return found[name]


def _show_differences(context: Context) -> None:
    """Print what the environments do not share."""
    settings = context.settings().values
    environments = load_environments(*context.layout.edited(FILE))
    heads, rows = differences(environments)
    context.console.table(("environment", *heads), rows)
    context.console.rows([(name, " ".join(hosts(name, one, settings))) for name, one in environments.items()])


def _settings(context: Context, size: str, name: str, environment: Environment | None) -> Settings:
    """Return the settings with the limits of the size below them."""
    given = {name: value for name, value in context.settings().values.items() if value}
    limits = read_env(context.layout.root / "config" / "sizes" / f"{size}.env").values()
    settings = Settings({**limits, **given, "STACK_SIZE": size})
    for setting, needed in (("NEXTAUTH_URL", "web"), ("S3_PUBLIC_ENDPOINT", "media")):
        if urlsplit(settings[setting]).hostname in _LOCAL or "${" in settings[setting]:
            raise SettingsError(
                f"{setting} is {settings[setting]}: in a cluster nobody reaches {needed} there.",
                fix=f"set {setting} in .env to the address that browsers and applications use.",
            )
    missing = [one.name for one in SETTINGS if one.generate and not settings.get(one.name)]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)}: no value yet.",
            fix="run make up once: it writes the secrets to .env.",
        )
    return Settings(own_settings(settings.values, name, environment)) if environment else settings


def _environment(context: Context, service: str, settings: Settings) -> dict[str, str]:
    found = service_environment(context.layout.root / "compose.yaml", service, settings.values)
    return {**found, **read_env(context.layout.root / ".env.langfuse").values()}


def _files(context: Context, settings: Settings) -> dict[str, str]:
    """Return what NODE_OPTIONS and NODE_EXTRA_CA_CERTS of compose.yaml name."""
    config = context.layout.root / "config"
    authority = f"private-ca/{settings.get('PRIVATE_CA') or 'none.pem'}"
    paths = {path.name: path for path in (config / "langfuse").glob("*.cjs")} | {
        authority: config / authority
    }
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}


def _clickhouse(context: Context, settings: Settings) -> tuple[Config, Config]:
    compose = context.layout.root / "compose.yaml"
    environment = service_environment(compose, "clickhouse", settings.values)
    directory = context.layout.root / "config" / "clickhouse"
    return server_config(directory, environment), default_profile(directory, environment)


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


def _next_steps(
    context: Context,
    cluster: Cluster,
    directory: Path,
    names: list[str],
    *,
    against: Path | None,
    expire_days: int | None,
) -> None:
    shown = context.layout.shown(directory)
    web, worker, clickhouse = cluster.replicas
    console = context.console
    console.print(f"Written to {shown}: {', '.join(names)}")
    held = (
        f"the chart in {against}"
        if against
        else f"what chart {CHART_VERSION} makes of it (CHART= checks your chart)"
    )
    console.print(f"Checked with {held}: {len(RULES)} rules hold.")
    console.print(f"web {web}, worker {worker}, ClickHouse {clickhouse}: {cluster.size}")
    if not cluster.credentials:
        console.warn("no credentials of projects yet: the exporter will measure no application.")
    before = (SECRETS_FILE, "files.yaml", "priorities.yaml", "postgres.yaml")
    first = [name for name in before if name in names]
    after = [name for name in names if name.endswith(".yaml") and name not in (*before, "values.yaml")]
    console.print("kubectl apply " + " ".join(f"-f {shown}/{name}" for name in first))
    helm = (
        f"helm upgrade --install {cluster.release} {CHART} --version {CHART_VERSION} "
        f"--namespace {cluster.namespace} --values {shown}/values.yaml"
    )
    if web > 1:
        alone = "web.hpa.minReplicas=1,langfuse.web.hpa.maxReplicas" if cluster.autoscale else "web.replicas"
        console.print(f"{helm} --set langfuse.{alone}=1  # first, and empty: one web migrates")
    console.print(helm)
    console.print("kubectl apply " + " ".join(f"-f {shown}/{name}" for name in after))
    if not cluster.external_s3:
        bucket = cluster.settings["S3_EVENTS_BUCKET"]
        days = expire_days or cluster.settings["S3_EVENTS_EXPIRE_DAYS"]
        expire = f"fs.configure -locationPrefix=/buckets/{bucket}/ -ttl={days}d -apply"
        console.print(
            f"kubectl --namespace {cluster.namespace} exec deployment/{cluster.store('s3')} -- "
            f"sh -c 'echo \"{expire}\" | weed shell'  # events expire after {days} days"
        )
    if not cluster.ingress:
        console.print(f"Send web's address to the service {web_service(cluster)}: docs/how-to/scale-out.md.")
