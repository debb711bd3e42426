"""What must hold of everything that goes to a cluster, the chart's objects and ours: no schema shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from scripts.settings.problem import Problem
from scripts.settings.server_variables import server_variable

from .clickhouse import LOG
from .ingress import MEDIA_BODY, WEB_BODY, class_annotations
from .manifests import OPERATOR_PORTS, Manifest
from .model import POSTGRES, Cluster
from .postgres import LABEL, OPERATOR_NAMESPACE, POSTGRES_PORTS
from .values import MIGRATIONS_S, WRITABLE

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"})
_COMPONENTS = ("web", "worker")
_HOST = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^@/\s]*@)?([A-Za-z0-9.-]+)")
_HOST_NAMES = re.compile(r".*_HOST")
_HOSTNAME = "HOSTNAME"

ABSENT: Mapping[str, str] = {
    "DATABASE_URL": "the chart gives DATABASE_HOST and its companions, which the server joins",
    "REDIS_HOST": "the chart gives REDIS_CONNECTION_STRING, which the server takes before it",
    "REDIS_PORT": "part of REDIS_CONNECTION_STRING",
    "REDIS_AUTH": "part of REDIS_CONNECTION_STRING",
    "REDIS_USERNAME": "part of REDIS_CONNECTION_STRING",
    "LANGFUSE_INIT_*": "a cluster gets its projects by restore or bootstrap",
    "DD_*": "for the receiver of statsd in compose's profile for monitoring",
    "PORT": "the worker's own default is the port that the chart expects",
}
"""Variables of compose that need not arrive, with the reason; `*` ends a prefix."""

CHANGED: Mapping[str, str] = {
    "CLICKHOUSE_URL": "address of a store",
    "CLICKHOUSE_MIGRATION_URL": "address of a store",
    "CLICKHOUSE_USER": "the operator makes the user `default` only",
    "CLICKHOUSE_CLUSTER_ENABLED": "ClickHouse is a cluster here, with one replica too",
    "REDIS_CONNECTION_STRING": "address of a store",
    "LANGFUSE_S3_EVENT_UPLOAD_ENDPOINT": "address of a store",
    "LANGFUSE_S3_BATCH_EXPORT_ENDPOINT": "address of a store",
    "LANGFUSE_S3_MEDIA_UPLOAD_ENDPOINT": "the worker reaches media by the internal endpoint",
    "LANGFUSE_S3_MEDIA_UPLOAD_INTERNAL_ENDPOINT": "address of a store",
}
"""Variables of compose that arrive with another value, with the reason."""

UNREAD: Mapping[str, str] = {
    "DATABASE_HOST": "web/entrypoint.sh and worker/entrypoint.sh read it",
    "DATABASE_USERNAME": "web/entrypoint.sh and worker/entrypoint.sh read it",
    "DATABASE_PASSWORD": "web/entrypoint.sh and worker/entrypoint.sh read it",
    "DATABASE_NAME": "web/entrypoint.sh and worker/entrypoint.sh read it",
    "REDIS_PASSWORD": "the chart puts it into REDIS_CONNECTION_STRING",
    "ENABLE_EXPERIMENTAL_FEATURES": "chart 2.0.0 misspells LANGFUSE_ENABLE_EXPERIMENTAL_FEATURES",
    "LANGFUSE_S3_MEDIA_UPLOAD_MAX_CONTENT_LENGTH": "the server's name is without UPLOAD",
    "LANGFUSE_S3_MEDIA_UPLOAD_DOWNLOAD_URL_EXPIRY_SECONDS": "the server's name is without UPLOAD",
}
"""Variables of the chart that the server's code does not read, with the reason."""


