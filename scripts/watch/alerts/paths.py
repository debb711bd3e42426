"""Where the files of the alerts are."""

from __future__ import annotations

from pathlib import Path

from scripts.engines.context import Context


def alerts_file(context: Context) -> Path:
    """Return the file that people edit."""
    return context.layout.root / "config" / "alerts.yaml"


def compiled_rules(context: Context) -> Path:
    """Return where Prometheus reads the compiled rules."""
    return context.layout.root / "config" / "prometheus" / "rules" / "alerts.yaml"


def compiled_routing(context: Context) -> Path:
    """Return where Alertmanager reads its configuration."""
    return context.layout.root / "config" / "alertmanager" / "alertmanager.yml"


def secrets_dir(context: Context) -> Path:
    """Return where the files with the secrets of receivers are."""
    return context.layout.root / "config" / "alertmanager" / "secrets"


def write_compiled(target: Path, text: str) -> None:
    """Replace the file in one step; readable by the services' users: it holds no secret."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(target)
