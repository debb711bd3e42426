"""Checks of the machine."""

from __future__ import annotations

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, EMBEDDED, Check, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.clock import Clock
from scripts.check.doctor.sources.containers import Containers, Docker
from scripts.check.doctor.sources.files import Files
from scripts.check.doctor.sources.inside import Insides
from scripts.check.doctor.sources.machine import Disk, Machine
from scripts.check.doctor.sources.pinned import PinnedImages
from scripts.check.doctor.sources.stack import Stack
from scripts.core.compatibility import processor_lacks
from scripts.engines.base import GIB, MIB

from . import limits


def _cpus(facts: Facts) -> Verdict:
    stack = facts.of(Stack)
    have, need = facts.of(Machine).cpus, limits.SIZE_CPUS[stack.size] if stack.is_compose else 1
    text = f"{have} processors" if have != 1 else "one processor"
    return ok(text) if have >= need else warning(f"{text}; {stack.what} wants {need}")


def _memory(facts: Facts) -> Verdict:
    stack = facts.of(Stack)
    have = facts.of(Machine).memory
    need = limits.SIZE_BYTES[stack.size] if stack.is_compose else GIB // 2
    text = f"{have / GIB:.1f} GiB of memory"
    return ok(text) if have >= need else warning(f"{text}; {stack.what} wants {need / GIB:.1f} GiB")


def _memory_available(facts: Facts) -> Verdict:
    left = facts.of(Machine).memory_available
    text = f"{left // MIB} MiB of memory are available"
    return ok(text) if left >= limits.MEMORY_LEFT_BYTES else warning(text)


def judge_disk(disk: Disk, what: str) -> Verdict:
    """Return whether a file system has room."""
    text = f"{disk.free / GIB:.1f} GiB ({disk.free_share:.0%}) are free at {disk.path}, {what}"
    if disk.free < limits.DISK_FULL_BYTES or disk.free_share < limits.DISK_FULL_SHARE:
        return failed(text)
    # A small part of a huge disk is enough, and so is a large part of a small one.
    if disk.free < limits.DISK_LOW_BYTES and disk.free_share < limits.DISK_LOW_SHARE:
        return warning(text)
    return ok(text)


def _disk(facts: Facts) -> Verdict:
    return judge_disk(facts.of(Machine).disk, "where .stack is")


def _inodes(facts: Facts) -> Verdict:
    disk = facts.of(Machine).disk
    if not disk.inodes:
        return skipped(f"the file system at {disk.path} has no fixed number of files")
    share = disk.inodes_free / disk.inodes
    text = f"{share:.0%} of the inodes at {disk.path} are free"
    return ok(text) if share >= limits.INODES_LOW_SHARE else warning(text)


def _open_files(facts: Facts) -> Verdict:
    have = facts.of(Machine).open_files
    text = f"a process may open {have} files"
    return ok(text) if have >= limits.OPEN_FILES else warning(text)


def _clock(facts: Facts) -> Verdict:
    clock = facts.of(Clock)
    if not clock.server:
        return skipped("TIME_SERVER is not set, so there is nothing to compare with")
    if clock.offset_s is None:
        return warning(
            f"the time server {clock.server} gives no time: {clock.problem}",
            "set TIME_SERVER to a time server that this host reaches, or remove it",
        )
    offset = abs(clock.offset_s)
    text = f"the clock is {offset:.3f} s {'behind' if clock.offset_s > 0 else 'ahead of'} {clock.server}"
    if offset >= limits.CLOCK_FAILED_S:
        return failed(text)
    return warning(text) if offset >= limits.CLOCK_WARNING_S else ok(text)


def _clock_kept(facts: Facts) -> Verdict:
    kept = facts.of(Clock).synchronized
    if kept is None:
        return skipped("this system does not say whether it keeps its clock (no timedatectl)")
    return ok("the clock is kept by a time service") if kept else warning("no time service keeps the clock")


def _container_clock(facts: Facts) -> Verdict:
    ahead = {name: inside.ahead_s for name, inside in facts.of(Insides).by_name.items()}
    # Whole seconds, and the answer takes a moment.
    wrong = {name: skew for name, skew in ahead.items() if abs(skew) > limits.CLOCK_WARNING_S + 4}
    if wrong:
        return failed(", ".join(f"{name} is {skew:+.0f} s off" for name, skew in sorted(wrong.items())))
    if not ahead:
        raise NotGathered("no container could be asked")
    return ok(f"{len(ahead)} containers have the time of this host")


def _writable(facts: Facts) -> Verdict:
    if facts.of(Files).writable:
        return ok(".stack can be written")
    return failed(".stack cannot be written by this user")


def _processor(facts: Facts) -> Verdict:
    machine = facts.of(Machine)
    if not machine.cpu_flags:
        raise NotGathered("the processor of Docker's machine is not known here")
    (pinned,) = [one for one in facts.of(PinnedImages).images if "clickhouse" in one.services]
    running = _image_of(facts, "clickhouse")
    official = next((image for image in pinned.images if running.startswith(f"{image}:")), "")
    version = running.partition("@")[0].removeprefix(f"{official}:") if official else pinned.version
    lacks = processor_lacks(version, machine.architecture, machine.cpu_flags)
    if lacks:
        return failed(f"the processor lacks {', '.join(lacks)}, which ClickHouse {version} needs")
    return ok(f"the processor runs ClickHouse {version}")