@dataclass(frozen=True)
class View:
    """What is checked.

    Attributes:
        cluster: what was asked for.
        objects: all that the cluster gets, from the chart, its sub-charts and us.
        compose_services: names of hosts that only compose has.
        server_logs: names of the tables that ClickHouse logs to, all of which must be bounded.
    """

    cluster: Cluster
    objects: Sequence[Manifest]
    compose_services: frozenset[str]
    server_logs: frozenset[str]

    def of(self, *kinds: str) -> list[Manifest]:
        """Return the objects of these kinds."""
        return [one for one in self.objects if one["kind"] in kinds]

    def names(self, *kinds: str) -> set[str]:
        """Return the names of the objects of these kinds."""
        return {one["metadata"]["name"] for one in self.of(*kinds)}

    @cached_property
    def pods(self) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
        """Return place, labels and specification of every pod."""
        found = []
        for one in self.of(*_WORKLOADS):
            spec = one["spec"].get("jobTemplate", one)["spec"] if one["kind"] == "CronJob" else one["spec"]
            template = spec["template"]
            found.append((_place(one), template["metadata"].get("labels", {}), template["spec"]))
        return found

    def component(self, name: str) -> dict[str, Any] | None:
        """Return the specification of the pods of web or worker."""
        wanted = f"Deployment {self.cluster.fullname}-{name}"
        return next((spec for place, _, spec in self.pods if place == wanted), None)


_OPERATORS: Mapping[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _values: value is not None,
    "DoesNotExist": lambda value, _values: value is None,
}

Rule = Callable[[View], Iterator[Problem]]


def check(view: View) -> list[Problem]:
    """Return what is wrong, in the order of the rules."""
    return [problem for rule in RULES for problem in rule(view)]


def variables_arrive(view: View) -> Iterator[Problem]:
    """Every variable that compose gives web and worker arrives with its value, or a list says why not."""
    for name, expected in zip(_COMPONENTS, (view.cluster.web, view.cluster.worker), strict=True):
        spec = view.component(name)
        if spec is None:
            yield Problem(name, "the chart", "there is no such Deployment", "use chart 2.0.0")
            continue
        given = _variables(spec)
        for variable, value in sorted(expected.items()):
            if variable not in given:
                if not any(_covers(listed, variable) for listed in ABSENT):
                    yield Problem(variable, name, "compose gives it, and it does not arrive", "report it")
            elif isinstance(given[variable], str) and given[variable] != value and variable not in CHANGED:
                reason = f"is {given[variable]!r}, and {value!r} in compose"
                yield Problem(variable, name, reason, "take it out of .env.langfuse or report it")


def names_are_the_servers(view: View) -> Iterator[Problem]:
    """A variable whose name the server does not know changes nothing, and nobody notices."""
    for name in _COMPONENTS:
        for variable in _variables(view.component(name) or {}):
            if variable not in UNREAD and server_variable(variable) is None:
                yield Problem(variable, name, "the server reads no variable of that name", "correct the name")


def hosts_exist(view: View) -> Iterator[Problem]:
    """A host without a dot is a service of the namespace; those of compose are not there."""
    services = view.names("Service")
    for place, variable, text in _texts(view):
        hosts = [match.lower() for match in _HOST.findall(text)]
        if _HOST_NAMES.fullmatch(variable):
            hosts.append(text)
        for host in hosts:
            short = host.removesuffix(f".{view.cluster.namespace}.svc.cluster.local")
            if "." in short or short in services or short == "localhost":
                continue
            if short in view.compose_services:
                yield Problem(
                    variable, place, f"{host} is a host of compose", "use the service of the cluster"
                )
            else:
                yield Problem(variable, place, f"there is no Service {host}", "use one of the namespace")


def references_exist(view: View) -> Iterator[Problem]:
    """Pods do not start when a Secret, a ConfigMap or a service account that they name is missing."""
    kinds = {"Secret": "Secret", "ConfigMap": "ConfigMap", "ServiceAccount": "ServiceAccount"}
    held = {kind: view.names(kind) for kind in kinds}
    keys = {
        (one["kind"], one["metadata"]["name"]): set(one.get("data") or {})
        for one in view.of("Secret", "ConfigMap")
    }
    for place, _, spec in view.pods:
        for kind, name, key in _references(spec):
            if name not in held[kind]:
                yield Problem(name, place, f"there is no such {kind}", "render with the chart that makes it")
            elif key and keys.get((kind, name)) and key not in keys[kind, name]:
                yield Problem(name, place, f"the {kind} has no key {key}", "use a key that it has")


