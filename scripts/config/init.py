"""`init`: begin the configuration of this site, in a directory that updates of the repository leave alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.core.layout import Layout
from scripts.engines.context import Context

TEMPLATE = "examples/site"
SECRETS = "config/alertmanager/secrets"
_LEFT_OUT = shutil.ignore_patterns(".git")


def init(context: Context, *, source: str = TEMPLATE, dry_run: bool = False) -> int:
    """The command: copy a whole site, such as `examples/kosmos`, to `config/local`.

    Raises:
        UsageError: the directory has files already, or `source` is not a site.
        StackError: the files cannot be written.
    """
    layout = context.layout
    site = layout.root / source
    _refuse_what_is_not_a_site(site, source)
    shown = layout.shown(layout.site_dir)
    if layout.site_dir.exists() and any(layout.site_dir.iterdir()):
        raise UsageError(
            f"{shown}/ is not empty; nothing was written.",
            fix=f"edit what is there, then: make validate (ls {shown}). To begin anew, move it away first.",
        )
    if not dry_run:
        try:
            shutil.copytree(site, layout.site_dir, ignore=_LEFT_OUT, dirs_exist_ok=True)
        except OSError as error:
            raise StackError(
                f"{shown}/ cannot be written: {error}.", fix=f"make {shown} writable and empty, then repeat."
            ) from error
    for entry in sorted(site.iterdir()):
        if entry.name != ".git":
            context.console.print(f"{'Would write' if dry_run else 'Wrote'} {_described(layout, entry)}.")
    _bring_secrets(context, site, dry_run=dry_run)
    if not dry_run:
        context.console.print(
            "Next: edit organization, admin and projects there, then make validate and make up."
        )
    return EXIT_OK


def _refuse_what_is_not_a_site(site: Path, source: str) -> None:
    if not (site / "stack.yaml").is_file():
        raise UsageError(
            f"{source} is not a site: there is no {source.rstrip('/')}/stack.yaml.",
            fix="name a directory that has one: make init FROM=examples/kosmos.",
        )


def _bring_secrets(context: Context, site: Path, *, dry_run: bool) -> None:
    """Copy secrets that receivers have already: alerts of a site look for them beside it."""
    layout = context.layout
    old = layout.root / SECRETS
    names = sorted(path.name for path in old.glob("[!.]*") if path.is_file())
    if not names or not (site / "alerts.yaml").is_file():
        return
    new = layout.site_dir / "alertmanager" / "secrets"
    if not dry_run:
        new.mkdir(parents=True, exist_ok=True)
        try:
            for name in names:
                _copy_with_owner(old / name, new / name)
        except OSError as error:
            context.console.warn(
                f"secrets of receivers were not copied ({error}): sudo cp -a {SECRETS}/. {layout.shown(new)}/"
            )
            return
    done = "Would copy" if dry_run else "Copied"
    context.console.print(f"{done} {', '.join(names)} to {layout.shown(new)}/.")


def _copy_with_owner(source: Path, target: Path) -> None:
    target.touch(mode=0o600)
    shutil.copy2(source, target)
    # Alertmanager's user has to read it, whom root may have made its owner.
    if os.getuid() == 0:
        owner = source.stat()
        os.chown(target, owner.st_uid, owner.st_gid)


def _described(layout: Layout, entry: Path) -> str:
    """Return what an entry of the site is called, and which file of the repository it replaces."""
    written = layout.shown(layout.site_dir / entry.name)
    if entry.is_dir():
        return f"{written}/"
    replaced = layout.root / "config" / entry.name
    return f"{written}, read instead of {layout.shown(replaced)}" if replaced.exists() else written