def _image_of(facts: Facts, service: str) -> str:
    """Return the image of a container, or an empty string where there is none."""
    try:
        return facts.of(Containers).by_name[service].image
    except (NotGathered, KeyError):
        return ""


def _docker_memory(facts: Facts) -> Verdict:
    docker, stack = facts.of(Docker), facts.of(Stack)
    if docker.problem:
        raise NotGathered(docker.problem)
    need = limits.SIZE_BYTES[stack.size]
    text = f"Docker has {docker.cpus} processors and {docker.memory / GIB:.1f} GiB"
    return ok(text) if docker.memory >= need else warning(f"{text}; {stack.what} wants {need / GIB:.1f} GiB")


def _engine(facts: Facts) -> Verdict:
    stack, docker = facts.of(Stack), facts.of(Docker)
    if stack.values.get("ENGINE"):
        return ok("ENGINE says that the embedded engine is meant")
    if docker.problem:
        return skipped(f"the compose engine could not be used here: {docker.problem}")
    return warning(f"Docker {docker.version} answers, and the data of this stack are in the embedded engine")


CHECKS = (
    Check(
        id="host.engine",
        looks_at="Where Docker answers, the embedded engine is used on purpose. `make up` takes it when "
        "Docker or its images are not there, and keeps it then.",
        fix="move the data: make promote; or say that it is meant: ENGINE=embedded in .env",
        page="how-to/export-and-import.md",
        judge=_engine,
        engines=EMBEDDED,
    ),
    Check(
        id="host.cpus",
        looks_at="This process may use as many processors as the size of the stack wants.",
        fix="give the machine more processors, or choose a smaller STACK_SIZE in .env",
        page="reference/compose.md#sizes",
        judge=_cpus,
    ),
    Check(
        id="host.processor",
        looks_at="The processor has the instructions that ClickHouse needs, which ends with 132 otherwise.",
        fix="in a virtual machine, give it the host's processor type (QEMU: -cpu host; Proxmox: host or "
        "x86-64-v3); else use the image that compose.yaml names",
        page="how-to/troubleshoot.md#clickhouse",
        judge=_processor,
        engines=COMPOSE,
    ),
    Check(
        id="host.memory",
        looks_at="The machine has the memory that the limits of the size add up to.",
        fix="give the machine more memory, or choose a smaller STACK_SIZE in .env",
        page="reference/compose.md#sizes",
        judge=_memory,
    ),
    Check(
        id="host.memory_available",
        looks_at="At least 256 MiB of memory are available now.",
        fix="find what uses it (ps aux --sort -rss | head) and stop it, or add memory",
        page="how-to/troubleshoot.md",
        judge=_memory_available,
    ),
    Check(
        id="host.disk",
        looks_at="The file system of `.stack` has room: fails below 5 % or 512 MiB.",
        fix="free some space, or move the data with STACK_DIR=/some/where/else",
        page="runbooks/DiskLow.md",
        judge=_disk,
    ),
    Check(
        id="host.inodes",
        looks_at="A tenth of the inodes of that file system is free.",
        fix="find the directory with the many files (du --inodes -x / | sort -n | tail) and clean it",
        page="runbooks/InodesLow.md",
        judge=_inodes,
    ),
    Check(
        id="host.open_files",
        looks_at="A process may open 1024 files.",
        fix="raise it: ulimit -n 65536, for good in /etc/security/limits.conf",
        page="how-to/troubleshoot.md",
        judge=_open_files,
    ),
    Check(
        id="host.writable",
        looks_at="This user may write to `.stack`.",
        fix="run make as the user that owns .stack, or give it to this user: sudo chown -R $USER .stack",
        page="how-to/troubleshoot.md",
        judge=_writable,
    ),
    Check(
        id="host.clock",
        looks_at="The clock differs from TIME_SERVER by less than a second; fails above 30 s.",
        fix="start a time service: sudo systemctl enable --now systemd-timesyncd (or chrony)",
        page="runbooks/ClockSkew.md",
        judge=_clock,
    ),
    Check(
        id="host.clock_kept",
        looks_at="The system says that a time service keeps its clock.",
        fix="start one: sudo timedatectl set-ntp true",
        page="runbooks/ClockSkew.md",
        judge=_clock_kept,
    ),
    Check(
        id="host.container_clock",
        looks_at="Containers have the same time as the host (they differ in a virtual machine of Docker).",
        fix="restart Docker, whose virtual machine lost its clock while the host slept",
        page="runbooks/ClockSkew.md",
        judge=_container_clock,
        engines=COMPOSE,
    ),
    Check(
        id="host.docker_memory",
        looks_at="Docker itself (which may be a virtual machine) has the memory that the size wants.",
        fix="give Docker's virtual machine more memory, or choose a smaller STACK_SIZE in .env",
        page="reference/compose.md#sizes",
        judge=_docker_memory,
        engines=COMPOSE,
    ),
)
