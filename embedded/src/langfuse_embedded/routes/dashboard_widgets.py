"""Dashboard widgets below `/unstable`: checked against the views of the Metrics API, stored, not drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from starlette.responses import Response

from langfuse_embedded.clock import iso
from langfuse_embedded.http.access import ErrorStyle
from langfuse_embedded.http.errors import ApiError, Conflict, NotFound
from langfuse_embedded.http.filters import CONDITIONS
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.pagination import Page
from langfuse_embedded.http.schema import (
    MISSING,
    Array,
    Boolean,
    Enum,
    Issues,
    Literal,
    Number,
    Object,
    String,
    Tagged,
    Unchanged,
)
from langfuse_embedded.metrics.views import VIEWS
from langfuse_embedded.store.dashboards import Document

from .call import Call
from .operations import Operation

# Dimensions that can be filtered by, but that widgets cannot break down by.
_NOT_FOR_WIDGETS = frozenset(
    {
        "id",
        "traceId",
        "parentObservationId",
        "isRootObservation",
        "experimentId",
        "experimentName",
        "datasetRunId",
        "evaluatorId",
    }
)
_MAX_PIVOT_DIMENSIONS = 2
_MAX_PIVOT_METRICS = 10
_PIVOT = "PIVOT_TABLE"

_ROW_LIMIT = {"row_limit": Number(integer=True, gt=0, le=1000).optional()}
_CHART_OPTIONS = {
    "LINE_TIME_SERIES": {},
    "AREA_TIME_SERIES": {},
    "BAR_TIME_SERIES": {},
    "HORIZONTAL_BAR": {**_ROW_LIMIT, "show_value_labels": Boolean().optional()},
    "VERTICAL_BAR": _ROW_LIMIT,
    "PIE": _ROW_LIMIT,
    "NUMBER": _ROW_LIMIT,
    "HISTOGRAM": {**_ROW_LIMIT, "bins": Number(integer=True, ge=1, le=100).default(10)},
    _PIVOT: {
        **_ROW_LIMIT,
        "defaultSort": Object({"column": String(), "order": Enum("ASC", "DESC")}).optional(),
    },
}
_CHART_TYPE = Enum(*_CHART_OPTIONS)
_CHART_CONFIG = Tagged(
    "type",
    {kind: Object({"type": Literal(kind), **options}) for kind, options in _CHART_OPTIONS.items()},
)
_AGGREGATION = Enum(
    "sum", "avg", "count", "max", "min", "p50", "p75", "p90", "p95", "p99", "histogram", "uniq"
)
FILTERS = Unchanged(CONDITIONS)

_FIELDS = {
    "name": String(min=1, min_message="Widget name is required"),
    "description": String(),
    "view": Enum("observations", "scores-numeric", "scores-boolean", "scores-categorical"),
    "dimensions": Array(Object({"field": String(min=1)})),
    "metrics": Array(Object({"measure": String(min=1), "agg": _AGGREGATION}), min=1),
    "filters": FILTERS,
    "chartType": _CHART_TYPE,
    "chartConfig": Object({"type": _CHART_TYPE.optional()}, loose=True).optional(),
}
_CREATE = Object({**_FIELDS, "description": String().default("")})
_UPDATE = Object({key: field.optional() for key, field in _FIELDS.items()}).refine(
    bool, "At least one field is required"
)
LIST = Object(
    {
        "page": Number(integer=True, gt=0, coerce=True).default(1),
        "limit": Number(integer=True, gt=0, le=100, coerce=True).default(50),
    }
)


class InvalidWidget(ApiError):
    """A widget that could never be drawn; `field` says where, `allowed` what would do."""

    status: ClassVar[int] = 400
    name: ClassVar[str | None] = "InvalidRequestError"

    def __init__(self, message: str, field: str, allowed: Sequence[str] | None = None) -> None:
        super().__init__(message)
        self.details = {"field": field, **({} if allowed is None else {"allowedValues": list(allowed)})}


async def list_widgets(call: Call) -> Response:
    """List widgets, the last changed first."""
    page = Page.of(call.query(LIST))
    widgets, total = call.engine.dashboard_widgets.page(call.project_id, page.limit, page.offset)
    return json_response({"data": [_shown(widget) for widget in widgets], "meta": page.meta(total)})


async def create_widget(call: Call) -> Response:
    """Store a widget that the views can serve."""
    body = _checked(await call.json(_CREATE))
    with call.engine.state.transaction():
        widget = call.engine.dashboard_widgets.create(call.project_id, body)
    return json_response(_shown(widget))


async def get_widget(call: Call) -> Response:
    """Return one widget."""
    return json_response(_shown(_widget(call)))


async def update_widget(call: Call) -> Response:
    """Change the given fields; a new chart type without options starts from none."""
    changes = await call.json(_UPDATE)
    widget = _widget(call)
    if (
        "chartConfig" not in changes
        and changes.get("chartType", widget.body["chartType"]) != (widget.body["chartType"])
    ):
        changes["chartConfig"] = {"type": changes["chartType"]}
    body = _checked({**widget.body, **changes})
    with call.engine.state.transaction():
        widget = call.engine.dashboard_widgets.update(widget, body)
    return json_response(_shown(widget))


async def delete_widget(call: Call) -> Response:
    """Delete a widget that no dashboard shows."""
    widget = _widget(call)
    users = [
        f'"{dashboard.body["name"]}"'
        for dashboard in call.engine.dashboards.all(call.project_id)
        if any(placed.get("widgetId") == widget.id for placed in dashboard.body["definition"]["widgets"])
    ]
    if users:
        raise Conflict(
            "Cannot delete widget because it is still used in the following dashboards: "
            f"{', '.join(users)}. Please remove the widget from these dashboards first."
        )
    with call.engine.state.transaction():
        call.engine.dashboard_widgets.delete(widget)
    return json_response({"message": "Dashboard widget successfully deleted"})


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body with its chart options complete.

    Raises:
        InvalidWidget: nothing could draw it.
    """
    config = _chart_config(body)
    view, named = VIEWS[body["view"]], body["view"]
    fields = [name for name in view.dimensions if name not in _NOT_FOR_WIDGETS]
    for index, dimension in enumerate(body["dimensions"]):
        field, where = dimension["field"], f"dimensions[{index}].field"
        if field not in view.dimensions:
            raise InvalidWidget(
                f'Dimension "{field}" is not available for view "{named}" in version "v2"', where, fields
            )
        if field in _NOT_FOR_WIDGETS:
            raise InvalidWidget(f'Dimension "{field}" is not available for widgets', where, fields)
    for index, metric in enumerate(body["metrics"]):
        measure = view.measures.get(metric["measure"])
        if measure is None:
            raise InvalidWidget(
                f'Measure "{metric["measure"]}" is not available for view "{named}" in version "v2"',
                f"metrics[{index}].measure",
                list(view.measures),
            )
        if metric["agg"] not in measure.aggregations:
            raise InvalidWidget(
                f'Aggregation "{metric["agg"]}" is not valid for measure "{metric["measure"]}"',
                f"metrics[{index}].agg",
                measure.aggregations,
            )
    _check_size(body)
    return {**body, "chartConfig": config}


