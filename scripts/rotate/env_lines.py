"""Give settings in `.env` other values; every other line stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from scripts.core.layout import write_private


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Return the text of an env file with other values; a name that is absent is added."""
    for name, value in values.items():
        line = re.compile(rf"^(\s*(?:export\s+)?{re.escape(name)}\s*=).*$", re.MULTILINE)
        if line.search(text):
            text = line.sub(rf"\g<1>{value.replace(chr(92), chr(92) * 2)}", text)
        else:
            text = f"{text.rstrip(chr(10))}\n{name}={value}\n"
    return text


def write_values(path: Path, values: Mapping[str, str]) -> None:
    """Change the file in one step; it stays readable by its owner only."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    write_private(path, with_values(text, values))
