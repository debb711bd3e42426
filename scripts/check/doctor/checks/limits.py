"""The numbers above or below which a check complains, in one place."""

from __future__ import annotations

from scripts.engines.base import GIB, MIB

# Of the disk: below the first it is a warning, below the second writes will soon fail.
DISK_LOW_SHARE, DISK_FULL_SHARE = 0.15, 0.05
DISK_LOW_BYTES, DISK_FULL_BYTES = 5 * GIB, GIB // 2
INODES_LOW_SHARE = 0.10
FULL_WITHIN_DAYS = 14.0

MEMORY_LEFT_BYTES = 256 * MIB
OPEN_FILES = 1024
# ClickHouse: https://clickhouse.com/docs/operations/settings/settings asks for 262144; hosts may allow less.
CLICKHOUSE_FILES = 65_536
CLOCK_WARNING_S, CLOCK_FAILED_S = 1.0, 30.0
# Stores tell whole seconds, and take some to answer.
STORE_CLOCK_S = 5.0

# Sum of the memory limits of each size, from docs/reference/compose.md.
SIZE_BYTES = {"ci": 6 * GIB, "small": 12 * GIB, "medium": 28 * GIB, "large": 56 * GIB}
SIZE_CPUS = {"ci": 2, "small": 2, "medium": 8, "large": 16}

# Time to plan an upgrade before an image is out of support.
SUPPORT_DAYS = 60

CONTAINER_MEMORY_SHARE = 0.90
HEAP_SHARES = (0.5, 0.85)
THROTTLED_SHARE = 0.25

CONNECTIONS_SHARE = 0.80
CLICKHOUSE_MEMORY_SHARE = 0.90
SYSTEM_LOG_BYTES = GIB
PARTS_WARNING, PARTS_FAILED = 300, 1000
MUTATION_S = 3600
VALKEY_SHARE = 0.70
EMBEDDED_WAL_BYTES = 512 * MIB

QUEUE_WARNING = 1000
VISIBLE_S = 10.0

BACKUP_HOURS = 26.0
VERIFY_DAYS = 8.0
# How long a stack may run without any backup before that is worth a word.
FIRST_BACKUP_DAYS = 7.0

# A certificate is renewed when a third of its life is left: less than a fifth means that this fails.
CERTIFICATE_SHARE = 0.20
RETIRING_KEY_DAYS = 30.0
