"""What the worker reports about itself as DogStatsD: depths of queues and rows that were given up."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

from .queues import Queues

_INTERVAL_S = 1.0


class Statsd:
    """Sends to one address, or to nobody."""

    def __init__(self, address: tuple[str, int] | None) -> None:
        self._address = address
        self._next = 0.0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Statsd:
        """Return the sender that `DD_AGENT_HOST` and `DD_DOGSTATSD_PORT` describe."""
        host = environment.get("DD_AGENT_HOST")
        return cls((host, int(environment.get("DD_DOGSTATSD_PORT") or 8125)) if host else None)

    def show(self, queues: Queues) -> None:
        """Send the depths, once a second at most. Raises redis.RedisError."""
        if self._address is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _INTERVAL_S
        for queue, counts in queues.counts().items():
            name = queue.removesuffix("-queue").replace("-", "_")
            for state, number in counts.items():
                self._send(f"langfuse.queue.{name}.depth:{number}|g|#type:{state},shard:{queue}")

    def dropped(self) -> None:
        """Count rows that were given up."""
        self._send("langfuse.queue.clickhouse_writer.rows_dropped:1|c|#entity_type:events_full")

    def _send(self, line: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(line.encode(), self._address)
            except OSError:  # nobody listens yet: the next one may arrive
                return
