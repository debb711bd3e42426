"""Built-in models: the maintained price list of the `genai-prices` library in the shape of the server.

The server knows the models of OpenAI, Anthropic (also by their names on Amazon Bedrock) and Google, and so do
we: a model of another maker costs nothing until a project defines it, here as there.

Importing the library takes 0.3 s and 40 MB, so nothing here is imported by the server or the writer: the list
is written to `state.db` by a short-lived process (`store/price_list.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .model import Model, Tier

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

_TAIL = r"[-.:@\w]*"
"""What may follow (or precede) a name that the library gives only the beginning (or end) of."""

_NAMES = {
    "openai": "(openai/)?({})",
    "anthropic": r"(anthropic/|((eu|us|apac|au|jp|global)\.)?anthropic\.)?({})(-v\d+(:\d+)?)?",
    "google": "(google(ai)?/)?({})",
}

# Which models think before they answer: only these have a price for reasoning tokens in the server's list.
_REASONS = re.compile(r"(o\d|gpt-[5-9]|gemini-(2\.[5-9]|[3-9]))")
_REASONING = ("output_reasoning_tokens", "output_reasoning")

# The server counts tokens itself where a client reports none. It has a tokenizer for these models of OpenAI
# (of the older chat models by the newer encoding), and one for all of Anthropic.
_COUNTED = re.compile(
    r"(ft:)?(chatgpt-4|gpt-([35-9]|4(?!\.5))|text-embedding|davinci|babbage)"
    r"(?!.*(audio|realtime|image|transcribe|tts))"
)
_CHAT = re.compile(r"(ft:)?(chat)?gpt")

_SHAPE = 2
"""Raise it when the same library gives other models: what was written before is then written again."""

# Usage kinds that a price of the library pays for. Instrumentations spell them differently; the server's own
# list has both spellings too.
_KINDS = {
    "input_mtok": ("input",),
    "output_mtok": ("output",),
    "cache_read_mtok": ("input_cached_tokens", "input_cache_read"),
    "cache_write_mtok": ("input_cache_creation", "input_cache_creation_5m"),
    "cache_write_1h_mtok": ("input_cache_creation_1h",),
    "input_audio_mtok": ("input_audio_tokens", "input_audio"),
    "output_audio_mtok": ("output_audio_tokens", "output_audio"),
    "cache_audio_read_mtok": ("input_cached_audio_tokens",),
    "input_image_mtok": ("input_image_tokens",),
    "output_image_mtok": ("output_image_tokens",),
    "cache_image_read_mtok": ("input_cached_image_tokens",),
    "input_video_mtok": ("input_video_tokens",),
}
_KINDS_OF_MAKER: dict[str, dict[str, tuple[str, ...]]] = {
    "openai": {"cache_read_mtok": ("input_cached_text_tokens",)},
    "anthropic": {
        "input_mtok": ("input_tokens",),
        "output_mtok": ("output_tokens",),
        "cache_read_mtok": ("cache_read_input_tokens",),
        "cache_write_mtok": ("cache_creation_input_tokens",),
    },
    "google": {
        "input_mtok": ("prompt_token_count", "promptTokenCount"),
        "output_mtok": (
            "candidates_token_count",
            "candidatesTokenCount",
            "thoughts_token_count",
            "thoughtsTokenCount",
        ),
        "cache_read_mtok": ("cached_content_token_count",),
    },
}

_LARGE_INPUT = "(input|prompt|cache)"
"""Usage kinds that count towards the size of the context."""

# Request parameters by which makers sell faster or slower service, and what the tier is called.
_SERVICE_TIERS = {
    ("service_tier", "priority"): "Fast mode",
    ("service_tier", "fast"): "Fast mode",
    ("speed", "fast"): "Fast mode",
    ("service_tier", "flex"): "Flex mode",
}


def price_list_version() -> str:
    """Return the version of the installed price list, and of what is made of it here."""
    return f"{version('genai-prices')}+{_SHAPE}"


def builtin_models(today: date) -> tuple[list[Model], date | None]:
    """Return the models with the prices of `today`, in the order in which they are tried.

    The second value is the day on which the next known change of a price takes effect, if any.
    """
    from genai_prices.data import providers

    models: list[Model] = []
    changes: set[date] = set()
    for maker in _NAMES:
        for provider in providers:
            if provider.id != maker:
                continue
            for info in provider.models:
                # Google lists what it resells, too.
                if maker != "google" or not info.id.startswith("claude"):
                    models.extend(_models(maker, info, today))
                    changes.update(_changes(info))
    coming = [change for change in changes if change > today]
    return models, min(coming, default=None)


@dataclass(frozen=True, slots=True)
class _Rate:
    """Prices that hold under some request parameters; the standard rate has no conditions."""

    name: str
    conditions: list[dict[str, Any]]
    prices: ModelPrice


def _models(maker: str, info: ModelInfo, today: date) -> Iterator[Model]:
    now = datetime.combine(today, time.min, UTC)
    standard = info.get_prices(now)
    if standard.input_mtok is not None and standard.output_mtok is None:
        # Embeddings: the server prices the total, because some clients report nothing else.
        kinds: dict[str, tuple[str, ...]] = {"input_mtok": ("total",)}
    else:
        kinds = {key: (*names, *_KINDS_OF_MAKER[maker].get(key, ())) for key, names in _KINDS.items()}
        if _REASONS.match(info.id):
            kinds["output_mtok"] = (*kinds["output_mtok"], *_REASONING)
    identity = "c" + hashlib.sha256(f"{maker}/{info.id}".encode()).hexdigest()[:24]
    tiers = _tiers(identity, [*_service_rates(info, now), _Rate("", [], standard)], kinds)
    if tiers[-1]["prices"]:
        pattern = f"(?i)^{_NAMES[maker].format(clause_pattern(info.match))}$"
        tokenizer, config = _tokenizer(maker, info.id)
        yield Model(identity, None, info.id, pattern, tiers, tokenizer_id=tokenizer, tokenizer_config=config)


def _tokenizer(maker: str, name: str) -> tuple[str | None, dict[str, Any] | None]:
    """Return the id and the configuration of the tokenizer that the server's list gives such a model."""
    if maker == "anthropic":
        return "claude", None
    if maker != "openai" or not _COUNTED.match(name):
        return None, None
    if not _CHAT.match(name):
        return "openai", {"tokenizerModel": "text-embedding-ada-002" if "embedding" in name else name}
    tokenizer = "gpt-4o" if "gpt-4o" in name else "gpt-3.5-turbo" if "gpt-3.5" in name else "gpt-4"
    return "openai", {"tokensPerName": 1, "tokenizerModel": tokenizer, "tokensPerMessage": 3}


