"""The rules find what was wrong once: each fault is put back and named; with the real chart where it is."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from scripts.config.kubernetes import rules
from scripts.config.kubernetes.outline import outline, stubs
from scripts.config.kubernetes.rules import RULES, View, check, selects
from scripts.config.kubernetes.values import WRITABLE, values

from .conftest import CHART, Checkout, needs_chart, objects_of

Objects = list[dict[str, Any]]
ALL: dict[str, Any] = {"ingress": "nginx", "autoscale": "keda", "cloudnative_pg": True}
EXTERNAL_REDIS = {"REDIS_HOST": "valkey.acme.example", "REDIS_TLS_ENABLED": "true"}


def _one(objects: Objects, kind: str, name: str) -> Any:
    return next(one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name)


def _container(objects: Objects, name: str = "langfuse-web") -> Any:
    return _one(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"][0]


def _set(objects: Objects, name: str, value: str) -> None:
    for component in ("langfuse-web", "langfuse-worker"):
        entry = next(one for one in _container(objects, component)["env"] if one["name"] == name)
        entry.pop("valueFrom", None)
        entry["value"] = value


def _rename(objects: Objects, old: str, new: str) -> None:
    next(one for one in _container(objects, "langfuse-worker")["env"] if one["name"] == old)["name"] = new


def _remove(objects: Objects, kind: str, name: str) -> None:
    objects.remove(_one(objects, kind, name))


def _default_liveness(objects: Objects) -> None:
    _container(objects)["livenessProbe"] |= {"initialDelaySeconds": 20, "failureThreshold": 3}


def _writable_root(objects: Objects) -> None:
    context = _container(objects)["securityContext"]
    _container(objects)["securityContext"] = {**context, "readOnlyRootFilesystem": False}


def _unbounded_logs(objects: Objects) -> None:
    del _one(objects, "ClickHouseCluster", "langfuse")["spec"]["settings"]["extraConfig"]


def _log_without_ttl(objects: Objects) -> None:
    config = _one(objects, "ClickHouseCluster", "langfuse")["spec"]["settings"]["extraConfig"]
    config["query_log"] = {"database": "system", "table": "query_log"}


def _selector(kind: str, name: str, field: str) -> Callable[[Objects], None]:
    def change(objects: Objects) -> None:
        _one(objects, kind, name)["spec"][field] = {"matchLabels": {"app": "elsewhere"}}

    return change


def _no_place_to_write(objects: Objects) -> None:
    container = _container(objects)
    container["volumeMounts"] = [one for one in container["volumeMounts"] if one["name"] != "next-cache"]


def _token(objects: Objects) -> None:
    _one(objects, "Deployment", "langfuse-worker")["spec"]["template"]["spec"].pop(
        "automountServiceAccountToken"
    )


def _key_of_secret(objects: Objects) -> None:
    del _one(objects, "Secret", "langfuse-stack")["data"]["SALT"]


def _second_autoscaler(objects: Objects) -> None:
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "second"}}
    objects.append({**scaler, "spec": {"scaleTargetRef": {"name": "langfuse-worker"}}})


def _backend(objects: Objects, name: str) -> None:
    rule = _one(objects, "Ingress", "langfuse-stack-web")["spec"]["rules"][0]
    rule["http"]["paths"][0]["backend"]["service"]["name"] = name


def _annotate(objects: Objects, name: str, value: str) -> None:
    _one(objects, "Ingress", "langfuse-stack-web")["metadata"]["annotations"][name] = value


def _other_host(objects: Objects) -> None:
    _one(objects, "Ingress", "langfuse-stack-web")["spec"]["rules"][0]["host"] = "athena.acme.example"


_CONCURRENCY = "LANGFUSE_OTEL_INGESTION_QUEUE_PROCESSING_CONCURRENCY"
FAULTS: dict[str, tuple[Callable[[Objects], None], str]] = {
    "a host of compose": (
        lambda them: _set(them, "LANGFUSE_S3_MEDIA_UPLOAD_INTERNAL_ENDPOINT", "http://seaweedfs:8333"),
        "UPLOAD_INTERNAL_ENDPOINT (Deployment langfuse-web): seaweedfs is a host of compose",
    ),
    "a host that nobody has": (
        lambda them: _set(them, "CLICKHOUSE_URL", "http://langfuse-clickhouse:8123"),
        "there is no Service langfuse-clickhouse;",
    ),
    "the operator shut out": (
        lambda them: _remove(them, "NetworkPolicy", "langfuse-stack-clickhouse-operator"),
        "no policy lets namespace clickhouse-operator-system in on port 9001",
    ),
    "the name of a concurrency": (
        lambda them: _rename(them, _CONCURRENCY, "LANGFUSE_OTEL_INGESTION_CONCURRENCY"),
        "LANGFUSE_OTEL_INGESTION_CONCURRENCY (worker): the server reads no variable of that name",
    ),
    "a variable that does not arrive": (
        lambda them: _rename(them, _CONCURRENCY, "LANGFUSE_OTEL_INGESTION_CONCURRENCY"),
        f"{_CONCURRENCY} (worker): compose gives it, and it does not arrive",
    ),
    "a variable with another value": (
        lambda them: _set(them, "LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS", "3"),
        "LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS (worker): is '3', and '10000' in compose",
    ),
    "logs without an end": (
        _unbounded_logs,
        "trace_log (ClickHouseCluster langfuse): neither removed nor with a TTL",
    ),
    "one log without an end": (_log_without_ttl, "query_log (ClickHouseCluster langfuse): neither removed"),
    "a liveness probe within the migrations": (
        _default_liveness,
        "livenessProbe (web): kills web after 50 s",
    ),
    "a writable root": (
        _writable_root,
        "readOnlyRootFilesystem (Deployment langfuse-web, langfuse-web): not",
    ),
    "no place to write": (_no_place_to_write, "/app/web/.next/cache (web): cannot be written"),
    "a token": (_token, "automountServiceAccountToken (Deployment langfuse-worker): the pod gets a token"),
    "a Secret that is missing": (
        lambda them: _remove(them, "Secret", "langfuse-stack-exporter"),
        "langfuse-stack-exporter (Deployment langfuse-stack-exporter): there is no such Secret",
    ),
    "a key that is missing": (
        _key_of_secret,
        "langfuse-stack (Deployment langfuse-web): the Secret has no key SALT",
    ),
    "a ConfigMap that is missing": (
        lambda them: _remove(them, "ConfigMap", "langfuse-stack-files"),
        "langfuse-stack-files (Deployment langfuse-web): there is no such ConfigMap",
    ),
    "an ingress to nobody": (
        lambda them: _backend(them, "langfuse"),
        "langfuse (Ingress langfuse-stack-web): there is no such Service",
    ),
    "an ingress that refuses large batches": (
        lambda them: _annotate(them, "nginx.ingress.kubernetes.io/proxy-body-size", "1m"),
        "proxy-body-size (Ingress langfuse-stack-web): is '1m'",
    ),
    "an ingress that holds answers back": (
        lambda them: _annotate(them, "nginx.org/proxy-buffering", "True"),
        "proxy-buffering (Ingress langfuse-stack-web): is 'True'",
    ),
    "an ingress for another host": (
        _other_host,
        "athena.acme.example (Ingress langfuse-stack-web): neither NEXTAUTH_URL",
    ),
    "a policy for nobody": (
        _selector("NetworkPolicy", "langfuse-stack-web", "podSelector"),
        "selector (NetworkPolicy langfuse-stack-web): nothing has these labels",
    ),
    "a budget for nobody": (
        _selector("PodDisruptionBudget", "langfuse-worker-pdb", "selector"),
        "selector (PodDisruptionBudget langfuse-worker-pdb): nothing has these labels",
    ),
    "Keeper without a majority": (
        lambda them: _one(them, "KeeperCluster", "langfuse")["spec"].update(replicas=2),
        "replicas (KeeperCluster langfuse): are 2",
    ),
    "one Keeper for two ClickHouse": (
        lambda them: _one(them, "KeeperCluster", "langfuse")["spec"].update(replicas=1),
        "replicas (KeeperCluster langfuse): are 1",
    ),
    "PostgreSQL's operator shut out": (
        lambda them: _remove(them, "NetworkPolicy", "langfuse-stack-postgres-operator"),
        "no policy lets namespace cnpg-system in on port 8000",
    ),
    "two autoscalers": (_second_autoscaler, "langfuse-worker (autoscaling): has two autoscalers"),
    "an autoscaler of nobody": (
        lambda them: _one(them, "ScaledObject", "langfuse-stack-worker")["spec"].update(
            scaleTargetRef={"name": "w"}
        ),
        "w (ScaledObject langfuse-stack-worker): there is no such Deployment",
    ),
    "a monitor for nobody": (
        _selector("ServiceMonitor", "langfuse-stack-exporter", "selector"),
        "selector (ServiceMonitor langfuse-stack-exporter): nothing has these labels",
    ),
}


@pytest.fixture(scope="module", params=["outline", pytest.param("chart", marks=needs_chart)])
def view(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> View:
    """All objects of a cluster with bundled stores: as the outline has them, and as the chart makes them."""
    return Checkout(tmp_path_factory.mktemp("cluster")).view(
        **ALL, chart=CHART if request.param == "chart" else None
    )


def test_what_is_rendered_breaks_no_rule(view: View) -> None:
    assert check(view) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_is_put_back_is_found(view: View, fault: str) -> None:
    break_it, expected = FAULTS[fault]
    objects = deepcopy(list(view.objects))
    break_it(objects)
    broken = View(view.cluster, objects, view.compose_services, view.server_logs)
    assert [str(one) for one in check(broken) if expected in str(one)], [str(one) for one in check(broken)]


def test_every_rule_has_a_fault_that_it_finds(checkout: Checkout) -> None:
    view = checkout.view(**ALL)
    silent = set(RULES)
    for break_it, _ in FAULTS.values():
        objects = deepcopy(list(view.objects))
        break_it(objects)
        broken = View(view.cluster, objects, view.compose_services, view.server_logs)
        silent -= {rule for rule in RULES if list(rule(broken))}
    assert {rule.__name__ for rule in silent} == set()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("hostnames", 0), "athena (HTTPRoute langfuse-stack-web): neither NEXTAUTH_URL"),
        (
            ("rules", 0, "backendRefs", 0, "name"),
            "athena (HTTPRoute langfuse-stack-web): there is no such Service",
        ),
    ],
)
def test_routes_of_a_gateway_are_checked_as_ingresses_are(
    checkout: Checkout, path: tuple[str | int, ...], expected: str
) -> None:
    view = checkout.view(ingress="gateway:infra/public")
    assert check(view) == []
    objects = deepcopy(list(view.objects))
    place = _one(objects, "HTTPRoute", "langfuse-stack-web")["spec"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = "athena"
    broken = View(view.cluster, objects, view.compose_services, view.server_logs)
    assert [str(one) for one in check(broken) if expected in str(one)]


@pytest.mark.parametrize("settings", [{}, EXTERNAL_REDIS])
def test_no_reason_is_out_of_date(checkout: Checkout, settings: dict[str, str]) -> None:
    checkout.write(settings)
    cluster = checkout.view().cluster
    given = {**cluster.web, **cluster.worker}
    for listed in (*rules.ABSENT, *rules.CHANGED):
        if listed in ("REDIS_USERNAME", "LANGFUSE_INIT_*", "REDIS_CONNECTION_STRING"):
            continue  # empty in compose unless it is set
        assert any(name == listed or name.startswith(listed.rstrip("*")) for name in given), listed


@needs_chart
@pytest.mark.parametrize("settings", [{}, EXTERNAL_REDIS])
@pytest.mark.parametrize("release", ["langfuse", "zeus"])
def test_the_outline_is_what_the_chart_makes(
    checkout: Checkout, settings: dict[str, str], release: str
) -> None:
    checkout.write(settings)
    cluster = checkout.view(release=release).cluster
    made = objects_of(checkout.view(release=release, chart=CHART).objects)
    for one in outline(cluster, values(cluster)):
        kind, name = one["kind"], one["metadata"]["name"]
        assert (kind, name) in made, f"{kind} {name}"
        if kind != "Deployment":
            continue
        ours, theirs = (found["spec"]["template"] for found in (one, made[kind, name]))
        assert ours["metadata"]["labels"] == theirs["metadata"]["labels"]
        for field in ("securityContext", "initContainers", "volumes", "serviceAccountName"):
            assert ours["spec"][field] == theirs["spec"][field]
        ours, theirs = (found["spec"]["containers"][0] for found in (ours, theirs))
        assert _environment(ours) == _environment(theirs)
        for field in ("securityContext", "volumeMounts", "resources"):
            assert ours[field] == theirs[field]
        assert ours["livenessProbe"].items() <= theirs["livenessProbe"].items()
        assert [port["containerPort"] for port in ours["ports"]] == [
            port["containerPort"] for port in theirs["ports"]
        ]
    budget = made["PodDisruptionBudget", f"{cluster.fullname}-web-pdb"]["spec"]["selector"]
    assert (
        budget
        == _one(outline(cluster, values(cluster)), "PodDisruptionBudget", f"{cluster.fullname}-web-pdb")[
            "spec"
        ]["selector"]
    )


def test_external_stores_have_no_stub(checkout: Checkout) -> None:
    checkout.write({"DATABASE_URL": "postgresql://a:b@pg.acme.example/langfuse", **EXTERNAL_REDIS})
    names = {one["metadata"]["name"] for one in stubs(checkout.view().cluster)}
    assert names == {"langfuse-s3-all-in-one", "langfuse-clickhouse-headless", "langfuse-keeper-headless"}


def test_where_compose_writes_the_pods_do(checkout: Checkout) -> None:
    compose = (checkout.root / "compose.yaml").read_text()
    assert all(f"- {path}:" in compose for path in WRITABLE.values())


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "worker"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "none", "operator": "In", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "none", "operator": "Exists"}]}, False),
    ],
)
def test_selectors_are_read_as_kubernetes_reads_them(selector: dict[str, Any], matches: bool) -> None:
    assert selects(selector, {"app": "web"}) is matches


def test_what_sub_charts_write_is_no_problem(checkout: Checkout) -> None:
    view = checkout.view()
    pod: dict[str, Any] = {
        "serviceAccountName": "default",
        "containers": [
            {
                "name": "athena",
                "args": ["wget http://localhost:9333/ready", "wget http://$MASTER:9333"],
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k", "optional": True}}}
                ],
            }
        ],
    }
    template = {"metadata": {"labels": {"app": "athena"}}, "spec": pod}
    workload = {"kind": "Deployment", "metadata": {"name": "athena"}, "spec": {"template": template}}
    selector = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    policy = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "athena"},
        "spec": {"podSelector": selector, "ingress": [{"from": [], "ports": [{"protocol": "TCP"}]}]},
    }
    objects = [*view.objects, workload, policy]
    assert check(View(view.cluster, objects, view.compose_services, view.server_logs)) == []


def test_a_chart_that_is_not_there_says_what_to_do(checkout: Checkout) -> None:
    with pytest.raises(Exception, match="is not a chart") as error:
        checkout.render(chart=Path("elsewhere"))
    assert "helm pull" in str(error.value)
    assert not (checkout.root / "out").exists()


def test_problems_are_named_and_the_exit_code_says_so(checkout: Checkout) -> None:
    address = {
        "CLICKHOUSE_URL": "http://clickhouse:8123",
        "CLICKHOUSE_MIGRATION_URL": "clickhouse://ch.acme.example",
    }
    checkout.write(address)
    assert checkout.run() == 1
    told = " ".join(checkout.err.getvalue().split())
    assert "CLICKHOUSE_URL (Deployment langfuse-web): clickhouse is a host of compose" in told
    assert "do not apply it" in checkout.out.getvalue()


def _environment(container: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
