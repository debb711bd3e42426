"""Commands that watch a stack: alerts, the exporter, dashboards, reports."""
