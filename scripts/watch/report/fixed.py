"""`config/costs.yaml`: subscriptions, and free tiers of models, which no trace shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.core.edited_file import parse_edited, read_edited
from scripts.core.errors import UsageError

from .model import Cost, Fixed

_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Subscription(_Strict):
    """A fixed monthly fee, USD; of one project, or of all."""

    name: Annotated[str, Field(min_length=1)]
    usd_per_month: _Amount
    project: str = ""


class FreeTier(_Strict):
    """Tokens of a model that cost nothing each month."""

    model: Annotated[str, Field(min_length=1)]
    tokens_per_month: Annotated[int, Field(ge=0)]


class _File(_Strict):
    subscriptions: list[Subscription] = []
    free_tiers: list[FreeTier] = []


@dataclass(frozen=True, slots=True)
class FixedCosts:
    """What the file says."""

    subscriptions: Sequence[Subscription] = ()
    free_tiers: Sequence[FreeTier] = ()

    def of(self, project: str, this_month: Sequence[Cost]) -> Fixed:
        """Return what a project pays beside its calls, and what of its calls is free.

        A free tier is taken to cover its model's tokens at the average price that they have this month.

        Args:
            project: its id.
            this_month: cost by model since the first of the month.
        """
        fees = sum(one.usd_per_month for one in self.subscriptions if one.project in ("", project))
        tokens = {one.model: one.tokens_per_month for one in self.free_tiers}
        free = sum(
            cost.cost * min(1.0, tokens[cost.name] / cost.tokens)
            for cost in this_month
            if cost.name in tokens and cost.tokens
        )
        return Fixed(fees, free)


def load_fixed_costs(path: Path, display_path: str) -> FixedCosts:
    """Return the checked file; nothing where there is none. Raises UsageError with all its problems."""
    if not path.exists():
        return FixedCosts()
    content = parse_edited(read_edited(path, display_path), display_path)
    try:
        file = _File.model_validate({} if content is None else content)
    except ValidationError as error:
        raise UsageError(
            f"{display_path} cannot be used.",
            details=[
                f"{display_path}: {'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
                for problem in error.errors()
            ],
            fix=f"correct {display_path}.",
        ) from error
    return FixedCosts(file.subscriptions, file.free_tiers)
