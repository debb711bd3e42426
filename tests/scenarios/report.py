"""The table at the end of a rehearsal: faults that were injected, what each cost, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

FAULT = "fault"
"""The property of a test's result that holds a fault: results come from other processes, too."""
FIGURE = "figure"
"""The same for what was measured, in words."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to a stack, and how many acknowledged spans could not be read afterwards."""

    scenario: str
    what: str
    acknowledged: int
    lost: int


@dataclass(frozen=True, slots=True)
class Report:
    """Takes the faults of one test; `properties` are those of its result."""

    properties: list[tuple[str, object]]

    def add(self, scenario: str, what: str, *, acknowledged: int = 0, lost: int = 0) -> None:
        """Write down one fault; without spans when nothing is to survive but the stack."""
        self.properties.append((FAULT, (scenario, what, acknowledged, lost)))

    def measured(self, text: str) -> None:
        """Write down a figure, in words."""
        self.properties.append((FIGURE, text))


@dataclass(slots=True, eq=False)
class Table:
    """A pytest plugin that collects what all tests of a run have written down, and prints it.

    It is equal to itself only, as pytest keeps plugins in sets.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up the time of each scenario; take its faults from the last phase, which has all."""
        scenario = Path(report.nodeid.partition("::")[0]).parent
        if not scenario.is_relative_to("tests/scenarios"):
            return
        self.seconds[scenario.name] = self.seconds.get(scenario.name, 0.0) + report.duration
        if report.when == "teardown":
            self.faults += [Fault(*value) for name, value in report.user_properties if name == FAULT]
            self.figures += [str(value) for name, value in report.user_properties if name == FIGURE]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what was tried and what was lost."""
        if self.seconds:
            terminalreporter.section("scenarios")
            for line in self.lines():
                terminalreporter.write_line(line)

    def lines(self) -> list[str]:
        """Return the table: a line each fault, and one each scenario without."""
        rows = [("scenario", "seconds", "fault", "acknowledged", "lost")]
        for scenario, took in sorted(self.seconds.items()):
            shown = (scenario, f"{took:.0f}")
            faults = [one for one in self.faults if one.scenario == scenario]
            for fault in faults:
                rows.append((*shown, fault.what, *_spans(fault)))
                shown = ("", "")
            if not faults:
                rows.append((*shown, "", "", ""))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        acknowledged = sum(one.acknowledged for one in self.faults)
        lost = sum(one.lost for one in self.faults)
        total = f"{len(self.seconds)} scenarios, {len(self.faults)} faults"
        return [
            *(line.rstrip() for line in lines),
            f"{total}, {lost} of {acknowledged} acknowledged spans lost",
            *self.figures,
        ]


def _spans(fault: Fault) -> tuple[str, str]:
    return (str(fault.acknowledged), str(fault.lost)) if fault.acknowledged else ("", "")
