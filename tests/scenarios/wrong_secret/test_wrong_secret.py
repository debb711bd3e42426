"""A container gets a password that its store does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.errors import EngineError
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack

BROKEN = Path(__file__).parent / "compose.yaml"


def test_up_fails_and_shows_which_service_complains_about_which_variable(
    stack: Stack, report: Report
) -> None:
    """It leaves nothing of a first start; with the right secret the same stack starts."""
    report.add("wrong_secret", "web knows another REDIS_AUTH")
    with pytest.raises(EngineError) as caught:
        stack.with_files(BROKEN).up()
    assert "langfuse-web" in str(caught.value)
    assert "REDIS_AUTH" in str(caught.value)
    assert stack.leftovers() == {}
    stack.up()
    assert stack.state().healthy
