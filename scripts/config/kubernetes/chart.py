"""Render a Helm chart: with `helm` where it is on the PATH, else with Helm's library in `.venv-tools`.

Who installs a chart has helm, and its own version decides. The library is for tests and hosts without it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.core.errors import StackError, UsageError
from scripts.core.runner import Runner

_LIBRARY = Path(__file__).with_name("helm_library.py")
_TOOLS = Path(".venv-tools/bin/python")
_NO_LIBRARY = 3


def render_chart(
    runner: Runner, root: Path, chart: Path, values: Mapping[str, Any], *, release: str, namespace: str
) -> list[dict[str, Any]]:
    """Return the objects that a chart makes of values; `chart` is its directory or .tgz, `root` the checkout.

    No cluster is asked: its definitions of ClickHouse's operator are taken to be there.

    Raises:
        StackError: the chart refuses the values, or cannot be read.
        UsageError: `chart` is not there, or nothing here renders charts.
    """
    if not (chart / "Chart.yaml").is_file() and not (chart.is_file() and chart.suffix == ".tgz"):
        raise UsageError(
            f"{chart} is not a chart: neither a directory with Chart.yaml nor a .tgz.",
            fix="helm pull langfuse/langfuse --version 2.0.0, then CHART=langfuse-2.0.0.tgz.",
        )
    offline = {**values, "clickhouse": {**values.get("clickhouse", {}), "crdCheck": False}}
    if shutil.which("helm"):
        argv = ["helm", "template", release, str(chart), "--namespace", namespace, "--values", "-"]
        given = yaml.safe_dump(offline)
    else:
        if not (root / _TOOLS).exists():
            raise _nothing_renders()
        argv = [str(root / _TOOLS), str(_LIBRARY), str(chart), release, namespace]
        given = json.dumps(offline)
    done = runner.run(argv, stdin=given, timeout_s=120)
    if argv[0] != "helm" and done.returncode == _NO_LIBRARY:
        raise _nothing_renders()
    if done.returncode:
        raise StackError(
            f"The chart in {chart} could not be rendered.",
            fix="if charts that it depends on are missing: helm dependency build, or the .tgz of helm pull.",
            details=done.stderr.strip().splitlines()[-5:],
        )
    return [one for one in yaml.safe_load_all(done.stdout) if isinstance(one, dict)]


def _nothing_renders() -> UsageError:
    return UsageError(
        "Nothing here renders charts: no helm on the PATH, no Helm library in .venv-tools.",
        fix="install helm, or run make .venv-tools/.runtime (Linux, x86-64).",
    )
