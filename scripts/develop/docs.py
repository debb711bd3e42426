"""`docs`: write the documents that are generated from the code, or check that they are up to date."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scripts.check.capacity.reference import capacity_page
from scripts.check.doctor.reference import doctor_page
from scripts.core.errors import EXIT_OK, StackError
from scripts.engines.context import Context
from scripts.images.pinned import image_versions_page
from scripts.provision.schema import content_schema, stack_schema
from scripts.settings.render import env_example, environment_page
from scripts.settings.table import GROUPS


def generated_documents() -> Mapping[str, str]:
    """Return the text of every generated document by its path in the repository."""
    return {
        ".env.example": env_example(GROUPS),
        "docs/reference/environment.md": environment_page(GROUPS),
        "docs/reference/capacity.md": capacity_page(),
        "docs/reference/doctor.md": doctor_page(),
        "docs/reference/image-versions.md": image_versions_page(),
        "config/schema/stack.schema.json": stack_schema(),
        "config/schema/content.schema.json": content_schema(),
    }


def stale_documents(root: Path) -> list[str]:
    """Return the paths of generated documents that are absent or differ from what the code says."""
    return [name for name, text in generated_documents().items() if _read(root / name) != text]


def docs(context: Context, *, check: bool) -> int:
    """The command: write the stale documents. Raises StackError with `check` when there are any."""
    root = context.layout.root
    stale = stale_documents(root)
    if check and stale:
        raise StackError(f"Out of date: {', '.join(stale)}.", fix="run make docs and commit the result.")
    for name in stale:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(generated_documents()[name], encoding="utf-8")
        context.console.print(f"wrote {name}")
    return EXIT_OK


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
