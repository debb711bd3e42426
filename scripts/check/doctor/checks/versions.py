"""Checks of versions that must fit together."""

from __future__ import annotations

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, EMBEDDED, Check, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.clickhouse import ClickHouse
from scripts.check.doctor.sources.compose_model import ComposeModel
from scripts.check.doctor.sources.containers import Containers
from scripts.check.doctor.sources.embedded import EmbeddedData
from scripts.check.doctor.sources.lock import ImagesLock
from scripts.check.doctor.sources.packages import Packages
from scripts.check.doctor.sources.pinned import PinnedImages
from scripts.check.doctor.sources.postgres import Postgres
from scripts.check.doctor.sources.server import Server
from scripts.check.doctor.sources.stack import Stack
from scripts.check.doctor.sources.valkey import Valkey
from scripts.core.compatibility import clickhouse_refusal, numbers_of
from scripts.docker.images_lock import LocalImage

from . import limits
from .answering import elsewhere

Version = tuple[int, ...]

# https://langfuse.com/docs/observability/sdk/upgrade-path/python-v4-to-v5
SDK5_SERVER: Version = (4, 59, 0)
SDK4_SERVER: Version = (4, 16, 0)
POSTGRES_FROM = 15
VALKEY_FROM: Version = (7,)
PYTHON_FROM: Version = (3, 11)
# Rehearsals run on other stores; the stand-ins say so in their image names.
STAND_IN = "rehearsal"


def _pair(facts: Facts) -> Verdict:
    sdk, server = facts.of(Packages).sdk, facts.of(Server).answering().version
    if not sdk or not server:
        raise NotGathered("SDK or server do not say their version")
    need = SDK5_SERVER if numbers_of(sdk) >= (5,) else SDK4_SERVER
    text = f"SDK {sdk} with server {server}"
    if numbers_of(server) < need:
        return failed(
            f"{text}: this SDK needs {'.'.join(map(str, need))}, with less scores are lost in silence"
        )
    return ok(text)


def _server(facts: Facts) -> Verdict:
    wanted, has = facts.of(Stack).values["LANGFUSE_VERSION"], facts.of(Server).answering().version
    if numbers_of(wanted) != numbers_of(has):
        return warning(f"the server is {has}, LANGFUSE_VERSION is {wanted}")
    return ok(f"the server is {has}, as set")


def _same(facts: Facts) -> Verdict:
    containers = facts.of(Containers).by_name
    tags = {name: containers[name].image.rpartition(":")[2] for name in _APPLICATION if name in containers}
    if len(tags) < len(_APPLICATION):
        raise NotGathered("web or worker has no container")
    if len(set(tags.values())) > 1:
        return failed(", ".join(f"{name} is {tag}" for name, tag in tags.items()))
    return ok(f"web and worker are both {tags['langfuse-web']}")


def _clickhouse(facts: Facts) -> Verdict:
    if not facts.of(ClickHouse).external and _stand_in(facts, "clickhouse"):
        return skipped("a stand-in of the rehearsal")
    text = str(facts.of(ClickHouse).row("server")["version"])
    server = facts.of(Server).answering().version
    refusal = clickhouse_refusal(text, server)
    return failed(refusal) if refusal else ok(f"ClickHouse {text} with Langfuse {server}")


def _postgres(facts: Facts) -> Verdict:
    major = int(facts.of(Postgres).setting("server_version_num") or 0) // 10_000
    return ok(f"PostgreSQL {major}") if major >= POSTGRES_FROM else failed(f"PostgreSQL {major} is too old")


def _valkey(facts: Facts) -> Verdict:
    valkey = facts.of(Valkey)
    text = valkey.version
    return ok(f"Valkey {text}") if numbers_of(text) >= VALKEY_FROM else failed(f"Valkey {text} is too old")


def _lock(facts: Facts) -> Verdict:
    images = facts.of(ImagesLock).images
    if not images:
        return skipped("there is no images.lock (make lock on a connected host writes it)")
    containers = facts.of(Containers)
    differing = []
    for one in containers.by_name.values():
        wanted = images.get(one.image.partition("@")[0])
        have = containers.digests.get(one.image_id, ())
        # An image that came in a file has no digest of a registry, but the content that was locked.
        here = LocalImage(one.image_id, frozenset(), "", containers.contents.get(one.image_id, ""))
        if wanted and not wanted.is_(here) and not any(name.endswith(wanted.digest) for name in have):
            differing.append(one.service)
    if differing:
        return failed(f"not the image of images.lock: {', '.join(sorted(differing))}")
    return ok(f"{len(images)} images are those of images.lock")


def _support(facts: Facts) -> Verdict:
    pinned = facts.of(PinnedImages)
    running = {one.image.partition("@")[0] for one in facts.of(Containers).by_name.values()}
    known = [one for one in pinned.images if any(f"{image}:{one.tag}" in running for image in one.images)]
    if not known:
        return skipped("no container runs an image of compose.yaml")
    ended = [text for one in known if (text := one.end(pinned.today, limits.SUPPORT_DAYS))]
    return warning("; ".join(ended)) if ended else ok(f"{len(known)} images are in support")


