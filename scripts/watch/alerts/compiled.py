"""What alerts.yaml is compiled to: rules for Prometheus, routing for Alertmanager."""

from __future__ import annotations

from pathlib import Path

from scripts.core.layout import Layout

from .document import load_alerts
from .model import AlertFile
from .routing import alertmanager_file
from .rules import rule_file


def compiled_files(layout: Layout, file: AlertFile) -> dict[Path, str]:
    """Return path -> text.

    Prometheus reads one directory, so beside alerts of the site are copies of the repository's other rules.
    """
    shipped = layout.root / "config" / "prometheus" / "rules"
    copies = (
        {} if layout.rules_dir == shipped else {path.name: path for path in sorted(shipped.glob("*.yaml"))}
    )
    copies.pop("alerts.yaml", None)
    return {
        layout.rules_dir / "alerts.yaml": rule_file(file),
        layout.alertmanager_dir / "alertmanager.yml": alertmanager_file(file),
        **{layout.rules_dir / name: path.read_text(encoding="utf-8") for name, path in copies.items()},
    }


def stale_files(layout: Layout, file: AlertFile) -> dict[Path, str]:
    """Return those of `compiled_files` that are missing or have another text."""
    return {
        target: text
        for target, text in compiled_files(layout, file).items()
        if not target.exists() or target.read_text(encoding="utf-8") != text
    }


def compile_for_site(layout: Layout) -> None:
    """Compile alerts of the site, whose compiled files do not come with the repository.

    Raises:
        UsageError: the file has problems.
    """
    if (layout.site_dir / "alerts.yaml").exists():
        for target, text in stale_files(layout, load_alerts(*layout.edited("alerts.yaml"))).items():
            write_compiled(target, text)


def write_compiled(target: Path, text: str) -> None:
    """Replace the file in one step; readable by the services' users: it holds no secret."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(target)
