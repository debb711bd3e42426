"""`make test-hosts`: run tests as a user who is not root, with the oldest and the newest Python found here.

Arguments go to pytest in the place of the chosen tests. The compose stack as that user is a scenario:
tests/scenarios/other_user.
"""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.core.errors import StackError

from .other_user import OtherUser, newest_python, oldest_python, other_user

# What asks the machine, the file system or the user something, and what uses most of the standard library.
CHOSEN = (
    "tests/unit/backup",
    "tests/unit/scripts",
    "tests/unit/security",
    "tests/unit/smoke",
    "tests/unit/stores",
    "tests/unit/support",
    "tests/unit/doctor/test_sources.py",
    "tests/embedded/test_backup.py",
    "tests/embedded/test_doctor.py",
    "tests/embedded/test_process.py",
    "tests/embedded/test_ingestion.py",
)
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", "-n", "2")
LIMIT_S = 1200.0


def main(arguments: list[str]) -> int:
    """Run the tests with both Pythons at once; return an exit code."""
    # A cancelled job cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with other_user() as user, ThreadPoolExecutor() as pool:
            pythons = {"oldest": oldest_python(), "newest": newest_python()}
            jobs = {
                which: pool.submit(run, user, which, python, arguments or list(CHOSEN))
                for which, python in pythons.items()
            }
            return max(job.result() for job in jobs.values())
    except StackError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def run(user: OtherUser, which: str, python: Path, arguments: list[str]) -> int:
    """Run the tests in a checkout for that Python; print what they say when they are done."""
    begin = time.monotonic()
    checkout = user.new_checkout(f"{which} # 100%")
    installed = user.install(checkout, python)
    ready = time.monotonic()
    done = user.run([str(installed), *PYTEST, *arguments], checkout, timeout_s=LIMIT_S)
    version = user.run([str(installed), "--version"], checkout).stdout.strip()
    print(f"--- {user.name}, umask 077, {checkout}, {version}: {ready - begin:.0f} s to install")
    print(done.stdout, flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
