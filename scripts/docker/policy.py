"""Rules that the compose stack keeps, as functions over what `docker compose config --format json` prints.

A rule yields a finding for each service that breaks it. Exceptions stand here with their reasons, and nowhere
else. The drawing of the networks and the list of published ports are in docs/reference/compose.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from .images_lock import Locked

Service: TypeAlias = Mapping[str, Any]
Config: TypeAlias = Mapping[str, Any]

LOOPBACK = frozenset({"127.0.0.1", "::1"})

# Services that end when their work is done: they have no health, and may not be started again forever.
ONE_SHOT = frozenset({"buckets", "roles"})

# Programs that commands run: they are there while a command is, have no health, and nobody waits for them.
CLIENTS = frozenset({"postgres-client", "clickhouse-client", "valkey-client"})

# (service, port inside): everything that a host port may lead to.
PUBLISHED = frozenset(
    {
        ("langfuse-web", 3000),
        ("seaweedfs", 8333),
        ("caddy", 80),
        ("caddy", 443),
        ("grafana", 3000),
    }
)

NETWORKS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "langfuse-web": frozenset({"stores", "edge", "monitoring"}),
        "langfuse-worker": frozenset({"stores", "edge", "monitoring"}),
        "postgres": frozenset({"stores"}),
        "clickhouse": frozenset({"stores"}),
        "valkey": frozenset({"stores"}),
        "seaweedfs": frozenset({"stores", "objects"}),
        "buckets": frozenset(),
        "roles": frozenset({"stores"}),
        **dict.fromkeys(CLIENTS, frozenset({"edge"})),
        "caddy": frozenset({"edge", "objects", "monitoring", "alerts"}),
        "prometheus": frozenset({"monitoring", "alerts", "stores"}),
        "alertmanager": frozenset({"alerts", "notify"}),
        "grafana": frozenset({"monitoring", "dashboards"}),
        "statsd-exporter": frozenset({"monitoring"}),
        "node-exporter": frozenset({"monitoring"}),
        "postgres-exporter": frozenset({"monitoring", "stores"}),
        "valkey-exporter": frozenset({"monitoring", "stores"}),
        "exporter": frozenset({"monitoring", "stores"}),
    }
)
# What each service listens on for others: every container on one of its networks can connect to that. The
# scenario `security` compares it with /proc and a scan from every network; the threat model shows it.
LISTENS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "langfuse-web": frozenset({3000}),
        "langfuse-worker": frozenset({3030}),
        "postgres": frozenset({5432}),
        "clickhouse": frozenset({8123, 9000, 9363}),
        "valkey": frozenset({6379}),
        "seaweedfs": frozenset({8333, 18333}),
        "caddy": frozenset({80, 443}),
        "prometheus": frozenset({9090}),
        "alertmanager": frozenset({9093}),
        "grafana": frozenset({3000}),
        "statsd-exporter": frozenset({9102}),
        "node-exporter": frozenset({9100}),
        "postgres-exporter": frozenset({9187}),
        "valkey-exporter": frozenset({9121}),
        "exporter": frozenset({9464}),
    }
)
INTERNAL_NETWORKS = frozenset({"stores", "monitoring", "alerts"})
SHARED_NAMESPACE = {"buckets": "service:seaweedfs"}  # the administration port of SeaweedFS is on its loopback

CAPABILITIES = {
    # The program file asks for it and does not start without, though binding is free in a container.
    "caddy": frozenset({"NET_BIND_SERVICE"}),
}
ROOT_USERS = frozenset({"caddy"})  # the volumes of its image belong to root; it has no capability over others

STACK_READERS = frozenset({"exporter"})  # it reads every project with its key, and when jobs succeeded

# What the Docker client fills in from `proxies` of its config.json, in capital and in small letters
# (https://docs.docker.com/engine/cli/proxy/).
PROXY_VARIABLES = frozenset(
    spelling
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")
    for spelling in (name, name.lower())
)
# Calls to models only; the health check is an HTTP call.
_PROXIES_OF_THE_APPLICATION = frozenset({"HTTPS_PROXY", "NO_PROXY", "no_proxy"})

TWO_NUMBER_VERSIONS = frozenset({"postgres", "seaweedfs"})  # their releases have no third one

# Passwords and keys that stand in public example files.
WELL_KNOWN_SECRETS = frozenset(
    {
        "postgres",
        "clickhouse",
        "password",
        "changeme",
        "myredissecret",
        "miniosecret",
        "minio",
        "secret",
        "mysalt",
        "mysecret",
        "langfuse",
        "admin",
        "grafana",
    }
)
_SECRET_NAME = re.compile(
    r"(PASSWORD|_PASS|SECRET|SECRET_KEY|SALT|ENCRYPTION_KEY|API_KEY|_AUTH|ACCESS_KEY|SIGNING_KEY|_KEY_ID)$"
)
_TAG = re.compile(r".*:v?(?P<version>\d+(\.\d+)+)([.-][0-9A-Za-z.-]+)?")

# Variables that web and worker may have with different values, or only one of them.
_OF_ONE_PROCESS = frozenset({"PORT", "NODE_OPTIONS", "LANGFUSE_S3_MEDIA_UPLOAD_ENDPOINT"})
_APPLICATION = ("langfuse-web", "langfuse-worker")


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that is broken: its name, where, and in which way."""

    rule: str
    subject: str
    reason: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason} ({self.rule})"


