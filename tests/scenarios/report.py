"""The table at the end of a rehearsal: which faults were injected, and what each one cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to a stack under load, and how many acknowledged spans could not be read afterwards."""

    scenario: str
    what: str
    acknowledged: int
    lost: int


@dataclass(slots=True)
class Report:
    """Collects the faults of one run."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, scenario: str, what: str, *, acknowledged: int, lost: int) -> None:
        """Write down one fault."""
        self.faults.append(Fault(scenario, what, acknowledged, lost))

    def lines(self, seconds: Mapping[str, float]) -> list[str]:
        """Return the table: a line each fault, and one each scenario without; empty when nothing ran.

        Args:
            seconds: how long each scenario took, by name.
        """
        rows = [("scenario", "seconds", "fault", "acknowledged", "lost")]
        for scenario, took in sorted(seconds.items()):
            shown = (scenario, f"{took:.0f}")
            faults = [one for one in self.faults if one.scenario == scenario]
            for fault in faults:
                rows.append((*shown, fault.what, str(fault.acknowledged), str(fault.lost)))
                shown = ("", "")
            if not faults:
                rows.append((*shown, "", "", ""))
        if len(rows) == 1:
            return []
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        lost = sum(fault.lost for fault in self.faults)
        total = f"{len(seconds)} scenarios, {len(self.faults)} faults under load, {lost} spans lost"
        return [line.rstrip() for line in lines] + [f"{total}, {sum(seconds.values()):.0f} s"]
