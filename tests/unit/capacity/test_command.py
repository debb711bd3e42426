"""The capacity command: the size it recommends, what it writes, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.check.capacity.command import capacity
from scripts.check.capacity.lines import lines_of
from scripts.check.capacity.model import Load, plan_for
from scripts.check.capacity.plot import disk_plot, nice_ceiling
from scripts.check.capacity.sizes import size_for
from scripts.core.console import Console
from scripts.core.errors import UsageError
from scripts.core.layout import default_layout
from scripts.core.runner import SubprocessRunner
from scripts.engines.context import Context

_ROOT = Path(__file__).resolve().parents[3]
_SIZES = _ROOT / "config" / "sizes"


@pytest.mark.parametrize(
    ("load", "size"),
    [
        (Load(1.0, retention_days=30), "small"),
        (Load(5.0, retention_days=90), "medium"),
        (Load(30.0, retention_days=90), "large"),
        (Load(200.0, retention_days=90), None),
        (Load(1.0, retention_days=30, available=True), None),
    ],
)
def test_the_smallest_size_that_carries_a_load_is_named(load: Load, size: str | None) -> None:
    assert size_for(plan_for(load), _SIZES) == size


def test_lines_fit_a_terminal_and_say_where_to_go() -> None:
    small, large = plan_for(Load(1.0)), plan_for(Load(2000.0, retention_days=365, available=True))
    assert max(map(len, [*lines_of(small, "small"), *lines_of(large, None)])) <= 80
    assert any("STACK_SIZE=small" in line for line in lines_of(small, "small"))
    assert any("scale-out.md" in line for line in lines_of(large, None))


def test_the_plot_is_svg_and_ends_at_the_size_of_the_disks() -> None:
    load = Load(10.0, payload_bytes=10_240, retention_days=30, events_days=7)
    plot = disk_plot(load)
    assert plot.startswith("<svg ")
    assert ">clickhouse, 124</text>" in plot
    assert ">objects, 63</text>" in plot


def test_external_stores_are_not_this_host_s_part(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What they need is said all the same, and the size is that of what is left."""
    load = Load(5.0, retention_days=90)
    env = tmp_path / ".env"
    env.write_text(
        "CLICKHOUSE_URL=http://ch.acme.example:8123\nDATABASE_URL=postgresql://acme:obviously-fake@pg/langfuse\n"
    )
    context = _context()
    context = replace(context, layout=replace(context.layout, env_file=env))
    assert capacity(context, load, into=None, as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["external"] == ["postgres", "clickhouse"]
    assert (answer["size"], size_for(plan_for(load), _SIZES)) == ("ci", "medium")
    assert capacity(context, load, into=None, as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    together, here = (next(line for line in lines if line.startswith(word)) for word in ("together", "here"))
    plan = plan_for(load)
    elsewhere = [need for need in plan.needs if need.service in ("postgres", "clickhouse")]
    disk = sum(need.disk_gib * need.replicas for need in elsewhere)
    assert float(together.split()[-1]) - float(here.split()[-1]) == pytest.approx(disk, abs=1)
    assert "Run elsewhere, as .env says: postgres, clickhouse. What is above for them is" in lines
    assert max(map(len, lines)) <= 80


def test_json_has_the_plan_and_the_size(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert (
        capacity(_context(), Load(1.0, retention_days=30), into=tmp_path / "a" / "disks.svg", as_json=True)
        == 0
    )
    answer = json.loads(capsys.readouterr().out)
    assert answer["size"] == "small"
    assert {need["service"] for need in answer["needs"]} >= {"web", "worker", "clickhouse"}
    assert (tmp_path / "a" / "disks.svg").read_text().startswith("<svg ")


@pytest.mark.parametrize(
    ("load", "option"),
    [
        (Load(0.0), "--spans-per-s"),
        (Load(float("-1")), "--spans-per-s"),
        (Load(1.0, peak=0.5), "--peak"),
        (Load(1.0, payload_bytes=0), "--payload-bytes"),
        (Load(1.0, retention_days=0), "--retention-days"),
        (Load(1.0, events_days=-1), "--events-days"),
        (Load(1.0, backup_days=-1), "--backup-days"),
        (Load(1.0, media_gib_per_day=-1), "--media-gib"),
        (Load(float("nan")), "--spans-per-s"),
        (Load(float("inf")), "--spans-per-s"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(load: Load, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        capacity(_context(), load, into=None, as_json=False)


def _context() -> Context:
    return Context(default_layout(_ROOT, {}), {}, Console({}), SubprocessRunner(_ROOT))


@pytest.mark.parametrize(
    ("value", "ceiling"), [(0, 1), (0.03, 0.05), (1, 1), (1.01, 2), (2.5, 5), (7, 10), (1000, 1000)]
)
def test_an_axis_ends_at_a_round_number(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)
