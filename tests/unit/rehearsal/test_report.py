"""The table at the end of a rehearsal."""

from __future__ import annotations

from tests.scenarios.report import Report


def test_faults_stand_beside_their_scenario_and_losses_are_added_up() -> None:
    report = Report()
    report.add("store_away", "postgres killed", acknowledged=300, lost=0)
    report.add("store_away", "valkey killed", acknowledged=100, lost=2)
    assert report.lines({"store_away": 61.2, "port_taken": 1.4}) == [
        "scenario    seconds  fault            acknowledged  lost",
        "port_taken  1",
        "store_away  61       postgres killed  300           0",
        "                     valkey killed    100           2",
        "2 scenarios, 2 faults under load, 2 spans lost, 63 s",
    ]


def test_nothing_is_printed_when_no_scenario_ran() -> None:
    assert Report().lines({}) == []
