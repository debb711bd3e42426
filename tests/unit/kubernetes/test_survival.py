"""Autoscaling, priorities, spread over nodes, and a PostgreSQL that survives a node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.core.errors import UsageError

from .conftest import CHART, Checkout, needs_chart, objects_of

SPREAD = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]


def _values(files: dict[str, str]) -> Any:
    return yaml.safe_load(files["values.yaml"])


def test_replicas_are_fixed_unless_an_autoscaler_is_chosen(checkout: Checkout) -> None:
    files = checkout.render()
    langfuse = _values(files)["langfuse"]
    assert [langfuse[component]["hpa"] for component in ("web", "worker")] == [{"enabled": False}] * 2
    assert "autoscaling.yaml" not in files


def test_an_autoscaler_starts_at_the_replicas_of_the_size_and_at_half_a_processor(checkout: Checkout) -> None:
    langfuse = _values(checkout.render(size="large", autoscale="hpa"))["langfuse"]
    worker = langfuse["worker"]
    assert worker["hpa"]["minReplicas"] == 4
    assert worker["hpa"]["maxReplicas"] == 12
    requested = float(worker["resources"]["requests"]["cpu"].removesuffix("m")) / 1000
    share = worker["hpa"]["targetCPUUtilizationPercentage"] / 100
    assert requested * share == float(worker["resources"]["limits"]["cpu"]) / 2


def test_one_web_at_a_time_migrates(checkout: Checkout) -> None:
    values = _values(checkout.render())
    strategy = values["langfuse"]["web"]["deployment"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}
    assert "--set langfuse.web.replicas=1 " in checkout.out.getvalue()
    checkout.render(autoscale="hpa")
    told = " ".join(checkout.out.getvalue().split())
    assert "--set langfuse.web.hpa.minReplicas=1,langfuse.web.hpa.maxReplicas=1" in told
    before = checkout.out.getvalue()
    checkout.render(size="small")
    assert "--set" not in checkout.out.getvalue()[len(before) :], "one web migrates alone"


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("component", "asked"), [("web", 0), ("worker", 3)])
def test_the_worker_waits_for_a_web_of_its_version_and_web_for_nobody(
    checkout: Checkout, tmp_path: Path, component: str, asked: int
) -> None:
    checkout.write({"LANGFUSE_VERSION": "4.60.1"})
    (waiting,) = _values(checkout.render())["langfuse"]["extraInitContainers"]
    assert waiting["image"].endswith(":4.60.1")
    answers = ["", '{"status":"OK","version":"4.60.0"}', '{"status":"OK","version":"4.60.1"}']
    for number, answer in enumerate(answers, 1):
        (tmp_path / f"answer{number}").write_text(answer)
    programs = tmp_path / "programs"
    programs.mkdir()
    _program(
        programs / "wget", f'echo "$@" >> {tmp_path}/calls; cat {tmp_path}/answer$(wc -l < {tmp_path}/calls)'
    )
    _program(programs / "sleep", ":")
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "COMPONENT": component}
    done = subprocess.run(waiting["command"], env=environment, timeout=60, check=False)
    assert done.returncode == 0
    calls = tmp_path / "calls"
    told = calls.read_text().splitlines() if calls.exists() else []
    assert len(told) == asked
    assert all("http://langfuse-web:3000/api/public/health" in call for call in told)


def test_keda_alone_scales_the_worker_and_does_not_take_an_unknown_depth_for_an_empty_queue(
    checkout: Checkout,
) -> None:
    files = checkout.render(autoscale="keda", monitoring_namespace="watch")
    langfuse = _values(files)["langfuse"]
    assert langfuse["web"]["hpa"]["enabled"] is True
    assert langfuse["worker"]["hpa"]["enabled"] is False
    (scaled,) = yaml.safe_load_all(files["autoscaling.yaml"])
    assert scaled["spec"]["scaleTargetRef"] == {"name": "langfuse-worker"}
    depth = scaled["spec"]["triggers"][0]["metadata"]
    assert depth["serverAddress"] == "http://prometheus-operated.watch.svc:9090"
    assert depth["ignoreNullValues"] == "false"
    assert 'langfuse_queue_jobs{namespace="langfuse",state="waiting"' in depth["query"]


def test_the_stores_stay_when_a_node_is_full(checkout: Checkout) -> None:
    files = checkout.render(cloudnative_pg=True)
    (priority,) = yaml.safe_load_all(files["priorities.yaml"])
    values = _values(files)
    (postgres,) = yaml.safe_load_all(files["postgres.yaml"])
    named = [
        values["redis"]["priorityClassName"],
        values["s3"]["allInOne"]["priorityClassName"],
        postgres["spec"]["priorityClassName"],
        _values(checkout.render())["postgresql"]["priorityClassName"],
    ]
    assert named == [priority["metadata"]["name"]] * 4
    assert priority["value"] > 0


def test_replicas_are_spread_over_nodes_and_zones(checkout: Checkout) -> None:
    values = _values(checkout.render())
    for component in ("web", "worker"):
        constraints = values["langfuse"][component]["pod"]["topologySpreadConstraints"]
        assert [one["topologyKey"] for one in constraints] == SPREAD
    for part, app in (("cluster", "langfuse-clickhouse"), ("keeper", "langfuse-keeper")):
        anti = values["clickhouse"][part]["affinity"]["podAntiAffinity"]
        terms = [one["podAffinityTerm"] for one in anti["preferredDuringSchedulingIgnoredDuringExecution"]]
        assert [term["topologyKey"] for term in terms] == SPREAD
        assert {term["labelSelector"]["matchLabels"]["app"] for term in terms} == {app}


@pytest.mark.parametrize(("size", "instances"), [("small", 1), ("large", 3)])
def test_postgresql_of_an_operator_replaces_the_chart_s(
    checkout: Checkout, size: str, instances: int
) -> None:
    files = checkout.render(size=size, cloudnative_pg=True)
    (postgres,) = yaml.safe_load_all(files["postgres.yaml"])
    assert postgres["spec"]["instances"] == instances
    values = _values(files)
    assert values["postgresql"] == {"deploy": False}
    url = next(one for one in values["langfuse"]["additionalEnv"] if one["name"] == "DATABASE_URL")
    assert url["valueFrom"]["secretKeyRef"] == {"name": "langfuse-stack-postgres-app", "key": "uri"}
    assert "postgres:5432" not in files["secrets.yaml"]
    secret = next(yaml.safe_load_all(files["secrets.yaml"]))
    assert "DATABASE_URL" not in secret["data"]


@needs_chart
def test_the_chart_takes_the_address_of_the_operator_s_secret(checkout: Checkout) -> None:
    made = objects_of(checkout.view(chart=CHART, cloudnative_pg=True, autoscale="hpa").objects)
    container = made["Deployment", "langfuse-web"]["spec"]["template"]["spec"]["containers"][0]
    names = [one["name"] for one in container["env"]]
    assert names.count("DATABASE_URL") == 1
    assert "DATABASE_HOST" not in names
    assert "replicas" not in made["Deployment", "langfuse-worker"]["spec"], "the autoscaler has the say"
    assert made["HorizontalPodAutoscaler", "langfuse-worker"]["spec"]["maxReplicas"] == 6
    assert ("StatefulSet", "langfuse-postgresql") not in made


def test_two_postgresqls_and_an_unknown_autoscaler_are_refused(checkout: Checkout) -> None:
    with pytest.raises(UsageError, match="--autoscale 'vpa'"):
        checkout.run(autoscale="vpa")
    checkout.write({"DATABASE_URL": "postgresql://langfuse:secret@pg.acme.example/langfuse"})
    with pytest.raises(UsageError, match="either here or there"):
        checkout.run(cloudnative_pg=True)
