"""A container gets a password that its store does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.errors import EngineError
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack

BROKEN = Path(__file__).parent / "compose.yaml"


def test_up_fails_and_shows_which_service_complains_about_which_variable(
    shared: Stack, report: Report
) -> None:
    """It leaves nothing running that looks like a stack; with the right secret the same stack starts."""
    shared.down()
    report.add("wrong_secret", "web knows another REDIS_AUTH")
    try:
        with pytest.raises(EngineError) as caught:
            shared.with_files(BROKEN).up()
        assert "langfuse-web" in str(caught.value)
        assert "REDIS_AUTH" in str(caught.value)
        assert set(shared.leftovers()) == {"volumes"}
    finally:
        shared.up()
    assert shared.state().healthy
