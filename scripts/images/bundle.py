"""`bundle`: one signed file with all that a host without network needs: repository, packages, images."""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from scripts.core import layout
from scripts.core.checksums import checksums
from scripts.core.errors import EXIT_OK, UsageError
from scripts.core.runner import checked
from scripts.core.version import stack_version
from scripts.docker.availability import find_engine
from scripts.engines.base import EngineName
from scripts.engines.context import Context

from . import commands as images

NAMESPACE = "langfuse-stack"
SUMS = "SHA256SUMS"
SITE = "site.tar.gz"
IMAGES = "images.tar.zst"
DOWNLOAD_TIMEOUT_S = 1800.0


def bundle(context: Context, *, file: Path, key: Path | None, with_images: bool | None) -> int:
    """The command.

    Args:
        context: the surroundings.
        file: where to; `install-bundle.sh` is written beside it.
        key: a private key of OpenSSH that signs; without it the bundle is unsigned.
        with_images: None: unless this stack runs on the embedded engine, which needs none.

    Raises:
        UsageError: the file exists, the key does not, no commit, or images are wanted without Docker.
        StackError: a part could not be made; nothing is left behind.
    """
    if with_images is None:
        with_images = _engine(context) != EngineName.EMBEDDED
    _check(context, file, key, with_images=with_images)
    with tempfile.TemporaryDirectory(dir=file.resolve().parent, prefix=".bundle-") as name:
        parts = Path(name) / "parts"
        parts.mkdir()
        _repository(context, parts)
        _site(context, parts)
        _wheels(context, parts)
        if with_images:
            images.save(context, parts / IMAGES)
        (parts / SUMS).write_text(checksums(parts), encoding="utf-8")
        if key:
            _sign(context, parts / SUMS, key)
        whole = Path(name) / "bundle.tar"
        with context.console.working(f"Writing {file}"), tarfile.open(whole, "w") as archive:
            for part in sorted(parts.iterdir()):
                archive.add(part, arcname=part.name)
        whole.replace(file)
    _report(context, file, key, with_images=with_images)
    return EXIT_OK


def _engine(context: Context) -> str:
    """Return the engine that this stack is to use or has used, or an empty string."""
    return context.lenient_settings().get("ENGINE") or context.remembered_engine()


def _check(context: Context, file: Path, key: Path | None, *, with_images: bool) -> None:
    if file.exists():
        raise UsageError(f"{file} exists.", fix="choose another name, or delete it first.")
    if not file.resolve().parent.is_dir():
        raise UsageError(f"There is no directory {file.parent}.", fix="make it first.")
    if key and not key.is_file():
        raise UsageError(f"There is no key {key}.", fix="make one: ssh-keygen -t ed25519 -f FILE")
    if context.runner.run(["git", "rev-parse", "--verify", "HEAD"]).returncode != 0:
        raise UsageError("This is not a git checkout.", fix="make the bundle in a clone of the repository.")
    if with_images and not (engine := find_engine(context.runner)).usable:
        raise UsageError(
            f"Images need Docker, and {engine.reason}.",
            fix="start Docker, or leave them out with IMAGES=0: the embedded engine needs none.",
        )


def _repository(context: Context, parts: Path) -> None:
    if context.runner.run(["git", "diff", "--quiet", "HEAD"]).returncode != 0:
        context.console.warn("changes that are not committed are not in the bundle.")
    argv = ["git", "archive", "--format=tar.gz", "--output", str(parts / "repository.tar.gz"), "HEAD"]
    checked(argv, context.runner.run(argv))


def _site(context: Context, parts: Path) -> None:
    """Add the site's own configuration, without secrets: a bundle is not encrypted."""
    site = context.layout.site_dir
    if not site.is_dir():
        return
    secrets = [path for path in site.glob("alertmanager/secrets/*") if path.is_file()]
    if secrets:
        shown = context.layout.shown(site / "alertmanager" / "secrets")
        context.console.warn(
            f"secrets in {shown}/ are not in the bundle: {', '.join(p.name for p in secrets)}."
        )

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        folders = Path(member.name).parts
        left_out = ".git" in folders or (
            "alertmanager" in folders and "secrets" in folders and member.isfile()
        )
        return None if left_out else member

    with tarfile.open(parts / SITE, "w:gz", dereference=True) as archive:
        archive.add(site, arcname=f"config/{layout.SITE}", filter=wanted)


def _wheels(context: Context, parts: Path) -> None:
    argv = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--only-binary", ":all:",
        "--require-hashes", "--requirement", str(context.layout.root / "requirements/runtime.lock"),
        "--dest", str(parts / "wheels"),
    ]  # fmt: skip
    with context.console.working("Fetching Python packages"):
        done = context.runner.run(argv, timeout_s=DOWNLOAD_TIMEOUT_S)
        checked(argv, done, fix="run it where the package index can be reached.")


def _sign(context: Context, sums: Path, key: Path) -> None:
    argv = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE, str(sums)]
    checked(argv, context.runner.run(argv), fix="use a key of OpenSSH whose passphrase an agent knows.")


def _report(context: Context, file: Path, key: Path | None, *, with_images: bool) -> None:
    script = context.layout.root / "scripts" / "install-bundle.sh"
    beside = file.with_name(script.name)
    shutil.copy(script, beside)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    what = "with images" if with_images else "without images"
    size = f"{file.stat().st_size / 1e6:.0f} MB"
    stack = stack_version(context.layout.root)
    context.console.print(f"Wrote {file}: Langfuse Stack {stack}, {size}, {what}, for Python {version}.")
    if key is None:
        context.console.warn("it is not signed: whoever can change it can run code on the host (KEY=).")
    signers = "SIGNERS" if key else "unsigned"
    context.console.print(f"There: sh {beside.name} {file.name} /srv/langfuse-stack {signers}")
