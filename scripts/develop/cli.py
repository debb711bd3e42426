"""Commands for work on this repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.core.options import DryRun, Yes
from scripts.engines.execution import execute

app = typer.Typer()


@app.command()
def selftest(
    sdk4_python: Annotated[Path, typer.Option(help="Python of the environment with SDK 4.")] = Path(
        ".venv-sdk4/bin/python"
    ),
) -> None:
    """Test this repository: its own tests, then the smoke tests with SDK 5 and SDK 4."""
    from scripts.develop import selftest as command

    execute(lambda context: command.selftest(context, sdk4_python=sdk4_python))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def rehearse(call: typer.Context, yes: Yes = False) -> None:
    """Try the compose stack on stand-in images in a real Docker engine; further arguments go to pytest."""
    from rehearsal import command

    execute(lambda context: command.rehearse(context, yes=yes, arguments=call.args))


@app.command()
def audit(
    database: Annotated[str, typer.Option(help="OSV interface to ask.")] = "https://api.osv.dev/v1/query",
    required: Annotated[bool, typer.Option("--required", help="Fail where it cannot be reached.")] = False,
) -> None:
    """Look up every pinned Python package in a database of known vulnerabilities."""
    from scripts.develop import audit as command

    execute(lambda context: command.audit(context, database=database, required=required))


@app.command()
def sbom(
    output: Annotated[Path, typer.Option(help="Where to.")] = Path("sbom.cdx.json"),
) -> None:
    """Write a list of every pinned package and image (CycloneDX)."""
    from scripts.develop import sbom as command

    execute(lambda context: command.sbom(context, output=output))


@app.command()
def release(
    version: Annotated[str, typer.Argument(help="Such as 1.2.3.")],
    into: Annotated[Path | None, typer.Option(help="Where the files go; default: dist/VERSION.")] = None,
    key: Annotated[Path | None, typer.Option(help="A private key of OpenSSH that signs the bundle.")] = None,
    build_only: Annotated[bool, typer.Option("--build-only", help="Of a tag that is there.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Give this state a version: changelog, commit, wheel, bundle, SBOM, checksums, tag."""
    from scripts.develop import release as command

    execute(
        lambda context: command.release(
            context,
            version=version,
            into=into or Path("dist", version),
            key=key,
            build_only=build_only,
            dry_run=dry_run,
            yes=yes,
        )
    )


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Only say what is out of date; exit 1.")] = False,
) -> None:
    """Generate .env.example and docs/reference/environment.md from the settings table."""
    from scripts.develop import docs as command

    execute(lambda context: command.docs(context, check=check))
