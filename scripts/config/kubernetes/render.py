"""All files of one installation, by name: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from . import manifests
from .model import CHART, CHART_VERSION, EXPORTER_SECRET, SECRET, Cluster
from .values import secret_names, values

SECRETS_FILE = "secrets.yaml"
_HEAD = "# Rendered by `make kubernetes-render`: edits here are lost. {}\n"


def render(
    cluster: Cluster, alerts: str, rules: Mapping[str, list[dict[str, Any]]], *, with_secrets: bool
) -> dict[str, str]:
    """Return the text of each file; `alerts` and `rules` as in `manifests`.

    Without secrets, the file of secrets is replaced by a list of their names, for a secret manager.
    """
    files = {
        "values.yaml": _HEAD.format(f"Values of {CHART} {CHART_VERSION}.") + _yaml(values(cluster)),
        "network-policies.yaml": _documents("Who may connect.", manifests.network_policies(cluster)),
        "exporter.yaml": _documents("Metrics and canary.", manifests.exporter(cluster, alerts)),
        "monitoring.yaml": _documents("For the Prometheus operator.", manifests.monitoring(cluster, rules)),
    }
    if with_secrets:
        files[SECRETS_FILE] = _documents("Never commit it.", manifests.secrets(cluster))
    else:
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
