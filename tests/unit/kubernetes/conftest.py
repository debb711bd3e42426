"""A checkout with settings of its own, and what the command renders from it."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.config.kubernetes import command
from scripts.config.kubernetes.rules import View
from scripts.core.console import Console
from scripts.core.layout import default_layout
from scripts.core.runner import SubprocessRunner
from scripts.engines.context import Context
from scripts.settings.problem import Problem
from scripts.settings.table import SETTINGS

ROOT = Path(__file__).resolve().parents[3]
CHART = Path(os.environ.get("LANGFUSE_CHART") or "none")
"""Directory or .tgz of chart `langfuse` 2.0.0, which is not part of this repository."""
needs_chart = pytest.mark.skipif(not CHART.exists(), reason="set LANGFUSE_CHART to chart langfuse 2.0.0")
WITHIN_REACH = {
    "NEXTAUTH_URL": "https://langfuse.acme.example",
    "S3_PUBLIC_ENDPOINT": "https://s3.acme.example",
}


class Checkout:
    """A directory with the files that the command reads, and made-up secrets in `.env`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.err = io.StringIO()
        self.out = io.StringIO()
        shutil.copy(ROOT / "compose.yaml", root)
        shutil.copytree(ROOT / "config", root / "config")
        generated = {setting.name: setting.generate() for setting in SETTINGS if setting.generate}
        self.secrets = {name: value for name, value in generated.items() if len(value) >= 8}
        self.write({**generated, **WITHIN_REACH})
        credentials = root / ".stack" / "credentials"
        credentials.mkdir(parents=True)
        (root / ".venv-tools").symlink_to(ROOT / ".venv-tools")
        (credentials / "kosmos.env").write_text("LANGFUSE_SECRET_KEY=sk-lf-test-kosmos-secret\n")
        self.secrets["a project's key"] = "sk-lf-test-kosmos-secret"

    def write(self, values: dict[str, str]) -> None:
        """Set lines of `.env`."""
        with (self.root / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())

    def unset(self, *names: str) -> None:
        """Take lines out of `.env`."""
        path = self.root / ".env"
        lines = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in names]
        path.write_text("\n".join(lines) + "\n")

    def run(self, **options: Any) -> int:
        """Run the command and return its exit code."""
        chosen: dict[str, Any] = {
            "environment": "",
            "size": "",
            "release": "langfuse",
            "namespace": "",
            "monitoring_namespace": "monitoring",
            "operator_namespace": "clickhouse-operator-system",
            "ingress": "",
            "issuer": "",
            "autoscale": "",
            "prometheus_url": "",
            "cloudnative_pg": False,
            "registry": "",
            "with_secrets": True,
            "replicas": (0, 0, 0),
            "disks_gib": (0, 0),
        }
        context = Context(
            default_layout(self.root, {}), {}, Console({}, self.out, self.err), SubprocessRunner(self.root)
        )
        return command.kubernetes_render(context, into=self.root / "out", **{**chosen, **options})

    def render(self, **options: Any) -> dict[str, str]:
        """Return the text of each file that the command writes."""
        shutil.rmtree(self.root / "out", ignore_errors=True)
        assert self.run(**options) == 0, self.err.getvalue()
        return {path.name: path.read_text() for path in sorted((self.root / "out").iterdir())}

    def view(self, **options: Any) -> View:
        """Return what the rules look at."""
        seen: list[View] = []

        def look(view: View) -> list[Problem]:
            seen.append(view)
            return []

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "check", look)
            self.render(**options)
        return seen[0]


def objects_of(found: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return objects by kind and name."""
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout as `make up` leaves it, but for addresses that a cluster reaches."""
    return Checkout(tmp_path)


@pytest.fixture
def objects() -> Callable[[str], list[dict[str, Any]]]:
    """Read the objects of a file."""
    return lambda text: list(yaml.safe_load_all(text))
