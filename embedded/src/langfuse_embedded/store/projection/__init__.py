"""The metrics projection: a DuckDB copy of what metrics need of `events.db`, rebuilt whenever in doubt."""

from __future__ import annotations

from .projection import MetricsProjection
from .remembered import RememberedRows

__all__ = ["MetricsProjection", "RememberedRows"]
