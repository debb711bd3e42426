"""Render a report as one HTML page that needs nothing from elsewhere: pure."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from scripts.watch.html import templates

from .model import Report
from .plots import cost_plot, latency_plot, trend_plot
from .queries import TOP_MODELS
from .tables import number, projection_table, tables_of


def render(report: Report) -> str:
    """Return the HTML."""
    long = report.windows[-1]
    models = [cost.name for cost in long.costs["model"] if cost.cost and cost.is_named][:TOP_MODELS]
    averages = {average.name: average.average for average in long.averages}
    tasks = long.latencies["task"]
    return (
        templates(Path(__file__).parent)
        .get_template("page.html")
        .render(
            report=report,
            taken=f"{report.taken:%Y-%m-%d %H:%M} UTC",
            summary=projection_table(report),
            tables=tables_of(report)[1:],
            models=models,
            long_days=long.days,
            cost_plot=_svg(cost_plot(report.days, models)),
            latency_plot=_svg(latency_plot(tasks)) if tasks else "",
            trends=[
                (
                    name,
                    number(averages.get(name)),
                    _svg(trend_plot(name, points, report.days[0].date, len(report.days))),
                )
                for name, points in report.trends.items()
                if points
            ],
        )
    )


def _svg(text: str) -> Markup:
    # What comes from outside is escaped where the plot is drawn.
    return Markup(text)  # noqa: S704
