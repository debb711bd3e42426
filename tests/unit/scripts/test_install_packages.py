"""How make installs packages: with uv where it is found, as pip is configured, and else with pip."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.install_packages import uv_environment

ROOT = Path(__file__).resolve().parents[3]
NAME, VERSION = "acme-greeting", "1.2.3"


# That of this environment, which `make` has brought, or that of the host.
UV = shutil.which("uv") or shutil.which(Path(sys.executable).with_name("uv"))
# Says that it was called, and does what is asked: pip install --quiet --compile-bytecode --python PYTHON ...
STAND_IN = """\
#!/bin/sh
echo "$@" >"$0.called"
shift 6
exec "{python}" -m pip install -qq "$@"
"""


def make_wheel(directory: Path) -> Path:
    """Write a wheel with one module."""
    directory.mkdir(parents=True)
    path = directory / f"acme_greeting-{VERSION}-py3-none-any.whl"
    about = f"acme_greeting-{VERSION}.dist-info"
    files = {
        "acme_greeting.py": "HELLO = 'from the index of acme'\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n",
        f"{about}/WHEEL": ("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    name = f"{about}/RECORD"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (*files.items(), (name, f"{record}{name},,\n")):
            archive.writestr(file, text)
    return path


class Place:
    """An environment, a lock file, and a pip.conf that points to an index in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.python = directory / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", directory / "venv"], check=True, timeout=120)
        wheel = make_wheel(directory / "simple" / NAME)
        (wheel.parent / "index.html").write_text(f'<!doctype html><a href="{wheel.name}">{wheel.name}</a>')
        self.configuration = directory / "pip.conf"
        self.configuration.write_text(f"[global]\nindex-url = {(directory / 'simple').as_uri()}\n")
        self.lock = directory / "acme.lock"
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        self.lock.write_text(f"{NAME}=={VERSION} --hash=sha256:{digest}\n")

    def install(
        self, uv: str, script: Path = ROOT / "scripts" / "install_packages.py"
    ) -> subprocess.CompletedProcess[str]:
        """Install with this uv, or with pip."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.directory),
            "PIP_CONFIG_FILE": str(self.configuration),
            "UV_CACHE_DIR": str(self.directory / "cache"),
            "UV": uv,
        }
        return subprocess.run(
            [self.python, script, self.lock],
            env=environment, stdin=subprocess.DEVNULL, timeout=120,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def installed(self) -> str:
        """Return what the module says."""
        code = "import acme_greeting; print(acme_greeting.HELLO)"
        return subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False).stdout

    def remove(self, name: str = NAME) -> None:
        """Uninstall it, or another package."""
        argv = [self.python, "-m", "pip", "uninstall", "-qq", "--yes", name]
        subprocess.run(argv, check=True, timeout=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def place(made: Place) -> Place:
    """The same, without the package."""
    if made.installed():
        made.remove()
    return made


def test_pip_installs_from_its_configured_index_where_there_is_no_uv(place: Place) -> None:
    done = place.install(uv="")
    assert (done.returncode, done.stderr) == (0, "")
    assert place.installed() == "from the index of acme\n"


def test_uv_installs_from_the_index_that_pip_is_configured_with(place: Place) -> None:
    uv = UV
    if uv is None:
        pytest.skip("no uv: there is no wheel of it for this system")
    done = place.install(uv)
    assert (done.returncode, done.stderr) == (0, "")
    assert place.installed() == "from the index of acme\n"
    record = next((place.directory / "venv").glob("lib/*/site-packages/acme_greeting-*/INSTALLER"))
    assert record.read_text() == "uv"


def test_where_uv_fails_pip_installs_and_the_reason_is_told(place: Place, tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho 'error: no way to the index' >&2\nenv >\"$0.env\"\nexit 2\n")
    uv.chmod(0o755)
    done = place.install(str(uv))
    assert done.returncode == 0
    assert done.stderr == "note: uv did not succeed (error: no way to the index); pip tries.\n"
    assert place.installed() == "from the index of acme\n"
    told = Path(f"{uv}.env").read_text().splitlines()
    assert f"UV_INDEX_URL={(place.directory / 'simple').as_uri()}" in told


def test_a_wrong_hash_is_refused_by_both(place: Place, tmp_path: Path) -> None:
    lock, place.lock = place.lock, tmp_path / "wrong.lock"
    place.lock.write_text(f"{NAME}=={VERSION} --hash=sha256:{'0' * 64}\n")
    try:
        for uv in filter(None, ["/nowhere/uv", UV]):
            assert place.install(uv).returncode != 0
    finally:
        place.lock = lock
    assert place.installed() == ""


def test_uv_is_told_what_pip_is_configured_with() -> None:
    told = uv_environment(
        {
            "index-url": "https://pypi.acme.example/simple",
            "extra-index-url": "https://a.acme.example\nhttps://b.acme.example",
            "find-links": "/opt/wheels /opt/more",
            "cert": "/etc/acme.pem",
            "proxy": "http://proxy.acme.example:3128",
            "default-timeout": "60",
            "disable-pip-version-check": "true",
        },
        {"HTTPS_PROXY": "http://other.acme.example", "HOME": "/root"},
    )
    assert told is not None
    assert told["UV_INDEX_URL"] == "https://pypi.acme.example/simple"
    assert told["UV_EXTRA_INDEX_URL"] == "https://a.acme.example https://b.acme.example"
    assert told["UV_FIND_LINKS"] == "/opt/wheels,/opt/more"
    assert (told["SSL_CERT_FILE"], told["UV_HTTP_TIMEOUT"]) == ("/etc/acme.pem", "60")
    assert told["HTTPS_PROXY"] == "http://proxy.acme.example:3128"
    assert told["HOME"] == "/root"


def test_what_the_environment_says_to_uv_wins() -> None:
    told = uv_environment({"index-url": "https://a.acme.example"}, {"UV_INDEX_URL": "https://b.acme.example"})
    assert told is not None
    assert told["UV_INDEX_URL"] == "https://b.acme.example"


def test_a_setting_that_uv_has_no_word_for_leaves_it_to_pip() -> None:
    assert uv_environment({"no-binary": "httpx"}, dict(os.environ)) is None


@pytest.mark.parametrize("is_right", [True, False])
def test_without_uv_pip_brings_the_one_whose_hash_is_known(
    place: Place, tmp_path: Path, *, is_right: bool
) -> None:
    """And installs itself where that is not the one that was locked."""
    program = STAND_IN.format(python=place.python)
    data = tmp_path / "uv-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(data, "w") as archive:
        about = "uv-9.9.9.dist-info"
        executable = zipfile.ZipInfo("uv-9.9.9.data/scripts/uv")
        executable.external_attr = 0o100755 << 16
        archive.writestr(executable, program)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 9.9.9\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    index = place.directory / "simple" / "uv"
    index.mkdir(exist_ok=True)
    shutil.copy(data, index)
    (index / "index.html").write_text(f'<!doctype html><a href="{data.name}">{data.name}</a>')
    for name in ("scripts", "requirements"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "scripts" / "install_packages.py", tmp_path / "scripts")
    digest = hashlib.sha256(data.read_bytes()).hexdigest() if is_right else "0" * 64
    (tmp_path / "requirements" / "uv.lock").write_text(f"uv==9.9.9 --hash=sha256:{digest}\n")
    done = place.install("uv", tmp_path / "scripts" / "install_packages.py")
    brought = place.python.with_name("uv")
    try:
        assert (done.returncode, done.stderr) == (0, "")
        assert place.installed() == "from the index of acme\n"
        assert brought.exists() is is_right
        assert brought.with_name("uv.called").exists() is is_right
    finally:
        place.remove("uv")
        brought.with_name("uv.called").unlink(missing_ok=True)