Finding: TypeAlias = tuple[str, str]
Rule: TypeAlias = Callable[[Config], Iterable[Finding]]


def check(
    config: Config, *, bind_addresses: Iterable[str] = (), lock: Mapping[str, Locked] | None = None
) -> list[Breach]:
    """Return every breach in a parsed compose configuration, in the order of the rules.

    Args:
        bind_addresses: further addresses that ports may be published on: those that the operator has set.
        lock: what images.lock says; without one, tags are enough.
    """
    allowed = LOOPBACK | frozenset(bind_addresses)
    rules: dict[str, Rule] = {
        **RULES,
        "ports-on-known-addresses": lambda found: _ports(found, allowed),
        "locked-images": lambda found: _unlocked(found, lock or {}),
    }
    return [Breach(name, subject, reason) for name, rule in rules.items() for subject, reason in rule(config)]


def _services(config: Config) -> Iterator[tuple[str, Service]]:
    yield from sorted(config["services"].items())


def _limits(service: Service) -> Mapping[str, Any]:
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    return limits if isinstance(limits, Mapping) else {}


def _environment(service: Service) -> Mapping[str, str | None]:
    found = service.get("environment") or {}
    return found if isinstance(found, Mapping) else {}


def images_have_exact_tags(config: Config) -> Iterator[Finding]:
    """A floating tag changes under a running stack."""
    for name, service in _services(config):
        image = str(service.get("image", ""))
        if "@sha256:" in image:
            continue
        matched = _TAG.fullmatch(image)
        repository = image.rpartition("/")[2].partition(":")[0]
        numbers = 2 if repository in TWO_NUMBER_VERSIONS else 3
        if not matched or matched["version"].count(".") + 1 < numbers:
            yield name, f"image {image or 'without a name'} has no exact version"


def _unlocked(config: Config, lock: Mapping[str, Locked]) -> Iterator[Finding]:
    """With a lock, every image of a registry is in it, and no other digest is used."""
    for name, service in _services(config) if lock else ():
        reference, _, digest = str(service.get("image", "")).partition("@")
        if service.get("build"):
            continue
        if reference not in lock:
            yield name, f"images.lock does not know {reference}"
        elif digest and digest != lock[reference].digest:
            yield name, f"{reference} is not the image of images.lock"


def secrets_are_not_well_known(config: Config) -> Iterator[Finding]:
    """A secret that is in an example file, or is short or all one character, protects nothing."""
    for name, service in _services(config):
        for variable, value in _environment(service).items():
            if not _SECRET_NAME.search(variable) or value is None:
                continue
            if len(value) < 8 or len(set(value)) < 4 or value.lower() in WELL_KNOWN_SECRETS:
                yield name, f"{variable} is empty, short or publicly known"


def only_listed_ports_are_published(config: Config) -> Iterator[Finding]:
    """Stores are nobody's business outside."""
    for name, service in _services(config):
        for port in service.get("ports") or ():
            if (name, port["target"]) not in PUBLISHED:
                yield name, f"port {port['target']} is published"


