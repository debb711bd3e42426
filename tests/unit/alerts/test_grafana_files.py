"""The files that Grafana is provisioned with are what it reads, and fit the services of compose.yaml.

The schema holds the part of the dashboard model that these files use: it refuses what Grafana would ignore
in silence, such as a mistyped key.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from .promtool import CONFIG, EXAMPLE, ROOT

GRAFANA = CONFIG / "grafana"
DASHBOARDS = [
    path
    for directory in (GRAFANA, EXAMPLE / "grafana")
    for path in sorted((directory / "dashboards").glob("*.json"))
]
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
TEXT = {"type": "string", "minLength": 1}


def closed(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    """An object of exactly these properties, all needed but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


SOURCE = closed({"type": {"const": "prometheus"}, "uid": {"const": "prometheus"}})
TARGET = closed(
    {
        "refId": {"type": "string", "pattern": "^[A-Z]$"},
        "datasource": SOURCE,
        "expr": TEXT,
        "legendFormat": TEXT,
        "instant": {"type": "boolean"},
    },
    "instant",
)
PLACE = closed(
    {
        "x": {"type": "integer", "minimum": 0, "maximum": 23},
        "y": {"type": "integer", "minimum": 0},
        "w": {"type": "integer", "minimum": 1, "maximum": 24},
        "h": {"type": "integer", "minimum": 1},
    }
)
LINK = closed({"title": TEXT, "url": TEXT, "targetBlank": {"const": True}})
PANEL = closed(
    {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["stat", "timeseries"]},
        "title": TEXT,
        "description": {"type": "string"},
        "datasource": SOURCE,
        "gridPos": PLACE,
        "fieldConfig": {"type": "object", "required": ["defaults", "overrides"]},
        "targets": {"type": "array", "items": TARGET, "minItems": 1},
        "options": {"type": "object"},
        "links": {"type": "array", "items": LINK},
    },
    "links",
)
VARIABLE = closed(
    {
        "name": {"type": "string", "pattern": r"^\w+$"},
        "label": TEXT,
        "type": {"const": "query"},
        "datasource": SOURCE,
        "query": TEXT,
        "definition": TEXT,
        "refresh": {"enum": [1, 2]},
        "includeAll": {"type": "boolean"},
        "multi": {"type": "boolean"},
        "current": {"type": "object"},
    }
)
DASHBOARD = closed(
    {
        "uid": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
        "title": TEXT,
        "description": TEXT,
        "tags": {"type": "array", "items": TEXT},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "timezone": {"enum": ["browser", "utc"]},
        "editable": {"const": False},
        "refresh": {"type": "string", "pattern": "^[1-9][0-9]*[smh]$"},
        "time": closed({"from": TEXT, "to": TEXT}),
        "templating": closed({"list": {"type": "array", "items": VARIABLE}}),
        "links": {"type": "array"},
        "panels": {"type": "array", "items": PANEL, "minItems": 1},
    }
)


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def known(**properties: str) -> dict[str, Any]:
    """An object of these properties, by their types; those in capitals are needed."""
    return {
        "type": "object",
        "properties": {name: {"type": kind.lower()} for name, kind in properties.items()},
        "required": [name for name, kind in properties.items() if kind.isupper()],
        "additionalProperties": False,
    }


def file_of(**lists: dict[str, Any]) -> dict[str, Any]:
    """A provisioning file: Grafana reads version 1, and passes over a name that it does not know."""
    items = {name: {"type": "array", "items": item} for name, item in lists.items()}
    properties = {"apiVersion": {"const": 1}, **items}
    return {
        "type": "object",
        "properties": properties,
        "required": ["apiVersion"],
        "additionalProperties": False,
    }


# Names and types as the administration pages of Grafana 12 have them ("Provision Grafana"). Of alerting and
# plugins the stack has none.
PROVISIONING: dict[str, dict[str, Any]] = {
    "datasources": file_of(
        datasources=known(
            name="STRING",
            type="STRING",
            access="STRING",
            uid="string",
            url="string",
            user="string",
            database="string",
            orgId="integer",
            version="integer",
            basicAuth="boolean",
            basicAuthUser="string",
            withCredentials="boolean",
            isDefault="boolean",
            editable="boolean",
            jsonData="object",
            secureJsonData="object",
        ),
        deleteDatasources=known(name="STRING", orgId="integer"),
    ),
    "dashboards": file_of(
        providers=known(
            name="STRING",
            type="STRING",
            options="OBJECT",
            orgId="integer",
            folder="string",
            folderUid="string",
            disableDeletion="boolean",
            updateIntervalSeconds="integer",
            allowUiUpdates="boolean",
        )
    ),
    "alerting": file_of(),
    "plugins": file_of(),
}


