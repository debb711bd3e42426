"""The engine answers recorded requests as a recorded server did, in the order of the recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accepted_differences import accepted_cases

from .harness import Keys
from .replay import Replay, Report, read_recording, recorded_engine

# The recorded project, so that neither keys nor ids of the project have to be mapped.
_KEYS = Keys("seed-project", "pk-lf-reference", "sk-lf-reference")
_ENVIRONMENT = {
    "ADMIN_API_KEY": "admin-key-reference",
    "EMBEDDED_COMPAT": "4.16.0",
    "LANGFUSE_INIT_ORG_ID": "seed-org",
    "LANGFUSE_INIT_ORG_NAME": "Seed Org",
    "LANGFUSE_INIT_PROJECT_NAME": "Seed Project",
}
_DUAL = {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Replay]:
    """A replay against an empty engine that holds the recorded project."""
    with recorded_engine(tmp_path, _KEYS, _ENVIRONMENT) as client:
        yield Replay(client)


def require_explained(suite: str, report: Report) -> None:
    """Fail on differences that are not accepted, and on accepted ones that are gone; show all by route."""
    print(f"{suite}\n{report.by_route()}")
    accepted = accepted_cases(suite)
    unexplained = {name: text for name, text in report.differences.items() if name not in accepted}
    assert unexplained == {}, f"{suite}: {len(unexplained)} differences\n{report.by_route()}"
    assert sorted(accepted.keys() - report.differences.keys()) == []


def test_hand_written_requests_are_answered_as_recorded(replay: Replay, reference_dir: Path) -> None:
    report = replay.run(read_recording(reference_dir / "recordings" / "raw_events_only.jsonl"))
    require_explained("raw_events_only", report)
    assert report.share >= 0.98


def test_requests_of_the_sdks_are_answered_as_recorded(replay: Replay, reference_dir: Path) -> None:
    # One after the other, as recorded: the second finds the media of the first.
    for suite in ("sdk5_events_only", "sdk418_events_only"):
        report = replay.run(read_recording(reference_dir / "recordings" / f"{suite}.jsonl"))
        require_explained(suite, report)


@pytest.mark.slow
def test_requests_of_the_official_suite_are_answered_as_recorded(tmp_path: Path, reference_dir: Path) -> None:
    with recorded_engine(tmp_path, _KEYS, _ENVIRONMENT | _DUAL) as client:
        recording = reference_dir / "recordings" / "python_sdk_4.14_e2e_dual.jsonl.gz"
        report = Replay(client, concurrent=True).run(read_recording(recording))
    require_explained("python_sdk_e2e_dual", report)
    assert report.share >= 0.98
