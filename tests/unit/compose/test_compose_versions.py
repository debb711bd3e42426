"""The oldest Docker Compose that is stated: one number everywhere, and no attribute that it would refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.docker.availability import MINIMUM_COMPOSE

from .conftest import ROOT

KNOWN = yaml.safe_load(Path(__file__).with_name("compose_attributes.yaml").read_text(encoding="utf-8"))
PLACES: Mapping[str, list[str]] = KNOWN["places"]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("compose*.yaml", "rehearsal/*.yaml", "tests/scenarios/**/compose*.yaml")
    for path in ROOT.glob(pattern)
)


class Loader(yaml.SafeLoader):
    """YAML with the tags that Compose adds."""


def _untagged(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


Loader.add_multi_constructor("!", _untagged)


def unknown(node: object, place: str = "") -> Iterator[str]:
    """Yield each attribute that the stated version of Compose would refuse, with its place."""
    if isinstance(node, list):
        for one in node:
            yield from unknown(one, place)
    if not isinstance(node, dict):
        return
    names = PLACES.get(place)
    for name, value in node.items():
        inner = f"{place}.{name}".lstrip(".")
        if names is not None and name not in names and not str(name).startswith("x-"):
            yield inner
        elif names is None and f"{place}.*" in PLACES:
            yield from unknown(value, f"{place}.*")
        else:
            yield from unknown(value, inner)


@pytest.mark.parametrize("file", FILES)
def test_no_attribute_is_newer_than_the_oldest_compose_that_is_stated(file: str) -> None:
    parsed = yaml.load((ROOT / file).read_text(encoding="utf-8"), Loader)  # noqa: S506 (a SafeLoader)
    assert list(unknown(parsed)) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("services: {web: {ports: [{nam: web}]}}", "services.*.ports.nam"),
        ("services: {web: {gpus: all}}", "services.*.gpus"),
        ("services: {web: {healthcheck: {start_intervall: 1s}}}", "services.*.healthcheck.start_intervall"),
        ("services: {web: {depends_on: {db: {requires: false}}}}", "services.*.depends_on.*.requires"),
        ("models: {a: {}}", "models"),
        ("networks: {a: {internall: true}}", "networks.*.internall"),
    ],
)
def test_an_attribute_that_this_compose_does_not_know_is_found(text: str, place: str) -> None:
    assert list(unknown(yaml.safe_load(text))) == [place]


def test_the_stated_minimum_is_the_version_whose_attributes_are_known() -> None:
    assert tuple(map(int, KNOWN["compose"].split(".")[:2])) == MINIMUM_COMPOSE


def test_the_minimum_is_needed_for_an_attribute_that_the_version_before_refuses() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    used = {name for port in ports for name in port}
    assert used & set(KNOWN["new"]["services.*.ports"])


STATED = re.compile(r"\bCompose(?: plugin)? (?:\()?(2\.\d+)\b|min_compose=(2\.\d+)")
STATING = ("README.md", "CONTRIBUTING.md", "rehearsal", "docs", "scripts", "compose.yaml")


def test_every_page_and_script_states_the_same_minimum() -> None:
    stated: dict[str, set[str]] = {}
    for place in STATING:
        root = ROOT / place
        for file in [root] if root.is_file() else sorted(root.rglob("*")):
            if file.is_file() and file.suffix in {".md", ".sh", ".py", ".yaml"}:
                found = STATED.findall(file.read_text(encoding="utf-8"))
                if found:
                    stated[file.relative_to(ROOT).as_posix()] = {one or other for one, other in found}
    wanted = ".".join(map(str, MINIMUM_COMPOSE))
    assert len(stated) >= 4
    assert {name: versions for name, versions in stated.items() if versions != {wanted}} == {}


def test_the_install_page_sends_to_packages_that_are_new_enough() -> None:
    page = (ROOT / "docs" / "how-to" / "install-on-a-host.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:4] for line in page.splitlines() if re.match(r"\| (Debian|Ubuntu) ", line)]
    assert len(rows) >= 3
    for name, packages, source in rows:
        compose = [
            tuple(map(int, one.split("."))) for one in re.findall(r"\b([12]\.\d+)(?:\.\d+)?\b", packages)
        ]
        enough = all(version >= MINIMUM_COMPOSE for version in compose)
        assert compose, name
        assert ("the distribution" in source) == enough, name
        assert ("too old" in packages) != enough, name