def provisioning_files() -> list[Path]:
    return sorted(path for path in (GRAFANA / "provisioning").rglob("*") if path.is_file())


@pytest.mark.parametrize("path", provisioning_files(), ids=lambda path: path.parent.name)
def test_a_provisioning_file_has_only_names_that_grafana_knows(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text()), PROVISIONING[path.parent.name])


def test_every_directory_that_grafana_reads_at_a_start_is_there() -> None:
    """It logs an error for one that is missing."""
    assert {path.parent.name for path in provisioning_files()} == PROVISIONING.keys()


@pytest.mark.parametrize(
    ("directory", "old", "new"),
    [
        ("datasources", "isDefault: true", "is_default: true"),
        ("datasources", "isDefault: true", "isDefault: yes please"),
        ("datasources", "    type: prometheus\n", ""),
        ("dashboards", "disableDeletion", "disableDelete"),
        ("dashboards", "apiVersion: 1", "apiVersion: 2"),
        ("plugins", "apiVersion: 1", "apiVersion: 1\nplugins: []"),
    ],
)
def test_a_mistake_in_a_provisioning_file_would_be_found(directory: str, old: str, new: str) -> None:
    [path] = (GRAFANA / "provisioning" / directory).iterdir()
    text = path.read_text()
    assert old in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text.replace(old, new)), PROVISIONING[directory])


def test_every_dashboard_has_a_name_of_its_own() -> None:
    """One of a site with the name of a shipped one is replaced by it."""
    assert len({path.name for path in DASHBOARDS}) == len(DASHBOARDS) == 7
    assert {path.stem for path in DASHBOARDS if path.is_relative_to(CONFIG)} == {
        "agents",
        "cost-and-budget",
        "llm-operations",
        "stack-health",
    }


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_one_that_grafana_understands(path: Path) -> None:
    dashboard = load(path)
    jsonschema.validate(dashboard, DASHBOARD)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"panels": []}, "non-empty"),
        ({"titel": "x"}, "titel"),
        ({"schemaVersion": 3}, "minimum"),
        ({"editable": True}, "False was expected"),
    ],
)
def test_a_mistake_in_a_dashboard_would_be_found(change: dict[str, Any], message: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=message):
        jsonschema.validate({**load(DASHBOARDS[0]), **change}, DASHBOARD)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_variable_of_several_values_is_matched_as_one(path: Path) -> None:
    # `=` would compare with the text "(kosmos|zeus)".
    dashboard = load(path)
    known = {variable["name"] for variable in dashboard["templating"]["list"]}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            uses = re.findall(r'(=~|!~|=|!=)"\$(\w+)"', target["expr"])
            assert {name for _, name in uses} == set(re.findall(r"\$(\w+)", target["expr"])) <= known
            assert {operator for operator, _ in uses} <= {"=~", "!~"}, panel["title"]


def test_dashboards_lie_where_grafana_looks() -> None:
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "langfuse.yaml").read_text())
    [entry] = provider["providers"]
    mounts = {volume["source"]: volume["target"] for volume in SERVICES["grafana"]["volumes"][1:]}
    assert entry["options"]["path"] == mounts["${GRAFANA_DASHBOARDS_DIR:-./config/grafana/dashboards}"]
    assert mounts["./config/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert (entry["type"], entry["allowUiUpdates"]) == ("file", False)


def test_the_data_source_is_the_prometheus_of_the_stack() -> None:
    document = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    [source] = document["datasources"]
    jsonschema.validate({"type": source["type"], "uid": source["uid"]}, SOURCE)
    address = urlsplit(source["url"])
    assert (address.hostname, address.port) == ("prometheus", 9090)
    assert set(SERVICES["prometheus"]["networks"]) & set(SERVICES["grafana"]["networks"]) == {"monitoring"}


def test_links_to_runbooks_lead_to_what_is_mounted() -> None:
    mounts = {volume["source"]: volume["target"] for volume in SERVICES["grafana"]["volumes"][1:]}
    # What lies below public is served under /public.
    assert mounts["./docs/runbooks"] == "/usr/share/grafana/public/runbooks"
    links = [
        link["url"]
        for path in DASHBOARDS
        for panel in load(path)["panels"]
        for link in panel.get("links", ())
    ]
    assert len(links) > 20
    for url in links:
        assert re.fullmatch(r"/public/runbooks/\w+\.md", url)
        assert (ROOT / "docs" / "runbooks" / url.rpartition("/")[2]).is_file()
