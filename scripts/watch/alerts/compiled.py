"""What alerts.yaml is compiled to: rules for Prometheus, routing for Alertmanager; and dashboards."""

from __future__ import annotations

from pathlib import Path

from scripts.core.layout import Layout
from scripts.engines.base import EngineName
from scripts.engines.context import Context

from .document import load_alerts
from .model import AlertFile
from .routing import alertmanager_file
from .rules import rule_file


def compiled_files(layout: Layout, file: AlertFile) -> dict[Path, str]:
    """Return path -> text.

    Prometheus reads one directory, so beside alerts of the site are copies of the repository's other rules.
    The same holds for Grafana and dashboards.
    """
    config = layout.root / "config"
    rules = _copies(config / "prometheus" / "rules", layout.rules_dir, "*.yaml")
    return {
        **rules,
        layout.rules_dir / "alerts.yaml": rule_file(file),
        layout.alertmanager_dir / "alertmanager.yml": alertmanager_file(file),
        **_copies(config / "grafana" / "dashboards", layout.dashboards_dir, "*.json"),
    }


def _copies(shipped: Path, directory: Path, pattern: str) -> dict[Path, str]:
    """Return path -> text of what the repository ships, where the site has a directory for it."""
    if directory == shipped:
        return {}
    return {directory / path.name: path.read_text(encoding="utf-8") for path in sorted(shipped.glob(pattern))}


def stale_files(layout: Layout, file: AlertFile) -> dict[Path, str]:
    """Return those of `compiled_files` that are missing or have another text."""
    return {
        target: text
        for target, text in compiled_files(layout, file).items()
        if not target.exists() or target.read_text(encoding="utf-8") != text
    }


def compile_for_site(layout: Layout) -> bool:
    """Compile alerts of the site, which do not come compiled; return whether anything was written.

    Tracked files are left alone: with dashboards but no alerts, a site gets dashboards only.

    Raises:
        UsageError: the file has problems.
    """
    if not any((layout.site_dir / name).exists() for name in ("alerts.yaml", "grafana/dashboards")):
        return False
    found = stale_files(layout, load_alerts(*layout.edited("alerts.yaml")))
    stale = {target: text for target, text in found.items() if target.is_relative_to(layout.site_dir)}
    for target, text in stale.items():
        write_compiled(target, text)
    return bool(stale)


def reload_services(context: Context) -> list[str]:
    """Let the services of a running compose stack read what was compiled; return their names."""
    if context.remembered_engine() != EngineName.COMPOSE:
        return []
    compose = context.compose(context.settings())
    running = set(compose.run("ps", "--services", "--status", "running").stdout.split())
    reloaded: list[str] = [name for name in ("prometheus", "alertmanager") if name in running]
    if reloaded:
        compose.checked("kill", "--signal", "SIGHUP", *reloaded)
    if "exporter" in running:
        # It sees one file, and an editor that replaces the file leaves it with the old one.
        compose.checked("restart", "exporter")
        reloaded.append("exporter")
    return reloaded


def write_compiled(target: Path, text: str) -> None:
    """Replace the file in one step; readable by the services' users: it holds no secret."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(target)
