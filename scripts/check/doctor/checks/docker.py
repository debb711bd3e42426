"""Checks of Docker and of the containers of the stack."""

from __future__ import annotations

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, Check, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.compose_model import ComposeModel
from scripts.check.doctor.sources.containers import Containers, Docker
from scripts.check.doctor.sources.inside import Insides
from scripts.docker.availability import MINIMUM_COMPOSE, version_text
from scripts.docker.containers import Container
from scripts.docker.policy import ONE_SHOT

from . import limits
from .host import judge_disk


def _engine(facts: Facts) -> Verdict:
    docker = facts.of(Docker)
    return failed(docker.problem, docker.fix) if docker.problem else ok(f"Docker {docker.version}")


def _compose(facts: Facts) -> Verdict:
    docker = facts.of(Docker)
    if docker.problem and docker.answers:
        return failed(docker.problem, docker.fix)
    return ok(f"Compose {_usable(facts).compose}")


def _limits(facts: Facts) -> Verdict:
    missing = {"memory", "cpus", "processes"} - _usable(facts).limits
    if missing:
        return failed(f"this kernel does not limit {', '.join(sorted(missing))} of containers")
    return ok("memory, CPU and processes of containers can be limited")


def _disk(facts: Facts) -> Verdict:
    disk = _usable(facts).disk
    return (
        judge_disk(disk, "where images and volumes are")
        if disk
        else skipped("Docker keeps its data elsewhere")
    )


def _containers(facts: Facts) -> Verdict:
    have = facts.of(Containers).by_name
    if not have:
        return failed("no container of this stack is there", "start it: make up")
    wanted = _wanted(facts) or {one.service for one in have.values()}
    missing = sorted(wanted - {one.service for one in have.values()})
    # One that its health check or its own exit keeps restarting is the matter of the other checks, too.
    stopped = sorted(_state(one) for one in have.values() if one.service in wanted and not _alive(one))
    if missing or stopped:
        return failed("; ".join([*stopped, *(f"{name} is missing" for name in missing)]))
    return ok(f"{len(wanted)} services are as they should be")


def _health(facts: Facts) -> Verdict:
    sick = [
        one
        for one in facts.of(Containers).by_name.values()
        if one.running and one.health not in {"", "healthy"}
    ]
    if not sick:
        _some(facts)
        return ok("all health checks pass")
    texts = [
        f"{one.name} is {one.health}{f' ({one.last_probe[:120]})' if one.last_probe else ''}" for one in sick
    ]
    return failed("; ".join(texts), f"see what it says: make logs SERVICE={sick[0].service}")


def _restarts(facts: Facts) -> Verdict:
    restarted = [one for one in _some(facts) if one.restarts]
    if restarted:
        return warning(
            ", ".join(f"{one.name} was restarted {one.restarts} times" for one in restarted),
            f"see why: make logs SERVICE={restarted[0].service}",
        )
    return ok("no container was restarted by Docker")


def _memory_kills(facts: Facts) -> Verdict:
    insides = facts.of(Insides).by_name
    killed = sorted(
        {one.name for one in _some(facts) if one.out_of_memory}
        | {service for service, inside in insides.items() if inside.killed}
    )
    if killed:
        return failed(f"killed by the OOM killer: {', '.join(killed)}")
    return ok("the OOM killer killed nothing")


def _limits_in_force(facts: Facts) -> Verdict:
    insides = facts.of(Insides).by_name
    wrong: list[str] = []
    unread: list[str] = []
    for one in _some(facts):
        inside = insides.get(one.name)
        if inside is None:
            continue
        if inside.memory_limit is None or inside.cpu_limit is None:
            unread.append(one.name)
        elif not inside.memory_limit or not inside.cpu_limit:
            wrong.append(f"{one.name} has no limit of {'CPU' if inside.memory_limit else 'memory'}")
        elif inside.memory_limit != one.memory_limit:
            wrong.append(f"{one.name} may use {inside.memory_limit}, not {one.memory_limit} bytes")
    if wrong:
        return failed("; ".join(wrong))
    if unread:
        raise NotGathered(f"limits cannot be read inside {', '.join(unread)}")
    return ok(f"limits hold in {len(insides)} containers")


def _throttled(facts: Facts) -> Verdict:
    insides = facts.of(Insides).by_name
    slow = {name: one.throttled for name, one in insides.items() if one.throttled > limits.THROTTLED_SHARE}
    if slow:
        return warning(
            ", ".join(f"{name} waits for CPU in {share:.0%} of all periods" for name, share in slow.items())
        )
    return ok("no container waits for CPU often")


def _files(facts: Facts) -> Verdict:
    inside = facts.of(Insides).by_name.get("clickhouse")
    if inside is None:
        return skipped("the bundled ClickHouse could not be asked")
    if not inside.files:
        return ok("ClickHouse may open any number of files")
    text = f"ClickHouse may open {inside.files} files"
    # `ulimit -n` of the shell that asked is that of the container.
    return ok(text) if inside.files >= limits.CLICKHOUSE_FILES else warning(text)


def _mounts(facts: Facts) -> Verdict:
    problems = facts.of(ComposeModel).mounts
    if problems:
        return failed(" ".join(one.reason for one in problems), "; ".join(one.fix for one in problems))
    return ok("every container can read what is mounted into it")


def _owner(facts: Facts) -> Verdict:
    owner = facts.of(Containers).other_owner
    if owner:
        return failed(f"what Docker has under the name of this stack was made by {owner}")
    return ok("containers and volumes are those of this checkout")


