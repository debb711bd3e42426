"""`make test-hosts`: run tests as a user who is not root, with the oldest and the newest Python found here.

Arguments go to pytest in the place of the chosen tests. The compose stack as that user is a scenario:
tests/scenarios/other_user.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.core.errors import StackError

from .other_user import NEWEST, OLDEST, OtherUser, other_user, pythons

# What asks the machine, the file system or the user something, and what uses most of the standard library.
CHOSEN = (
    "tests/unit/backup",
    "tests/unit/scripts",
    "tests/unit/stores",
    "tests/unit/doctor/test_sources.py",
    "tests/unit/security/test_certificates.py",
    "tests/unit/security/test_install_bundle.py",
    "tests/embedded/test_backup.py",
    "tests/embedded/test_doctor.py",
    "tests/embedded/test_process.py",
    # They compute, and ask nobody.
    "--ignore=tests/unit/scripts/test_yaml_bounds.py",
    "--ignore=tests/unit/scripts/test_setting_rules.py",
)
PYTEST = ("-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-m", "not slow", "-n", "2")
LIMIT_S = 1200.0


def main(arguments: list[str]) -> int:
    """Run the tests with both Pythons at once; return an exit code."""
    # A cancelled job cleans up as Ctrl-C does. A job in the background ignores Ctrl-C, and all that it starts
    # inherits that: tests send it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    here = pythons()
    for absent in not_here(here):
        print(f"skipped: {absent}", flush=True)
    try:
        with other_user() as user, ThreadPoolExecutor() as pool:
            jobs = [
                pool.submit(run, user, which, here[version], arguments or list(CHOSEN))
                for which, version in {"oldest": min(here), "newest": max(here)}.items()
                if which == "oldest" or version != min(here)
            ]
            return max(job.result() for job in jobs)
    except StackError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def not_here(found: Collection[tuple[int, ...]]) -> Iterator[str]:
    """Yield what is not tested as this machine has no such Python."""
    for what, version, used in (("oldest", OLDEST, min(found)), ("newest", NEWEST, max(found))):
        if used[:2] != version:
            yield (
                f"Python {_text(version)}, the {what} that is supported, is not on this machine; "
                f"the {what} here is {_text(used)}"
            )


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


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
