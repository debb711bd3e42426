"""What counts as a difference when known things are read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.data.backup import proof
from scripts.data.backup.manifest import Contents, Sample

SAMPLE = Sample("trace", "kosmos", "a1", {"observations": 5, "sha256": "x"})


@pytest.mark.parametrize(
    ("found", "live", "differs"),
    [
        ({"observations": 5, "sha256": "x"}, False, 0),
        ({"observations": 6, "sha256": "y"}, True, 0),
        ({"observations": 6, "sha256": "y"}, False, 2),
        ({"observations": 5, "sha256": "y"}, True, 1),
        ({"observations": 4, "sha256": "y"}, True, 2),
    ],
)
def test_only_where_applications_write_a_trace_may_have_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: dict[str, object], live: bool, differs: int
) -> None:
    keys = "LANGFUSE_PUBLIC_KEY=pk-lf-test\nLANGFUSE_SECRET_KEY=sk-lf-test\n"
    (tmp_path / "kosmos.env").write_text(keys)
    monkeypatch.setattr(proof, "_READERS", {"trace": lambda *_: found})
    contents = Contents({}, {}, [SAMPLE])
    problems, read = proof.read_back("http://127.0.0.1:9", tmp_path, contents, live=live)
    assert (len(problems), read) == (differs, 1)
