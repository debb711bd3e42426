"""The table of images: which version is pinned, until when it is supported, what was published since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).with_name("pinned.yaml")
_HEAD = """# Versions of the images

<!-- Generated from scripts/images/pinned.yaml: run `make docs`. -->

What `compose.yaml` pins, and how long its publisher supports it. `make doctor` warns 60 days before a line of
versions ends; a weekly job of this repository compares the table with what was published since. By hand:

Not run by a test: how they end depends on the day, and the second one needs the internet.

```sh
make images-check
make images-check ONLINE=1
```

The first looks at the dates below and calls nobody. The second asks endoflife.date for newer releases and
for dates that have changed. Both end with 1 when an image is out of support, and with 3 when one soon will be
or a newer release of its line exists.

| Image | Version | User | Supported until | Why this one |
|---|---|---|---|---|
"""
_FOOT = """
Where no date is given the publisher names none: only the newest release gets fixes. The link lists them.

Another version of a store: [upgrade](../how-to/upgrade.md#clickhouse-and-postgresql). Variants of an image:

- Images with `-fips` or `-distroless` in their tag have no `wget` and no shell, which the health checks of
  `compose.yaml` call: their containers are never healthy. Give such a service a `healthcheck` in
  `compose.override.yaml`.
- The `-alpine` image of PostgreSQL runs as `70:70` and sorts text in another way than the default one: never
  put one on the data of the other.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """One image of the stack.

    Attributes:
        name: of the row.
        services: of `compose.yaml`.
        images: without a tag.
        user: that `compose.yaml` gives it.
        line: versions that are supported together, such as `17`.
        supported_until: None where the publisher names no end.
        source: page that says so.
        product: name at endoflife.date, or empty.
    """

    name: str
    services: tuple[str, ...]
    images: tuple[str, ...]
    tag: str
    user: str
    line: str
    supported_until: date | None
    source: str
    why: str
    product: str = ""

    @property
    def version(self) -> str:
        """The version without what the tag adds: `3.13.16` of `v3.13.16-slim`."""
        return self.tag.removeprefix("v").partition("-")[0]

    def end(self, today: date, days: int = 0) -> str:
        """Return that support has ended, or does within `days`; empty when neither."""
        if self.supported_until is None:
            return ""
        if self.supported_until < today:
            return f"{self.name} {self.tag} is out of support since {self.supported_until}"
        if self.supported_until < today + timedelta(days=days):
            return f"{self.name} {self.tag} is supported until {self.supported_until} only"
        return ""


def read_pinned(path: Path = TABLE) -> tuple[Pinned, ...]:
    """Return the table of images."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(_pinned(name, row) for name, row in rows.items())


def _pinned(name: str, row: Mapping[str, Any]) -> Pinned:
    return Pinned(
        name=name,
        services=tuple(row["services"]),
        images=tuple(row["images"]),
        tag=row["tag"],
        user=row["user"],
        line=row["line"],
        supported_until=row["supported_until"],
        source=row["source"],
        why=row["why"],
        product=row.get("product", ""),
    )


def image_versions_page(pinned: Sequence[Pinned] | None = None) -> str:
    """Return the reference page."""
    rows = "".join(f"{_row(one)}\n" for one in pinned or read_pinned())
    return f"{_HEAD}{rows}{_FOOT}"


def _row(one: Pinned) -> str:
    images = ", ".join(f"`{image}`" for image in one.images)
    until = f"[{one.supported_until or 'no date'}]({one.source})"
    return f"| {images} | `{one.tag}` | `{one.user}` | {until} | {one.why} |"


@dataclass(frozen=True, slots=True)
class Published:
    """What endoflife.date says of a line of versions."""

    latest: str
    ends: date | None


def compare(one: Pinned, published: Published) -> Iterator[str]:
    """Yield in which ways the row is behind what was published."""
    if published.latest and published.latest != one.version:
        yield f"{one.name} {one.tag}: {published.latest} is the newest release of {one.line}"
    if published.ends != one.supported_until:
        until = published.ends or "no date"
        yield f"{one.name}: {one.line} is supported until {until}, not {one.supported_until}"