def _stores(facts: Facts) -> Verdict:
    services = facts.of(ComposeModel).services
    containers = facts.of(Containers).by_name
    older = []
    for name in _WITH_DATA:
        if name not in services or name not in containers:
            continue
        runs, comes = _tag(containers[name].image), _tag(str(services[name].get("image", "")))
        if numbers_of(comes) and numbers_of(runs) > numbers_of(comes):
            older.append(f"{name} is {runs}, and the next start makes it {comes}")
    if older:
        return warning(f"{'; '.join(older)}: an older version may not read these data")
    return ok("the next start makes no store older")


def _packages(facts: Facts) -> Verdict:
    differing = facts.of(Packages).differing
    if differing is None:
        raise NotGathered("there is no requirements/runtime.lock")
    if differing:
        shown = "; ".join(differing[:3])
        return warning(f"{len(differing)} packages differ from requirements/runtime.lock: {shown}")
    return ok("the Python packages are those of requirements/runtime.lock")


def _python(facts: Facts) -> Verdict:
    version = facts.of(Packages).python
    text = f"Python {'.'.join(map(str, version))}"
    return ok(text) if version >= PYTHON_FROM else failed(f"{text} is too old")


def _schema(facts: Facts) -> Verdict:
    data = facts.of(EmbeddedData)
    newer = [
        f"{name} is at {level}, known is {data.known[name]}"
        for name, level in data.levels.items()
        if name in data.known and level > data.known[name]
    ]
    if newer:
        return failed(f"written by a newer version: {'; '.join(newer)}")
    if not data.known:
        raise NotGathered("this version does not say its schemas")
    return ok("the data is not newer than this version") if data.levels else skipped("there is no data yet")


def _stand_in(facts: Facts, service: str) -> bool:
    return STAND_IN in facts.of(Containers).running(service).image


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition(":")[2]


_WITH_DATA = ("postgres", "clickhouse", "valkey", "seaweedfs")
UPGRADE = "have its operator bring it to that version; make backup before that"
_APPLICATION = ("langfuse-web", "langfuse-worker")

CHECKS = (
    Check(
        id="versions.pair",
        looks_at="The Python SDK of this checkout and the server fit: a wrong pair loses scores in silence.",
        fix="set LANGFUSE_VERSION to 4.59.0 or later, or install langfuse>=4.18,<5 in your applications",
        page="how-to/troubleshoot.md",
        judge=_pair,
    ),
    Check(
        id="versions.server",
        looks_at="The server that runs has the version that is set.",
        fix="make upgrade TO=... goes to another version, and back when that fails",
        page="how-to/troubleshoot.md",
        judge=_server,
        engines=COMPOSE,
    ),
    Check(
        id="versions.same",
        looks_at="Web and worker have the same version.",
        fix="take the image out of compose.override.yaml, then make up",
        page="how-to/troubleshoot.md",
        judge=_same,
        engines=COMPOSE,
    ),
    Check(
        id="versions.clickhouse",
        looks_at="ClickHouse is 25.12 or later, and below 26.8 with a server before 4.28.0.",
        fix="use the image that compose.yaml names",
        page="how-to/troubleshoot.md#clickhouse",
        judge=elsewhere(ClickHouse, _clickhouse, UPGRADE),
        engines=COMPOSE,
    ),
    Check(
        id="versions.stores",
        looks_at="The next start gives no store an older version than the one that runs on its data.",
        fix="before make up, keep the image that runs in compose.override.yaml; the page says how to go on",
        page="how-to/upgrade.md#clickhouse-and-postgresql",
        judge=_stores,
        engines=COMPOSE,
    ),
    Check(
        id="versions.postgres",
        looks_at="PostgreSQL is 15 or later.",
        fix="use the image that compose.yaml names, with the data taken over by a backup and a restore",
        page="how-to/troubleshoot.md#postgresql",
        judge=elsewhere(Postgres, _postgres, UPGRADE),
        engines=COMPOSE,
    ),
    Check(
        id="versions.valkey",
        looks_at="Valkey (or Redis) is 7 or later.",
        fix="use the image that compose.yaml names",
        page="how-to/troubleshoot.md#valkey",
        judge=elsewhere(Valkey, _valkey, UPGRADE),
        engines=COMPOSE,
    ),
    Check(
        id="versions.images",
        looks_at="Every container runs the image, by digest, that `images.lock` names.",
        fix="make up; on a host without a registry make images-load before it",
        page="reference/compose.md",
        judge=_lock,
        engines=COMPOSE,
    ),
    Check(
        id="versions.support",
        looks_at="The publisher of every image still supports it, and will in 60 days.",
        fix="git pull, then make upgrade; make images-check ONLINE=1 says which versions there are",
        page="reference/image-versions.md",
        judge=_support,
        engines=COMPOSE,
    ),
    Check(
        id="versions.packages",
        looks_at="The Python packages of `.venv` are those of `requirements/runtime.lock`.",
        fix="rm -r .venv, then repeat: make installs them anew",
        page="how-to/troubleshoot.md",
        judge=_packages,
    ),
    Check(
        id="versions.python",
        looks_at="Python is 3.11 or later.",
        fix="install Python 3.11 or later, rm -r .venv, then repeat",
        page="how-to/troubleshoot.md",
        judge=_python,
    ),
    Check(
        id="versions.data",
        looks_at="The data of the embedded engine was not written by a newer version.",
        fix="check out the version that wrote it, or restore a backup that this version made",
        page="how-to/back-up-and-restore.md",
        judge=_schema,
        engines=EMBEDDED,
    ),
)
