"""`support-bundle`: write one archive with what someone needs to help; refuse to write a secret into it."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from scripts.check.doctor.examine import gathered
from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.engines.context import Context

from .collect import collect
from .redaction import Redactor
from .secret_values import secret_values

_ABOUT = """\
What is in this bundle: the result of `make doctor`, versions, the configuration, the state of containers and
stores, logs of up to 5000 lines each, slow queries without their values.

What was taken out: every secret of the stack, in each way that programs write it, and what looks like one;
what is before the @ of e-mail addresses. What users wrote (inputs, outputs, prompts, datasets) is not
collected. A log line may quote some of it all the same: look through logs/ before you send this on.
"""


def support_bundle(context: Context, *, into: Path | None) -> int:
    """The command. Works on a broken stack: a part that fails says so in its place."""
    now = datetime.now(UTC)
    target = into or context.layout.stack_dir / "support" / f"support-{now:%Y%m%d-%H%M%S}.tar.gz"
    if target.exists():
        raise UsageError(f"{target} is there already.", fix="name another file: INTO=...")
    redactor = Redactor.of(secret_values(context))
    with (
        context.console.working("Collecting"),
        gathered(context, read_only=True) as facts,
    ):
        files = {name: redactor.redact(text) for name, text in collect(facts)}
    files["README.txt"] = _ABOUT
    refuse_leaks(files, redactor)
    write_archive(target, files)
    size, ways = target.stat().st_size // 1024, len(redactor.forms)
    context.console.rows(
        [
            ("Bundle", context.layout.shown(target)),
            (
                "Contents",
                f"{len(files)} files, {size} KiB; no secret, looked for in {ways} ways to write them",
            ),
            ("Next", "look through its logs/ before you send it"),
        ]
    )
    return EXIT_OK


def refuse_leaks(files: Mapping[str, str], redactor: Redactor) -> None:
    """Raise StackError when a secret is in a file: what was redacted is looked through once more."""
    leaks = {name: found for name, text in files.items() if (found := redactor.leaks(text))}
    if leaks:
        raise StackError(
            "A secret would be in the bundle; it was not written.",
            details=[f"{name}: {', '.join(found)}" for name, found in sorted(leaks.items())],
            fix="report this: scripts/check/support/redaction.py misses a way to write it.",
        )


def write_archive(target: Path, files: Mapping[str, str]) -> None:
    """Write the files as one archive that only its owner can read. Raises StackError."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    root = target.name.removesuffix(".tar.gz")
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, text in sorted(files.items()):
                content = text.encode()
                entry = tarfile.TarInfo(f"{root}/{name}")
                entry.size, entry.mode = len(content), 0o600
                archive.addfile(entry, io.BytesIO(content))
    except OSError as error:
        raise StackError(
            f"{target} cannot be written: {error.strerror}.", fix="name another place: INTO=..."
        ) from error