def _service_rates(info: ModelInfo, now: datetime) -> list[_Rate]:
    """Return the rates for faster or slower service that are sold at `now`."""
    values: dict[tuple[str, str], list[str]] = {}
    for variant in info.price_variants or ():
        in_force = variant.constraint is None or variant.constraint.active(now)
        for parameter, value in variant.when.items():
            name = _SERVICE_TIERS.get((parameter, value))
            if name and in_force and len(variant.when) == 1:
                values.setdefault((name, parameter), []).append(value)
    return [
        _Rate(
            name,
            [{"source": "model_parameters", "key": parameter, "operator": "in", "values": accepted}],
            info.get_prices(now, {parameter: accepted[0]}),
        )
        for (name, parameter), accepted in values.items()
    ]


def _tiers(identity: str, rates: list[_Rate], kinds: Mapping[str, tuple[str, ...]]) -> list[Tier]:
    """Return the pricing tiers in the order in which they are tried, the default one last."""
    tiers: list[Tier] = []
    for rate in rates:
        for threshold in (*_thresholds(rate.prices), 0):
            conditions = list(rate.conditions)
            names = [rate.name] if rate.name else []
            if threshold:
                conditions.append(_larger_than(threshold))
                names.append(_context_name(threshold))
            name = ", ".join(names) or "Standard"
            default = not conditions
            tiers.append(
                {
                    "id": f"{identity}_tier_{'default' if default else len(tiers) + 1}",
                    "name": name,
                    "isDefault": default,
                    "priority": 0 if default else len(tiers) + 1,
                    "conditions": conditions,
                    "prices": _prices(rate.prices, threshold, kinds),
                }
            )
    return tiers


def _thresholds(prices: ModelPrice) -> list[int]:
    """Return the sizes of the input (tokens) above which other prices hold, largest first."""
    starts = {tier.start for price in prices.__dict__.values() for tier in getattr(price, "tiers", ())}
    return sorted(starts, reverse=True)


def _larger_than(threshold: int) -> dict[str, Any]:
    return {
        "usageDetailPattern": _LARGE_INPUT,
        "operator": "gt",
        "value": threshold,
        "caseSensitive": False,
    }


def _context_name(threshold: int) -> str:
    # The names that the server's own list gives these tiers.
    return "Large Context" if threshold == 200_000 else f"Large Context (>{threshold // 1000}K)"


def _prices(prices: ModelPrice, threshold: int, kinds: Mapping[str, tuple[str, ...]]) -> dict[str, float]:
    """Return USD a unit by usage kind for an input that is larger than `threshold` tokens."""
    result: dict[str, float] = {}
    for key, names in kinds.items():
        price = getattr(prices, key)
        if price is None:
            continue
        if not isinstance(price, Decimal):
            above = [tier.price for tier in price.tiers if tier.start <= threshold and threshold]
            price = above[-1] if above else price.base
        for name in names:
            result[name] = float(price / 1_000_000)
    return result


def _changes(info: ModelInfo) -> Iterator[date]:
    dated = [*(info.prices if isinstance(info.prices, list) else ()), *(info.price_variants or ())]
    for entry in dated:
        start = getattr(entry.constraint, "start_date", None)
        if start is not None:
            yield start


def clause_pattern(clause: Any) -> str:
    """Return the match logic of the library as a regular expression without anchors.

    Raises:
        ValueError: the library has a kind of clause that is not known here.
    """
    kind = type(clause).__name__
    if kind == "ClauseEquals":
        return _literal(clause.equals)
    if kind == "ClauseStartsWith":
        return _literal(clause.starts_with) + _TAIL
    if kind == "ClauseEndsWith":
        return _TAIL + _literal(clause.ends_with)
    if kind == "ClauseContains":
        return _TAIL + _literal(clause.contains) + _TAIL
    if kind == "ClauseRegex":
        return _unanchored(clause.regex)
    if kind == "ClauseOr":
        return "|".join(clause_pattern(part) for part in clause.or_)
    if kind == "ClauseAnd":
        *conditions, last = (clause_pattern(part) for part in clause.and_)
        return "".join(f"(?=({condition})$)" for condition in conditions) + f"({last})"
    raise ValueError(f"unknown match clause {kind}")


def _literal(text: str) -> str:
    # `re.escape` also escapes hyphens, which makes patterns that people read hard to read.
    return re.escape(text).replace(r"\-", "-")


def _unanchored(regex: str) -> str:
    begin = regex[1:] if regex.startswith("^") else _TAIL + regex
    if begin.endswith("$"):
        return begin[:-1]
    return begin + _TAIL