def _ports(config: Config, allowed: frozenset[str]) -> Iterator[Finding]:
    """A port without an address is open on every interface, past the firewall."""
    for name, service in _services(config):
        for port in service.get("ports") or ():
            if port.get("host_ip", "") not in allowed:
                yield name, f"port {port['target']} is published on {port.get('host_ip') or 'every address'}"


def resources_are_limited(config: Config) -> Iterator[Finding]:
    """One service may not take the host with it."""
    for name, service in _services(config):
        limits = _limits(service)
        missing = [limit for limit in ("memory", "cpus", "pids") if not limits.get(limit)]
        if missing:
            yield name, f"no limit for {', '.join(missing)}"


def logs_are_rotated(config: Config) -> Iterator[Finding]:
    """Docker keeps every line forever otherwise."""
    for name, service in _services(config):
        logging = service.get("logging") or {}
        options = logging.get("options") or {}
        rotated = options.get("max-size") and options.get("max-file")
        if logging.get("driver") not in {"json-file", "local"} or not rotated:
            yield name, "its log is not rotated"


def privileges_cannot_grow(config: Config) -> Iterator[Finding]:
    """A set-uid program in an image gives nothing."""
    for name, service in _services(config):
        if "no-new-privileges:true" not in (service.get("security_opt") or ()):
            yield name, "no-new-privileges is not set"


def capabilities_are_dropped(config: Config) -> Iterator[Finding]:
    """All of them; the few that come back are listed."""
    for name, service in _services(config):
        if service.get("cap_drop") != ["ALL"]:
            yield name, "does not drop all capabilities"
        extra = set(service.get("cap_add") or ()) - CAPABILITIES.get(name, frozenset())
        if extra:
            yield name, f"adds {', '.join(sorted(extra))}"


def nothing_of_the_host_is_shared(config: Config) -> Iterator[Finding]:
    """No privileged container, no namespace or device of the host, no way to its Docker engine."""
    for name, service in _services(config):
        for key in ("privileged", "devices", "device_cgroup_rules", "cgroup_parent", "volumes_from"):
            if service.get(key):
                yield name, f"has {key}"
        for key in ("pid", "ipc", "uts", "userns_mode", "cgroup"):
            if service.get(key) == "host":
                yield name, f"shares the {key} of the host"
        for volume in service.get("volumes") or ():
            if "docker.sock" in str(volume.get("source")):
                yield name, "can command the Docker engine"


def root_file_systems_are_read_only(config: Config) -> Iterator[Finding]:
    """What an intruder writes does not stay, and nothing of value is outside of a volume."""
    for name, service in _services(config):
        if not service.get("read_only"):
            yield name, "its root file system can be written"


def nobody_is_root(config: Config) -> Iterator[Finding]:
    """A number, as a name is looked up in the image."""
    for name, service in _services(config):
        user = str(service.get("user") or "")
        if name not in ROOT_USERS and not re.fullmatch(r"[1-9][0-9]*(:[1-9][0-9]*)?", user):
            yield name, f"runs as {user or 'the user of its image'}"


def every_service_has_a_health_check(config: Config) -> Iterator[Finding]:
    """One that can fail, on an address that exists: `localhost` may be ::1, where nothing listens."""
    for name, service in _services(config):
        if name in ONE_SHOT | CLIENTS:
            continue
        health = service.get("healthcheck") or {}
        test = " ".join(health.get("test") or ())
        if health.get("disable") or not test or test == "NONE":
            yield name, "has no health check"
        elif "localhost" in test or "|| true" in test or "grep healthy" in test:
            yield name, f"its health check proves nothing: {test}"
        elif not health.get("timeout") or not health.get("start_interval"):
            yield name, "its health check has no timeout or no start_interval"


