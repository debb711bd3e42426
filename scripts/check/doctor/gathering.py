"""Which sources there are, and how long each may take."""

from __future__ import annotations

from collections.abc import Mapping

from .facts import Source
from .sources import (
    backups,
    calls,
    certificates,
    clickhouse,
    clock,
    compose_model,
    configuration,
    containers,
    embedded,
    files,
    flow,
    history,
    inside,
    lock,
    login,
    logs,
    machine,
    objects,
    packages,
    pinned,
    ports,
    postgres,
    server,
    stack,
    stored_keys,
    valkey,
)

# All begin at once, and no limit is above 14 s: so the whole takes less than 15 s, whatever hangs.
SOURCES: Mapping[type, Source] = {
    stack.Stack: Source(stack.gather, 2),
    stack.Running: Source(stack.gather_running, 12),
    machine.Machine: Source(machine.gather, 3),
    history.DiskHistory: Source(history.gather, 4),
    clock.Clock: Source(clock.gather, 6),
    files.Files: Source(files.gather, 4),
    configuration.Configuration: Source(configuration.gather, 8),
    lock.ImagesLock: Source(lock.gather, 2),
    packages.Packages: Source(packages.gather, 5),
    pinned.PinnedImages: Source(pinned.gather, 2),
    containers.Docker: Source(containers.gather_docker, 8),
    containers.Containers: Source(containers.gather_containers, 10),
    compose_model.ComposeModel: Source(compose_model.gather, 13),
    inside.Insides: Source(inside.gather, 13),
    postgres.Postgres: Source(postgres.gather, 13),
    clickhouse.ClickHouse: Source(clickhouse.gather, 13),
    valkey.Valkey: Source(valkey.gather, 13),
    objects.Objects: Source(objects.gather, 13),
    embedded.EmbeddedData: Source(embedded.gather, 13),
    server.Server: Source(server.gather, 10),
    server.PublicUrl: Source(server.gather_public_url, 8),
    flow.Flow: Source(flow.gather_flow, 14),
    flow.Media: Source(flow.gather_media, 14),
    calls.Calls: Source(calls.gather, 14),
    login.Issuers: Source(login.gather, 14),
    ports.Ports: Source(ports.gather, 12),
    stored_keys.StoredKeys: Source(stored_keys.gather, 13),
    logs.Logs: Source(logs.gather, 13),
    certificates.Certificates: Source(certificates.gather, 13),
    backups.Backups: Source(backups.gather, 13),
}
