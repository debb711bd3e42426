"""All files of one installation, by name: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from . import manifests
from .autoscaling import priorities, scaled_objects
from .ingress import ingresses
from .model import CHART, CHART_VERSION, EXPORTER_SECRET, SECRET, Cluster
from .postgres import postgres
from .values import secret_names, values

SECRETS_FILE = "secrets.yaml"
_PURPOSES = {
    SECRETS_FILE: "Never commit it.",
    "files.yaml": "What web and worker load.",
    "network-policies.yaml": "Who may connect.",
    "exporter.yaml": "Metrics and canary.",
    "monitoring.yaml": "For the Prometheus operator.",
    "priorities.yaml": "Who goes first when a node is full.",
    "postgres.yaml": "For the operator of CloudNativePG.",
    "autoscaling.yaml": "For KEDA.",
    "ingress.yaml": "How browsers and applications get in.",
}
_HEAD = "# Rendered by `make kubernetes-render`: edits here are lost. {}\n"


Objects = Mapping[str, Sequence[manifests.Manifest]]


def own_objects(cluster: Cluster, alerts: str, rules: Mapping[str, list[dict[str, Any]]]) -> Objects:
    """Return the objects of each file, besides the chart's; `alerts` and `rules` as in `manifests`."""
    found = {
        SECRETS_FILE: manifests.secrets(cluster),
        "files.yaml": manifests.files(cluster),
        "network-policies.yaml": manifests.network_policies(cluster),
        "exporter.yaml": manifests.exporter(cluster, alerts),
        "monitoring.yaml": manifests.monitoring(cluster, rules),
        "ingress.yaml": ingresses(cluster),
        "priorities.yaml": priorities(cluster),
        "postgres.yaml": postgres(cluster),
        "autoscaling.yaml": scaled_objects(cluster),
    }
    return {name: objects for name, objects in found.items() if objects}


def render(cluster: Cluster, objects: Objects, *, with_secrets: bool) -> dict[str, str]:
    """Return the text of each file.

    Without secrets, the file of secrets is replaced by a list of their names, for a secret manager.
    """
    files = {
        "values.yaml": _HEAD.format(f"Values of {CHART} {CHART_VERSION}.") + _yaml(values(cluster)),
        **{name: _documents(_PURPOSES[name], found) for name, found in objects.items()},
    }
    if not with_secrets:
        del files[SECRETS_FILE]
        files["secret-names.txt"] = _names(cluster)
    return files


def _names(cluster: Cluster) -> str:
    lines = [f"{SECRET}: {name}" for name in secret_names(cluster)]
    lines += [f"{EXPORTER_SECRET}: ADMIN_API_KEY"]
    lines += [f"{EXPORTER_SECRET}: {stem}.env" for stem in sorted(cluster.credentials)]
    return "\n".join(lines) + "\n"


def _documents(purpose: str, objects: Sequence[dict[str, Any]]) -> str:
    return _HEAD.format(purpose) + "---\n".join(_yaml(one) for one in objects)


class _Dumper(yaml.SafeDumper):
    """Writes long texts as blocks, and lists and maps where they stand, never as references."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Repeat what is used twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(document: Any) -> str:
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text