# (service, what its command line must have, what it must not have): ports for administrators that ask for
# no password are off, or listen on loopback.
_COMMANDS: Sequence[tuple[str, frozenset[str], tuple[str, ...]]] = (
    (
        "seaweedfs",
        frozenset({"-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"}),
        ("-metricsPort", "-debug", "-webdav", "-sftp", "-mq.broker", "-admin"),
    ),
    (
        "prometheus",
        frozenset(),
        ("--web.enable-lifecycle", "--web.enable-admin-api", "--web.enable-remote-write"),
    ),
    ("alertmanager", frozenset({"--cluster.listen-address="}), ()),
    ("statsd-exporter", frozenset(), ("--web.enable-lifecycle",)),
)
# (service, variable): without it a port answers everybody.
_GUARDS = (
    ("seaweedfs", "AWS_SECRET_ACCESS_KEY"),
    ("seaweedfs", "WEED_JWT_FILER_SIGNING_KEY"),
    ("grafana", "GF_METRICS_BASIC_AUTH_PASSWORD"),
    ("grafana", "GF_SECURITY_ADMIN_PASSWORD"),
)


def administration_asks_for_a_password(config: Config) -> Iterator[Finding]:
    """What changes a service, or shows what it stores, is not there for whoever shares a network with it."""
    present = config["services"]
    for name, required, forbidden in _COMMANDS:
        words = [str(word) for word in present[name].get("command") or ()] if name in present else []
        if name in present:
            for word in sorted(required.difference(words)):
                yield name, f"does not run with {word}"
        for word in words:
            if word.startswith(forbidden):
                yield name, f"runs with {word}"
    for name, variable in _GUARDS:
        if name in present and not _environment(present[name]).get(variable):
            yield name, f"{variable} is not set: one of its ports answers everybody"
    if "buckets" in present and "seaweedfs" in present:
        variable = "WEED_JWT_FILER_SIGNING_KEY"
        if _environment(present["buckets"]).get(variable) != _environment(present["seaweedfs"]).get(variable):
            yield "buckets", f"{variable} differs from that of seaweedfs"


def secrets_are_no_arguments(config: Config) -> Iterator[Finding]:
    """Every user of the host sees the arguments of every process, also of one in a container."""
    values = {
        value
        for _, service in _services(config)
        for variable, value in _environment(service).items()
        if value and len(value) >= 8 and value not in WELL_KNOWN_SECRETS and _SECRET_NAME.search(variable)
    }
    for name, service in _services(config):
        for place in ("command", "entrypoint", "healthcheck"):
            given = service.get(place) or ()
            words = given.get("test") or () if isinstance(given, Mapping) else given
            words = [words] if isinstance(words, str) else [str(word) for word in words]
            if any(value in word for word in words for value in values):
                yield name, f"its {place} holds a secret"
            shown = {variable for word in words for variable in _arguments_with_secrets(word)}
            if shown:
                yield name, f"its {place} puts {', '.join(sorted(shown))} into the arguments of a program"


# Programs of the shell itself: they are not processes.
_BUILTINS = frozenset({"[", ":", "echo", "exit", "export", "printf", "read", "set", "test", "umask", "unset"})
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n.*?\n\s*\2\b", re.DOTALL)
_ASSIGNMENT = re.compile(
    r"\s*(?:(?:export|exec|if|then|else|do|while|!|\(|\{)\s+)*(?:\w+=(?:\"[^\"]*\"|'[^']*'|[^\s\"']*)\s*)*"
)
_REFERENCE = re.compile(r"\$+\{?(\w+)")


def _arguments_with_secrets(script: str) -> Iterator[str]:
    """Yield the secret variables that a shell script hands to a program as arguments.

    Not those in assignments before a command, in what the shell itself prints, or in what comes over
    standard input.
    """
    text = _HEREDOC.sub(r"\3", script).replace("\\\n", " ")
    for part in re.split(r"\|\|?|&&|[;&\n]|\$\$?\(|`", text):
        matched = _ASSIGNMENT.match(part)
        rest = part[matched.end() :] if matched else part
        program = rest.split(maxsplit=1)[0] if rest.strip() else ""
        if program in _BUILTINS:
            continue
        yield from (name for name in _REFERENCE.findall(rest) if _SECRET_NAME.search(name))


def names_are_not_fixed(config: Config) -> Iterator[Finding]:
    """Several stacks fit on one host: containers, volumes and networks are named after the project."""
    for name, service in _services(config):
        if service.get("container_name"):
            yield name, "has a container_name"
    for kind in ("networks", "volumes"):
        for name, item in sorted((config.get(kind) or {}).items()):
            if item.get("name") != f"{config['name']}_{name}" or item.get("external"):
                yield name, f"{kind} of other stacks could be meant by {item.get('name')}"


