"""Dashboards with their widgets; a widget belongs to its dashboard and is known there by its name."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from scripts.api.client import segment
from scripts.provision.content import GRID_COLUMNS, Content, Dashboard, Tile
from scripts.provision.resources import (
    Action,
    Body,
    Change,
    Difference,
    Found,
    Wanted,
    compact,
    differences,
)
from scripts.provision.server import Server

_DASHBOARDS = "unstable/dashboards"
_WIDGETS = "unstable/dashboard-widgets"
_WIDGET = "widget"
_FIELDS = ("name", "description", "view", "dimensions", "metrics", "filters", "chartType", "chartConfig")
_PLACE = ("x", "y", "width", "height")
# Options that the server adds to a chart that names none.
_CHART_DEFAULTS: Mapping[str, Body] = {"HISTOGRAM": {"bins": 10}}
_NAMESPACE = uuid.UUID("5f0c8a52-7a0e-4b52-9d2f-2f6f0f3c8f11")


class Dashboards:
    """See Kind. Bodies are `{description, filters, tiles: {name: {x, y, width, height, widget}}}`."""

    name = "dashboard"
    section = "dashboards"

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        return [
            Wanted(
                dashboard.name,
                {
                    "description": dashboard.description,
                    "filters": [_filter(one.model_dump()) for one in dashboard.filters],
                    "tiles": _laid_out(dashboard),
                },
            )
            for dashboard in content.dashboards
        ]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        """See Kind. Widgets on no dashboard are noted: an interrupted run left them, and they are used."""
        widgets = {row["id"]: row for row in server.pages(_WIDGETS)}
        found, placed = [], set()
        for row in server.pages(_DASHBOARDS):
            tiles: Body = {}
            for one in row["definition"]["widgets"]:
                widget = widgets.get(one.get("widgetId", ""))
                name = _free_name(widget["name"] if widget else f"preset {one.get('presetId')}", tiles)
                place = {key: one[key] for key in _PLACE}
                tiles[name] = {**place, "widget": _widget(widget) if widget else None}
                if widget:
                    placed.add(widget["id"])
                    server.note_id(_WIDGET, f"{row['name']}/{name}", widget["id"])
            body = {
                "description": row.get("description") or "",
                "filters": [_filter(one) for one in row.get("filters") or []],
                "tiles": tiles,
            }
            found.append(Found(row["name"], body, row["id"]))
        for row in widgets.values():
            if row["id"] not in placed:
                server.note_id(_WIDGET, f"/{row['name']}", row["id"])
        return found

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        if found is None:
            return Change(Action.CREATE, self.name, wanted.key, wanted=wanted)
        changed = [one for one in differences(found.body, wanted.body) if not one.field.startswith("tiles")]
        before, after = found.body["tiles"], wanted.body["tiles"]
        for name in [*before, *(one for one in after if one not in before)]:
            changed += _tile_differences(name, before.get(name), after.get(name))
        if not changed:
            return None
        return Change(Action.UPDATE, self.name, wanted.key, tuple(changed), wanted=wanted, found=found)

    def removal(self, found: Found) -> Change | None:
        return Change(Action.DELETE, self.name, found.key, note="with its widgets", found=found)

    def write(self, server: Server, change: Change) -> None:
        """See Kind. Widgets first, then the dashboard that shows them."""
        if change.wanted is None:
            self._delete(server, change)
            return
        placements = []
        before: Body = change.found.body["tiles"] if change.found else {}
        for name, tile in change.wanted.body["tiles"].items():
            shown: Body = {"type": "preset", "presetId": name.removeprefix("preset ")}
            if tile["widget"]:
                old = before.get(name, {}).get("widget")
                shown = {"type": "widget", "widgetId": _saved(server, change.key, name, tile["widget"], old)}
            place = {key: tile[key] for key in _PLACE}
            placement = str(uuid.uuid5(_NAMESPACE, f"{change.key}/{name}"))
            placements.append({**shown, "id": placement, **place})
        body = {
            "name": change.key,
            "description": change.wanted.body["description"],
            "filters": change.wanted.body["filters"],
            "definition": {"widgets": placements},
        }
        if change.found:
            server.patch(f"{_DASHBOARDS}/{segment(change.found.id)}", body)
        else:
            server.post(_DASHBOARDS, body)

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        return compact(
            {
                "name": found.key,
                "description": found.body["description"],
                "filters": found.body["filters"],
                "widgets": [_file_tile(name, tile) for name, tile in found.body["tiles"].items()],
            }
        )

    def _delete(self, server: Server, change: Change) -> None:
        if change.found is None:
            return
        server.delete(f"{_DASHBOARDS}/{segment(change.found.id)}")
        for name, tile in change.found.body["tiles"].items():
            widget = server.ids.get((_WIDGET, f"{change.key}/{name}"))
            if tile["widget"] and widget:
                # 409: another dashboard shows it too, so it stays.
                server.delete(f"{_WIDGETS}/{segment(widget)}", also=(404, 409))


def _saved(server: Server, dashboard: str, name: str, widget: Body, old: Body | None) -> str:
    """Return the id of a widget after it was created or changed, as far as that is needed."""
    known = server.ids.get((_WIDGET, f"{dashboard}/{name}")) or server.ids.get((_WIDGET, f"/{name}"))
    if known is None:
        row = server.post(_WIDGETS, widget)
        server.note_id(_WIDGET, f"{dashboard}/{name}", row["id"])
        return str(row["id"])
    if old != widget:
        server.patch(f"{_WIDGETS}/{segment(known)}", widget)
    return known


def _tile_differences(name: str, old: Body | None, new: Body | None) -> list[Difference]:
    if old is None or new is None:
        return [Difference(f"widget {name!r}", old and "there", new and "there")]
    inner = differences(old["widget"] or {}, new["widget"] or {})
    # The type is in the options once more.
    inner = tuple(one for one in inner if one.field != "chartConfig.type")
    places = differences({key: old[key] for key in _PLACE}, {key: new[key] for key in _PLACE})
    return [Difference(f"widget {name!r} {one.field}", one.old, one.new) for one in (*inner, *places)]


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _laid_out(dashboard: Dashboard) -> Body:
    """Return the tiles by name; those without a place follow each other from left to right."""
    tiles: Body = {}
    x = y = row_height = 0
    for tile in dashboard.widgets:
        if tile.x is None or tile.y is None:
            if x + tile.width > GRID_COLUMNS:
                x, y, row_height = 0, y + row_height, 0
            place = (x, y)
        else:
            place = (tile.x, tile.y)
            y, row_height = (tile.y, 0) if tile.y > y else (y, row_height)
        x, row_height = place[0] + tile.width, max(row_height, tile.height)
        tiles[_free_name(tile.name or f"preset {tile.preset}", tiles)] = {
            "x": place[0],
            "y": place[1],
            "width": tile.width,
            "height": tile.height,
            "widget": _wanted_widget(tile) if tile.name else None,
        }
    return tiles


def _wanted_widget(tile: Tile) -> Body:
    return {
        "name": tile.name,
        "description": tile.description,
        "view": tile.view,
        "dimensions": [{"field": field} for field in tile.dimensions],
        "metrics": [one.model_dump() for one in tile.metrics],
        "filters": [_filter(one.model_dump()) for one in tile.filters],
        "chartType": tile.chart_type,
        "chartConfig": _chart(str(tile.chart_type), tile.chart_config),
    }


def _widget(row: Body) -> Body:
    body = {field: row.get(field) for field in _FIELDS}
    return {
        **body,
        "description": body["description"] or "",
        "filters": [_filter(one) for one in body["filters"] or []],
        "dimensions": [{"field": one["field"]} for one in body["dimensions"] or []],
        "metrics": [{"measure": one["measure"], "agg": one["agg"]} for one in body["metrics"] or []],
        "chartConfig": _chart(row["chartType"], row.get("chartConfig") or {}),
    }


def _chart(kind: str, options: Mapping[str, object]) -> Body:
    return {**_CHART_DEFAULTS.get(kind, {}), **options, "type": kind}


def _filter(condition: Mapping[str, object]) -> Body:
    return {key: value for key, value in condition.items() if value is not None}


def _file_tile(name: str, tile: Body) -> Body:
    place = {key: tile[key] for key in _PLACE}
    widget = tile["widget"]
    if widget is None:
        return {"preset": name.removeprefix("preset ").partition(" ")[0], **place}
    kind = widget["chartType"]
    defaults = _chart(kind, {})
    options = {key: value for key, value in widget["chartConfig"].items() if defaults.get(key) != value}
    return {
        **compact(
            {
                "name": name,
                "description": widget["description"],
                "view": widget["view"],
                "dimensions": [one["field"] for one in widget["dimensions"]],
                "metrics": widget["metrics"],
                "filters": widget["filters"],
                "chart_type": kind,
                "chart_config": options,
            }
        ),
        **place,
    }
