"""The table at the end of a rehearsal."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.scenarios.report import Report, Table


def result(
    test: str, when: Literal["setup", "call", "teardown"], seconds: float, report: Report
) -> pytest.TestReport:
    """Return what pytest says after a phase of a test, with the faults that were written down until then."""
    return pytest.TestReport(
        nodeid=f"tests/{test}",
        location=("", None, ""),
        keywords={},
        outcome="passed",
        longrepr=None,
        when=when,
        duration=seconds,
        user_properties=list(report.properties),
    )


def test_faults_stand_beside_their_scenario_once_and_losses_are_added_up() -> None:
    table, away, taken = Table(), Report([]), Report([])
    away.add("store_away", "postgres killed", acknowledged=300, lost=0)
    away.add("store_away", "valkey killed", acknowledged=100, lost=2)
    taken.add("port_taken", "LANGFUSE_PORT taken")
    taken.measured("image: 100 MB")
    for one in (
        result("scenarios/store_away/test_store_away.py::test_one@shared", "call", 60.0, away),
        result("scenarios/store_away/test_store_away.py::test_one@shared", "teardown", 1.2, away),
        result("scenarios/port_taken/test_port_taken.py::test_two", "teardown", 1.4, taken),
        result("scenarios/tls/test_tls.py::test_three", "call", 2.0, Report([])),
        result("unit/test_other.py::test_four", "call", 9.0, Report([])),
    ):
        table.pytest_runtest_logreport(one)
    assert table.lines() == [
        "scenario    seconds  fault                acknowledged  lost",
        "port_taken  1        LANGFUSE_PORT taken",
        "store_away  61       postgres killed      300           0",
        "                     valkey killed        100           2",
        "tls         2",
        "3 scenarios, 3 faults, 2 of 400 acknowledged spans lost",
        "image: 100 MB",
    ]


def test_pytest_can_keep_tables_apart() -> None:
    assert len({Table(), Table()}) == 2
