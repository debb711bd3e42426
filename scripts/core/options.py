"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Apply = Annotated[bool, typer.Option("--apply", help="Delete, not only show.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete what config/ does not describe.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Backup = Annotated[str, typer.Option(help="Id of a backup, or latest.")]
BaseUrl = Annotated[str, typer.Option(help="Another server; its key from the environment.")]
OtherEngine = Annotated[str, typer.Option(help="Another server than the running engine.")]
OneProject = Annotated[str, typer.Option(help="Project id; needed with several projects.")]
