"""An image is neither here nor in a registry that answers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scripts.core.errors import UsageError
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack

BROKEN = Path(__file__).parent / "compose.yaml"
SAID_WITHIN_S = 10


def test_up_names_the_missing_image_within_ten_seconds(stack: Stack, report: Report) -> None:
    """And says how to bring it, instead of trying to pull for minutes."""
    report.add("image_missing", "image and registry away")
    begin = time.monotonic()
    with pytest.raises(UsageError) as caught:
        stack.with_files(BROKEN).up()
    assert time.monotonic() - begin < SAID_WITHIN_S
    assert "1 of 6 images" in caught.value.message
    assert "localhost:1/langfuse-stack-rehearsal/absent:0" in caught.value.message
    assert "make images-load" in caught.value.fix
    assert stack.leftovers() == {}
