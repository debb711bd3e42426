"""Check that what is mounted into a container can be read by its user, before it is started.

Docker mounts as root, so that a file of this checkout arrives in the container whatever its mode. There a
user with another number meets the bits for others, which a checkout made with umask 027 or 077 does not set;
each program says something else about it.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core.layout import Layout

from .daemon import Daemon

MOST_SHOWN = 3
# Directories whose content is for one container alone: it is given to that user, not opened to all.
PRIVATE = ("certificates", "secrets")
# What a confined container may read:
# https://docs.docker.com/engine/storage/bind-mounts/#configure-the-selinux-label
SELINUX_TYPES = ("container_file_t", "container_ro_file_t", "svirt_sandbox_file_t")
_SELINUX_ATTRIBUTE = "security.selinux"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that containers cannot read."""

    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class User:
    """Who reads, as the host's file system knows them; None is nobody that it has a number for."""

    uid: int | None
    gid: int | None

    def may(self, found: os.stat_result, wanted: int) -> bool:
        """Return whether the mode lets this user do `wanted`: 4 reads, 5 reads and enters."""
        if self.uid is not None and found.st_uid == self.uid:
            shift = 6
        elif self.gid is not None and found.st_gid == self.gid:
            shift = 3
        else:
            shift = 0
        return (stat.S_IMODE(found.st_mode) >> shift) & wanted == wanted


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or directory that a container's user cannot read."""

    path: Path
    service: str
    user: str


def mount_problems(model: Mapping[str, Any], layout: Layout, daemon: Daemon) -> list[Problem]:
    """Return why containers of a stack cannot read what is mounted.

    `model` is what `docker compose config` prints. Nothing where Docker is elsewhere or in a virtual machine,
    which has other rules.
    """
    if not daemon.is_here:
        return []
    missing = sorted({path for _, path, _ in _mounts(model, layout) if not _is_there(path)})
    problems = [_missing(layout, path) for path in missing]
    unreadable = list(_all_unreadable(model, layout, daemon))
    private = [one for one in unreadable if _is_private(one.path)]
    opened = [one for one in unreadable if not _is_private(one.path)]
    if opened:
        problems.append(_closed(layout, opened))
    problems += [_not_given(layout, one) for one in _first_of_each(private)]
    if "selinux" in daemon.security:
        paths = sorted({path for _, path, _ in _mounts(model, layout) if _is_there(path)})
        if unlabelled := [path for path in paths if not _has_label(path)]:
            problems.append(_unlabelled(layout, unlabelled))
    return problems


def open_command(layout: Layout, paths: Iterable[Path]) -> str:
    """Return the command that lets other users read what is there in the checkout, but no secret."""
    tops = sorted({_top(layout, path) for path in paths})
    found = " ".join(shlex.quote(layout.shown(path)) for path in tops)
    private = " ".join(f"-not -path '*/{name}/*'" for name in PRIVATE)
    return f"find {found} {private} -exec chmod go+rX {{}} +"


def _closed(layout: Layout, found: Sequence[Unreadable]) -> Problem:
    names = [f"{layout.shown(one.path)} ({one.service}, user {one.user})" for one in found[:MOST_SHOWN]]
    more = f" and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
    return Problem(
        f"Containers cannot read {', '.join(names)}{more}: this checkout was made with a umask that gives "
        "others no right.",
        open_command(layout, (one.path for one in found)),
    )


def _not_given(layout: Layout, found: Unreadable) -> Problem:
    name = layout.shown(found.path)
    owner = found.user.partition(":")[0]
    return Problem(
        f"{name} is private, and {found.service} (user {found.user}) cannot read it.",
        f"give it to that user: sudo chown {owner} {shlex.quote(name)}",
    )


def _missing(layout: Layout, path: Path) -> Problem:
    name = layout.shown(path)
    restored = f"git checkout -- {shlex.quote(name)}" if path.is_relative_to(layout.root) else "bring it back"
    return Problem(f"{name} is mounted into a container and is not there.", restored)


def _unlabelled(layout: Layout, paths: Sequence[Path]) -> Problem:
    tops = sorted({_top(layout, path) for path in paths})
    found = " ".join(shlex.quote(layout.shown(path)) for path in tops)
    return Problem(
        f"SELinux keeps containers from {layout.shown(paths[0])} and {len(paths) - 1} more mounts, which "
        "have no label for containers.",
        f"sudo chcon --recursive --type {SELINUX_TYPES[0]} {found}",
    )


def _all_unreadable(model: Mapping[str, Any], layout: Layout, daemon: Daemon) -> Iterator[Unreadable]:
    seen = set()
    for service, source, user in _mounts(model, layout):
        reader = _on_host(user, daemon)
        for path in _walk(source):
            if path.name == ".gitignore":  # nobody in a container reads it
                continue
            wanted = 5 if path.is_dir() and not path.is_symlink() else 4
            if (path, user) not in seen and not reader.may(path.stat(), wanted):
                seen.add((path, user))
                yield Unreadable(path, service, user)


def _mounts(model: Mapping[str, Any], layout: Layout) -> Iterator[tuple[str, Path, str]]:
    """Yield service, path and user of every file and directory of this host that is mounted."""
    for name, service in sorted(model["services"].items()):
        for mount in service.get("volumes") or ():
            source = Path(str(mount.get("source")))
            # What is in the directory of the stack is made at the start, for its reader.
            if mount.get("type") == "bind" and not source.is_relative_to(layout.stack_dir):
                yield name, source, str(service.get("user") or "0")


def _on_host(user: str, daemon: Daemon) -> User:
    """Return who a container's user is outside; without capabilities root is a user like any other."""
    uid, _, gid = user.partition(":")
    if not uid.isdigit() or "userns" in daemon.security:
        return User(None, None)
    if daemon.rootless:
        # Root in a container is who runs Docker; all others get numbers of a range that owns nothing here.
        return User(os.getuid() if uid == "0" else None, os.getgid() if gid in {"", "0"} else None)
    return User(int(uid), int(gid) if gid.isdigit() else 0)


def _walk(source: Path) -> Iterator[Path]:
    """Yield a mounted path and all below it; links that lead nowhere are left out."""
    if not _is_there(source):
        return
    yield source
    if source.is_dir():
        # What we cannot list ourselves is not listed: its directory was yielded.
        for directory, names, files in os.walk(source):
            yield from (path for name in (*names, *files) if _is_there(path := Path(directory, name)))


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return path.is_symlink()
    return True


def _is_private(path: Path) -> bool:
    return any(name in PRIVATE for name in path.parts[:-1])


def _first_of_each(found: Sequence[Unreadable]) -> list[Unreadable]:
    return list({one.path: one for one in reversed(found)}.values())[::-1]


def _top(layout: Layout, path: Path) -> Path:
    """Return the directory of the checkout that a command names: `config`, or `docs/runbooks`."""
    if not path.is_relative_to(layout.root):
        return path
    parts = path.relative_to(layout.root).parts
    return layout.root.joinpath(*parts[: 2 if parts[0] == "docs" else 1])


def _has_label(path: Path) -> bool:
    try:
        label = os.getxattr(path, _SELINUX_ATTRIBUTE).decode()
    except (OSError, AttributeError):
        # No label can be read: a file system that has none.
        return True
    return any(f":{name}:" in f"{label.rstrip(chr(0))}:" for name in SELINUX_TYPES)
