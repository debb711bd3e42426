"""Commands about configuration, secrets and what is carried to another host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.core.options import AsJson, BaseUrl, DryRun, OneProject, Prune, Yes
from scripts.engines.execution import execute

app = typer.Typer()


@app.command()
def init(
    source: Annotated[str, typer.Option("--from", help="Directory of a whole site.")] = "examples/site",
    dry_run: DryRun = False,
) -> None:
    """Begin the configuration of this site: config/local, which updates leave alone."""
    from scripts.config import init as command

    execute(lambda context: command.init(context, source=source, dry_run=dry_run))


@app.command()
def plan(
    check: Annotated[bool, typer.Option("--check", help="Exit 3 when anything differs.")] = False,
    prune: Prune = False,
    as_json: AsJson = False,
) -> None:
    """Show what differs between config/ and the running server."""
    from scripts.config import bootstrap as command

    execute(
        lambda context: command.bootstrap(context, dry_run=True, check=check, prune=prune, as_json=as_json)
    )


@app.command()
def validate() -> None:
    """Check config/ without a server."""
    from scripts.config import validate as command

    execute(command.validate)


@app.command()
def credentials(
    project: OneProject = "",
    key: Annotated[str, typer.Option(help="Name of the key (default: the first).")] = "",
    file_format: Annotated[str, typer.Option("--format", help="env, json, k8s-secret or github.")] = "env",
) -> None:
    """Print the API key of a project, secret included."""
    from scripts.config import credentials as command

    execute(lambda context: command.credentials(context, project=project, key=key, file_format=file_format))


@app.command()
def export_config(
    into: Annotated[Path, typer.Option(help="New or empty directory.")],
    project: OneProject = "",
    base_url: BaseUrl = "",
) -> None:
    """Write a project's prompts, datasets and other objects as files for config/."""
    from scripts.config import export_config as command

    execute(lambda context: command.export_config(context, into=into, project=project, base_url=base_url))


@app.command("kubernetes-render")
def kubernetes_render(
    environment: Annotated[
        str, typer.Option(help="dev, staging or production: config/kubernetes.yaml.")
    ] = "",
    size: Annotated[
        str, typer.Option(help="small, medium or large; default: the environment's, or medium.")
    ] = "",
    into: Annotated[Path | None, typer.Option(help="Directory; default .stack/kubernetes/.")] = None,
    release: Annotated[str, typer.Option(help="Name of the Helm release.")] = "langfuse",
    namespace: Annotated[str, typer.Option(help="Where it is installed; default: by environment.")] = "",
    monitoring_namespace: Annotated[str, typer.Option(help="Where Prometheus runs.")] = "monitoring",
    operator_namespace: Annotated[
        str, typer.Option(help="Where ClickHouse's operator runs.")
    ] = "clickhouse-operator-system",
    ingress: Annotated[
        str, typer.Option(help="nginx, traefik or gateway:NAMESPACE/NAME; default: none.")
    ] = "",
    issuer: Annotated[str, typer.Option(help="ClusterIssuer of cert-manager for their certificates.")] = "",
    autoscale: Annotated[
        str,
        typer.Option(help="hpa: by processor; keda: the worker by queue depth too; default: fixed replicas."),
    ] = "",
    prometheus_url: Annotated[
        str, typer.Option(help="What KEDA asks; default: the Prometheus operator's service.")
    ] = "",
    cloudnative_pg: Annotated[bool, typer.Option(help="PostgreSQL by the operator CloudNativePG.")] = False,
    registry: Annotated[str, typer.Option(help="Where the exporter's image was pushed to.")] = "",
    web: Annotated[int, typer.Option(help="Replicas; default: those of the size.")] = 0,
    worker: Annotated[int, typer.Option(help="Replicas; default: those of the size.")] = 0,
    clickhouse: Annotated[int, typer.Option(help="Replicas; default: those of the size.")] = 0,
    clickhouse_gib: Annotated[int, typer.Option(help="Disk of each; default: that of the size.")] = 0,
    objects_gib: Annotated[int, typer.Option(help="Disk of the object store; default: by size.")] = 0,
    without_secrets: Annotated[bool, typer.Option(help="List their names for a secret manager.")] = False,
    chart: Annotated[Path | None, typer.Option(help="Chart to check against: its directory or .tgz.")] = None,
) -> None:
    """Write values for Langfuse's Helm chart and what a cluster needs around it, from the same settings."""
    from .kubernetes import command

    execute(
        lambda context: command.kubernetes_render(
            context,
            into=into,
            environment=environment,
            size=size,
            release=release,
            namespace=namespace,
            monitoring_namespace=monitoring_namespace,
            operator_namespace=operator_namespace,
            ingress=ingress,
            issuer=issuer,
            autoscale=autoscale,
            prometheus_url=prometheus_url,
            cloudnative_pg=cloudnative_pg,
            registry=registry,
            with_secrets=not without_secrets,
            replicas=(web, worker, clickhouse),
            disks_gib=(clickhouse_gib, objects_gib),
            chart=chart,
        )
    )


@app.command()
def rotate(
    secret: Annotated[str, typer.Argument(help="Name of the secret (default: list them).")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put the former value back.")] = False,
    user: Annotated[str, typer.Option(help="E-mail address of the user (default: the admin).")] = "",
) -> None:
    """Give a secret a new value: show what that does, change it, prove it; NEW_VALUE sets the value."""
    from .rotate import command

    execute(
        lambda context: command.rotate(context, secret=secret, dry_run=dry_run, yes=yes, undo=undo, user=user)
    )


@app.command()
def bundle(
    file: Annotated[Path, typer.Argument(help="Where to, such as langfuse-stack.tar.")],
    key: Annotated[Path | None, typer.Option(help="Private key of OpenSSH that signs it.")] = None,
    images: Annotated[
        bool | None,
        typer.Option(help="The images of the compose engine; by default unless this stack is embedded."),
    ] = None,
) -> None:
    """Write one file with all that a host without a network needs."""
    from scripts.images import bundle as command

    execute(lambda context: command.bundle(context, file=file, key=key, with_images=images))


@app.command()
def trust() -> None:
    """Write the root certificate of the stack's own authority (TLS_ISSUER=internal), and how to trust it."""
    from scripts.config import certificates as command

    execute(command.trust)


@app.command()
def reload_tls() -> None:
    """Read the certificate files of config/caddy/certificates again, without cutting connections."""
    from scripts.config import certificates as command

    execute(command.reload_tls)
