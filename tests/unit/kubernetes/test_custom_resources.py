"""Objects of operators have the shapes of their definitions, where those are at hand.

`LANGFUSE_CRDS` is a directory with the definitions (CustomResourceDefinition, one a file) of the operators of
ClickHouse and Prometheus, of CloudNativePG, of KEDA and of the Gateway API.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from .conftest import CHART, Checkout

_DEFINITIONS = Path(os.environ.get("LANGFUSE_CRDS") or "none")
_CORE = (
    "v1",
    "apps/v1",
    "batch/v1",
    "policy/v1",
    "autoscaling/v2",
    "networking.k8s.io/v1",
    "scheduling.k8s.io/v1",
)


def _strict(schema: Any) -> Any:
    """Return a schema that refuses fields which it does not name: the API server drops them in silence."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _strict(value) for name, value in schema.items()}
    open_ended = {"x-kubernetes-preserve-unknown-fields", "additionalProperties"} & schema.keys()
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_ended:
        found["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
    return found


def _schemas() -> dict[tuple[str, str], Any]:
    found = {}
    for path in _DEFINITIONS.glob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for version in one["spec"]["versions"]:
                kind = (f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"])
                schema = version["schema"]["openAPIV3Schema"]
                # Left to Kubernetes itself.
                schema["properties"] |= {name: {} for name in ("apiVersion", "kind", "metadata")}
                found[kind] = _strict(schema)
    return found


def _mistakes(objects: list[dict[str, Any]], schemas: dict[tuple[str, str], Any]) -> Iterator[str]:
    for one in objects:
        validator = Draft202012Validator(schemas[one["apiVersion"], one["kind"]])
        for error in validator.iter_errors(one):
            yield f"{one['kind']} {'.'.join(map(str, error.absolute_path))}: {error.message}"


@pytest.mark.skipif(not _DEFINITIONS.is_dir(), reason="set LANGFUSE_CRDS to a directory of definitions")
def test_objects_of_operators_have_the_shapes_of_their_definitions(checkout: Checkout) -> None:
    chart = CHART if CHART.exists() else None
    view = checkout.view(chart=chart, ingress="gateway:infra/public", autoscale="keda", cloudnative_pg=True)
    objects = [one for one in view.objects if one.get("apiVersion", "v1") not in _CORE]
    kinds = {one["kind"] for one in objects}
    assert {"Cluster", "HTTPRoute", "PrometheusRule", "ScaledObject", "ServiceMonitor"} <= kinds
    assert chart is None or {"ClickHouseCluster", "KeeperCluster"} <= kinds
    schemas = _schemas()
    assert list(_mistakes(objects, schemas)) == []
    objects[0]["spec"]["misspelt"] = 1
    assert list(_mistakes(objects, schemas)), "a field that the definition does not have"
