"""Find the server before the first test, give the tests a client and a reader, and sum up at the end."""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import langfuse as langfuse_sdk
import pytest
from langfuse import Langfuse

from smoke_tests.helpers import pair, visibility
from smoke_tests.helpers.erasing import ENVIRONMENT, erase
from smoke_tests.helpers.polling import NotInTimeError, TransientAnswerError
from smoke_tests.helpers.server import Server, UnexpectedAnswerError
from smoke_tests.helpers.target import (
    Target,
    TargetNotFoundError,
    credentials_directory,
    discover,
    other_projects,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TARGET = pytest.StashKey[Target]()
SERVER_VERSION = pytest.StashKey[str]()
RUN_TAG = pytest.StashKey[str]()
BEGUN = pytest.StashKey[str]()
ERASED = pytest.StashKey[str]()

WRONG_USE = 2
# Seconds. Short, because SDK 4 lets a flush of scores wait for it.
FLUSH_INTERVAL_S = 0.1
SDK_TIMEOUT_S = 15
KEEP = "SMOKE_KEEP"
"""Set to anything: what the run has written stays."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop with one clear message, instead of one failure a test, when there is no server to test."""
    if session.config.option.collectonly:
        return
    try:
        target = discover(os.environ, credentials_directory())
    except TargetNotFoundError as error:
        pytest.exit(str(error), returncode=WRONG_USE)
    server = Server(target)
    try:
        version = server.version()
        server.read("/api/public/projects")
    except (ValueError, KeyError) as error:
        pytest.exit(f"{target.base_url} does not answer like a Langfuse server: {error!r}", returncode=1)
    except (httpx.TransportError, TransientAnswerError, UnexpectedAnswerError) as error:
        pytest.exit(
            f"{target.base_url} cannot be tested with the keys from {target.origin}: {error}. "
            "Is it running (`make status`), and are URL and keys those of one project?",
            returncode=1,
        )
    finally:
        server.close()
    session.config.stash[TARGET] = target
    session.config.stash[SERVER_VERSION] = version
    tag = session.config.stash[RUN_TAG] = f"smoke-{uuid.uuid4().hex[:8]}"
    # Every observation of the run carries it, also those of the examples and of requests without an SDK.
    os.environ["LANGFUSE_RELEASE"] = tag
    begun = datetime.now(UTC) - timedelta(minutes=10)  # clocks differ, and some spans lie in the past
    session.config.stash[BEGUN] = begun.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take away what the run wrote, unless it shall stay."""
    stash = session.config.stash
    if RUN_TAG not in stash:
        return
    if os.environ.get(KEEP):
        stash[ERASED] = f"the traces of this run stay, as release {stash[RUN_TAG]}"
        return
    server = Server(stash[TARGET])
    try:
        count = erase(server, stash[RUN_TAG], stash[BEGUN])
        stash[ERASED] = f"erased the {count} traces of this run ({KEEP}=1 keeps them)"
    except (AssertionError, TransientAnswerError, httpx.HTTPError) as error:
        stash[ERASED] = f"the traces of this run stay, as release {stash[RUN_TAG]}: {error}"
    finally:
        server.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was tested and how long spans and scores took to become readable."""
    if TARGET not in config.stash:
        return
    target = config.stash[TARGET]
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if isinstance(report, pytest.TestReport)
    ]
    terminalreporter.section("time until readable")
    for line in visibility.summary(reports) or ["nothing was measured"]:
        terminalreporter.write_line(line)
    terminalreporter.write_line(
        f"server {config.stash[SERVER_VERSION]} at {target.base_url}, keys from {target.origin}; "
        f"langfuse {langfuse_sdk.__version__}"
    )
    if ERASED in config.stash:
        terminalreporter.write_line(config.stash[ERASED])


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Target:
    """The project under test."""
    return pytestconfig.stash[TARGET]


@pytest.fixture(scope="session")
def other_project(target: Target) -> Target:
    """Another project on the same server; the test is skipped where there is none."""
    others = other_projects(target, credentials_directory())
    if not others:
        pytest.skip(f"needs the credentials of a second project on {target.base_url}")
    return others[0]


@pytest.fixture(scope="session")
def server(target: Target) -> Iterator[Server]:
    """The reader: plain HTTP against the server under test."""
    server = Server(target)
    yield server
    server.close()


@pytest.fixture(scope="session")
def langfuse(target: Target) -> Iterator[Langfuse]:
    """The writer: the official SDK. There is one in the process, so that decorated functions find it."""
    client = Langfuse(
        public_key=target.public_key,
        secret_key=target.secret_key,
        base_url=target.base_url,
        environment=ENVIRONMENT,
        flush_interval=FLUSH_INTERVAL_S,
        timeout=SDK_TIMEOUT_S,
    )
    yield client
    client.shutdown()


@pytest.fixture(scope="session")
def run_tag(pytestconfig: pytest.Config) -> str:
    """Marks everything that this run writes, so that a shared project does not disturb it."""
    return pytestconfig.stash[RUN_TAG]


@pytest.fixture(scope="session")
def unique(run_tag: str) -> Callable[[str], str]:
    """Make a name or id that nobody else uses: `unique("session")` -> `session-smoke-1a2b3c4d-5e6f70`."""
    return lambda prefix: f"{prefix}-{run_tag}-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="session")
def pair_check(langfuse: Langfuse, server: Server, pytestconfig: pytest.Config) -> pair.PairCheck:
    """Write one score with the SDK and try to read it back; done once for all tests that need scores."""
    sdk, version = langfuse_sdk.__version__, pytestconfig.stash[SERVER_VERSION]
    trace_id = Langfuse.create_trace_id()
    with _sdk_log() as logged:
        langfuse.create_score(trace_id=trace_id, name="smoke-pair", value=0.5, data_type="NUMERIC")
        langfuse.flush()
    try:
        server.await_scores(1, traceId=trace_id)
    except (NotInTimeError, UnexpectedAnswerError) as error:
        return pair.PairCheck(sdk, version, pair.explain_loss(sdk, version, logged, str(error)))
    return pair.PairCheck(sdk, version, None)


@pytest.fixture
def needs_scores(pair_check: pair.PairCheck) -> None:
    """Fail at once, instead of after a deadline each, where no score can arrive at all."""
    if not pair_check.fits:
        pytest.fail("no score written by this SDK can be read back: see test_pair.py", pytrace=False)


class _Messages(logging.Handler):
    """Keeps the texts of warnings and errors."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextlib.contextmanager
def _sdk_log() -> Iterator[list[str]]:
    """Collect what the SDK logs: it reports lost scores nowhere else."""
    logger, handler = logging.getLogger("langfuse"), _Messages()
    logger.addHandler(handler)
    try:
        yield handler.texts
    finally:
        logger.removeHandler(handler)
