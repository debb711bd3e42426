"""Dashboards and widgets below `/unstable`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

WIDGETS = "/api/public/unstable/dashboard-widgets"
DASHBOARDS = "/api/public/unstable/dashboards"
WIDGET = {
    "name": "Cost by model",
    "view": "observations",
    "dimensions": [{"field": "providedModelName"}],
    "metrics": [{"measure": "totalCost", "agg": "sum"}],
    "filters": [{"column": "type", "type": "stringOptions", "operator": "any of", "value": ["GENERATION"]}],
    "chartType": "HORIZONTAL_BAR",
}


def widget(client: httpx.Client, **changes: Any) -> httpx.Response:
    """Create a widget."""
    return client.post(WIDGETS, json={**WIDGET, **changes})


def test_a_widget_is_stored_as_sent_with_its_chart_options_complete(client: httpx.Client) -> None:
    created = widget(client, chartConfig={"row_limit": 5}).json()
    assert created["chartConfig"] == {"type": "HORIZONTAL_BAR", "row_limit": 5}
    assert {key: created[key] for key in WIDGET} == WIDGET
    assert client.get(f"{WIDGETS}/{created['id']}").json() == created
    changed = client.patch(f"{WIDGETS}/{created['id']}", json={"chartType": "HISTOGRAM"}).json()
    assert (changed["chartConfig"], changed["name"]) == ({"type": "HISTOGRAM", "bins": 10}, "Cost by model")
    assert client.delete(f"{WIDGETS}/{created['id']}").json() == {
        "message": "Dashboard widget successfully deleted"
    }
    gone = client.get(f"{WIDGETS}/{created['id']}")
    assert (gone.status_code, gone.json()) == (
        404,
        {"message": f"Dashboard widget {created['id']} not found", "code": "resource_not_found"},
    )


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        (
            {"dimensions": [{"field": "nope"}]},
            "dimensions[0].field",
            'Dimension "nope" is not available for view "observations" in version "v2"',
        ),
        (
            {"dimensions": [{"field": "traceId"}]},
            "dimensions[0].field",
            'Dimension "traceId" is not available for widgets',
        ),
        (
            {"metrics": [{"measure": "nope", "agg": "sum"}]},
            "metrics[0].measure",
            'Measure "nope" is not available for view "observations" in version "v2"',
        ),
        (
            {"metrics": [{"measure": "uniqueUserIds", "agg": "sum"}]},
            "metrics[0].agg",
            'Aggregation "sum" is not valid for measure "uniqueUserIds"',
        ),
        (
            {"dimensions": [{"field": "name"}, {"field": "type"}]},
            "dimensions",
            "Only pivot table widgets can have multiple dimensions",
        ),
        ({"chartConfig": {"type": "PIE"}}, "chartConfig.type", "chartConfig.type must match chartType"),
        (
            {"chartConfig": {"row_limit": 0}},
            "chartConfig",
            "Invalid chartConfig: row_limit: Too small: expected number to be >0",
        ),
    ],
)
def test_a_widget_that_could_never_be_drawn_is_refused(
    client: httpx.Client, changes: dict[str, Any], field: str, message: str
) -> None:
    answer = widget(client, **changes)
    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (
        400,
        "invalid_request",
        message,
    )
    assert answer.json()["details"]["field"] == field


def test_errors_below_unstable_have_a_code_and_details(client: httpx.Client) -> None:
    body = client.post(WIDGETS, json={**WIDGET, "view": "traces"}).json()
    assert (body["message"], body["code"]) == ("Invalid request body", "invalid_body")
    assert body["details"]["issues"][0]["path"] == ["view"]
    query = client.get(WIDGETS, params={"limit": 0}).json()
    assert (query["message"], query["code"]) == ("Invalid query parameters", "invalid_query")
    nobody = httpx.get(f"{client.base_url}{WIDGETS}")
    assert (nobody.status_code, nobody.json()) == (
        401,
        {"message": "No authorization header", "code": "authentication_failed"},
    )


def test_widgets_are_placed_moved_and_taken_off(client: httpx.Client) -> None:
    shown = widget(client).json()
    dashboard = client.post(DASHBOARDS, json={"name": "Quality"}).json()
    assert (dashboard["definition"], dashboard["filters"], dashboard["description"]) == (
        {"widgets": []},
        [],
        "",
    )
    placements = f"{DASHBOARDS}/{dashboard['id']}/placements"
    first = client.post(placements, json={"type": "widget", "widgetId": shown["id"]}).json()
    assert (first["x"], first["y"], first["width"], first["height"]) == (0, 0, 6, 6)
    second = client.post(placements, json={"type": "preset", "presetId": "home-traces", "id": "p2"}).json()
    assert (second["id"], second["y"]) == ("p2", 6)
    moved = client.patch(f"{placements}/p2", json={"x": 6, "y": 0, "width": 3}).json()
    assert moved == {**second, "x": 6, "y": 0, "width": 3}
    assert client.get(f"{DASHBOARDS}/{dashboard['id']}").json()["definition"]["widgets"] == [first, moved]
    again = client.post(placements, json={"type": "preset", "presetId": "home-traces", "id": "p2"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    used = client.delete(f"{WIDGETS}/{shown['id']}")
    assert (used.status_code, '"Quality"' in used.json()["message"]) == (409, True)
    assert client.delete(f"{placements}/{first['id']}").json() == {
        "message": "Placement successfully deleted"
    }
    assert client.delete(f"{placements}/{first['id']}").status_code == 404
    assert client.delete(f"{WIDGETS}/{shown['id']}").status_code == 200


def test_a_dashboard_is_changed_and_deleted(client: httpx.Client) -> None:
    created = client.post(DASHBOARDS, json={"name": "a", "description": "b"}).json()
    path = f"{DASHBOARDS}/{created['id']}"
    changed = client.patch(path, json={"name": "c", "filters": WIDGET["filters"]}).json()
    assert (changed["name"], changed["description"], changed["filters"]) == ("c", "b", WIDGET["filters"])
    assert client.patch(path, json={}).status_code == 400
    newest = client.get(DASHBOARDS, params={"limit": 1}).json()
    assert newest["data"] == [changed]
    assert client.delete(path).json() == {"message": "Dashboard successfully deleted"}
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("placement", "status"),
    [
        ({"type": "widget", "widgetId": "nope"}, 404),
        ({"type": "preset", "presetId": "nope"}, 404),
        ({"type": "widget"}, 400),
        ({"type": "other"}, 400),
        ({"type": "preset", "presetId": "home-traces", "x": -1}, 400),
    ],
)
def test_a_placement_of_what_does_not_exist_is_refused(
    client: httpx.Client, placement: dict[str, Any], status: int
) -> None:
    dashboard = client.post(DASHBOARDS, json={"name": "refused"}).json()
    assert client.post(f"{DASHBOARDS}/{dashboard['id']}/placements", json=placement).status_code == status


def test_two_placements_of_one_dashboard_cannot_share_an_id(client: httpx.Client) -> None:
    one = {"type": "preset", "presetId": "home-traces", "id": "x", "x": 0, "y": 0, "width": 1, "height": 1}
    answer = client.post(DASHBOARDS, json={"name": "twice", "definition": {"widgets": [one, one]}})
    assert answer.json()["details"]["issues"][0]["message"] == "Placement ids must be unique"
