"""Credentials that come back with a backup lead to the stack that they came to."""

from __future__ import annotations

from pathlib import Path

from scripts.data.backup.restoring import point_here


def test_restored_credentials_name_this_stack(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    text = "# kosmos\nLANGFUSE_PUBLIC_KEY=pk-lf-test\nLANGFUSE_BASE_URL={url}\nLANGFUSE_HOST={url}\n"
    files = (tmp_path / "kosmos.env", tmp_path / "keys" / "kosmos.second.env")
    for path in files:
        path.write_text(text.format(url="http://localhost:3000"))
    point_here(tmp_path, "http://localhost:3100")
    for path in files:
        assert path.read_text() == text.format(url="http://localhost:3100")
        assert path.stat().st_mode & 0o777 == 0o600
