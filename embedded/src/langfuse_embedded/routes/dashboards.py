"""Dashboards below `/unstable`: names, filters, and placements of widgets on a grid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from langfuse_embedded import ids
from langfuse_embedded.clock import iso
from langfuse_embedded.http.access import ErrorStyle
from langfuse_embedded.http.errors import Conflict, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.names import MAX_LENGTH
from langfuse_embedded.http.pagination import Page
from langfuse_embedded.http.schema import Array, Literal, Number, Object, String, Tagged
from langfuse_embedded.store.dashboards import Document

from .call import Call
from .dashboard_widgets import FILTERS, LIST
from .operations import Operation

# Tiles that the server's own interface draws without a stored widget.
_PRESETS = frozenset(
    f"home-{name}"
    for name in (
        "traces",
        "model-costs",
        "scores-table",
        "traces-obs-time-series",
        "model-usage",
        "users",
        "chart-scores",
        "latency-table-traces",
        "latency-table-generations",
        "latency-table-observations",
        "generation-latency",
        "score-analytics",
    )
)
_DEFAULT_SIZE = 6

_POSITION = {
    "x": Number(integer=True, ge=0),
    "y": Number(integer=True, ge=0),
    "width": Number(integer=True, gt=0),
    "height": Number(integer=True, gt=0),
}
_PLACED = {"id": String(), **_POSITION}
_PLACEABLE = {key: field.optional() for key, field in _PLACED.items()}


def _placement(fields: dict[str, Any]) -> Tagged:
    return Tagged(
        "type",
        {
            "widget": Object({"type": Literal("widget"), "widgetId": String(), **fields}, strict=True),
            "preset": Object({"type": Literal("preset"), "presetId": String(), **fields}, strict=True),
        },
    )


_DEFINITION = Object({"widgets": Array(_placement(_PLACED))}).refine(
    lambda definition: len({one["id"] for one in definition["widgets"]}) == len(definition["widgets"]),
    "Placement ids must be unique",
)
_CREATE = Object(
    {
        "name": String(min=1, max=MAX_LENGTH),
        "description": String().default(""),
        "definition": _DEFINITION.optional(),
        "filters": FILTERS.optional(),
    }
)
_UPDATE = Object(
    {
        "name": String(min=1).optional(),
        "description": String().optional(),
        "definition": _DEFINITION.optional(),
        "filters": FILTERS.optional(),
    }
).refine(bool, "At least one field is required")
_ADD = _placement(_PLACEABLE)
_MOVE = Object({key: field.optional() for key, field in _POSITION.items()}).refine(
    bool, "At least one field is required"
)


async def list_dashboards(call: Call) -> Response:
    """List dashboards, the last changed first."""
    page = Page.of(call.query(LIST))
    dashboards, total = call.engine.dashboards.page(call.project_id, page.limit, page.offset)
    return json_response({"data": [_shown(one) for one in dashboards], "meta": page.meta(total)})


async def create_dashboard(call: Call) -> Response:
    """Store a dashboard."""
    body = {"definition": {"widgets": []}, "filters": [], **await call.json(_CREATE)}
    _require_references(call, body["definition"]["widgets"])
    with call.engine.state.transaction():
        dashboard = call.engine.dashboards.create(call.project_id, body)
    return json_response(_shown(dashboard))


async def get_dashboard(call: Call) -> Response:
    """Return one dashboard."""
    return json_response(_shown(_dashboard(call)))


async def update_dashboard(call: Call) -> Response:
    """Change the given fields."""
    changes = await call.json(_UPDATE)
    dashboard = _dashboard(call)
    if "definition" in changes:
        _require_references(call, changes["definition"]["widgets"])
    return json_response(_shown(_save(call, dashboard, changes)))


async def delete_dashboard(call: Call) -> Response:
    """Delete a dashboard; its widgets stay."""
    dashboard = _dashboard(call)
    with call.engine.state.transaction():
        call.engine.dashboards.delete(dashboard)
    return json_response({"message": "Dashboard successfully deleted"})


async def add_placement(call: Call) -> Response:
    """Put a widget on a dashboard, below the others unless told where."""
    given = await call.json(_ADD)
    dashboard = _dashboard(call)
    placed = dashboard.body["definition"]["widgets"]
    placement = {
        "id": ids.uuid4(),
        "x": 0,
        "y": max((one["y"] + one["height"] for one in placed), default=0),
        "width": _DEFAULT_SIZE,
        "height": _DEFAULT_SIZE,
        **given,
    }
    if any(one["id"] == placement["id"] for one in placed):
        raise Conflict(f"Placement {placement['id']} already exists")
    _require_references(call, [placement])
    _save(call, dashboard, {"definition": {"widgets": [*placed, placement]}})
    return json_response(placement)


async def move_placement(call: Call) -> Response:
    """Move or resize what is on a dashboard."""
    changes = await call.json(_MOVE)
    dashboard = _dashboard(call)
    placement = {**_placed(call, dashboard), **changes}
    widgets = [
        placement if one["id"] == placement["id"] else one for one in dashboard.body["definition"]["widgets"]
    ]
    _save(call, dashboard, {"definition": {"widgets": widgets}})
    return json_response(placement)


async def delete_placement(call: Call) -> Response:
    """Take something off a dashboard."""
    dashboard = _dashboard(call)
    gone = _placed(call, dashboard)
    widgets = [one for one in dashboard.body["definition"]["widgets"] if one["id"] != gone["id"]]
    _save(call, dashboard, {"definition": {"widgets": widgets}})
    return json_response({"message": "Placement successfully deleted"})


def _require_references(call: Call, placements: Iterable[dict[str, Any]]) -> None:
    for placement in placements:
        if placement["type"] == "preset":
            if placement["presetId"] not in _PRESETS:
                raise NotFound(f"Dashboard preset {placement['presetId']} not found")
        elif call.engine.dashboard_widgets.get(call.project_id, placement["widgetId"]) is None:
            raise NotFound(f"Dashboard widget {placement['widgetId']} not found")


def _dashboard(call: Call) -> Document:
    dashboard_id = call.params["dashboardId"]
    dashboard = call.engine.dashboards.get(call.project_id, dashboard_id)
    if dashboard is None:
        raise NotFound(f"Dashboard {dashboard_id} not found")
    return dashboard


def _placed(call: Call, dashboard: Document) -> dict[str, Any]:
    placement_id = call.params["placementId"]
    for placement in dashboard.body["definition"]["widgets"]:
        if placement["id"] == placement_id:
            return dict(placement)
    raise NotFound(f"Placement {placement_id} not found")


def _save(call: Call, dashboard: Document, changes: dict[str, Any]) -> Document:
    with call.engine.state.transaction():
        return call.engine.dashboards.update(dashboard, {**dashboard.body, **changes})


def _shown(dashboard: Document) -> dict[str, Any]:
    return {
        "id": dashboard.id,
        "createdAt": iso(dashboard.created_at),
        "updatedAt": iso(dashboard.updated_at),
        **dashboard.body,
    }


_DASHBOARDS = "/api/public/unstable/dashboards"
_DASHBOARD = f"{_DASHBOARDS}/{{dashboardId}}"
_PLACEMENTS = f"{_DASHBOARD}/placements"
_ONE_PLACEMENT = f"{_PLACEMENTS}/{{placementId}}"
_STYLE = ErrorStyle.UNSTABLE

OPERATIONS = [
    Operation("GET", _DASHBOARDS, list_dashboards, "unstable_dashboards_list", errors=_STYLE),
    Operation("POST", _DASHBOARDS, create_dashboard, "unstable_dashboards_create", errors=_STYLE),
    Operation("GET", _DASHBOARD, get_dashboard, "unstable_dashboards_get", errors=_STYLE),
    Operation("PATCH", _DASHBOARD, update_dashboard, "unstable_dashboards_update", errors=_STYLE),
    Operation("DELETE", _DASHBOARD, delete_dashboard, "unstable_dashboards_delete", errors=_STYLE),
    Operation("POST", _PLACEMENTS, add_placement, "unstable_dashboards_addPlacement", errors=_STYLE),
    Operation("PATCH", _ONE_PLACEMENT, move_placement, "unstable_dashboards_updatePlacement", errors=_STYLE),
    Operation(
        "DELETE", _ONE_PLACEMENT, delete_placement, "unstable_dashboards_deletePlacement", errors=_STYLE
    ),
]
