"""The price book: finds the model of an event and prices it, fast enough for every event of a batch."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .cost import CompiledModel, cost_of, given_cost
from .cpu_budget import LONGEST_TEXT, BudgetSpent, CpuBudget
from .model import Model
from .patterns import BoundedPattern, InvalidPattern, bounded_pattern, compile_pattern

log = logging.getLogger(__name__)

_MAX_REMEMBERED = 20_000


class ModelSource(Protocol):
    """Where model definitions come from."""

    def generation(self) -> int:
        """Return a number that changes when any model changed."""

    def project_models(self, project_id: str) -> list[Model]:
        """Return the models of a project in the order in which they are tried: newest start date first."""

    def builtin_models(self) -> list[Model]:
        """Return the built-in models in the order in which they are tried."""


class Billable(Protocol):
    """What the price of an event depends on (see `otlp.event.Event`)."""

    @property
    def model_name(self) -> str | None: ...
    @property
    def model_parameters(self) -> str: ...
    @property
    def usage(self) -> dict[str, int]: ...
    @property
    def cost(self) -> Mapping[str, float]: ...
    @property
    def level(self) -> str: ...
    @property
    def input(self) -> str | None: ...
    @property
    def output(self) -> str | None: ...
    @property
    def metadata(self) -> list[tuple[str, str]]: ...


@dataclass(slots=True)
class Priced:
    """What the price book knows of an event.

    Attributes:
        model_id: the model that its name belongs to, or empty.
        usage: units by usage kind, as the client gave them or as counted.
        cost: USD by usage kind with `total`, as the client gave it or as computed; empty when not known.
        tier_id, tier_name: the pricing tier that fits, also when the client gave the cost itself.
    """

    model_id: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    tier_id: str | None = None
    tier_name: str | None = None


class PriceBook:
    """Prices events with the models of their project, then with the built-in ones.

    Remembers which model a name belongs to, and what a given usage kind means for a tier. Call `refresh` once
    a batch: it costs microseconds, and looks all models up again when one was changed. Only that one is
    compiled anew: else a project that creates models would hold up the exports of all others.
    """

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self._generation: int | None = None
        self._found: dict[tuple[str, str], CompiledModel | None] = {}
        self._projects: dict[str, list[_Rule]] = {}
        self._builtin: list[_Rule] | None = None
        self._rules: dict[str, tuple[Model, _Rule | None]] = {}
        self.budget: CpuBudget | None = None
        """How long the next calls of `price` may take together: the models of a project can cost hours."""

    def read_from(self, source: ModelSource) -> None:
        """Read models from another source of the same models."""
        self._source = source

    def refresh(self) -> None:
        """Forget what was remembered if a model was created, changed or deleted since the last call."""
        generation = self._source.generation()
        if generation != self._generation:
            self._generation = generation
            self._found.clear()
            self._projects.clear()
            self._builtin = None

    def price(self, project_id: str, event: Billable) -> Priced:
        """Return model, usage, tier and cost of an event.

        A cost that the client gave is never recomputed. Tokens are counted where it gave neither usage nor
        cost and the model has a tokenizer; not those of a failure, whose output is none.

        Raises:
            BudgetSpent: the budget is used up; the same call goes on where this one ended.
        """
        if self.budget is not None:
            self.budget.check()
        name = event.model_name
        model = self._model(project_id, name) if name else None
        usage = event.usage
        if model and model.counter and not usage and not event.cost and event.level != "ERROR":
            if self.budget and len(event.input or "") + len(event.output or "") > LONGEST_TEXT:
                raise BudgetSpent
            usage = model.counter.usage(event.input, event.output)
        tier = model.tier(usage, event.model_parameters, event.metadata, self.budget) if model else None
        if event.cost or model is None or tier is None:
            cost = given_cost(event.cost) if event.cost else {}
            return Priced(
                model.id if model else "", usage, cost, tier.id if tier else None, tier.name if tier else None
            )
        try:
            cost = cost_of(usage, tier)
        except OverflowError:
            # A client may claim 10^400 tokens; that must not cost the batch.
            cost = {}
        return Priced(model.id, usage, cost, tier.id, tier.name)

    def _model(self, project_id: str, name: str) -> CompiledModel | None:
        key = (project_id, name)
        try:
            return self._found[key]
        except KeyError:
            pass
        found = self._search(project_id, name)
        if len(self._found) >= _MAX_REMEMBERED:
            self._found.clear()
        self._found[key] = found
        return found

    def _search(self, project_id: str, name: str) -> CompiledModel | None:
        own = self._projects.get(project_id)
        if own is None:
            own = self._projects[project_id] = self._compiled(self._source.project_models(project_id))
        for rule in list(own):
            if self.budget is not None:
                self.budget.check()
            try:
                if rule.pattern.search(name):
                    return rule.model
            except TimeoutError:
                # One trap may not hold up every name that comes: it is not tried again.
                own.remove(rule)
                log.warning("model %s is no longer matched: its pattern takes too long", rule.model.id)
        if self._builtin is None:
            self._builtin = self._compiled(self._source.builtin_models())
        for rule in self._builtin:
            if rule.pattern.search(name):
                return rule.model
        return None

    def _compiled(self, models: list[Model]) -> list[_Rule]:
        if len(self._rules) > _MAX_REMEMBERED:
            self._rules.clear()
        rules = []
        for model in models:
            known = self._rules.get(model.id)
            if known is None or known[0] is not model:
                if self.budget is not None and model.project_id:
                    self.budget.check()
                known = self._rules[model.id] = model, _rule(model)
            if known[1] is not None:
                rules.append(known[1])
        return rules


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str] | BoundedPattern
    model: CompiledModel


def _rule(model: Model) -> _Rule | None:
    read = bounded_pattern if model.project_id else compile_pattern
    try:
        return _Rule(read(model.match_pattern), CompiledModel(model))
    except InvalidPattern as error:
        log.warning("model %s (%s) is never matched: %s", model.id, model.name, error)
        return None
