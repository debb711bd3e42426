"""The words of the metrics query model: views, dimensions, measures, relations.

The tables themselves are in `views.py` (what `GET /api/public/v2/metrics` offers) and `views_legacy.py`.
Expressions are DuckDB SQL over the tables of the projection (`store/projection.py`), under fixed aliases:
`o` observations, `s` scores, `t` traces, `r` the root observations of a score's trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NUMERIC_AGGREGATIONS = (
    "sum",
    "avg",
    "count",
    "max",
    "min",
    "p50",
    "p75",
    "p90",
    "p95",
    "p99",
    "histogram",
    "uniq",
)
TEXT_AGGREGATIONS = ("count", "uniq")
# How several rows of one entity become its value (`Measure.per_entity`).
FIRST, SUM, COUNT, DISTINCT = "any_value({})", "sum({})", "count({})", "count(distinct {})"
GRANULARITIES = ("auto", "minute", "hour", "day", "week", "month")


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something to group and filter by.

    Attributes:
        sql: the value of a row.
        type: `string`, `number`, `boolean`, `string[]` or `arrayString`; decides which filters fit.
        relation: the joined table that `sql` reads, if any.
        high_cardinality: allowed only with a row limit and an order by a measure.
        filler: what a time bucket without data holds.
        filter_sql: the stored text, where `sql` is null for an empty one; filters treat both as the same.
        explode: the value is a list, and each of its entries is a group.
        group_sql: what `sql` is made from, where grouping by that is cheaper and gives the same groups.
        pair: the list of values that belongs to the list of keys in `sql`; both are expanded together.
    """

    sql: str
    type: str = "string"
    relation: str | None = None
    high_cardinality: bool = False
    filler: Any = ""
    filter_sql: str | None = None
    group_sql: str = ""
    explode: bool = False
    pair: str | None = None

    @property
    def is_list(self) -> bool:
        """Whether rows hold a list of texts, so that only `arrayOptions` filters fit."""
        return self.type in ("string[]", "arrayString")


@dataclass(frozen=True, slots=True)
class Measure:
    """Something to aggregate.

    Attributes:
        sql: the value of a row.
        type: `integer`, `decimal`, `number` or `string`; a string can only be counted.
        nullable: rows may lack it; an aggregate over nothing is then null instead of zero.
        per_entity: how the rows that a join makes of one entity become its value; `{}` stands for `sql`.
            Where nothing is joined an entity is one row, and `sql` alone is its value.
        relation: the joined table that `sql` reads, if any.
        pair_of: the paired dimension that has to be expanded for it.
    """

    sql: str
    type: str = "integer"
    nullable: bool = False
    per_entity: str = FIRST
    relation: str | None = None
    pair_of: str | None = None

    @property
    def aggregations(self) -> tuple[str, ...]:
        """The aggregations that make sense for it."""
        return TEXT_AGGREGATIONS if self.type == "string" else NUMERIC_AGGREGATIONS


@dataclass(frozen=True, slots=True)
class Relation:
    """A table that can be joined (inner join): its rows count only inside the time window, too."""

    table: str
    alias: str
    on: str
    time: str


@dataclass(frozen=True, slots=True)
class View:
    """One kind of entity that can be aggregated.

    Attributes:
        source: the table and its alias.
        key: what identifies an entity.
        time: its time in Unix milliseconds.
        time_name: how error messages call the time.
        project: the column that binds a query to a project.
        metadata: the table that `metadata` filters look at.
        metadata_row: the number in that table of a row's metadata.
        condition: which rows of the table belong to the view.
    """

    source: str
    key: str
    time: str
    time_name: str
    project: str
    dimensions: Mapping[str, Dimension]
    measures: Mapping[str, Measure]
    metadata: str
    metadata_row: str
    relations: Mapping[str, Relation] = field(default_factory=dict)
    condition: str = ""