def networks_are_as_drawn(config: Config) -> Iterator[Finding]:
    """Stores reach nothing outside, and only who needs them reaches them."""
    for name, service in _services(config):
        mode = service.get("network_mode")
        if mode != SHARED_NAMESPACE.get(name):
            yield name, f"its network_mode is {mode}"
        drawn = NETWORKS.get(name)
        actual = frozenset(service.get("networks") or ())
        if actual != drawn:
            shown = "no place in the drawing" if drawn is None else f"its place is {sorted(drawn)}"
            yield name, f"is on {sorted(actual)}; {shown}"
    for name, network in sorted((config.get("networks") or {}).items()):
        if bool(network.get("internal")) != (name in INTERNAL_NETWORKS):
            yield name, "is internal against the drawing, or open against it"


def _may_be_read(service: str, source: str) -> bool:
    shared = source.endswith(("/credentials", "/heartbeats"))
    if service == "grafana" and source.endswith("/docs/runbooks"):
        return True
    return "/config/" in source or (service in STACK_READERS and shared)


def host_files_are_read_only(config: Config) -> Iterator[Finding]:
    """From the host come files of `config/`, to be read; data is in named volumes."""
    for name, service in _services(config):
        for volume in service.get("volumes") or ():
            source = str(volume.get("source") or "")
            if volume["type"] == "volume" and not source:
                yield name, f"{volume['target']} is an anonymous volume"
            elif volume["type"] == "bind" and not (_may_be_read(name, source) and volume.get("read_only")):
                yield name, f"{source} of the host is not a file of config/, or can be written"


def services_come_back(config: Config) -> Iterator[Finding]:
    """After a crash or a restart of the host, but not after `make down`."""
    for name, service in _services(config):
        wanted = "on-failure:5" if name in ONE_SHOT | CLIENTS else "unless-stopped"
        if service.get("restart") != wanted:
            yield name, f"restart is {service.get('restart')}, not {wanted}"


def everything_is_in_utc(config: Config) -> Iterator[Finding]:
    """Langfuse finds nothing, or the wrong hours, when a store is not."""
    for name, service in _services(config):
        if name not in ONE_SHOT | CLIENTS and _environment(service).get("TZ") != "UTC":
            yield name, "TZ is not UTC"


def no_proxy_of_the_client_is_inherited(config: Config) -> Iterator[Finding]:
    """Docker fills in what a service leaves out, and calls between services end at that proxy."""
    for name, service in _services(config):
        values = _environment(service)
        own = _PROXIES_OF_THE_APPLICATION if name in _APPLICATION else frozenset()
        if missing := sorted(one for one in PROXY_VARIABLES if one not in values):
            yield name, f"would inherit {', '.join(missing)} from the Docker client"
        if chosen := sorted(one for one in PROXY_VARIABLES - own if values.get(one)):
            yield name, f"sends calls to other services through a proxy ({', '.join(chosen)})"


def the_start_order_holds(config: Config) -> Iterator[Finding]:
    """Stores, then web, which migrates, then the worker, which seeds model prices once."""
    present = config["services"]
    stores = {"postgres", "clickhouse", "valkey"} & present.keys()
    wanted = dict.fromkeys(stores, "service_healthy")
    wanted |= dict.fromkeys(ONE_SHOT & present.keys(), "service_completed_successfully")
    for name in _APPLICATION:
        more = {"langfuse-web": "service_healthy"} if name == "langfuse-worker" else {}
        actual = present[name].get("depends_on") or {}
        for dependency, condition in {**wanted, **more}.items():
            if actual.get(dependency, {}).get("condition") != condition:
                yield name, f"does not wait until {dependency} is {condition.removeprefix('service_')}"


