"""Models and events for tests of prices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langfuse_embedded.pricing.model import Model, Tier


def tier(
    name: str = "Standard",
    prices: dict[str, float] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    priority: int = 0,
) -> Tier:
    """Return a tier; without conditions it is the default one."""
    return Tier(
        id=f"tier-{name}",
        name=name,
        isDefault=not conditions,
        priority=priority,
        conditions=conditions or [],
        prices={"input": 0.001, "output": 0.002} if prices is None else prices,
    )


def usage_above(pattern: str, value: float, operator: str = "gt", *, case: bool = False) -> dict[str, Any]:
    """Return a condition on the units of matching usage kinds."""
    return {"usageDetailPattern": pattern, "operator": operator, "value": value, "caseSensitive": case}


def model(pattern: str, *tiers: Tier, model_id: str = "own", project_id: str | None = "acme") -> Model:
    """Return a model with one standard tier unless told otherwise."""
    return Model(model_id, project_id, model_id, pattern, list(tiers) or [tier()])


@dataclass
class Generation:
    """What the price book wants to know of an event."""

    model_name: str | None = "hermes-1"
    usage: dict[str, int] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    model_parameters: str = "{}"
    metadata: list[tuple[str, str]] = field(default_factory=list)
    level: str = "DEFAULT"
    input: str | None = None
    output: str | None = None


@dataclass
class Source:
    """Models in memory. Every change must be followed by `changed`."""

    own: dict[str, list[Model]] = field(default_factory=dict)
    builtin: list[Model] = field(default_factory=list)
    number: int = 1
    reads: int = 0

    def generation(self) -> int:
        return self.number

    def project_models(self, project_id: str) -> list[Model]:
        self.reads += 1
        return self.own.get(project_id, [])

    def builtin_models(self) -> list[Model]:
        return self.builtin
