"""The reference page of all checks, generated."""

from __future__ import annotations

from .catalog import CHECKS
from .model import BOTH, Check, Group

_HEAD = """\
# Doctor

`make doctor` looks at everything at once and says what is wrong, with a fix and a page for each. It works on
both engines and on a broken stack, and takes less than 15 seconds: every source of facts has its own time
limit, and a check whose facts are not there is skipped with the reason (seen: 0.7 s on the embedded
engine, 4 s on a stack of [stand-ins](rehearsal.md), both on two cores). It writes a span and a score to the
canary's environment and one small media file a day; `READ_ONLY=1` leaves that out.

```sh
make doctor                        # what is wrong
make doctor VERBOSE=1              # every check
make doctor ONLY=stores,flow.span  # groups or ids
make doctor JSON=1                 # for programs
make doctor FIX=1                  # fix what is marked with *, after asking; DRY_RUN=1 shows it only
```

Exit codes of `.venv/bin/python -m scripts doctor`: 0 all well, 1 a check failed, 2 wrong use, 3 warnings only
(make ends with 2 for all but 0). Ids stay the same.

## External stores
Stores that `.env` names by address (`DATABASE_URL`, `CLICKHOUSE_URL`, `REDIS_HOST`, `S3_ENDPOINT`) are
asked the same, with the same login that Langfuse has: whether they answer and take it, whether they take
anyone without a password, their versions, time zone and clock, connections, memory, policies,
migrations, rights and buckets.

- Questions go out from `postgres-client`, `clickhouse-client` and `valkey-client`, each in a container
  that is there for the question alone, on the network `edge`; S3 is asked from this machine. The stack
  has to be there (`make up`, also one that failed), and the images of these programs (`make pull`): the
  doctor pulls nothing.
- Nothing is written: of an upload to each bucket only the beginning is asked for, and given up
  (`stores.writable`).
- A fix names what the store's operator does, as no file of this checkout configures that store.
- Not asked, as only its operator knows: the disk of PostgreSQL and its backups, quotas of S3,
  ClickHouse's logs about itself, and whatever a user without more rights is not told (a managed Valkey
  refuses `CONFIG`: what `INFO` says counts). Of a Valkey that is a cluster or has sentinels nothing is
  asked.

This page is generated from `scripts/check/doctor/checks` with `make docs`.
"""

_TABLE = "| Check | Engine | What has to be so | Fix | More |\n|---|---|---|---|---|\n"

TITLES = {
    Group.HOST: "Host",
    Group.DOCKER: "Docker",
    Group.CONFIGURATION: "Configuration",
    Group.SECRETS: "Secrets",
    Group.NETWORK: "Network",
    Group.STORES: "Stores",
    Group.LANGFUSE: "Langfuse",
    Group.FLOW: "Data flow",
    Group.CAPACITY: "Capacity",
    Group.BACKUP: "Backup",
    Group.TLS: "TLS",
    Group.VERSIONS: "Versions",
}


def doctor_page() -> str:
    """Return the page in Markdown."""
    parts = [_HEAD]
    for group in Group:
        rows = "\n".join(_row(check) for check in CHECKS if check.group == group)
        parts.append(f"## {TITLES[group]}\n\n{_TABLE}{rows}\n")
    return "\n".join(parts)


def _row(check: Check) -> str:
    engine = "" if check.engines == BOTH else ", ".join(sorted(check.engines))
    mark = "*" if check.repair else ""
    name = check.page.partition("#")[0].rpartition("/")[2].removesuffix(".md")
    looks_at, fix = (text.replace("|", "\\|") for text in (check.looks_at, check.fix))
    return f"| `{check.id}`{mark} | {engine} | {looks_at} | {fix} | [{name}](../{check.page}) |"