def _left(facts: Facts) -> Verdict:
    wanted = _wanted(facts)
    if not wanted:
        raise NotGathered("what should run is not known")
    have = facts.of(Containers).by_name
    ended = {name for name, one in have.items() if one.state == "exited" and not one.exit_code}
    left = sorted(name for name, one in have.items() if one.service not in wanted and name not in ended)
    if left:
        return warning(f"not asked for any more: {', '.join(left)}")
    return ok("no container is there that the settings do not ask for")


def _usable(facts: Facts) -> Docker:
    docker = facts.of(Docker)
    if docker.problem:
        raise NotGathered(docker.problem)
    return docker


def _some(facts: Facts) -> list[Container]:
    containers = list(facts.of(Containers).by_name.values())
    if not containers:
        raise NotGathered("no container of this stack is there")
    return containers


def _wanted(facts: Facts) -> set[str]:
    try:
        return set(facts.of(ComposeModel).services)
    except NotGathered:
        return set()


def _alive(one: Container) -> bool:
    return one.running or (one.done and one.service in ONE_SHOT)


def _state(one: Container) -> str:
    return f"{one.name} is {one.state}{f' with exit code {one.exit_code}' if one.exit_code else ''}"


CHECKS = (
    Check(
        id="docker.engine",
        looks_at="A Docker engine answers and is 25 or later (health checks with `start_interval`).",
        fix="install Docker 25 or later",
        page="reference/compose.md",
        judge=_engine,
        engines=COMPOSE,
    ),
    Check(
        id="docker.compose",
        looks_at=f"Compose is {version_text(MINIMUM_COMPOSE)} or later (named ports).",
        fix=f"install the Compose plugin {version_text(MINIMUM_COMPOSE)} or later",
        page="reference/compose.md",
        judge=_compose,
        engines=COMPOSE,
    ),
    Check(
        id="docker.limits",
        looks_at="The kernel lets Docker limit memory, CPU and number of processes.",
        fix="boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1) and all controllers",
        page="reference/compose.md",
        judge=_limits,
        engines=COMPOSE,
    ),
    Check(
        id="docker.disk",
        looks_at="The file system of images and volumes has room: fails below 5 % or 512 MiB.",
        fix="free some space: docker system df shows what Docker holds, docker image prune removes old "
        "images",
        page="runbooks/DiskLow.md",
        judge=_disk,
        engines=COMPOSE,
    ),
    Check(
        id="docker.mounts",
        looks_at="The user of each container can read the files and directories that are mounted into it.",
        fix="let others read what is not secret: chmod -R go+rX the directory that is named",
        page="how-to/troubleshoot-docker.md#containers-cannot-read",
        judge=_mounts,
        engines=COMPOSE,
    ),
    Check(
        id="docker.owner",
        looks_at="Containers and volumes with the name of this stack were made by this checkout.",
        fix="give this stack another COMPOSE_PROJECT_NAME in .env, or take over what is left: make adopt",
        page="reference/compose.md#several-stacks-on-one-host",
        judge=_owner,
        engines=COMPOSE,
    ),
    Check(
        id="docker.containers",
        looks_at="Every service that the settings ask for has a container that runs, or has ended well.",
        fix="start what is missing: make up; see why it ended: make logs",
        page="runbooks/ContainerRestarting.md",
        judge=_containers,
        engines=COMPOSE,
    ),
    Check(
        id="docker.health",
        looks_at="Every health check passes.",
        fix="see what it says: make logs",
        page="reference/compose.md#parts",
        judge=_health,
        engines=COMPOSE,
    ),
    Check(
        id="docker.restarts",
        looks_at="Docker did not have to restart a container.",
        fix="see why: make logs",
        page="runbooks/ContainerRestarting.md",
        judge=_restarts,
        engines=COMPOSE,
    ),
    Check(
        id="docker.memory_kills",
        looks_at="The OOM killer killed no process of a container.",
        fix="give that service more memory (its *_MEMORY in .env, or the next STACK_SIZE), then make up",
        page="runbooks/ContainerOomKilled.md",
        judge=_memory_kills,
        engines=COMPOSE,
    ),
    Check(
        id="docker.limits_in_force",
        looks_at="Each container sees, measured inside, the memory limit that it was given, and has a CPU "
        "limit.",
        fix="recreate the containers: make up; a compose.override.yaml must not remove limits",
        page="reference/compose.md#sizes",
        judge=_limits_in_force,
        engines=COMPOSE,
    ),
    Check(
        id="docker.throttled",
        looks_at="No container waits for CPU in more than a quarter of all periods, measured inside.",
        fix="give it more CPU (its *_CPUS in .env, or the next STACK_SIZE), then make up",
        page="reference/compose.md#sizes",
        judge=_throttled,
        engines=COMPOSE,
    ),
    Check(
        id="docker.open_files",
        looks_at="ClickHouse may open 65536 files, measured inside.",
        fix="raise LimitNOFILE of the docker service to 262144 or more, then make up",
        page="reference/compose.md",
        judge=_files,
        engines=COMPOSE,
    ),
    Check(
        id="docker.left",
        looks_at="No container runs that the settings do not ask for any more.",
        fix="make down, then make up",
        page="reference/compose.md#profiles-and-external-stores",
        judge=_left,
        engines=COMPOSE,
    ),
)
