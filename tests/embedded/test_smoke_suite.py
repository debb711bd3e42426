"""The smoke tests wait for late data, and fail tellingly where they must.

That all of them pass, with both SDK lines, is seen by `python -m scripts selftest`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from scripts.watch.alerts.queries import OWN_ENVIRONMENTS

from .conftest import StartEngine
from .harness import REPOSITORY, Keys, RunningEngine

TIMEOUT = 240.0

OK, FAILED, WRONG_USE = 0, 1, 2


def write_credentials(stack: Path, engine: RunningEngine, *projects: Keys) -> None:
    """Leave the files that bootstrap leaves, the first project named so that it is found first."""
    (stack / "credentials").mkdir(parents=True)
    for number, keys in enumerate(projects):
        (stack / "credentials" / f"{number}-{keys.project_id}.env").write_text(
            f"LANGFUSE_BASE_URL={engine.base_url}\n"
            f"LANGFUSE_PUBLIC_KEY={keys.public_key}\nLANGFUSE_SECRET_KEY={keys.secret_key}\n"
        )


def run_smoke_tests(
    stack: Path, *arguments: str, python: str = sys.executable, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the suite as `make smoke` does, with nothing of the caller's environment that could steer it."""
    steering = ("LANGFUSE_", "OTEL_", "PYTEST_", "SMOKE_", "BASE_URL", "PROJECT", "STACK_DIR")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "smoke_tests", *arguments],
        cwd=REPOSITORY,
        env={**inherited, "STACK_DIR": str(stack), **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def outcomes(output: str) -> dict[str, int]:
    """Return the numbers of pytest's last line: passed, failed, skipped, errors."""
    last = output.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}


def test_a_server_that_shows_data_late_is_waited_for(start_engine: StartEngine, tmp_path: Path) -> None:
    engine = start_engine(INGEST_LAG_MS="300")
    write_credentials(tmp_path / "stack", engine, engine.keys)
    done = run_smoke_tests(tmp_path / "stack", "-k", "readable")
    assert done.returncode == OK, done.stdout[-8000:]
    measured = re.search(r"^span +median +(\d+\.\d+) s", done.stdout, re.MULTILINE)
    assert measured is not None
    assert float(measured[1]) >= 0.25
    assert re.search(r"^score +median +\d+\.\d+ s +max +\d+\.\d+ s +n=5 ", done.stdout, re.MULTILINE)
    assert f"at {engine.base_url}" in done.stdout


def test_a_server_that_loses_the_scores_of_this_sdk_is_named_as_a_wrong_pair(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    engine = start_engine(EMBEDDED_COMPAT="4.16.0")
    write_credentials(tmp_path / "stack", engine, engine.keys)
    done = run_smoke_tests(
        tmp_path / "stack", "-k", "pair or voice_turn", variables={"SMOKE_DEADLINE_S": "1"}
    )
    assert done.returncode == FAILED, done.stdout[-4000:]
    assert outcomes(done.stdout).get("passed") is None
    assert "sends scores as a JSON array, which servers before 4.59.0 refuse" in done.stdout
    assert "this server says it is 4.16.0" in done.stdout
    assert "no score written by this SDK can be read back: see test_pair.py" in done.stdout


def rows_of(engine: RunningEngine, kind: str) -> list[dict[str, object]]:
    with httpx.Client(
        base_url=engine.base_url, auth=(engine.keys.public_key, engine.keys.secret_key)
    ) as client:
        data: list[dict[str, object]] = client.get(f"/api/public/{kind}?limit=100").json()["data"]
        return data


def test_a_run_leaves_nothing_behind_and_touches_nothing_of_others(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    engine = start_engine()
    write_credentials(tmp_path / "stack", engine, engine.keys)
    chosen = ("-k", "json_is_taken or comment_source or readable or one_bad_span")
    kept = run_smoke_tests(tmp_path / "stack", *chosen, variables={"SMOKE_KEEP": "1"})
    assert kept.returncode == OK, kept.stdout[-4000:]
    release = re.search(r"^the traces of this run stay, as release (smoke-\w+)$", kept.stdout, re.MULTILINE)
    assert release is not None
    before = rows_of(engine, "v2/observations")
    scores = rows_of(engine, "v3/scores")
    assert len(before) > 5
    assert {row["environment"] for row in [*before, *scores]} <= set(OWN_ENVIRONMENTS)

    done = run_smoke_tests(tmp_path / "stack", *chosen)
    assert done.returncode == OK, done.stdout[-4000:]
    assert re.search(r"^erased the \d+ traces of this run", done.stdout, re.MULTILINE)
    assert {row["id"] for row in rows_of(engine, "v2/observations")} == {row["id"] for row in before}


def test_wrong_keys_stop_the_run_before_the_first_test(start_engine: StartEngine, tmp_path: Path) -> None:
    engine = start_engine()
    write_credentials(tmp_path / "stack", engine, Keys("kosmos", "pk-lf-test-none", "sk-lf-test-none"))
    done = run_smoke_tests(tmp_path / "stack")
    assert done.returncode == FAILED
    assert "Invalid credentials" in done.stderr
    assert "passed" not in done.stdout


def test_a_server_that_is_not_there_stops_the_run_before_the_first_test(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    engine = start_engine()
    write_credentials(tmp_path / "stack", engine, engine.keys)
    engine.stop()
    done = run_smoke_tests(tmp_path / "stack")
    assert done.returncode == FAILED
    assert f"{engine.base_url} cannot be tested" in done.stderr


def test_without_credentials_the_run_says_what_to_do(tmp_path: Path) -> None:
    done = run_smoke_tests(tmp_path / "stack")
    assert done.returncode == WRONG_USE
    assert "Run `make up` first" in done.stderr
