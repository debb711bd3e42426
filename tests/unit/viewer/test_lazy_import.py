"""Who opens no page does not pay for templates."""

from __future__ import annotations

import subprocess
import sys


def test_the_application_starts_without_templates() -> None:
    program = "import langfuse_embedded.app, sys; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
