"""Music attribution: who did what on an album, how sure are we, and is our confidence calibrated?

For every query (an album) one trace:

    attribution_query            span        input: album and fields, output: credits, gaps
      source_aggregation         retriever   what each source says
      attribute_<field>          generation  one (simulated) model call a field
                                             scores: attribution_confidence, confidence_tier, source_count
      gap_analysis               chain       fields that nobody can answer well enough
      conformal_prediction       evaluator   prediction set of each field
    scores of the trace: conformal_coverage, prediction_set_size

The average of `conformal_coverage` over many queries is the empirical coverage, which should come near to
1 - alpha. It is asked of the Metrics API, as a dashboard or an alert would. The model and the sources are
simulated; all that is random follows from `--seed`.

    set -a; . .stack/credentials/<project>.env; set +a
    .venv/bin/python examples/attribution.py --queries 20
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from client import await_metrics, command_line, conclude, connect
from langfuse import Langfuse, propagate_attributes

MODEL = "gpt-4o-mini"
FIELDS = ("producer", "lead_vocals", "bass", "drums", "mixing_engineer")
ARTISTS = ("Jane Doe", "John Smith", "Ana Silva", "Kenji Mori", "Lea Novak")
# How often a source that knows the field names the right artist.
SOURCES = {"liner_notes": 0.95, "musicbrainz": 0.85, "discogs": 0.7}
KNOWS_FIELD = 0.55  # share of fields about which a source says anything
SHARPNESS = 1.6  # how strongly the model follows the sources
HIGH, MEDIUM = 0.75, 0.45  # confidence from which a credit is in this tier
CALIBRATION_FIELDS = 200


@dataclass(frozen=True)
class Field:
    """A credit to find: its name, the truth (known in a simulation), and what each source claims."""

    name: str
    truth: str
    claims: dict[str, str]


@dataclass(frozen=True)
class Credit:
    """What the model makes of a field."""

    field: Field
    probabilities: dict[str, float]

    @property
    def artist(self) -> str:
        """The most probable artist."""
        return max(self.probabilities, key=lambda artist: self.probabilities[artist])

    @property
    def confidence(self) -> float:
        """Probability of the most probable artist, from 0 to 1."""
        return self.probabilities[self.artist]

    @property
    def tier(self) -> str:
        """LOW, MEDIUM or HIGH."""
        if self.confidence >= HIGH:
            return "HIGH"
        return "MEDIUM" if self.confidence >= MEDIUM else "LOW"

    def prediction_set(self, threshold: float) -> list[str]:
        """All artists whose nonconformity (1 - probability) is at most the threshold."""
        return [artist for artist, share in self.probabilities.items() if 1 - share <= threshold]


def ask_sources(name: str, rng: random.Random) -> Field:
    """Simulate the lookup of one field in all sources."""
    truth = rng.choice(ARTISTS)
    claims = {}
    for source, reliability in SOURCES.items():
        if rng.random() < KNOWS_FIELD:
            claims[source] = truth if rng.random() < reliability else rng.choice(ARTISTS)
    return Field(name, truth, claims)


def ask_model(field: Field) -> Credit:
    """Simulate the model: a softmax over the reliability of the sources that name an artist."""
    weights = dict.fromkeys(ARTISTS, 0.0)
    for source, artist in field.claims.items():
        weights[artist] += SOURCES[source]
    exponentials = {artist: math.exp(SHARPNESS * weight) for artist, weight in weights.items()}
    total = sum(exponentials.values())
    return Credit(field, {artist: value / total for artist, value in exponentials.items()})


def calibrate(alpha: float, rng: random.Random) -> float:
    """Split conformal prediction: the nonconformity below which 1 - alpha of known answers are."""
    known = [ask_model(ask_sources("calibration", rng)) for _ in range(CALIBRATION_FIELDS)]
    nonconformity = sorted(1 - credit.probabilities[credit.field.truth] for credit in known)
    rank = math.ceil((len(nonconformity) + 1) * (1 - alpha))
    return nonconformity[min(rank, len(nonconformity)) - 1]


def attribute_field(langfuse: Langfuse, field: Field) -> Credit:
    """Ask the model about one field, record the call, and score its answer."""
    question = f"Who is credited as {field.name}? Sources: {json.dumps(field.claims)}"
    with langfuse.start_as_current_observation(
        name=f"attribute_{field.name}",
        as_type="generation",
        model=MODEL,
        model_parameters={"temperature": 0},
        input=[{"role": "user", "content": question}],
    ) as generation:
        credit = ask_model(field)
        generation.update(
            output={"role": "assistant", "content": credit.artist},
            usage_details={"input": len(question) // 4, "output": 4},
            metadata={"field": field.name, "sources": len(field.claims)},
        )
        comment = f"Field: {field.name}, Sources: {len(field.claims)}"
        generation.score(
            name="attribution_confidence", value=credit.confidence, data_type="NUMERIC", comment=comment
        )
        generation.score(name="confidence_tier", value=credit.tier, data_type="CATEGORICAL", comment=comment)
        generation.score(name="source_count", value=len(field.claims), data_type="NUMERIC", comment=comment)
    return credit


def answer_query(langfuse: Langfuse, album: str, threshold: float, rng: random.Random) -> dict[str, Any]:
    """Attribute all fields of one album in one trace; return what the trace holds."""
    with langfuse.start_as_current_observation(
        name="attribution_query", as_type="span", input={"album": album, "fields": list(FIELDS)}
    ) as root:
        with langfuse.start_as_current_observation(
            name="source_aggregation", as_type="retriever", input={"sources": list(SOURCES)}
        ) as retrieval:
            fields = [ask_sources(name, rng) for name in FIELDS]
            retrieval.update(output={field.name: field.claims for field in fields})

        credits_found = [attribute_field(langfuse, field) for field in fields]

        with langfuse.start_as_current_observation(name="gap_analysis", as_type="chain") as analysis:
            gaps = [credit.field.name for credit in credits_found if credit.tier == "LOW"]
            analysis.update(output={"gaps": gaps}, level="WARNING" if gaps else "DEFAULT")

        with langfuse.start_as_current_observation(
            name="conformal_prediction", as_type="evaluator", input={"threshold": threshold}
        ) as conformal:
            sets = {credit.field.name: credit.prediction_set(threshold) for credit in credits_found}
            conformal.update(output=sets)

        coverage = statistics.fmean(field.truth in sets[field.name] for field in fields)
        set_size = statistics.fmean(len(artists) for artists in sets.values())
        root.score_trace(name="conformal_coverage", value=coverage, data_type="NUMERIC")
        root.score_trace(name="prediction_set_size", value=set_size, data_type="NUMERIC")
        root.update(output={"credits": {c.field.name: c.artist for c in credits_found}, "gaps": gaps})
        return {
            "trace_id": root.trace_id,
            "album": album,
            "tiers": {credit.field.name: credit.tier for credit in credits_found},
            "confidence": {credit.field.name: round(credit.confidence, 6) for credit in credits_found},
            "gaps": gaps,
            "coverage": coverage,
            "set_size": set_size,
        }


def empirical_coverage(langfuse: Langfuse, version: str, queries: int) -> float:
    """Return the average coverage of all queries under one calibration, as the Metrics API computes it."""
    now = datetime.now(UTC)
    query = {
        "view": "scores-numeric",
        "metrics": [
            {"measure": "value", "aggregation": "avg"},
            {"measure": "count", "aggregation": "count"},
        ],
        "filters": [
            {"column": "name", "operator": "=", "value": "conformal_coverage", "type": "string"},
            {"column": "traceVersion", "operator": "=", "value": version, "type": "string"},
        ],
        "fromTimestamp": (now - timedelta(hours=1)).isoformat(),
        "toTimestamp": (now + timedelta(minutes=1)).isoformat(),
    }
    [row] = await_metrics(langfuse, query, enough=queries)
    return float(row["avg_value"])


def run(langfuse: Langfuse, options: argparse.Namespace) -> dict[str, Any]:
    """Answer all queries in one session; return the result that is printed."""
    rng = random.Random(options.seed)
    threshold = calibrate(options.alpha, rng)
    session_id = options.session or f"attribution-{uuid.uuid4().hex[:8]}"
    # The threshold is what a calibration yields, and coverage is a property of one calibration.
    version = f"calibration-{session_id}"
    queries = []
    for number in range(1, options.queries + 1):
        with propagate_attributes(
            trace_name="attribution_query",
            session_id=session_id,
            user_id=f"artist-{rng.randint(1, 50)}",
            tags=["example", "attribution"],
            version=version,
            metadata={"query_type": "full_album"},
        ):
            queries.append(answer_query(langfuse, f"album-{number}", threshold, rng))
    langfuse.flush()
    return {
        "session_id": session_id,
        "queries": queries,
        "mean_confidence": statistics.fmean(c for query in queries for c in query["confidence"].values()),
        "empirical_coverage": empirical_coverage(langfuse, version, len(queries)),
        "target_coverage": 1 - options.alpha,
    }


def show(langfuse: Langfuse, result: dict[str, Any]) -> None:
    """Print the result for a person."""
    for query in result["queries"]:
        tiers = ", ".join(f"{field} {tier}" for field, tier in query["tiers"].items())
        print(f"{query['album']}: {tiers}; gaps: {', '.join(query['gaps']) or 'none'}")
        print(f"  {langfuse.get_trace_url(trace_id=query['trace_id'])}")
    print(
        f"{len(result['queries'])} queries in session {result['session_id']}: "
        f"mean confidence {result['mean_confidence']:.2f}, "
        f"coverage {result['empirical_coverage']:.2f} (target {result['target_coverage']:.2f})"
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__)
    parser.add_argument("--queries", type=int, default=5, help="albums to attribute (default 5)")
    parser.add_argument("--alpha", type=float, default=0.1, help="accepted share of misses (default 0.1)")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same answers (default 7)")
    parser.add_argument("--session", help="session id (default: a new one)")
    options = parser.parse_args(arguments)
    if options.queries < 1:
        parser.error("--queries must be at least 1")
    if not 0 < options.alpha < 1:
        parser.error("--alpha must be between 0 and 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the example; exit code 0 when done, 1 when the server refuses, 2 on wrong use."""
    options = parse(arguments)
    langfuse = connect()
    return conclude(langfuse, run(langfuse, options), show, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