def targets_exist(view: View) -> Iterator[Problem]:
    """An ingress, an autoscaler and a Service lead to what is there."""
    services, deployments = view.names("Service"), view.names("Deployment")
    for one in view.of("Ingress"):
        for rule in one["spec"].get("rules", ()):
            for path in rule["http"]["paths"]:
                name = path["backend"]["service"]["name"]
                if name not in services:
                    yield Problem(name, _place(one), "there is no such Service", "use one of the namespace")
    for one in view.of("HTTPRoute"):
        for rule in one["spec"]["rules"]:
            for name in (backend["name"] for backend in rule["backendRefs"]):
                if name not in services:
                    yield Problem(name, _place(one), "there is no such Service", "use one of the namespace")
    for one in view.of("HorizontalPodAutoscaler", "ScaledObject"):
        name = one["spec"]["scaleTargetRef"]["name"]
        if name not in deployments:
            yield Problem(name, _place(one), "there is no such Deployment", "name web or worker")


def ingresses_pass_on(view: View) -> Iterator[Problem]:
    """Large batches get through an ingress, answers are not held back, and its host is the announced one."""
    announced = {view.cluster.settings[name] for name in ("NEXTAUTH_URL", "S3_PUBLIC_ENDPOINT")}
    hosts = {urlsplit(url).hostname for url in announced}
    for one in view.of("Ingress", "HTTPRoute"):
        spec = one["spec"]
        for host in spec.get("hostnames") or [rule.get("host") for rule in spec["rules"]]:
            if host not in hosts:
                reason = "neither NEXTAUTH_URL nor S3_PUBLIC_ENDPOINT has this host"
                yield Problem(str(host), _place(one), reason, "use the host of .env")
    for one in view.of("Ingress"):
        body = MEDIA_BODY if one["metadata"]["name"].endswith("-s3") else WEB_BODY
        kind, secure = one["spec"]["ingressClassName"], bool(one["spec"].get("tls"))
        given = one["metadata"].get("annotations", {})
        for name, value in class_annotations(kind, secure=secure, body=body).items():
            if given.get(name) != value:
                yield Problem(name, _place(one), f"is {given.get(name)!r}", f"set it to {value!r}")


def selectors_match(view: View) -> Iterator[Problem]:
    """A policy, a budget, a Service or a monitor that selects nothing guards nothing."""
    pods = [labels for _, labels, _ in view.pods]
    selectors = (
        [(one, one["spec"]["podSelector"], pods) for one in view.of("NetworkPolicy")]
        + [(one, one["spec"]["selector"], pods) for one in view.of("PodDisruptionBudget")]
        + [
            (one, {"matchLabels": one["spec"]["selector"]}, pods)
            for one in view.of("Service")
            if one["spec"].get("selector")
        ]
    )
    services = [one["metadata"].get("labels", {}) for one in view.of("Service")]
    selectors += [(one, one["spec"]["selector"], services) for one in view.of("ServiceMonitor")]
    for one, selector, candidates in selectors:
        if not any(selects(selector, labels) for labels in candidates):
            yield Problem("selector", _place(one), "nothing has these labels", "use the labels of the pods")


def operators_get_in(view: View) -> Iterator[Problem]:
    """A store is never ready when its operator, in another namespace, cannot ask how it is."""
    policies, cluster = view.of("NetworkPolicy"), view.cluster
    wanted: list[tuple[dict[str, str], str, int]] = []
    if view.of("ClickHouseCluster"):
        for kind, port in zip(("clickhouse", "keeper"), OPERATOR_PORTS, strict=True):
            wanted.append(({"app": f"{cluster.fullname}-{kind}"}, cluster.operator_namespace, port))
    if view.of("Cluster"):
        wanted += [({LABEL: POSTGRES}, OPERATOR_NAMESPACE, port) for port in POSTGRES_PORTS]
    for labels, namespace, port in wanted:
        if not admitted(policies, labels, (namespace, {}), port, cluster.namespace):
            reason = f"no policy lets namespace {namespace} in on port {port}"
            yield Problem(next(iter(labels.values())), "network policies", reason, "admit the operator")


