"""Ask for the data of a widget as the user interface does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.provision.content import Tile


def widget_query(tile: Tile) -> dict[str, Any]:
    """Return what the user interface asks the Metrics API for, to draw a widget."""
    now = datetime.now(UTC)
    query: dict[str, Any] = {
        "view": tile.view,
        "dimensions": [{"field": name} for name in tile.dimensions],
        "metrics": [{"measure": one.measure, "aggregation": one.agg} for one in tile.metrics],
        "filters": [one.model_dump(exclude_none=True) for one in tile.filters],
        "fromTimestamp": (now - timedelta(days=1)).isoformat(),
        "toTimestamp": (now + timedelta(hours=1)).isoformat(),
    }
    if str(tile.chart_type).endswith("TIME_SERIES"):
        query["timeDimension"] = {"granularity": "hour"}
    return query
