"""Another program listens on a port that the stack publishes."""

from __future__ import annotations

import socket

import pytest

from scripts.core.errors import EngineError
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack


@pytest.mark.parametrize("setting", ["LANGFUSE_PORT", "S3_PORT"])
def test_up_names_the_port_and_its_holder_and_starts_nothing(
    stack: Stack, report: Report, setting: str
) -> None:
    """Found before any container is made."""
    port = int(stack.context.environment[setting])
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        report.add("port_taken", f"{setting} taken")
        with pytest.raises(
            EngineError, match=rf"Port {port} \({setting}\) is taken by .*process \d+"
        ) as caught:
            stack.up()
    assert f"unset {setting}; echo {setting}=" in caught.value.fix
    assert stack.leftovers() == {}
    assert not stack.context.layout.env_file.exists()
