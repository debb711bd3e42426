"""A bundle of this repository, installed and started where there is no network at all."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from .exporting import free_port
from .harness import REPOSITORY

pytestmark = pytest.mark.slow

# A network namespace of its own has a loopback, which is down, and nothing else.
NO_NETWORK = ["unshare", "--map-root-user", "--net", "sh", "-euc"]
TIMEOUT_S = 400


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that `make bundle` writes, signed, without images; `signers` beside it trusts the key."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed: apt install openssh-client")
    directory = tmp_path_factory.mktemp("bundle")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "key")], check=True)
    (directory / "signers").write_text(f"bundle {(directory / 'key.pub').read_text()}")
    file = directory / "langfuse-stack.tar"
    made = subprocess.run(
        ["make", "bundle", f"FILE={file}", f"KEY={directory / 'key'}", "IMAGES=0"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    if "could not find a version" in made.stderr.lower():
        pytest.skip("the package index cannot be reached")
    assert made.returncode == 0, made.stderr
    return file


def test_a_bundle_holds_what_is_committed_and_every_pinned_package(bundle: Path) -> None:
    with tarfile.open(bundle) as archive:
        names = archive.getnames()
    assert {"SHA256SUMS", "SHA256SUMS.sig", "repository.tar.gz"} <= set(names)
    lock = (REPOSITORY / "requirements" / "runtime.lock").read_text()
    pins = [line for line in lock.splitlines() if "==" in line]
    assert 0.8 * len(pins) < len([name for name in names if name.endswith(".whl")]) <= len(pins)
    assert not [name for name in names if ".env" in name or name.endswith("key")]


def test_without_a_network_the_bundle_is_installed_starts_and_keeps_traces(
    bundle: Path, tmp_path: Path
) -> None:
    if subprocess.run([*NO_NETWORK, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not make a network namespace")
    steps = f"""
        ip link set lo up
        test "$(ip -o link show up | wc -l)" -eq 1  # loopback only
        sh {bundle.parent}/install-bundle.sh {bundle} {tmp_path}/srv {bundle.parent}/signers
        cd {tmp_path}/srv
        make up && make canary && make backup && make smoke ARGS='-q smoke_tests/test_access.py' && make down
    """
    done = subprocess.run(
        [*NO_NETWORK, steps],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(tmp_path),
            "ENGINE": "embedded",
            "LANGFUSE_PORT": str(free_port()),
        },
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Installed in" in done.stdout
    assert " passed" in done.stdout
