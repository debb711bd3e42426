"""POSTGRES_PASSWORD in `.env` is no longer the one that the database was created with."""

from __future__ import annotations

import pytest

from scripts.core.errors import EngineError
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, wait_readable


def test_up_says_that_the_database_keeps_its_password_and_loses_nothing(
    shared: Stack, report: Report
) -> None:
    """With the old password back, data and keys are as they were."""
    file, text = shared.context.layout.env_file, shared.context.layout.env_file.read_text()
    password = shared.env()["POSTGRES_PASSWORD"]
    trace_id, span_ids = new_id(16), {new_id(8)}
    with shared.client() as client:
        assert export(client, trace_id, sorted(span_ids)).status_code == 200
        assert wait_readable(client, trace_id, span_ids) == set()
    shared.down()
    try:
        file.write_text(text.replace(password, password[::-1]))
        with pytest.raises(EngineError) as caught:
            shared.up()
        assert "postgres" in str(caught.value)
        assert "a store keeps the password that it was created with" in caught.value.fix
        assert set(shared.leftovers()) == {"volumes"}
    finally:
        file.write_text(text)
        shared.up()
    with shared.client() as client:
        lost = wait_readable(client, trace_id, span_ids)
    report.add("wrong_password", "another password", acknowledged=len(span_ids), lost=len(lost))
    assert lost == set()
