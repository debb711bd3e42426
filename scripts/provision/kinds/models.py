"""Model definitions and their prices; the built-in ones are not touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.api.client import segment
from scripts.provision.content import Content, Model
from scripts.provision.resources import Action, Body, Change, Found, Wanted, compact, simple_change
from scripts.provision.server import Server

_PATH = "models"
_DEFAULT_TIER = "Standard"


class Models:
    """See Kind. A model is known by its name and the day from which it counts."""

    name = "model"
    section = "models"

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        return [
            Wanted(_key(model.name, _moment(model.start_date)), _wanted(model)) for model in content.models
        ]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        return [
            Found(_key(row["modelName"], row.get("startDate")), _body(row), row["id"])
            for row in server.pages(_PATH)
            if not row["isLangfuseManaged"]
        ]

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        return simple_change(self.name, wanted, found)

    def removal(self, found: Found) -> Change | None:
        return Change(Action.DELETE, self.name, found.key, found=found)

    def write(self, server: Server, change: Change) -> None:
        """See Kind. Servers before 4.59 cannot change a model: there it is deleted and made anew."""
        one = f"{_PATH}/{segment(change.found.id)}" if change.found else ""
        if change.wanted is None:
            server.delete(one)
            return
        body = compact({**change.wanted.body, "pricingTiers": _sent(change.wanted.body["pricingTiers"])})
        if one:
            if server.put(one, body, also=(404, 405)) is not None:
                return
            server.delete(one)
        server.post(_PATH, body)

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        body = found.body
        default, *tiers = body["pricingTiers"]
        return compact(
            {
                "name": body["modelName"],
                "match_pattern": body["matchPattern"],
                "unit": body["unit"],
                "prices": default["prices"],
                "tiers": [
                    {
                        "name": tier["name"],
                        "conditions": [_file_condition(condition) for condition in tier["conditions"]],
                        "prices": tier["prices"],
                    }
                    for tier in tiers
                ],
                "start_date": body["startDate"],
                "tokenizer": body["tokenizerId"],
                "tokenizer_config": body["tokenizerConfig"],
            }
        )


def _wanted(model: Model) -> Body:
    return {
        "modelName": model.name,
        "matchPattern": model.match_pattern,
        "unit": model.unit,
        "startDate": _moment(model.start_date),
        "tokenizerId": model.tokenizer,
        "tokenizerConfig": model.tokenizer_config,
        "pricingTiers": [
            {"name": _DEFAULT_TIER, "conditions": [], "prices": dict(model.prices)},
            *(
                {
                    "name": tier.name,
                    "conditions": [_condition(one.model_dump()) for one in tier.conditions],
                    "prices": dict(tier.prices),
                }
                for tier in model.tiers
            ),
        ],
    }


def _body(row: Body) -> Body:
    tiers = sorted(row.get("pricingTiers") or [], key=lambda tier: int(tier["priority"]))
    if not tiers:
        prices = {kind: price["price"] for kind, price in (row.get("prices") or {}).items()}
        tiers = [{"conditions": [], "prices": prices}]
    return {
        "modelName": row["modelName"],
        "matchPattern": row["matchPattern"],
        "unit": row.get("unit") or "TOKENS",
        "startDate": row.get("startDate"),
        "tokenizerId": row.get("tokenizerId"),
        "tokenizerConfig": row.get("tokenizerConfig") or {},
        "pricingTiers": [
            {
                # The name of the default tier has no meaning.
                "name": tier["name"] if number else _DEFAULT_TIER,
                "conditions": tier["conditions"],
                "prices": {kind: float(price) for kind, price in tier["prices"].items()},
            }
            for number, tier in enumerate(tiers)
        ],
    }


def _sent(tiers: Sequence[Body]) -> list[Body]:
    return [{**tier, "isDefault": at == 0, "priority": at} for at, tier in enumerate(tiers)]


def _condition(fields: Mapping[str, Any]) -> Body:
    return {
        "usageDetailPattern": fields["usage_detail_pattern"],
        "operator": fields["operator"],
        "value": fields["value"],
        "caseSensitive": fields["case_sensitive"],
    }


def _file_condition(condition: Mapping[str, Any]) -> Body:
    fields = {
        "usage_detail_pattern": condition.get("usageDetailPattern"),
        "operator": condition.get("operator"),
        "value": condition.get("value"),
    }
    return {**fields, "case_sensitive": True} if condition.get("caseSensitive") else fields


def _moment(date: str | None) -> str | None:
    """Return a date as the server writes it: with milliseconds."""
    if date is None:
        return None
    day, _, time = date.partition("T")
    seconds, _, fraction = time.removesuffix("Z").partition(".")
    return f"{day}T{seconds or '00:00:00'}.{(fraction or '0')[:3]:0<3}Z"


def _key(name: str, start: str | None) -> str:
    return f"{name} from {start[:10]}" if start else name
