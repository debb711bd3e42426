"""Charts are rendered by helm where it is, else by its library; what goes wrong is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from scripts.config.kubernetes.chart import render_chart
from scripts.core.errors import StackError, UsageError
from scripts.core.runner import SubprocessRunner

from .conftest import ROOT

_CHART = Path(__file__).with_name("chart")
_VALUES = {"langfuse": {"salt": "of athena"}, "clickhouse": {"deploy": True}}
_PYTHON = ROOT / ".venv-tools" / "bin" / "python"


def _has_library() -> bool:
    argv = [str(_PYTHON), "-c", "import helm_python"]
    return _PYTHON.exists() and subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _fake_helm(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = directory / "bin" / "helm"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.fixture
def no_helm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take helm from the PATH."""
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "helm" else found(name))


@pytest.mark.skipif(
    not _has_library(), reason="Helm's library is not in .venv-tools: make .venv-tools/.runtime"
)
@pytest.mark.usefixtures("no_helm")
@pytest.mark.parametrize("packed", [False, True])
def test_the_library_renders_and_passes_on_a_refusal(tmp_path: Path, packed: bool) -> None:
    runner, chart = SubprocessRunner(tmp_path), _CHART
    if packed:
        chart = tmp_path / "athena-1.0.0.tgz"
        with tarfile.open(chart, "w:gz") as archive:
            archive.add(_CHART, "athena")
    (made,) = render_chart(runner, ROOT, chart, _VALUES, release="zeus", namespace="olympus")
    assert made["metadata"] == {"name": "zeus-web", "namespace": "olympus"}
    assert made["spec"]["selector"] == {"salt": "of athena", "checked": "false"}
    with pytest.raises(StackError, match="could not be rendered") as error:
        render_chart(runner, ROOT, _CHART, {"langfuse": {"salt": ""}}, release="zeus", namespace="olympus")
    assert "langfuse.salt is required" in str(error.value)


def test_helm_on_the_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_helm(tmp_path, f'echo "$@" > {tmp_path}/argv; cat', monkeypatch)
    (made,) = render_chart(
        SubprocessRunner(tmp_path), ROOT, _CHART, _VALUES, release="zeus", namespace="olympus"
    )
    assert made == {**_VALUES, "clickhouse": {"deploy": True, "crdCheck": False}}
    argv = (tmp_path / "argv").read_text().strip()
    assert argv == f"template zeus {_CHART} --namespace olympus --values -"


def test_what_helm_says_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_helm(tmp_path, 'echo "missing in charts/ directory: postgres" >&2; exit 1', monkeypatch)
    with pytest.raises(StackError, match="could not be rendered") as error:
        render_chart(SubprocessRunner(tmp_path), ROOT, _CHART, _VALUES, release="zeus", namespace="olympus")
    assert "missing in charts/ directory: postgres" in str(error.value)
    assert "helm dependency build" in str(error.value)


@pytest.mark.usefixtures("no_helm")
def test_without_helm_and_library_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Nothing here renders charts"):
        render_chart(
            SubprocessRunner(tmp_path), tmp_path, _CHART, _VALUES, release="zeus", namespace="olympus"
        )