def what_was_acknowledged_is_kept(config: Config) -> Iterator[Finding]:
    """Measured: with the server's defaults a ClickHouse that is away for 10 s costs four rows of ten."""
    for name in _APPLICATION:
        values = _environment(config["services"][name])
        if int(values.get("LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS") or 3) < 10_000:
            yield name, "gives rows up after too few attempts"
        if int(values.get("LANGFUSE_INGESTION_CLICKHOUSE_WRITE_INTERVAL_MS") or 1000) > 250:
            yield name, "holds rows in memory for longer than 250 ms"
        if values.get("LANGFUSE_S3_EVENT_UPLOAD_PREFIX") != "":
            yield name, "has a prefix in the events bucket, which makes replay impossible"
        keys = ("EVENT_UPLOAD", "MEDIA_UPLOAD", "BATCH_EXPORT")
        buckets = {values.get(f"LANGFUSE_S3_{key}_BUCKET") for key in keys}
        if len(buckets) != len(keys) or None in buckets:
            yield name, "does not have three buckets"


def web_and_worker_agree(config: Config) -> Iterator[Finding]:
    """Another SALT, bucket or database on one side makes keys invalid and data vanish."""
    web, worker = (_environment(config["services"][name]) for name in _APPLICATION)
    differing = [
        name
        for name in sorted(web.keys() & worker.keys() - _OF_ONE_PROCESS)
        if web.get(name) != worker.get(name)
    ]
    if differing:
        yield "langfuse-worker", f"differs from web in {', '.join(differing)}"


def memory_of_programs_fits_their_limits(config: Config) -> Iterator[Finding]:
    """A program that knows its limit refuses work; one that does not is killed in the middle of it."""
    mebibyte = 2**20
    programs = (
        ("langfuse-web", "NODE_OPTIONS", mebibyte),
        ("langfuse-worker", "NODE_OPTIONS", mebibyte),
        ("clickhouse", "CLICKHOUSE_MAX_MEMORY_BYTES", 1),
        ("valkey", "VALKEY_MAXMEMORY_MB", mebibyte),
    )
    for name, variable, unit in programs:
        service = config["services"].get(name)
        limit = int(_limits(service).get("memory") or 0) if service else 0
        if not service or not limit:
            continue
        number = re.search(r"\d+$", _environment(service).get(variable) or "")
        if not number or int(number[0]) * unit > 0.85 * limit:
            yield name, f"{variable} does not leave 15 % of its memory limit free"


def writers_may_finish(config: Config) -> Iterator[Finding]:
    """Docker kills after 10 s: too early for what a worker or a store still has to write."""
    for name in ("langfuse-worker", "postgres", "clickhouse", "valkey", "seaweedfs"):
        service = config["services"].get(name)
        if service and _seconds(str(service.get("stop_grace_period") or "10s")) < 30:
            yield name, "has less than 30 s to stop"


def files_may_be_many(config: Config) -> Iterator[Finding]:
    """ClickHouse opens a file for every column of every part."""
    service = config["services"].get("clickhouse")
    if service and (service.get("ulimits") or {}).get("nofile", {}).get("soft", 0) < 262_144:
        yield "clickhouse", "may open fewer than 262144 files"


def _seconds(duration: str) -> float:
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([hms])", duration))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "exact-tags": images_have_exact_tags,
        "no-known-secrets": secrets_are_not_well_known,
        "only-listed-ports": only_listed_ports_are_published,
        "limits": resources_are_limited,
        "log-rotation": logs_are_rotated,
        "no-new-privileges": privileges_cannot_grow,
        "capabilities": capabilities_are_dropped,
        "nothing-of-the-host": nothing_of_the_host_is_shared,
        "read-only": root_file_systems_are_read_only,
        "not-root": nobody_is_root,
        "health-checks": every_service_has_a_health_check,
        "administration": administration_asks_for_a_password,
        "no-secrets-in-arguments": secrets_are_no_arguments,
        "no-fixed-names": names_are_not_fixed,
        "networks": networks_are_as_drawn,
        "host-files": host_files_are_read_only,
        "restart": services_come_back,
        "utc": everything_is_in_utc,
        "proxies": no_proxy_of_the_client_is_inherited,
        "start-order": the_start_order_holds,
        "nothing-lost": what_was_acknowledged_is_kept,
        "agreement": web_and_worker_agree,
        "memory": memory_of_programs_fits_their_limits,
        "grace": writers_may_finish,
        "open-files": files_may_be_many,
    }
)
