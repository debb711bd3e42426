"""The installation of a bundle runs nothing of it before signature and checksums are right."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.core.console import Console
from scripts.core.errors import StackError, UsageError
from scripts.core.runner import Completed
from scripts.engines.context import Context
from scripts.images import bundle
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "install-bundle.sh"
RAN = "ran"


@dataclass
class Maker:
    """Makes small bundles: a repository whose first script leaves a mark when it runs, no packages."""

    directory: Path

    def key(self, name: str) -> Path:
        """Make a key and the file of signers that trusts it."""
        path = self.directory / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        (self.directory / f"{name}.signers").write_text(f"bundle {path.with_suffix('.pub').read_text()}")
        return path

    def parts(self) -> Path:
        """Make what a bundle holds."""
        source, parts = self.directory / "source", self.directory / "parts"
        (source / "scripts").mkdir(parents=True)
        mark = self.directory / RAN
        (source / "scripts" / "find-python.sh").write_text(f"touch {mark}\nexit 1\n")
        (source / "requirements").mkdir()
        (source / "requirements" / "runtime.lock").write_text("")
        (parts / "wheels").mkdir(parents=True)
        (parts / "wheels" / "acme-1.0-py3-none-any.whl").write_bytes(b"wheel")
        with tarfile.open(parts / "repository.tar.gz", "w:gz") as archive:
            archive.add(source, arcname=".")
        return parts

    def seal(self, parts: Path, key: Path | None) -> None:
        """Write checksums and signature as `make bundle` does."""
        sums = parts / bundle.SUMS
        sums.write_text(bundle.checksums(parts))
        if key:
            argv = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", bundle.NAMESPACE, str(sums)]
            subprocess.run(argv, check=True, capture_output=True)

    def pack(self, parts: Path) -> Path:
        """Write the one file."""
        file = self.directory / "bundle.tar"
        with tarfile.open(file, "w") as archive:
            for part in sorted(parts.iterdir()):
                archive.add(part, arcname=part.name)
        return file

    def install(self, file: Path, signers: str) -> subprocess.CompletedProcess[str]:
        """Run the script; its directory is `installed`."""
        path = str(self.directory / signers) if signers.endswith(".signers") else signers
        argv = ["sh", str(SCRIPT), str(file), str(self.directory / "installed"), path]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def ran(self) -> bool:
        """Return whether anything of the bundle was run."""
        return (self.directory / RAN).exists()


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """A maker of bundles in a directory of its own."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed: apt install openssh-client")
    return Maker(tmp_path)