def replicas_survive_a_node(view: View) -> Iterator[Problem]:
    """Replicas of ClickHouse agree through Keeper, which needs more than half of an odd number of its own."""
    several = any(one["spec"]["replicas"] > 1 for one in view.of("ClickHouseCluster"))
    for one in view.of("KeeperCluster"):
        keepers = one["spec"]["replicas"]
        if keepers % 2 == 0 or (several and keepers < 3):
            yield Problem("replicas", _place(one), f"are {keepers}", "use 3 (1 for a single ClickHouse)")


def one_autoscaler_each(view: View) -> Iterator[Problem]:
    """Two autoscalers of one Deployment pull in different directions."""
    scalers = view.of("HorizontalPodAutoscaler", "ScaledObject")
    names = [one["spec"]["scaleTargetRef"]["name"] for one in scalers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(name, "autoscaling", "has two autoscalers", "switch one off in the values")


def logs_are_bounded(view: View) -> Iterator[Problem]:
    """ClickHouse's own log tables grow without end: https://github.com/langfuse/langfuse/issues/13123"""
    for one in view.of("ClickHouseCluster"):
        config = one["spec"]["settings"].get("extraConfig") or {}
        for table in sorted(view.server_logs):
            setting = config.get(table) or {}
            if "@remove" not in setting and "TTL" not in str(setting.get("engine", setting.get("ttl", ""))):
                yield Problem(table, _place(one), "neither removed nor with a TTL", "set it in the values")


def probes_allow_migrations(view: View) -> Iterator[Problem]:
    """A web that is killed within its migrations leaves a dirty database."""
    for container in _containers(view.component("web") or {}):
        probes = [container[kind] for kind in ("startupProbe", "livenessProbe") if kind in container]
        patience = max((_patience(probe) for probe in probes), default=MIGRATIONS_S)
        if patience < MIGRATIONS_S:
            reason = f"kills web after {patience} s, and its first migrations may take {MIGRATIONS_S} s"
            yield Problem("livenessProbe", "web", reason, "raise initialDelaySeconds")


def pods_are_restricted(view: View) -> Iterator[Problem]:
    """Web, worker and our own pods keep the restricted standard, and have a read-only root besides:
    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    for place, labels, spec in view.pods:
        own = labels.get("app.kubernetes.io/part-of") == "langfuse-stack"
        component = labels.get("app") if place.endswith(_COMPONENTS) else None
        if not own and component is None:
            continue
        pod = spec.get("securityContext") or {}
        for container in [*spec.get("initContainers", ()), *_containers(spec)]:
            context = {**pod, **(container.get("securityContext") or {})}
            wanted = {
                "runAsNonRoot": context.get("runAsNonRoot") is True,
                "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
                "readOnlyRootFilesystem": context.get("readOnlyRootFilesystem") is True,
                "capabilities": "ALL" in (context.get("capabilities") or {}).get("drop", ()),
                "seccompProfile": (context.get("seccompProfile") or {}).get("type") == "RuntimeDefault",
            }
            for setting in (name for name, holds in wanted.items() if not holds):
                yield Problem(
                    setting, f"{place}, {container['name']}", "not restricted", "set it as in compose"
                )
        if spec.get("automountServiceAccountToken") is not False:
            yield Problem("automountServiceAccountToken", place, "the pod gets a token", "set it to false")


def writable_places(view: View) -> Iterator[Problem]:
    """On a read-only root, web and worker write where a volume is, as in compose."""
    for name in _COMPONENTS:
        spec = view.component(name) or {}
        empty = {one["name"] for one in spec.get("volumes", ()) if "emptyDir" in one}
        for container in _containers(spec):
            paths = {one["mountPath"] for one in container.get("volumeMounts", ()) if one["name"] in empty}
            for path in set(WRITABLE.values()) - paths:
                yield Problem(path, name, "cannot be written", "mount an emptyDir there")


RULES: Sequence[Rule] = (
    variables_arrive,
    names_are_the_servers,
    hosts_exist,
    references_exist,
    targets_exist,
    ingresses_pass_on,
    selectors_match,
    operators_get_in,
    replicas_survive_a_node,
    one_autoscaler_each,
    logs_are_bounded,
    probes_allow_migrations,
    pods_are_restricted,
    writable_places,
)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector matches, as Kubernetes reads it."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for rule in selector.get("matchExpressions") or ():
        if not _OPERATORS[rule["operator"]](labels.get(rule["key"]), rule.get("values", ())):
            return False
    return True


def admitted(
    policies: Sequence[Manifest],
    pod: Mapping[str, str],
    peer: tuple[str, Mapping[str, str]],
    port: int,
    namespace: str,
) -> bool:
    """Return whether a pod of `namespace` takes a connection of a peer, given as namespace and labels.

    A pod that no policy selects takes every connection.
    """
    own = [one["spec"] for one in policies if selects(one["spec"]["podSelector"], pod)]

    def comes_from(place: Mapping[str, Any]) -> bool:
        if "ipBlock" in place:
            return False
        default = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        of_namespace = place.get("namespaceSelector", default)
        return selects(of_namespace, {"kubernetes.io/metadata.name": peer[0]}) and selects(
            place.get("podSelector", {}), peer[1]
        )

    return not own or any(
        port in {one.get("port", port) for one in rule.get("ports") or [{}]}
        and (not rule.get("from") or any(map(comes_from, rule["from"])))
        for spec in own
        for rule in spec.get("ingress") or ()
    )


def log_tables(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the log tables that a configuration of ClickHouse names."""
    return frozenset(name for name in config if name.endswith(LOG))


def _place(one: Manifest) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def _containers(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(spec.get("containers", ()))


def _variables(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one) for part in _containers(spec) for one in part.get("env", ())}


def _covers(listed: str, name: str) -> bool:
    return name.startswith(listed[:-1]) if listed.endswith("*") else name == listed


def _texts(view: View) -> Iterator[tuple[str, str, str]]:
    for place, _, spec in view.pods:
        for container in [*spec.get("initContainers", ()), *_containers(spec)]:
            for variable, text in _variables({"containers": [container]}).items():
                if isinstance(text, str) and variable != _HOSTNAME:
                    yield place, variable, text
            for text in [*container.get("command", ()), *container.get("args", ())]:
                yield place, container["name"], text


def _references(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and key (or nothing) of what a pod needs."""
    if (account := spec.get("serviceAccountName", "default")) != "default":
        yield "ServiceAccount", account, ""
    for volume in spec.get("volumes", ()):
        for field, kind, name in (("secret", "Secret", "secretName"), ("configMap", "ConfigMap", "name")):
            source = volume.get(field)
            if source and not source.get("optional"):
                yield kind, source[name], ""
                yield from ((kind, source[name], one["key"]) for one in source.get("items", ()))
    for container in [*spec.get("initContainers", ()), *_containers(spec)]:
        for variable in container.get("env", ()):
            source = variable.get("valueFrom") or {}
            for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                if field in source and not source[field].get("optional"):
                    yield kind, source[field]["name"], source[field]["key"]


def _patience(probe: Mapping[str, Any]) -> int:
    """Return after how many seconds a probe kills a container that never answers."""
    delay, period, failures = probe.get("initialDelaySeconds", 0), probe.get("periodSeconds", 10), 3
    return int(delay) + int(period) * int(probe.get("failureThreshold", failures))
