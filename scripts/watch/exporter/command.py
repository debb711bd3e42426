"""`exporter`: serve Prometheus metrics about the server, the applications and the canary until stopped."""

from __future__ import annotations

import logging

from scripts.core.errors import EXIT_OK
from scripts.engines.context import Context
from scripts.watch.alerts.document import load_alerts

from .config import exporter_config


def exporter(context: Context) -> int:
    """The command. A faulty alerts file is refused at the start; later ones are reported and ignored."""
    from .server import serve

    config = exporter_config(context)
    load_alerts(config.alerts_path, context.layout.shown(config.alerts_path))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    serve(config)
    return EXIT_OK
