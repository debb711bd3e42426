"""The list of packages and images: complete, in the official form, and the same for the same content."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from scripts.core.console import Console
from scripts.develop import sbom
from scripts.develop.lock_files import lock_files
from scripts.engines.context import Context
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in

ROOT = Path(__file__).parents[3]
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COMPOSE = """\
services:
  web: {image: "docker.io/langfuse/langfuse:${LANGFUSE_VERSION:-4.59.0}"}
  postgres: {image: "docker.io/library/postgres:17.12"}
  exporter: {image: "langfuse-stack-exporter:0.1.0"}
"""


def validator() -> Draft7Validator:
    """Return the official schema of CycloneDX 1.6, which the tools bring."""
    found = sorted(ROOT.glob(".venv-tools/lib/python3*/site-packages/cyclonedx/schema/_res"))
    if not found:
        pytest.skip("the schema of CycloneDX is not installed: make lint installs it")
    names = ("bom-1.6", "spdx", "jsf-0.82")
    bom, *others = [json.loads((found[0] / f"{name}.SNAPSHOT.schema.json").read_text()) for name in names]
    # The references name the files.
    base = bom["$id"].rpartition("/")[0]
    resources = [
        (f"{base}/{name}.SNAPSHOT.schema.json", Resource.from_contents(schema))
        for name, schema in zip(names[1:], others, strict=True)
    ]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft7Validator(bom, registry=registry)


def document() -> dict[str, Any]:
    """Return the document of this repository."""
    compose = (ROOT / "compose.yaml").read_text()
    components = [*sbom.packages(lock_files(ROOT), ROOT), *sbom.images(compose, {}, {})]
    return sbom.as_document(components, "0.1.0", MOMENT)


def test_the_list_of_this_repository_keeps_to_the_official_schema() -> None:
    assert [error.message for error in validator().iter_errors(document())] == []


def test_the_schema_refuses_a_component_without_a_type() -> None:
    broken = document()
    del broken["components"][0]["type"]
    assert [error.message for error in validator().iter_errors(broken)] == ["'type' is a required property"]


def test_every_pinned_package_is_listed_and_what_a_stack_runs_with_is_required() -> None:
    pins = re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements/runtime.lock").read_text(), re.MULTILINE)
    listed = {one["name"]: one for one in document()["components"] if one["scope"] == "required"}
    assert len(pins) > 50
    assert set(pins) <= set(listed)
    assert "ruff" not in listed
    tools = {one["name"] for one in document()["components"] if one["scope"] == "excluded"}
    assert {"ruff", "pip-audit"} <= tools


def test_images_follow_the_settings_and_carry_their_digest_where_it_is_known() -> None:
    digest = "sha256:" + "ab" * 32
    locked = {"docker.io/library/postgres:17.12": digest}
    postgres, web = sorted(
        sbom.images(COMPOSE, {"LANGFUSE_VERSION": "4.60.0"}, locked), key=lambda one: one["version"]
    )
    assert postgres["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert postgres["purl"] == (
        f"pkg:oci/postgres@sha256%3A{'ab' * 32}?repository_url=docker.io/library/postgres&tag=17.12"
    )
    assert (web["name"], web["version"]) == ("docker.io/langfuse/langfuse", "4.60.0")
    assert "hashes" not in web


def test_the_same_content_has_the_same_number_and_another_has_another() -> None:
    images = list(sbom.images(COMPOSE, {}, {}))
    later = datetime(2027, 1, 1, tzinfo=UTC)
    first, same = (sbom.as_document(images, "0.1.0", moment)["serialNumber"] for moment in (MOMENT, later))
    assert first == same
    assert sbom.as_document(images[:1], "0.1.0", MOMENT)["serialNumber"] != first


def test_the_command_writes_the_file_and_counts_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "runtime.lock").write_text("httpx==0.28.1 \\\n    --hash=sha256:00\n")
    screen = Screen()
    context = Context(layout_in(tmp_path), {}, Console({}, screen.out, screen.err), FakeRunner())
    assert sbom.sbom(context, output=tmp_path / "sbom.json") == 0
    assert "1 packages and 2 images, CycloneDX 1.6." in screen.out.getvalue()
    written = json.loads((tmp_path / "sbom.json").read_text())
    assert [one["name"] for one in written["components"]] == [
        "httpx",
        "docker.io/langfuse/langfuse",
        "docker.io/library/postgres",
    ]
