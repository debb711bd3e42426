"""Every operation of the official description has an entry in the routing table: implemented or refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from langfuse_embedded.routes import all_operations, licensed, refused

_METHODS = ("get", "post", "put", "patch", "delete")


def test_each_operation_of_the_description_is_served_or_refused(reference_dir: Path) -> None:
    document = yaml.load((reference_dir / "openapi.yml").read_text("utf-8"), Loader=yaml.CSafeLoader)
    described = {
        (operation["operationId"], method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    }
    table = {(one.operation_id, one.method, one.path) for one in all_operations()}
    assert len(described) == 114
    assert described - table == set()


def test_an_operation_id_names_one_operation() -> None:
    named = Counter(one.operation_id for one in all_operations() if one.operation_id)
    assert [name for name, count in named.items() if count > 1] == []


@pytest.mark.parametrize("module", [licensed, refused])
def test_refused_operations_are_not_served_elsewhere(module: object) -> None:
    mine = {(one.method, one.path) for one in module.OPERATIONS}  # type: ignore[attr-defined]
    others = Counter((one.method, one.path) for one in all_operations())
    assert mine
    assert all(others[key] == 1 for key in mine)
