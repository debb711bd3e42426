"""Variables of compose.yaml with their values, as Docker Compose reads them."""

from __future__ import annotations

import re

import pytest

from scripts.config.kubernetes.interpolate import interpolate
from scripts.core.errors import SettingsError

from .conftest import ROOT

_VALUES = {"NAME": "zeus", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${NAME}", "zeus"),
        ("a-${NAME}-b", "a-zeus-b"),
        ("${NAME}${NAME}", "zeuszeus"),
        ("${NAME:-other}", "zeus"),
        ("${MISSING:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY-other}", ""),
        ("${MISSING-other}", "other"),
        ("${MISSING:-http://${NAME}:80}/x", "http://zeus:80/x"),
        ("${MISSING:-${EMPTY:-deep}}", "deep"),
        ("${MISSING}", ""),
        ("${NAME:?needed}", "zeus"),
    ],
)
def test_values_take_the_place_of_names(text: str, expected: str) -> None:
    assert interpolate(text, _VALUES) == expected


@pytest.mark.parametrize("text", ["${MISSING:?do so}", "${EMPTY:?do so}", "${MISSING?do so}"])
def test_what_is_required_and_missing_is_named(text: str) -> None:
    with pytest.raises(SettingsError) as error:
        interpolate(text, _VALUES)
    assert "is not set" in str(error.value)


def test_an_open_brace_is_named() -> None:
    with pytest.raises(SettingsError, match="not closed"):
        interpolate("${NAME", _VALUES)


def test_no_form_of_compose_yaml_is_left_over() -> None:
    text = (ROOT / "compose.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    optional = re.sub(r"(\$\{\w+):?\?", r"\1:-", "\n".join(lines))
    assert "${" not in interpolate(optional, {})
