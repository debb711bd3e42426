"""Which servers the SDKs of applications work with."""

from __future__ import annotations

import pytest

from scripts.core.compatibility import supported_sdks, version_of


@pytest.mark.parametrize(
    ("server", "sdk4", "sdk5"),
    [("4.59.0", True, True), ("4.60.1-rc.1", True, True), ("4.58.9", True, False), ("v4.15.0", False, False)],
)
def test_each_line_of_sdks_has_its_oldest_server(server: str, sdk4: bool, sdk5: bool) -> None:
    assert supported_sdks(server) == {"python-4": sdk4, "python-5": sdk5}


@pytest.mark.parametrize("server", ["", "unknown", "4"])
def test_of_an_unknown_version_nothing_is_said(server: str) -> None:
    assert supported_sdks(server) == {}


def test_versions_are_numbers_not_texts() -> None:
    assert version_of("4.100.0") > version_of("4.59.0")
