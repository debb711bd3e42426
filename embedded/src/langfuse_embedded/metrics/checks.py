"""What may be asked of a view: names, aggregations, filters, order, and high cardinality.

The messages are the server's own, also in the order in which one hides the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from langfuse_embedded.http.errors import InvalidRequest
from langfuse_embedded.http.filters import Condition

from .model import Dimension, View
from .query import MetricsQuery

# Which types of conditions fit a type of dimension.
_FITTING = {
    "string": ("string", "stringOptions"),
    "number": ("number",),
    "boolean": ("boolean",),
    "string[]": ("arrayOptions",),
    "arrayString": ("arrayOptions",),
}
_METADATA_EXAMPLE = (
    'Example: {"column": "metadata", "type": "stringObject", "key": "environment", "operator": "=", '
    '"value": "production"}'
)


def check_cardinality(query: MetricsQuery, view: View) -> None:
    """Refuse to group by ids and the like unless the result is a top list.

    Raises:
        InvalidRequest: with the server's explanation.
    """
    costly = [
        name
        for name in query.dimensions
        if name in view.dimensions and view.dimensions[name].high_cardinality
    ]
    if not costly:
        return
    named = f"High cardinality dimension(s) '{', '.join(costly)}'"
    if query.granularity is not None:
        raise InvalidRequest(
            f"{named} cannot be used with timeDimension. Time series queries with high cardinality "
            "dimensions produce unbounded result sets."
        )
    falling = [order.field for order in query.order if order.descending]
    if query.row_limit is None or not falling:
        raise InvalidRequest(
            f"{named} require both 'config.row_limit' and 'orderBy' with direction 'desc' on a measure field."
        )
    measures = [metric.measure for metric in query.metrics]
    strangers = [field for field in falling if not _mentions(field, measures)]
    if strangers:
        verb = "is" if len(strangers) == 1 else "are"
        raise InvalidRequest(
            f"{named} require 'orderBy' with direction 'desc' on a measure field. "
            f"'{', '.join(strangers)}' {verb} not a measure in this query."
        )


def _mentions(field: str, measures: Iterable[str]) -> bool:
    return any(field == measure or field.endswith(f"_{measure}") for measure in measures)


def check_names(query: MetricsQuery, view: View) -> None:
    """Refuse unknown dimensions and measures, and aggregations that a measure does not have.

    Raises:
        InvalidRequest: naming what exists.
    """
    for name in query.dimensions:
        if name not in view.dimensions:
            raise InvalidRequest(f"Invalid dimension {name}. Must be one of {','.join(view.dimensions)}")
    for metric in query.metrics:
        measure = view.measures.get(metric.measure)
        if measure is None:
            raise InvalidRequest(f"Invalid metric {metric.measure}. Must be one of {','.join(view.measures)}")
        if metric.aggregation not in measure.aggregations:
            raise InvalidRequest(
                f'Aggregation "{metric.aggregation}" is not valid for measure "{metric.measure}" '
                f"(type: {measure.type}). Valid aggregations: {', '.join(measure.aggregations)}"
            )


def check_conditions(conditions: Iterable[Condition], view: View) -> None:
    """Refuse filters on what is not a dimension, and types of filters that do not fit it.

    Raises:
        InvalidRequest: naming what exists or what fits.
    """
    for condition in conditions:
        dimension = filtered_dimension(condition.column, view)
        if dimension is not None:
            _check_type(condition, dimension)
        elif condition.column == view.time_name:
            _check_time(condition, view)
        elif condition.column == "metadata":
            _check_metadata(condition)
        else:
            raise InvalidRequest(
                f"Invalid filter column {condition.column}. "
                f"Must be one of {','.join(view.dimensions)} or {view.time_name}"
            )


def filtered_dimension(column: str, view: View) -> Dimension | None:
    """Return the dimension that a filter column means.

    Any unknown column that ends in `Name` means the name: dashboards send `scoreName` and the like.
    """
    if column in view.dimensions:
        return view.dimensions[column]
    return view.dimensions.get("name") if column.endswith("Name") else None


def _check_type(condition: Condition, dimension: Dimension) -> None:
    fitting = _FITTING[dimension.type]
    if condition.type == "null" or condition.type in fitting:
        return
    raise InvalidRequest(
        f"Invalid filter for field '{condition.column}': Filter type '{condition.type}' is not supported for "
        f"dimension type '{dimension.type}'. Expected {' or '.join(repr(name) for name in fitting)}."
    )


def _check_time(condition: Condition, view: View) -> None:
    if condition.type not in ("null", "datetime"):
        raise InvalidRequest(
            f"Invalid filter for field '{condition.column}': Filter type '{condition.type}' is not supported "
            f"for time dimension '{view.time_name}'. Expected 'datetime'."
        )


def _check_metadata(condition: Condition) -> None:
    if condition.type != "stringObject":
        raise InvalidRequest(
            "Invalid filter for field 'metadata': Metadata filters require type 'stringObject' with a 'key' "
            f"property, not '{condition.type}'. {_METADATA_EXAMPLE}"
        )


def check_order(query: MetricsQuery, dimensions: Iterable[str]) -> None:
    """Refuse to order by what is not a column of the result; a histogram has no order.

    Raises:
        InvalidRequest: naming the field.
    """
    columns = set(dimensions)
    columns.update(metric.name for metric in query.metrics if metric.aggregation != "histogram")
    if query.granularity is not None:
        columns.add("time_dimension")
    for order in query.order:
        if order.field not in columns:
            raise InvalidRequest(
                f"Invalid orderBy field: {order.field}. Must be one of the dimension or metric fields."
            )
