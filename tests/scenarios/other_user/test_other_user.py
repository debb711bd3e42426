"""A user who is not root runs a stack: umask 077, an odd path, proxies of the Docker client, no home."""

from __future__ import annotations

import json
import os
import resource
import secrets
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from scripts.core.console import Console
from scripts.core.layout import Layout
from scripts.core.runner import SubprocessRunner
from scripts.develop.selftest import free_port
from scripts.engines.context import Context
from scripts.settings.envfile import read_env
from tests.hosts.other_user import OtherUser, docker_is_shared, lacking, oldest_python, other_user
from tests.scenarios.extras import ROOT_CERTIFICATE, Extras
from tests.scenarios.load import in_container
from tests.scenarios.stack import CLICKHOUSE_FILES, FEW_FILES, FILES, Stack

# Nothing listens there: whatever takes it, fails.
DEAD_PROXY = "http://127.0.0.1:9"
SCENARIOS = ("port_taken", "image_missing", "wrong_secret")


@dataclass(frozen=True, slots=True)
class Host:
    """The checkout of that user.

    Attributes:
        python: of its environment.
        name: of its stack.
        address: of loopback, on which it publishes HTTPS.
        refusal: what the first `make up` said.
    """

    user: OtherUser
    checkout: Path
    python: Path
    name: str
    address: str
    refusal: str

    def make(self, *words: str, code: int = 0, **environment: str) -> str:
        """Run `make` as that user; return what it said."""
        return self.run("make", "--no-print-directory", *words, codes=(code,), **environment)

    def run(
        self, *argv: str, codes: tuple[int, ...] = (0,), timeout_s: float = 600, **environment: str
    ) -> str:
        """Run a program as that user in the checkout; return what it said."""
        configuration = str(self.user.directory / "docker")
        environment = {**environment, "DOCKER_CONFIG": configuration}
        done = self.user.run(argv, self.checkout, timeout_s=timeout_s, **environment)
        print(f"$ {shlex.join(argv)}\n{done.stdout}")
        assert done.returncode in codes, done.stdout
        return done.stdout

    def stack(self) -> Stack:
        """Return the stack, to be looked at from outside."""
        layout = Layout(self.checkout, self.checkout / ".env", self.checkout / ".stack")
        return Stack(self.name, Context(layout, {}, Console(), SubprocessRunner(self.checkout)))


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Return a checkout in which `make up` was refused once, and what the refusal advised was done."""
    reason = lacking() or ("" if docker_is_shared() else "only root may use this Docker")
    if reason:
        pytest.skip(f"no other user can be tried here: {reason}")
    with other_user(docker=True) as user:
        checkout = user.new_checkout()
        python = user.install(checkout, oldest_python())
        name = f"{os.environ.get('REHEARSAL_RUN', 'rehearsal')}-{secrets.token_hex(4)}"
        address = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}.2"
        few = resource.getrlimit(resource.RLIMIT_NOFILE)[1] < CLICKHOUSE_FILES
        settings = {
            "ENGINE": "compose",
            "COMPOSE_FILE": ":".join([*FILES, *([FEW_FILES] if few else [])]),
            "COMPOSE_PROJECT_NAME": name,
            "STACK_SIZE": "ci",
            "STACK_PROFILES": "tls",
            # Ports 443 and 80, which this user may not open, and Docker may.
            "TLS_BIND_ADDRESS": address,
            "LANGFUSE_PORT": str(free_port()),
            "S3_PORT": str(free_port()),
        }
        give(user, checkout / ".env", "".join(f"{key}={value}\n" for key, value in settings.items()))
        proxies = {"default": {"httpProxy": DEAD_PROXY, "httpsProxy": DEAD_PROXY, "noProxy": "localhost"}}
        (user.directory / "docker").mkdir()
        give(user, user.directory / "docker" / "config.json", json.dumps({"proxies": proxies}))
        (user.directory / "docker").chmod(0o755)
        # As a file that was there before with the usual mode.
        (checkout / ".env").chmod(0o644)
        found = Host(user, checkout, python, name, address, "")
        refusal = found.make("up", code=2)
        advice = [line.partition("fix: ")[2] for line in refusal.splitlines() if line.startswith("fix: ")]
        found.run("sh", "-ec", advice[-1])
        host = Host(user, checkout, python, name, address, refusal)
        yield host
        if host.stack().leftovers():
            host.make("destroy", "YES=1")
        assert host.stack().leftovers() == {}


def give(user: OtherUser, path: Path, text: str) -> None:
    """Write a file that belongs to that user."""
    path.write_text(text)
    os.chown(path, user.uid, user.gid)


def test_a_strict_umask_is_found_before_anything_is_started(host: Host) -> None:
    """And what the message advises is enough for everything below."""
    assert "Containers cannot read config/" in host.refusal
    assert "is taken" not in host.refusal


def test_a_stack_with_https_is_run_from_its_start_to_its_end(host: Host, engine: docker.DockerClient) -> None:
    """Start, smoke tests, backup, restore, the check of an upgrade, doctor, and a second start."""
    assert "compose engine" in host.make("up")
    assert (host.checkout / ".env").stat().st_mode & 0o777 == 0o600
    stack = host.stack()
    certificate = in_container(engine, stack, "caddy", "cat", ROOT_CERTIFICATE)
    with Extras(stack, host.address, certificate).https() as client:
        assert client.get("/api/public/projects").raise_for_status().json()["data"][0]["id"] == "default"

    # The host names of the profile tls are not in DNS everywhere.
    keys = {name: value for name, value in stack.keys("default").items() if name.endswith("_KEY")}
    url = f"http://127.0.0.1:{read_env(host.checkout / '.env').values()['LANGFUSE_PORT']}"
    host.make("smoke", f"BASE_URL={url}", "ARGS=-q -k readable", **keys)
    host.make("backup")
    host.make("restore", "REPLACE=1", "SMOKE=0")
    # Warnings are not a failure: a host as small as this one has some.
    host.run(str(host.python), "-m", "scripts", "upgrade", "--check", "4.60.0", codes=(0, 3))
    looking = ("doctor", "--json", "--only", "docker,network,host")
    said = host.run(str(host.python), "-m", "scripts", *looking, codes=(0, 1, 3))
    checks = {one["id"]: one["status"] for one in json.loads(said[said.index("{") :])["checks"]}
    for check in ("docker.mounts", "docker.owner", "network.container_proxy", "network.ports"):
        assert checks[check] == "ok", said
    for container in engine.containers.list(filters={"label": f"com.docker.compose.project={host.name}"}):
        environment = container.attrs["Config"]["Env"]
        assert not [one for one in environment if DEAD_PROXY in one], container.name

    host.make("down")
    host.make("up")
    assert stack.state().healthy
    host.make("destroy", "YES=1")
    assert stack.leftovers() == {}
    assert (host.checkout / ".env").exists()


def test_scenarios_pass_for_that_user_too(host: Host) -> None:
    """On the same Docker, in their own checkout."""
    paths = [f"tests/scenarios/{name}" for name in SCENARIOS]
    said = host.run(
        str(host.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "-m", "", *paths
    )
    assert "failed" not in said.splitlines()[-1]
    assert read_env(host.checkout / ".env").values()["COMPOSE_PROJECT_NAME"] == host.name
