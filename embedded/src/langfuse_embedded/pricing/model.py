"""A model definition: which model names it matches, and its prices by pricing tier."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypedDict


class Tier(TypedDict):
    """Prices (USD a unit) by usage kind, and when they apply; the shape of the API and of the store.

    A condition is `{usageDetailPattern, operator, value, caseSensitive}` or `{source, key, values}`; all of
    them must hold. The default tier has none.
    """

    id: str
    name: str
    isDefault: bool
    priority: int
    conditions: list[dict[str, Any]]
    prices: dict[str, float]


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a project, or a built-in one of all projects (`project_id` is ``None``).

    Times are Unix milliseconds.
    """

    id: str
    project_id: str | None
    name: str
    match_pattern: str
    tiers: list[Tier]
    created_at: int = 0
    updated_at: int = 0
    start_date: int | None = None
    unit: str | None = "TOKENS"
    tokenizer_id: str | None = None
    tokenizer_config: Any = field(default=None)

    @property
    def default_prices(self) -> dict[str, float]:
        """The prices of the default tier: what the API shows as the prices of the model."""
        return next((tier["prices"] for tier in self.tiers if tier["isDefault"]), {})


def price_text(price: float) -> str:
    """Return a price as the API writes it in observations: `0.0000025`, but `1.5e-7` (decimal.js)."""
    number = Decimal(repr(price)).normalize()
    exponent = number.adjusted()
    if number and exponent <= -7:
        digits = "".join(map(str, number.as_tuple().digits))
        return f"{digits[0]}{'.' + digits[1:] if digits[1:] else ''}e{exponent}"
    return f"{number:f}"
