"""Install a lock file into the environment of this Python: with uv, or with pip where that cannot be.

Usage: python scripts/install_packages.py LOCK [OPTION ...], with options that both know.

uv does not read the configuration of pip, so it is told here what that says. Where it says something that uv
has no word for, and where uv fails, pip installs. `UV` names the program; empty, pip installs. Where there is
no uv, pip first brings that of requirements/uv.lock into the environment.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

# Settings of pip -> variables of uv and of the libraries in it, and what is between several values.
_VARIABLES: Mapping[str, tuple[Sequence[str], str]] = {
    "index-url": (["UV_INDEX_URL"], " "),
    "extra-index-url": (["UV_EXTRA_INDEX_URL"], " "),
    "find-links": (["UV_FIND_LINKS"], ","),
    "trusted-host": (["UV_INSECURE_HOST"], " "),
    "timeout": (["UV_HTTP_TIMEOUT"], " "),
    "retries": (["UV_HTTP_RETRIES"], " "),
    "cert": (["SSL_CERT_FILE"], " "),
    "client-cert": (["SSL_CLIENT_CERT"], " "),
    "proxy": (["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"], " "),
}
# What changes neither where packages come from nor which they are; a lock file leaves nothing to constrain.
_WITHOUT_MEANING = frozenset(
    (
        "break-system-packages", "cache-dir", "compile", "config-file", "constraint", "debug",
        "disable-pip-version-check", "log", "no-cache-dir", "no-color", "no-compile", "no-input",
        "no-python-version-warning", "no-warn-script-location", "progress-bar", "quiet", "require-virtualenv",
        "root-user-action", "user", "verbose",
    )
)  # fmt: skip
_PIP = (sys.executable, "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check")
_UV_LOCK = Path(__file__).resolve().parents[1] / "requirements" / "uv.lock"
# The later ones win.
_SECTIONS = ("global", "install", ":env:")


def main(arguments: Sequence[str]) -> int:
    """Install; return the exit code of the last program that tried."""
    # Who interrupts make ends this process, and means the program that it waits for, too.
    signal.signal(signal.SIGTERM, _end)
    wanted = ["--require-hashes", "-r", *arguments]
    named = os.environ.get("UV", "uv")
    environment = uv_environment(pip_configuration(), os.environ) if named else None
    program = find_uv(named) if environment is not None else None
    if program:
        argv = [program, "pip", "install", "--quiet", "--compile-bytecode", "--python", sys.executable]
        done = subprocess.run([*argv, *wanted], env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return 0
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        print(f"note: uv did not succeed ({reason}); pip tries.", file=sys.stderr)
    return subprocess.run([*_PIP, *wanted], check=False).returncode


def find_uv(named: str) -> str | None:
    """Return the path of uv: the one that is named, that of this environment, or a fresh one; or ``None``."""
    beside = Path(sys.executable).with_name("uv")
    found = shutil.which(named) or shutil.which(beside)
    if found or named != "uv":
        return found
    # Only where there is a wheel; without a way to the index pip says so when it tries itself.
    argv = [*_PIP, "--retries", "1", "--only-binary", ":all:", "--require-hashes", "-r", str(_UV_LOCK)]
    subprocess.run(argv, capture_output=True, check=False)
    return shutil.which(beside)


def pip_configuration() -> dict[str, str]:
    """Return the settings of pip, from all its files and from its variables, by their long option."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in done.stdout.splitlines():
        match = re.fullmatch(r"(global|install|:env:)\.([a-z0-9-]+)=(.*)", line)
        if match:
            found[match[1]][match[2]] = str(ast.literal_eval(match[3]))
    return {name: value for section in _SECTIONS for name, value in found[section].items()}


def uv_environment(configured: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the environment in which uv does what pip is configured to do; ``None`` where it cannot.

    The configuration of pip wins over what the environment says to all programs, not over what it says to uv.
    """
    told = {
        # All indexes are one to pip; the hashes say which file is meant.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        # Those that the system trusts, as with pip.
        "UV_SYSTEM_CERTS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for name, value in configured.items():
        option = name.removeprefix("default-")
        if option in _VARIABLES:
            variables, between = _VARIABLES[option]
            told |= dict.fromkeys(variables, between.join(value.split()))
        elif option not in _WITHOUT_MEANING:
            return None
    to_uv = {name: value for name, value in environment.items() if name.startswith("UV_")}
    return {**environment, **told, **to_uv}


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(130)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
