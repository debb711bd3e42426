"""Unpack a tar archive that another program wrote: plain files and folders, nothing outside of the target.

`tarfile` has filters for this from Python 3.11.4 on; Debian 12 has 3.11.2.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath


def unpack(archive: tarfile.TarFile, into: Path) -> None:
    """Write every file of an archive, also one that is read as a stream, below a directory.

    What was made is readable by its owner only.

    Raises:
        tarfile.TarError: a member is a symbolic link, a device or a pipe, or is outside of the directory.
        OSError: it cannot be written.
    """
    for member in archive:
        target = _inside(into, member.name)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True, mode=0o700)
            continue
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if member.islnk():  # a second name of a file that came before
            shutil.copyfile(_inside(into, member.linkname), target)
            target.chmod(0o600)
            continue
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            raise tarfile.TarError(f"{member.name} is neither a file nor a folder")
        # Exclusive: no member replaces another one, or follows a link that was there.
        with content, target.open("xb") as file:
            target.chmod(0o600)
            shutil.copyfileobj(content, file)


def _inside(into: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise tarfile.TarError(f"{name} is outside of the archive")
    return into / path
