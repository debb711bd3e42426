"""The command line: what each verb is called and takes. The work is in one module per verb."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from .core.console import Console
from .core.context import Context
from .core.errors import EXIT_INTERRUPTED, StackError
from .core.layout import default_layout
from .core.runner import SubprocessRunner

ROOT = Path(__file__).resolve().parents[1]

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
EXPORTED = "prompts,observations,scores,datasets,dataset_items,comments,media"
Backup = Annotated[str, typer.Option(help="Id of a backup, or latest.")]
Apply = Annotated[bool, typer.Option("--apply", help="Delete, not only show.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete what config/ does not describe.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


def execute(verb: Callable[[Context], int]) -> NoReturn:
    """Run a verb and end with its exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a cancelled CI job cleans up as Ctrl-C does
        signal.signal(number, _interrupt)
    console = Console()
    try:
        code = verb(Context(default_layout(ROOT, os.environ), os.environ, console, SubprocessRunner(ROOT)))
    except StackError as error:
        console.error(error)
        code = error.exit_code
    except KeyboardInterrupt:
        console.note("Interrupted. Nothing is left half done; repeat the command to go on.")
        code = EXIT_INTERRUPTED
    raise typer.Exit(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@app.callback()
def _langfuse_stack() -> None:
    """Run a Langfuse stack. `make` shows the same verbs as short targets."""


@app.command()
def up() -> None:
    """Start Langfuse, create what config/stack.yaml asks for, say where everything is."""
    from . import up as verb

    execute(verb.run)


@app.command()
def down() -> None:
    """Stop Langfuse and keep its data."""
    from . import down as verb

    execute(verb.run)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show what runs, how it is, and where its data lies."""
    from . import status as verb

    execute(lambda context: verb.run(context, as_json=as_json))


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help="Only this service (compose engine).")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing new lines.")] = False,
) -> None:
    """Show the log."""
    from . import logs as verb

    execute(lambda context: verb.run(context, service=service, lines=lines, follow=follow))


@app.command()
def plan(
    check: Annotated[bool, typer.Option("--check", help="Exit 3 when anything differs.")] = False,
    prune: Prune = False,
    as_json: AsJson = False,
) -> None:
    """Show what differs between config/ and the running server."""
    from . import bootstrap as verb

    execute(lambda context: verb.run(context, dry_run=True, check=check, prune=prune, as_json=as_json))


@app.command()
def bootstrap(
    dry_run: DryRun = False, prune: Prune = False, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Make the running server what config/ describes."""
    from . import bootstrap as verb

    execute(lambda context: verb.run(context, dry_run=dry_run, prune=prune, yes=yes, as_json=as_json))


@app.command()
def validate() -> None:
    """Check config/ without a server."""
    from . import validate as verb

    execute(verb.run)


@app.command()
def credentials(
    project: Annotated[str, typer.Option(help="Its id; needed with several.")] = "",
    key: Annotated[str, typer.Option(help="Name of the key; the first where left out.")] = "",
    file_format: Annotated[str, typer.Option("--format", help="env, json, k8s-secret or github.")] = "env",
) -> None:
    """Print the API key of a project, secret included."""
    from . import credentials as verb

    execute(lambda context: verb.run(context, project=project, key=key, file_format=file_format))


@app.command()
def export_config(
    into: Annotated[Path, typer.Option(help="New or empty directory.")],
    project: Annotated[str, typer.Option(help="Its id; needed with several.")] = "",
    base_url: Annotated[str, typer.Option(help="Another server; its key from the environment.")] = "",
) -> None:
    """Write a project's prompts, datasets and other objects as files for config/."""
    from . import export_config as verb

    execute(lambda context: verb.run(context, into=into, project=project, base_url=base_url))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def smoke(call: typer.Context) -> None:
    """Run the smoke tests (BASE_URL= for another server); further arguments go to pytest."""
    from . import smoke as verb

    execute(lambda context: verb.run(context, arguments=call.args))


@app.command()
def destroy(yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete all data and credentials, after a confirmation."""
    from . import destroy as verb

    execute(lambda context: verb.run(context, yes=yes, dry_run=dry_run))


@app.command()
def backup(dry_run: DryRun = False) -> None:
    """Save all stores, settings and keys as one encrypted set; works under load."""
    from .backup import backup as verb

    execute(lambda context: verb.run(context, dry_run=dry_run))


@app.command()
def backups(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the backups."""
    from .backup import listing as verb

    execute(lambda context: verb.run(context, as_json=as_json))


@app.command()
def backup_verify(
    backup: Backup = "latest",
    read_all: Annotated[
        bool, typer.Option("--read-all", help="Read every byte of the repository too.")
    ] = False,
) -> None:
    """Prove that a backup restores: in a throw-away engine, compared by content."""
    from .backup import verify as verb

    execute(lambda context: verb.run(context, backup=backup, read_all=read_all))


@app.command()
def restore(
    backup: Backup = "latest",
    dry_run: DryRun = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the data that is there.")] = False,
    only: Annotated[str, typer.Option(help="Just these stores of the engine, with commas.")] = "",
    smoke: Annotated[bool, typer.Option(help="Run the smoke tests at the end.")] = True,
) -> None:
    """Put a backup in place; what was there stays until the new state has proven itself."""
    from .backup import restore as verb

    stores = [store for store in only.split(",") if store]
    execute(
        lambda context: verb.run(
            context, backup=backup, dry_run=dry_run, replace_data=replace, with_smoke=smoke, only=stores
        )
    )


@app.command()
def export(
    into: Annotated[Path, typer.Option(help="New directory, or that of an interrupted export.")],
    project: Annotated[str, typer.Option(help="Project of this stack.")] = "",
    base_url: Annotated[str, typer.Option(help="Another server; its key from the environment.")] = "",
    file_format: Annotated[str, typer.Option("--format", help="parquet, jsonl or csv.")] = "parquet",
    kinds: Annotated[str, typer.Option(help="What, with commas.")] = EXPORTED,
    where: Annotated[list[str] | None, typer.Option(help="Filter such as from=2026-01-01T00:00:00Z.")] = None,
) -> None:
    """Write a project's data to files by day, with a checksummed manifest; a repeated call goes on."""
    from .transfer import export as verb

    filters = dict(pair.split("=", 1) for pair in where or () if "=" in pair)
    execute(
        lambda context: verb.run(
            context,
            project=project,
            base_url=base_url,
            into=into,
            file_format=file_format,
            kinds=kinds.split(","),
            filters=filters,
        )
    )


@app.command("import")
def load(
    source: Annotated[Path, typer.Argument(help="Directory of an export.")],
    project: Annotated[str, typer.Option(help="Project of this stack.")] = "",
    base_url: Annotated[str, typer.Option(help="Another server; its key from the environment.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Load an export into a project; ids stay."""
    from .transfer import load as verb

    execute(
        lambda context: verb.run(context, project=project, base_url=base_url, source=source, dry_run=dry_run)
    )


@app.command()
def promote(dry_run: DryRun = False) -> None:
    """Move this stack from the embedded engine to the compose engine."""
    from .transfer import promote as verb

    execute(lambda context: verb.run(context, dry_run=dry_run))


@app.command()
def retention(apply: Apply = False) -> None:
    """Show the traces that config/retention.yaml lets go; with --apply, delete them."""
    from .retention import retention as verb

    execute(lambda context: verb.run(context, apply=apply))


@app.command()
def erase(
    way: Annotated[str, typer.Argument(help="user, session, trace or tag.")],
    value: Annotated[str, typer.Argument(help="Its id.")],
    apply: Apply = False,
    by: Annotated[str, typer.Option(help="Who answers for it; stands in the record.")] = "",
) -> None:
    """Show everything of a person, session, trace or tag; with --apply, delete it and leave a record."""
    from .retention import erase as verb

    execute(lambda context: verb.run(context, way=way, value=value, apply=apply, by=by))


@app.command()
def reconcile(
    since: Annotated[str, typer.Option(help="From when on: 24h, 7d or a time.")] = "24h",
    until: Annotated[str, typer.Option(help="To when; default a minute ago.")] = "",
    rate: Annotated[float, typer.Option(help="Batches replayed in a second at most.", min=0.1)] = 100,
    check: Annotated[
        bool, typer.Option("--check", help="Only look; exit 3 when something is missing.")
    ] = False,
) -> None:
    """Find what was acknowledged and cannot be read, and replay it."""
    from .reconcile import verb

    execute(lambda context: verb.run(context, since=since, until=until, rate=rate, check=check))


@app.command()
def upgrade(
    to: Annotated[str, typer.Argument(help="Version of Langfuse; default that of this repository.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only look; 1 refused, 3 with notes.")] = False,
    yes: Yes = False,
    smoke: Annotated[bool, typer.Option(help="The smoke tests decide too.")] = True,
    allow: Annotated[str, typer.Option(help="Findings to go on in spite of, with commas.")] = "",
) -> None:
    """Go to another version: checked, backed up, proven; all the way back by itself when a step fails."""
    from .upgrade import verb

    allowed = [name for name in allow.split(",") if name]
    execute(lambda context: verb.run(context, to=to, check=check, yes=yes, with_smoke=smoke, allow=allowed))


@app.command()
def rollback(
    check: Annotated[bool, typer.Option("--check", help="Only show what it would do.")] = False,
    yes: Yes = False,
) -> None:
    """Go back to before the last upgrade, finished or not."""
    from .upgrade import verb

    execute(lambda context: verb.roll_back(context, yes=yes, check=check))


@app.command()
def repair_migration(dry_run: DryRun = False, yes: Yes = False) -> None:
    """Finish a migration of ClickHouse that was left unfinished ("Dirty database version")."""
    from .upgrade import repair as verb

    execute(lambda context: verb.run(context, yes=yes, dry_run=dry_run))


@app.command()
def alerts(dry_run: DryRun = False) -> None:
    """Check config/alerts.yaml and compile it for Prometheus and Alertmanager."""
    from .alerts import verb

    execute(lambda context: verb.run(context, dry_run=dry_run))


@app.command()
def alerts_check(
    project: Annotated[str, typer.Option(help="Only this project.")] = "",
    base_url: Annotated[str, typer.Option(help="Another server than the running engine.")] = "",
) -> None:
    """Evaluate all alerts now against the running engine."""
    from .alerts import check as verb

    execute(lambda context: verb.run(context, project=project, base_url=base_url))


@app.command()
def pull() -> None:
    """Bring the images of the compose stack: pulled, or built from this repository."""
    from .images import verbs

    execute(verbs.pull)


@app.command()
def lock(dry_run: DryRun = False) -> None:
    """Resolve the digests of the images and write images.lock, which up uses from then on."""
    from .images import verbs

    execute(lambda context: verbs.lock(context, dry_run=dry_run))


images = typer.Typer(help="Carry images to a host that reaches no registry.", no_args_is_help=True)
app.add_typer(images, name="images")
ImagesFile = Annotated[Path, typer.Argument(help="File of the images.")]


@images.command("save")
def images_save(file: ImagesFile) -> None:
    """Write all images of the stack into one file with checksums."""
    from .images import verbs

    execute(lambda context: verbs.save(context, file))


@images.command("load")
def images_load(file: ImagesFile, dry_run: DryRun = False) -> None:
    """Check such a file, then put its images into the Docker engine."""
    from .images import verbs

    execute(lambda context: verbs.load(context, file, dry_run=dry_run))


@app.command()
def exporter() -> None:
    """Serve Prometheus metrics about the server and the applications."""
    from .exporter import verb

    execute(verb.run)


@app.command()
def dashboard(
    output: Annotated[Path | None, typer.Option(help="Where to; default .stack/dashboard.html.")] = None,
    base_url: Annotated[str, typer.Option(help="Another server than the running engine.")] = "",
) -> None:
    """Write traffic, cost, quality and alerts as one HTML page."""
    from .dashboard import verb

    execute(lambda context: verb.run(context, output=output, base_url=base_url))


@app.command()
def report(
    project: Annotated[str, typer.Option(help="Its id; all where left out.")] = "",
    into: Annotated[Path | None, typer.Option(help="Directory; default .stack/report/.")] = None,
    base_url: Annotated[str, typer.Option(help="Another server than the running engine.")] = "",
) -> None:
    """Show cost, latency, errors and scores of 7 and 30 days; write them as CSV, JSON and an HTML page."""
    from .report import verb

    execute(lambda context: verb.run(context, project=project, into=into, base_url=base_url))


@app.command()
def capacity(
    spans_per_s: Annotated[float, typer.Option(help="Average of a working day.")],
    peak: Annotated[float, typer.Option(help="Busiest minutes, as a multiple of the average.")] = 5.0,
    payload_bytes: Annotated[float, typer.Option(help="Of a span: input, output, metadata.")] = 4000.0,
    media_gib: Annotated[float, typer.Option(help="Images, audio and files, a day.")] = 0.0,
    retention_days: Annotated[int, typer.Option(help="How long spans are kept.")] = 90,
    events_days: Annotated[int, typer.Option(help="How long raw bodies are kept.")] = 30,
    backup_days: Annotated[int, typer.Option(help="How many daily backups are kept.")] = 14,
    available: Annotated[bool, typer.Option(help="Survive the loss of a node.")] = False,
    into: Annotated[Path | None, typer.Option(help="Write the disks over time as SVG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say how many cores, how much memory and disk a load needs, and which size carries it."""
    from .capacity import verb
    from .capacity.model import Load

    load = Load(
        spans_per_s, peak, payload_bytes, media_gib, retention_days, events_days, backup_days, available
    )
    execute(lambda context: verb.run(context, load, into=into, as_json=as_json))


@app.command("kubernetes-render")
def kubernetes_render(
    size: Annotated[str, typer.Option(help="small, medium or large.")] = "medium",
    into: Annotated[Path | None, typer.Option(help="Directory; default .stack/kubernetes/.")] = None,
    release: Annotated[str, typer.Option(help="Name of the Helm release.")] = "langfuse",
    namespace: Annotated[str, typer.Option(help="Where it is installed.")] = "langfuse",
    registry: Annotated[str, typer.Option(help="Where the exporter's image was pushed to.")] = "",
    web: Annotated[int, typer.Option(help="Replicas; default: those of the size.")] = 0,
    worker: Annotated[int, typer.Option(help="Replicas; default: those of the size.")] = 0,
    clickhouse: Annotated[int, typer.Option(help="Replicas; default: those of the size.")] = 0,
    clickhouse_gib: Annotated[int, typer.Option(help="Disk of each; default: that of the size.")] = 0,
    objects_gib: Annotated[int, typer.Option(help="Disk of the object store; default: by size.")] = 0,
    without_secrets: Annotated[bool, typer.Option(help="List their names for a secret manager.")] = False,
) -> None:
    """Write values for Langfuse's Helm chart and what a cluster needs around it, from the same settings."""
    from .kubernetes import verb

    execute(
        lambda context: verb.run(
            context,
            into=into,
            size=size,
            release=release,
            namespace=namespace,
            registry=registry,
            with_secrets=not without_secrets,
            replicas=(web, worker, clickhouse),
            disks_gib=(clickhouse_gib, objects_gib),
        )
    )


@app.command()
def canary() -> None:
    """Write a span and a score, read them back, say how long that took."""
    from .exporter import canary_verb as verb

    execute(verb.run)


@app.command()
def trust() -> None:
    """Write the root certificate of the stack's own authority (TLS_ISSUER=internal), and how to trust it."""
    from . import certificates as verb

    execute(verb.trust)


@app.command()
def reload_tls() -> None:
    """Read the certificate files of config/caddy/certificates again, without cutting connections."""
    from . import certificates as verb

    execute(verb.reload_tls)


@app.command()
def bundle(
    file: Annotated[Path, typer.Argument(help="Where to, such as langfuse-stack.tar.")],
    key: Annotated[Path | None, typer.Option(help="Private key of OpenSSH that signs it.")] = None,
    images: Annotated[bool, typer.Option(help="With the images of the compose engine.")] = True,
) -> None:
    """Write one file with all that a host without a network needs."""
    from . import bundle as verb

    execute(lambda context: verb.run(context, file=file, key=key, with_images=images))


@app.command()
def sbom(
    output: Annotated[Path, typer.Option(help="Where to.")] = Path("sbom.cdx.json"),
) -> None:
    """Write a list of every pinned package and image (CycloneDX)."""
    from . import sbom as verb

    execute(lambda context: verb.run(context, output=output))


@app.command()
def audit(
    database: Annotated[str, typer.Option(help="OSV interface to ask.")] = "https://api.osv.dev/v1/query",
    required: Annotated[bool, typer.Option("--required", help="Fail where it cannot be reached.")] = False,
) -> None:
    """Look up every pinned Python package in a database of known vulnerabilities."""
    from . import audit as verb

    execute(lambda context: verb.run(context, database=database, required=required))


@app.command()
def doctor(
    only: Annotated[str, typer.Option(help="Ids or groups of checks, with commas.")] = "",
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every check.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is safe, after a question.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Write nothing, no canary either.")] = False,
) -> None:
    """Look at everything; say what is wrong and how to mend it."""
    from .doctor import verb

    execute(
        lambda context: verb.run(
            context,
            only=only,
            json_output=as_json,
            verbose=verbose,
            fix=fix,
            dry_run=dry_run,
            yes=yes,
            read_only=read_only,
        )
    )


@app.command()
def rotate(
    secret: Annotated[str, typer.Argument(help="Name of the setting; none lists them.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put the former value back.")] = False,
    user: Annotated[str, typer.Option(help="Whose password; the admin's where left out.")] = "",
) -> None:
    """Give a secret a new value: show what that does, change it, prove it; NEW_VALUE sets the value."""
    from .rotate import verb

    execute(lambda context: verb.run(context, secret=secret, dry_run=dry_run, yes=yes, undo=undo, user=user))


@app.command()
def support_bundle(
    into: Annotated[Path | None, typer.Option(help="Archive to write; default below .stack/support.")] = None,
) -> None:
    """Write an archive for whoever helps: doctor, configuration, logs, statistics; no secrets."""
    from .support import verb

    execute(lambda context: verb.run(context, into=into))


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Only say what is out of date; exit 1.")] = False,
) -> None:
    """Generate .env.example and docs/reference/environment.md from the settings table."""
    from . import docs as verb

    execute(lambda context: verb.run(context, check=check))


@app.command()
def selftest(
    sdk4_python: Annotated[Path, typer.Option(help="Python of the environment with SDK 4.")] = Path(
        ".venv-sdk4/bin/python"
    ),
) -> None:
    """Test this repository: its own tests, then the smoke tests with SDK 5 and SDK 4."""
    from . import selftest as verb

    execute(lambda context: verb.run(context, sdk4_python=sdk4_python))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def rehearse(call: typer.Context, yes: Yes = False) -> None:
    """Try the compose stack on stand-in images in a real Docker engine; further arguments go to pytest."""
    from . import rehearse as verb

    execute(lambda context: verb.run(context, yes=yes, arguments=call.args))
