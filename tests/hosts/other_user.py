"""Make a user who is not root, and a checkout of theirs as strict hosts have it; remove both afterwards.

The user may use Docker where that is wanted, has no home that can be written, and works with umask 077 in a
path that shells and URLs would take apart.
"""

from __future__ import annotations

import grp
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.core.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
UMASK = 0o077
NO_HOME = "/nonexistent"
DOCKER_SOCKET = Path("/var/run/docker.sock")
# A directory name that needs quoting in a shell, in make, in an URL and in a format string.
ODD_NAME = "a stack # 100%"
# What reaches package indexes from this machine.
_KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "REHEARSAL_RUN",
    "REHEARSAL_CERTIFICATES",
)
_KEPT_PREFIXES = ("PIP_", "UV_")
# The oldest that README allows is that of Debian 12; the newest that is released.
OLDEST = (3, 11)
NEWEST = (3, 14)
# Where version managers and CI runners keep Pythons that are not on PATH.
_INSTALLATIONS = ("opt/hostedtoolcache/Python/*/*/bin",)
_HOME_INSTALLATIONS = (".pyenv/versions/*/bin", ".local/share/uv/python/*/bin")
# Far from those of people, of images, and of the ranges for user namespaces.
_NUMBERS = range(60_710, 61_180)
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})