def _chart_config(body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("chartConfig") or {}
    kind = given.get("type", body["chartType"])
    if kind != body["chartType"]:
        raise InvalidWidget("chartConfig.type must match chartType", "chartConfig.type")
    issues = Issues()
    config: dict[str, Any] = _CHART_CONFIG.parse_at({**given, "type": kind}, (), issues)
    if issues.found:
        found = ", ".join(
            f"{'.'.join(map(str, issue['path']))}: {issue['message']}" for issue in issues.found
        )
        raise InvalidWidget(f"Invalid chartConfig: {found}", "chartConfig")
    return {key: value for key, value in config.items() if value is not MISSING}


def _check_size(body: dict[str, Any]) -> None:
    if body["chartType"] != _PIVOT:
        if len(body["dimensions"]) > 1:
            raise InvalidWidget("Only pivot table widgets can have multiple dimensions", "dimensions")
    elif len(body["dimensions"]) > _MAX_PIVOT_DIMENSIONS:
        raise InvalidWidget(
            f"Pivot table widgets can have at most {_MAX_PIVOT_DIMENSIONS} dimensions", "dimensions"
        )
    elif len(body["metrics"]) > _MAX_PIVOT_METRICS:
        raise InvalidWidget(f"Pivot table widgets can have at most {_MAX_PIVOT_METRICS} metrics", "metrics")


def _widget(call: Call) -> Document:
    widget_id = call.params["widgetId"]
    widget = call.engine.dashboard_widgets.get(call.project_id, widget_id)
    if widget is None:
        raise NotFound(f"Dashboard widget {widget_id} not found")
    return widget


def _shown(widget: Document) -> dict[str, Any]:
    return {
        "id": widget.id,
        "createdAt": iso(widget.created_at),
        "updatedAt": iso(widget.updated_at),
        **widget.body,
    }


_WIDGETS = "/api/public/unstable/dashboard-widgets"
_WIDGET = f"{_WIDGETS}/{{widgetId}}"
_STYLE = ErrorStyle.UNSTABLE

OPERATIONS = [
    Operation("GET", _WIDGETS, list_widgets, "unstable_dashboardWidgets_list", errors=_STYLE),
    Operation("POST", _WIDGETS, create_widget, "unstable_dashboardWidgets_create", errors=_STYLE),
    Operation("GET", _WIDGET, get_widget, "unstable_dashboardWidgets_get", errors=_STYLE),
    Operation("PATCH", _WIDGET, update_widget, "unstable_dashboardWidgets_update", errors=_STYLE),
    Operation("DELETE", _WIDGET, delete_widget, "unstable_dashboardWidgets_delete", errors=_STYLE),
]
