"""Commands that bring and pin the images of the compose stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.core.options import DryRun
from scripts.engines.execution import execute

app = typer.Typer()
carried = typer.Typer(help="Carry images to a host that reaches no registry; how long they are supported.")
app.add_typer(carried, name="images")

ImagesFile = Annotated[Path, typer.Argument(help="File of the images.")]


@app.command()
def pull() -> None:
    """Bring the images of the compose stack: pulled, or built from this repository."""
    from scripts.images import commands

    execute(commands.pull)


@app.command()
def lock(dry_run: DryRun = False) -> None:
    """Resolve the digests of the images and write images.lock, which up uses from then on."""
    from scripts.images import commands

    execute(lambda context: commands.lock(context, dry_run=dry_run))


@carried.command("save")
def images_save(file: ImagesFile) -> None:
    """Write all images of the stack into one file with checksums."""
    from scripts.images import commands

    execute(lambda context: commands.save(context, file))


@carried.command("load")
def images_load(file: ImagesFile, dry_run: DryRun = False) -> None:
    """Check such a file, then put its images into the Docker engine."""
    from scripts.images import commands

    execute(lambda context: commands.load(context, file, dry_run=dry_run))


@carried.command("check")
def images_check(
    online: Annotated[
        bool, typer.Option("--online", help="Ask endoflife.date what was published since.")
    ] = False,
) -> None:
    """Say which pinned images are out of support, or soon will be."""
    from scripts.images import check

    execute(lambda context: check.images_check(context, online=online))