@dataclass(frozen=True, slots=True)
class OtherUser:
    """A user, and a directory of theirs that is removed at the end.

    Attributes:
        groups: numbers of further groups, such as the one that owns Docker's socket.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """What programs of this user see: nothing of the one who runs the tests but the way to packages."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT or name.startswith(_KEPT_PREFIXES) or name.upper() in _PROXIES
        }
        return {
            **kept,
            "HOME": NO_HOME,
            "USER": self.name,
            "LOGNAME": self.name,
            "CI": "true",
            "TMPDIR": str(self.directory / "tmp"),
            "PIP_CACHE_DIR": str(self.directory / "pip"),
        }

    def start(self, argv: Sequence[str], checkout: Path, **environment: str) -> subprocess.Popen[str]:
        """Start a program of this user in the checkout; its output is read from `stdout`."""
        return subprocess.Popen(
            argv,
            cwd=checkout,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
            umask=UMASK,
            start_new_session=True,
        )

    def run(
        self, argv: Sequence[str], checkout: Path, *, timeout_s: float = 900, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of this user in the checkout; return its outcome, output and complaints together.

        Raises:
            TimeoutExpired: it took longer; it and what it started have ended then.
        """
        with self.start(argv, checkout, **environment) as process:
            try:
                output, _ = process.communicate(timeout=timeout_s)
            except BaseException:
                os.killpg(process.pid, 9)
                raise
        return subprocess.CompletedProcess(argv, process.returncode, output, "")

    def new_checkout(self, name: str = ODD_NAME) -> Path:
        """Return a checkout of this repository as it stands here, made by this user with umask 077."""
        target = self.directory / name
        self._must(["mkdir", "--", str(target)], self.directory)
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
        present = [name for name in listed if name and (ROOT / os.fsdecode(name)).is_file()]
        with tempfile.TemporaryFile() as archive:
            packing = ["tar", "--create", "--null", "--files-from=-"]
            subprocess.run(packing, cwd=ROOT, input=b"\0".join(present), stdout=archive, check=True)
            archive.seek(0)
            subprocess.run(
                # Modes as the umask makes them, as git does.
                ["tar", "--extract", "--no-same-owner", "--no-same-permissions"],
                cwd=target,
                stdin=archive,
                user=self.uid,
                group=self.gid,
                extra_groups=(),
                umask=UMASK,
                check=True,
            )
        self._must(["git", "init", "--quiet"], target)
        self._must(["git", "add", "--all"], target)
        author = ["-c", "user.name=Acme", "-c", "user.email=admin@acme.example"]
        self._must(["git", *author, "commit", "--quiet", "--message", "Copy"], target)
        return target

    def install(self, checkout: Path, python: Path) -> Path:
        """Make the development environment of the checkout with that Python; return the Python in it.

        Packages of an environment here that are for the same Python are copied, all others are installed.
        """
        usable = self._usable(python)
        if _version(python)[:2] == sys.version_info[:2]:
            self._must([str(usable), "-m", "venv", "--without-pip", ".venv"], checkout)
            packages = Path(
                "lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages"
            )
            source = Path(sys.prefix, packages)
            shutil.copytree(source, checkout / ".venv" / packages, dirs_exist_ok=True, symlinks=True)
            for stamp in (".dev", ".runtime"):
                (checkout / ".venv" / stamp).touch()
            self._own(checkout / ".venv")
        else:
            self._must(["make", "--no-print-directory", ".venv/.dev", f"PYTHON={usable}"], checkout)
        installed = checkout / ".venv" / "bin" / "python"
        said = self.run([str(installed), "--version"], checkout).stdout.strip()
        if said != f"Python {'.'.join(map(str, _version(python)))}":
            raise RuntimeError(f"{checkout} has {said}, not the version of {python}")
        return installed

    def _usable(self, python: Path) -> Path:
        """Return that Python where this user may run it, else a copy of its installation."""
        with suppress(PermissionError):
            if self.run([str(python), "-c", ""], self.directory).returncode == 0:
                return python
        prefix = Path(_ask(python, "import sys; print(sys.base_prefix)"))
        copy = self.directory / prefix.name
        program = copy / "bin" / f"python{_version(python)[0]}.{_version(python)[1]}"
        if not copy.exists():
            shutil.copytree(prefix, copy, symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__"))
            _find_library_beside(program, prefix)
            self._own(copy)
        return program

    def _own(self, directory: Path) -> None:
        subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", str(directory)], check=True)
        subprocess.run(["chmod", "-R", "go=", str(directory)], check=True)

    def _must(self, argv: Sequence[str], directory: Path) -> None:
        done = self.run(argv, directory)
        if done.returncode != 0:
            raise RuntimeError(f"`{' '.join(argv)}` of {self.name} failed:\n{done.stdout}")


def _find_library_beside(program: Path, prefix: Path) -> None:
    """Let a copied Python find its library in its copy, also where a test starts it without LD_LIBRARY_PATH.

    Its run path names the directory that it was built for, which the other user may not enter.
    """
    content = program.read_bytes()
    built_for = f"\0{prefix}/lib\0".encode()
    beside = b"\0$ORIGIN/../lib".ljust(len(built_for), b"\0")
    if built_for in content and len(beside) == len(built_for):
        program.write_bytes(content.replace(built_for, beside, 1))


def lacking() -> str:
    """Return why no other user can be made here; empty when one can."""
    if os.geteuid() != 0:
        return "only root can become another user"
    absent = [
        name for name in ("useradd", "userdel", "git", "tar") if shutil.which(name, path=_SYSTEM_PATH) is None
    ]
    return f"not installed: {', '.join(absent)}" if absent else ""


_SYSTEM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


@contextmanager
def other_user(*, docker: bool = False) -> Iterator[OtherUser]:
    """Make a user; end their processes, and remove the user and all files at the end. Raises UsageError."""
    if reason := lacking():
        raise UsageError(
            f"The tests cannot be run as another user: {reason}.", fix="run them as root on Linux."
        )
    name = f"stack-{secrets.token_hex(4)}"
    uid = str(_free_number())
    command = [
        "useradd",
        "--uid",
        uid,
        "--no-create-home",
        "--home-dir",
        NO_HOME,
        "--shell",
        "/bin/sh",
        "--user-group",
    ]
    environment = {**os.environ, "PATH": _SYSTEM_PATH}
    subprocess.run([*command, name], env=environment, check=True)
    # Not in memory: environments and images take gigabytes.
    directory = Path(tempfile.mkdtemp(prefix="other-user-", dir="/var/tmp"))
    try:
        account = pwd.getpwnam(name)
        os.chown(directory, account.pw_uid, account.pw_gid)
        user = OtherUser(name, account.pw_uid, account.pw_gid, _docker_groups() if docker else (), directory)
        user._must(["mkdir", "tmp"], directory)
        yield user
    finally:
        _end_processes(name)
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run(["userdel", name], env=environment, check=True)


def _free_number() -> int:
    """Return a number that no user has and no container: all that runs under it is this user's.

    The next number that useradd gives is 1000 or 1001, which images use for their own users.
    """
    taken = {account.pw_uid for account in pwd.getpwall()}
    taken |= {int(number) for row in _process_owners() for number in row.split()[1:]}
    return next(number for number in _NUMBERS if number not in taken)


def _process_owners() -> Iterator[str]:
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            yield from (line for line in status.read_text().splitlines() if line.startswith("Uid:"))


def _docker_groups() -> tuple[int, ...]:
    """Return the group that may use Docker's socket."""
    found = DOCKER_SOCKET.stat()
    if not stat.S_IMODE(found.st_mode) & 0o020:
        raise UsageError(f"No group may use {DOCKER_SOCKET}.", fix="start Docker with a group docker.")
    return (found.st_gid,) if found.st_gid else ()


def docker_is_shared() -> bool:
    """Return whether a group other than root's may use Docker's socket."""
    try:
        found = DOCKER_SOCKET.stat()
        return bool(found.st_gid and found.st_mode & 0o020 and grp.getgrgid(found.st_gid))
    except (OSError, KeyError):
        return False


def _end_processes(name: str) -> None:
    """End what still runs of that user, such as an engine of a test that was interrupted."""
    uid = pwd.getpwnam(name).pw_uid
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                os.kill(int(entry.name), 9)
        except (FileNotFoundError, ProcessLookupError):
            continue


def oldest_python() -> Path:
    """Return the oldest Python of this machine that README allows."""
    return min(pythons().items())[1]


def pythons() -> Mapping[tuple[int, ...], Path]:
    """Return every Python of this machine that README allows and that can make environments, by version."""
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 2)]
    installed = [place for pattern in _INSTALLATIONS for place in Path("/").glob(pattern)]
    homes = [place for pattern in _HOME_INSTALLATIONS for place in Path.home().glob(pattern)]
    places = [*os.get_exec_path(), "/usr/bin", *map(str, (*installed, *homes))]
    found = {}
    for path in (Path(place, name) for place in places for name in (*names, "python3")):
        # A shim of a version manager may have no version behind it.
        if path.is_file() and (version := _version(path)) >= OLDEST:
            found[version] = path
    return found


def _version(python: Path) -> tuple[int, ...]:
    said = _ask(python, "import sys, ensurepip; print(*sys.version_info[:3])")
    return tuple(map(int, said.split()))


def _ask(python: Path, program: str) -> str:
    argv = [str(python), "-c", program]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/").stdout.strip()
