"""The databases of a stack, bundled or external, behind the same methods."""

from __future__ import annotations

from scripts.docker.compose import Compose

from . import external
from .clickhouse import SERVICE, ClickHouse
from .clickhouse_tables import ClickHouseTables
from .external_postgres import ExternalPostgres
from .external_valkey import ExternalValkey
from .postgres import Postgres
from .valkey import Valkey


def postgres_of(services: Compose) -> Postgres:
    """Return the PostgreSQL of a stack. An external one has to be within reach: external.reached."""
    return ExternalPostgres(services) if "postgres" in services.external() else Postgres(services)


def clickhouse_of(services: Compose, *, as_tables: bool = False) -> ClickHouse:
    """Return the ClickHouse of a stack. As above.

    Args:
        as_tables: whether a backup is kept as tables, also on the bundled one, which has a disk for it.
    """
    database = services.settings["CLICKHOUSE_DB"]
    if "clickhouse" in services.external():
        command = external.clickhouse_command(services.settings.values)
        return ClickHouseTables(services, database, external.CLICKHOUSE, command)
    return ClickHouseTables(services, database, SERVICE) if as_tables else ClickHouse(services, database)


def valkey_of(services: Compose) -> Valkey:
    """Return the Valkey of a stack. As above."""
    if "valkey" not in services.external():
        return Valkey(services)
    login = external.valkey_login(services.settings.values)
    return ExternalValkey(services, login)