def refused(maker: Maker, done: subprocess.CompletedProcess[str], reason: str) -> None:
    """Assert that nothing was run or left behind."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert reason in done.stderr
    assert "fix: " in done.stderr
    assert not maker.ran()
    assert not (maker.directory / "installed").exists()
    assert list(maker.directory.glob(".bundle.*")) == []


def test_a_signed_bundle_passes_all_checks_before_its_first_script_runs(maker: Maker) -> None:
    parts = maker.parts()
    maker.seal(parts, maker.key("acme"))
    done = maker.install(maker.pack(parts), "acme.signers")
    assert maker.ran(), done.stderr
    assert list(maker.directory.glob(".bundle.*")) == []


def test_a_bundle_that_somebody_else_signed_is_refused(maker: Maker) -> None:
    parts = maker.parts()
    maker.key("acme")
    maker.seal(parts, maker.key("stranger"))
    refused(maker, maker.install(maker.pack(parts), "acme.signers"), "was not signed with a key of")


def test_a_file_that_changed_after_signing_is_refused(maker: Maker) -> None:
    parts = maker.parts()
    maker.seal(parts, maker.key("acme"))
    (parts / "wheels" / "acme-1.0-py3-none-any.whl").write_bytes(b"whee1")
    refused(maker, maker.install(maker.pack(parts), "acme.signers"), "is damaged or was changed")


def test_checksums_that_were_written_anew_do_not_help_a_forger(maker: Maker) -> None:
    parts = maker.parts()
    maker.seal(parts, maker.key("acme"))
    (parts / "wheels" / "acme-1.0-py3-none-any.whl").write_bytes(b"whee1")
    (parts / bundle.SUMS).write_text(bundle.checksums(parts).replace("SHA256SUMS", "x"))
    refused(maker, maker.install(maker.pack(parts), "acme.signers"), "was not signed with a key of")


def test_a_file_that_was_added_is_refused(maker: Maker) -> None:
    parts = maker.parts()
    maker.seal(parts, maker.key("acme"))
    (parts / "wheels" / "evil-1.0-py3-none-any.whl").write_bytes(b"wheel")
    refused(maker, maker.install(maker.pack(parts), "acme.signers"), "holds files without a checksum")


def test_an_unsigned_bundle_is_refused_unless_the_operator_says_so(maker: Maker) -> None:
    parts = maker.parts()
    maker.key("acme")
    maker.seal(parts, None)
    file = maker.pack(parts)
    refused(maker, maker.install(file, "acme.signers"), "is not signed")
    done = maker.install(file, "unsigned")
    assert "warning: the signature is not checked." in done.stderr
    assert maker.ran()


def test_a_truncated_file_is_refused(maker: Maker) -> None:
    parts = maker.parts()
    maker.seal(parts, maker.key("acme"))
    file = maker.pack(parts)
    file.write_bytes(file.read_bytes()[:700])
    refused(maker, maker.install(file, "acme.signers"), "bundle.tar")


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_nothing_may_be_left_empty(tmp_path: Path, empty: int) -> None:
    arguments = [str(tmp_path / "bundle"), str(tmp_path / "srv"), "unsigned"]
    arguments[empty] = ""
    done = subprocess.run(["sh", str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "fix: make install-bundle FILE=BUNDLE INTO=DIRECTORY SIGNERS=FILE (or unsigned)" in done.stderr


def test_a_directory_with_something_in_it_is_left_alone(maker: Maker) -> None:
    parts = maker.parts()
    maker.seal(parts, maker.key("acme"))
    (maker.directory / "installed").mkdir()
    (maker.directory / "installed" / ".env").write_text("SALT=1")
    done = maker.install(maker.pack(parts), "acme.signers")
    assert (done.returncode, maker.ran()) == (1, False)
    assert "is not empty" in done.stderr
    assert (maker.directory / "installed" / ".env").read_text() == "SALT=1"


def context_in(directory: Path, **rules: Completed) -> Context:
    runner = FakeRunner(dict(rules))
    return Context(layout_in(directory), {}, Console({}, Screen().out, Screen().err), runner)


def test_a_bundle_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar"
    file.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        bundle.bundle(context_in(tmp_path), file=file, key=None, with_images=False)
    assert file.read_text() == "precious"


def test_images_without_docker_are_an_error_with_the_way_around(tmp_path: Path) -> None:
    context = context_in(tmp_path, **{"docker version": Completed(1)})
    with pytest.raises(UsageError) as caught:
        bundle.bundle(context, file=tmp_path / "bundle.tar", key=None, with_images=True)
    assert "IMAGES=0" in caught.value.fix


@pytest.mark.parametrize(("engine", "asks_for_docker"), [("embedded", False), ("compose", True), ("", True)])
def test_a_bundle_of_an_embedded_stack_needs_no_images(
    tmp_path: Path, engine: str, asks_for_docker: bool
) -> None:
    failing = {"docker version": Completed(1), "pip download": Completed(1, "", "no route to host")}
    context = context_in(tmp_path, **failing)
    if engine:
        context.layout.stack_dir.mkdir(parents=True)
        context.layout.engine_file.write_text(f"{engine}\n")
    with pytest.raises(StackError) as caught:
        bundle.bundle(context, file=tmp_path / "bundle.tar", key=None, with_images=None)
    assert ("Docker" in str(caught.value)) == asks_for_docker


def test_a_part_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    context = context_in(tmp_path, **{"pip download": Completed(1, "", "no route to host")})
    with pytest.raises(StackError, match="exit code 1"):
        bundle.bundle(context, file=tmp_path / "bundle.tar", key=None, with_images=False)
    assert list(tmp_path.iterdir()) == []
