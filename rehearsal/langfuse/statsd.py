"""What the worker reports about itself as DogStatsD: queues, rows that wait, rows that were given up."""

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
        self._waited = 0.0
        self._lengths: dict[str, int] = {}

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
        self._show_writer()
        for queue, counts in queues.counts().items():
            name = queue.removesuffix("-queue").replace("-", "_")
            for state, number in counts.items():
                self._send(f"langfuse.queue.{name}.depth:{number}|g|#type:{state},shard:{queue}")

    def waited(self, seconds: float) -> None:
        """Note how long a row had waited when it was tried: the longest of a second is sent."""
        self._waited = max(self._waited, seconds)

    def left(self, table: str, rows: int) -> None:
        """Note how many rows wait after a write."""
        self._lengths[table] = rows

    def dropped(self, table: str, rows: int) -> None:
        """Count rows that were given up: the one counter by attempt, the other by row."""
        self._send(f"langfuse.queue.clickhouse_writer.error:{rows}|c")
        self._send(f"langfuse.queue.clickhouse_writer.rows_dropped:{rows}|c|#entity_type:{table}")

    def _show_writer(self) -> None:
        # What was not recorded since the last time is not sent, as by dd-trace.
        waited, self._waited = self._waited, 0.0
        lengths, self._lengths = self._lengths, {}
        if waited:
            name = "langfuse.queue.clickhouse_writer.wait_time.max"
            self._send(f"{name}:{waited * 1000:.0f}|g|#unit:milliseconds")
        for table, rows in lengths.items():
            name = "ingestion_clickhouse_insert_queue_length"
            self._send(f"{name}:{rows}|g|#unit:records,entityType:{table}")

    def _send(self, line: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(line.encode(), self._address)
            except OSError:  # nobody listens yet: the next one may arrive
                return
