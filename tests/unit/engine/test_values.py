"""Small rules about values: nesting, whole numbers, dates, media strings, signed URLs, blocked addresses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langfuse_embedded.clock import iso
from langfuse_embedded.http.errors import InvalidData, InvalidRequest
from langfuse_embedded.http.nesting import MAX_DEPTH, require_shallow
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import CoercedDate, Number, Object, String
from langfuse_embedded.http.signed_urls import UrlSigner, Verdict
from langfuse_embedded.outbound_urls import AllowedHosts, refusal, refusal_of_host
from langfuse_embedded.store.media_references import find_references


def nested(depth: int) -> Any:
    """Return lists and objects inside each other."""
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def messages(shape: Any, value: Any) -> list[str]:
    """Return the messages of a refusal."""
    with pytest.raises(InvalidData) as refused:
        shape.parse(value)
    return [issue["message"] for issue in refused.value.issues]


def test_json_may_nest_to_the_limit_and_no_deeper() -> None:
    require_shallow(nested(MAX_DEPTH))
    with pytest.raises(InvalidRequest, match="deeper than 200 levels"):
        require_shallow(nested(MAX_DEPTH + 1))


def test_whole_numbers_are_those_that_javascript_can_count() -> None:
    whole = Number(integer=True)
    assert whole.parse(2**53 - 1) == 2**53 - 1
    assert messages(whole, 2**53) == ["Too big: expected int to be <=9007199254740991"]
    assert messages(whole, -1e300) == ["Too small: expected int to be >=-9007199254740991"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-15T10:00:00.1239Z", "2026-01-15T10:00:00.123Z"),
        ("2026-01-15T10:00:00+02:00", "2026-01-15T08:00:00.000Z"),
        ("2026-01-15T10:00", "2026-01-15T10:00:00.000Z"),
        ("2026-02", "2026-02-01T00:00:00.000Z"),
        ("2026", "2026-01-01T00:00:00.000Z"),
        (1_000, "1970-01-01T00:00:01.000Z"),
        (True, "1970-01-01T00:00:00.001Z"),
        (None, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_dates_are_read_as_javascript_reads_them(text: Any, moment: str) -> None:
    assert iso(CoercedDate().parse(text)) == moment


@pytest.mark.parametrize("value", ["yesterday", "", "2026-13-01", {}, 1e300])
def test_what_is_no_date_is_refused(value: Any) -> None:
    assert messages(CoercedDate(), value) == ["Invalid input: expected date, received Date"]


def test_a_page_counts_from_one_and_an_empty_parameter_is_none() -> None:
    shape = Object(PAGE_PARAMETERS)
    assert shape.parse({"page": "", "limit": ""}) == {"page": 1, "limit": 50}
    page = Page.of(shape.parse({"page": "3", "limit": "20"}))
    assert (page.offset, page.meta(41)) == (40, {"page": 3, "limit": 20, "totalItems": 41, "totalPages": 3})
    assert Page(1, 50).meta(0)["totalPages"] == 0
    assert messages(shape, {"page": "0", "limit": "101"}) == [
        "Too small: expected number to be >0",
        "Too big: expected number to be <=100",
    ]


def test_a_check_behind_a_conversion_is_not_run_on_what_was_not_converted() -> None:
    shape = String(min=2).transform(str.strip).refine(bool, "empty").refine(lambda text: text != "no", "no")
    assert messages(shape, "") == ["Too small: expected string to have >=2 characters"]
    assert messages(shape, "   ") == ["empty"]
    assert messages(shape, " no ") == ["no"]
    # The checks of an object around it still see the other fields.
    around = Object({"a": shape, "b": String()}).refine(lambda value: value["b"] == "x", "b is not x")
    assert messages(around, {"a": "", "b": "y"})[-1] == "b is not x"


def test_media_strings_are_found_with_their_paths() -> None:
    string = "@@@langfuseMedia:type=image/png|id=abc|source=bytes@@@"
    value = {"0": string, "a'b": [string, f"{string} "], "bad": "@@@langfuseMedia:id=abc@@@"}
    found = [(one.json_path, one.media_id) for one in find_references("input", value)]
    assert found == [("$[0]", "abc"), ("$['a'b'][0]", "abc")]
    assert [one.json_path for one in find_references("input", string)] == ["$"]
    assert find_references("input", None) == []


def test_a_signature_fits_one_method_one_name_and_one_installation() -> None:
    signer = UrlSigner("encryption key", "salt")
    query = dict(pair.split("=") for pair in signer.query("PUT", "media/a/b", 60).split("&"))
    assert signer.check("PUT", "media/a/b", query) is Verdict.VALID
    assert UrlSigner("encryption key", "salt").check("PUT", "media/a/b", query) is Verdict.VALID
    assert signer.check("GET", "media/a/b", query) is Verdict.FORGED
    assert signer.check("PUT", "media/a/c", query) is Verdict.FORGED
    assert UrlSigner("other", "salt").check("PUT", "media/a/b", query) is Verdict.FORGED
    assert signer.check("PUT", "media/a/b", {}) is Verdict.FORGED
    past = dict(pair.split("=") for pair in signer.query("PUT", "media/a/b", -5).split("&"))
    assert signer.check("PUT", "media/a/b", past) is Verdict.EXPIRED


def test_without_secrets_urls_are_signed_with_a_key_of_the_process() -> None:
    query = dict(pair.split("=") for pair in UrlSigner("", "").query("GET", "media/a/b", 60).split("&"))
    assert UrlSigner("", "").check("GET", "media/a/b", query) is Verdict.FORGED


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://llm.acme.example/v1", None),
        ("http://8.8.8.8/", None),
        ("http://[2606:4700::1111]/", None),
        ("http://127.1.2.3/", "Blocked IP address detected"),
        ("http://[fd00::1]/", "Blocked IP address detected"),
        ("http://[::ffff:10.0.0.1]/", "Blocked IP address detected"),
        ("http://api.localhost/", "Blocked hostname detected"),
        ("http://localhost.acme.example/", None),
        ("http://[broken/", "Invalid URL syntax"),
        ("https:///", "Invalid URL syntax"),
    ],
)
def test_addresses_inside_the_network_are_blocked(url: str, why: str | None) -> None:
    assert refusal(url, AllowedHosts()) == why


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f.1", "127.1", "017700000001", "0x7f000001", "127.0.0.1.", "0177.0.0.01"),
        *(
            "%31%32%37.0.0.1",
            "\uff11\uff12\uff17.0.0.1",
            "127\u30020\u30020\u30021",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "0",
        ),
        *("[0:0:0:0:0:0:0:1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "0x0a.0x1", "169.16689662"),
    ],
)
def test_an_address_is_refused_in_every_spelling(host: str) -> None:
    assert refusal(f"http://{host}/v1", AllowedHosts()) == "Blocked IP address detected"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost./v1",
        "http://LOCALHOST/",
        "http:\\\\localhost\\v1",
        "http:localhost",
        "http:///a.internal.",
    ],
)
def test_a_name_of_the_own_network_is_refused_in_every_spelling(url: str) -> None:
    assert refusal(url, AllowedHosts()) == "Blocked hostname detected"


@pytest.mark.parametrize(
    "host", ["1.2.3.4.5", "256.1.1.1", "1.2.3.999", "0x.zz.9", "a b.example", "[::1%25eth0]"]
)
def test_what_browsers_cannot_read_is_refused(host: str) -> None:
    assert refusal(f"http://{host}/", AllowedHosts()) == "Invalid URL syntax"


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "0x08.0x08.0x08.0x08", "models.acme.example", "a1.example", "xn--bcher-kva.example"]
)
def test_an_address_of_the_internet_is_taken(host: str) -> None:
    assert refusal(f"https://{host}/v1", AllowedHosts()) is None


def test_a_name_is_refused_for_the_addresses_that_it_has() -> None:
    here = "http://ip6-localhost.example"

    async def look_up(url: str, allowed: AllowedHosts) -> str | None:
        loop = asyncio.get_running_loop()

        async def answer(*_: Any, **__: Any) -> list[Any]:
            return [(2, 1, 6, "", ("93.184.216.34", 0)), (2, 1, 6, "", ("10.0.0.7", 0))]

        loop.getaddrinfo = answer  # type: ignore[method-assign]
        return await refusal_of_host(url, allowed)

    assert asyncio.run(look_up(here, AllowedHosts())) == "Blocked IP address detected"
    assert asyncio.run(look_up(here, AllowedHosts(addresses=["10.0.0.7"]))) is None
    assert asyncio.run(look_up(here, AllowedHosts(networks=["10.0.0.0/8"]))) is None
    assert asyncio.run(look_up(here, AllowedHosts(names=["ip6-localhost.example"]))) is None


def test_opened_networks_are_not_blocked() -> None:
    allowed = AllowedHosts(networks=["10.0.0.5/8"])
    assert refusal("http://10.9.9.9/", allowed) is None
    assert refusal("http://192.168.0.1/", allowed) == "Blocked IP address detected"
