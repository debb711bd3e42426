"""The schemas for editors say the same as the models, and the reference page names every field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from scripts.provision import content, stack
from scripts.provision.model_base import Strict
from scripts.provision.schema import stack_schema

ROOT = Path(__file__).parents[3]
EXAMPLE = Path(__file__).parent / "example"
CONTENT_FILES = ("scores", "models", "prompts/chat", "datasets/sets", "rest", "dashboards")


def validator(name: str) -> Draft202012Validator:
    whole: dict[str, Any] = json.loads(stack_schema())
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": whole["$defs"]})


def read(name: str) -> Any:
    return yaml.safe_load((EXAMPLE / f"{name}.yaml").read_text())


def test_the_schema_is_one_and_takes_the_example() -> None:
    Draft202012Validator.check_schema(json.loads(stack_schema()))
    validator("Stack").validate(read("stack"))
    validator("Part").validate(read("zeus"))
    for name in CONTENT_FILES:
        validator("Content").validate(read(name))


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("score_configs", {"maxvalue": 1}),
        ("score_configs", {"min_value": "0"}),
        ("models", {"unit": "HOURS"}),
    ],
)
def test_the_schema_refuses_what_the_models_refuse(section: str, change: dict[str, Any]) -> None:
    good = read("scores" if section == "score_configs" else "models")
    good[section][0].update(change)
    assert not validator("Content").is_valid(good)


def models() -> list[type[BaseModel]]:
    found = [*vars(content).values(), *vars(stack).values()]
    return [one for one in found if isinstance(one, type) and issubclass(one, Strict) and one is not Strict]


def test_the_reference_page_names_every_field() -> None:
    page = (ROOT / "docs" / "reference" / "stack-yaml.md").read_text()
    missing = [
        f"{model.__name__}.{field}"
        for model in models()
        for field in model.model_fields
        if f"`{field}`" not in page
    ]
    assert len(models()) > 15
    assert missing == []
