"""`init`: begin the configuration of this site, in a directory that updates of the repository leave alone."""

from __future__ import annotations

import shutil

from scripts.core.errors import EXIT_OK, UsageError
from scripts.engines.context import Context


def run(context: Context) -> int:
    """The command.

    Raises:
        UsageError: the directory has files already.
    """
    layout = context.layout
    shown = layout.shown(layout.site_dir)
    if layout.site_dir.exists() and any(layout.site_dir.iterdir()):
        raise UsageError(
            f"{shown}/ is not empty.", fix=f"edit what is there, then: make validate (ls {shown})."
        )
    template = layout.root / "examples" / "site"
    for source in sorted(template.iterdir()):
        layout.site_dir.mkdir(exist_ok=True)
        shutil.copyfile(source, layout.site_dir / source.name)
        context.console.print(f"Wrote {shown}/{source.name}, read instead of config/{source.name}.")
    context.console.print(
        "Next: edit organization, admin and projects there, then make validate and make up."
    )
    return EXIT_OK
