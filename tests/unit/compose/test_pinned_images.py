"""The table of images: what compose.yaml pins, its support, and the command that watches it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import pytest
import yaml

from scripts.core.console import Console
from scripts.core.errors import EXIT_OK, EXIT_WARNINGS, StackError
from scripts.engines.context import Context
from scripts.images import check
from scripts.images.pinned import Pinned, Published, compare, image_versions_page, read_pinned
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in

from .conftest import ROOT

PINNED = read_pinned()
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
BASE = re.compile(r"^ARG BASE=(\S+)$", re.MULTILINE)
POSTGRES = next(one for one in PINNED if one.name == "postgres")


def tag_of(service: str) -> str:
    """Return the image of a service with its default tag."""
    if service == "exporter":
        (base,) = BASE.findall((ROOT / "scripts/watch/exporter/Dockerfile").read_text(encoding="utf-8"))
        return str(base)
    return re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", SERVICES[service]["image"])


def test_every_service_has_a_row_with_the_tag_and_user_that_compose_gives_it() -> None:
    rows = {service: one for one in PINNED for service in one.services}
    assert rows.keys() == SERVICES.keys()
    for service, one in rows.items():
        assert tag_of(service) in {f"{image}:{one.tag}" for image in one.images}
        assert one.user == (SERVICES[service]["user"] if service != "exporter" else "EXPORTER_USER")


def test_every_row_has_its_source_and_is_of_the_line_that_it_names() -> None:
    for one in PINNED:
        assert one.source.startswith("https://"), one.name
        assert f"{one.version}.".startswith(f"{one.line}."), one.name
        assert one.why.endswith("."), one.name
        assert not one.supported_until or one.product, f"{one.name} has a date that nothing compares"


def test_the_page_has_every_row() -> None:
    page = image_versions_page()
    assert all(f"| `{one.tag}` | `{one.user}` |" in page for one in PINNED)


@pytest.mark.parametrize(
    ("today", "days", "said"),
    [
        ("2029-11-08", 0, ""),
        ("2029-11-09", 0, "postgres 17.12 is out of support since 2029-11-08"),
        ("2029-09-09", 60, ""),
        ("2029-09-10", 60, "postgres 17.12 is supported until 2029-11-08 only"),
    ],
)
def test_the_end_of_support_is_told_in_time(today: str, days: int, said: str) -> None:
    one = replace(POSTGRES, tag="17.12", supported_until=date(2029, 11, 8))
    assert one.end(date.fromisoformat(today), days) == said


def test_a_publisher_without_dates_never_ends() -> None:
    assert replace(POSTGRES, supported_until=None).end(date(2999, 1, 1)) == ""


@pytest.mark.parametrize(
    ("published", "said"),
    [
        (Published("17.12", date(2029, 11, 8)), []),
        (Published("17.13", date(2029, 11, 8)), ["postgres 17.12: 17.13 is the newest release of 17"]),
        (
            Published("17.12", date(2027, 1, 1)),
            ["postgres: 17 is supported until 2027-01-01, not 2029-11-08"],
        ),
    ],
)
def test_what_was_published_since_is_named(published: Published, said: list[str]) -> None:
    one = replace(POSTGRES, tag="17.12", supported_until=date(2029, 11, 8))
    assert list(compare(one, published)) == said


def test_a_tag_is_compared_without_what_it_adds_to_the_version() -> None:
    one = replace(POSTGRES, tag="v1.88.0-alpine", supported_until=None)
    assert list(compare(one, Published("1.88.0", None))) == []


def test_an_answer_of_endoflife_is_read() -> None:
    answer = {"result": {"name": "17", "eolFrom": "2029-11-08", "latest": {"name": "17.12"}}}
    assert check.published(answer) == Published("17.12", date(2029, 11, 8))
    assert check.published({"result": {"eolFrom": None, "latest": None}}) == Published("", None)


def test_an_answer_that_is_none_is_an_error_that_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    request = httpx.Request("GET", "https://endoflife.date")
    monkeypatch.setattr(httpx, "get", lambda *_a, **_k: httpx.Response(200, json=[], request=request))
    with pytest.raises(StackError) as caught:
        check.ask(POSTGRES)
    assert caught.value.message.startswith("https://endoflife.date/api/v1/products/postgresql/releases/17 ")
    assert "leave ONLINE=1 out" in caught.value.fix


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def context(tmp_path: Path, screen: Screen) -> Context:
    return Context(layout_in(tmp_path), {}, Console({}, screen.out, screen.err), FakeRunner())


def run_check(
    monkeypatch: pytest.MonkeyPatch, context: Context, *rows: Pinned, published: Published | None = None
) -> int:
    monkeypatch.setattr(check, "read_pinned", lambda: rows)
    monkeypatch.setattr(check, "ask", lambda _one: published)
    return check.images_check(context, online=published is not None)


def test_the_command_is_content_with_what_is_supported(
    monkeypatch: pytest.MonkeyPatch, context: Context, screen: Screen
) -> None:
    assert run_check(monkeypatch, context, replace(POSTGRES, supported_until=None)) == EXIT_OK
    assert screen.out.getvalue() == "1 images are in support.\n"


def test_the_command_warns_of_newer_releases(
    monkeypatch: pytest.MonkeyPatch, context: Context, screen: Screen
) -> None:
    row = replace(POSTGRES, supported_until=None)
    assert run_check(monkeypatch, context, row, published=Published("17.99", None)) == EXIT_WARNINGS
    assert "17.99 is the newest release of 17" in screen.err.getvalue()


def test_the_command_fails_for_what_is_out_of_support(
    monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    with pytest.raises(StackError) as caught:
        run_check(monkeypatch, context, replace(POSTGRES, tag="9.6.0", supported_until=date(2021, 11, 11)))
    assert caught.value.details == ("postgres 9.6.0 is out of support since 2021-11-11",)
