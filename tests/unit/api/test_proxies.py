"""Calls to another server go through the proxy of the environment, calls to this machine never."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

from scripts.api.client import Api, AsyncApi
from scripts.api.proxies import uses_proxy

OPEN: dict[str, Callable[[str], Any]] = {
    "the client": lambda url: Api(url)._http,
    "the client of many requests": lambda url: AsyncApi(url, timeout_s=1)._http,
}


@pytest.mark.parametrize(
    "url", ["https://langfuse.example", "http://10.1.2.3:3000", "https://langfuse.acme.example:8443/x"]
)
def test_another_host_is_reached_through_the_proxy(url: str) -> None:
    assert uses_proxy(url)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:3000", "http://127.0.0.1", "http://127.9.9.9:1", "http://[::1]:3000", "http://web.localhost",
     "http://langfuse-web:3000", "http://localhost./", ""],
)  # fmt: skip
def test_this_machine_and_other_containers_are_not(url: str) -> None:
    assert not uses_proxy(url)


def test_an_address_of_this_machine_on_a_network_is_not() -> None:
    """LANGFUSE_BIND_ADDRESS may name one: the admin key must not go through a proxy then."""
    found = {one.address for of_card in psutil.net_if_addrs().values() for one in of_card}
    addresses = [one for one in found if _is_outside(one)]
    if not addresses:
        pytest.skip("this machine has no address on a network")
    for address in addresses:
        assert not uses_proxy(f"http://[{address}]:3000" if ":" in address else f"http://{address}:3000")


def _is_outside(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # such as the address of a card
        return False
    return not found.is_loopback and not found.is_link_local


@pytest.mark.parametrize("who", OPEN)
def test_calls_to_this_machine_do_not_even_read_what_the_proxy_is(
    who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SOCKS needs a package that is not here; ALL_PROXY is often of that kind."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    assert OPEN[who]("http://127.0.0.1:3000")
    with pytest.raises(ImportError):
        OPEN[who]("https://langfuse.example")


@pytest.mark.parametrize("who", OPEN)
def test_everybody_who_reads_a_server_follows_the_rule(who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.acme.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.acme.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.acme.example")
    for url, proxied in (
        ("https://langfuse.example", True),
        ("https://inside.acme.example", False),
        ("http://127.0.0.1:3000", False),
    ):
        client = OPEN[who](url)
        pool = client._transport_for_url(httpx.URL(url))._pool
        assert ("Proxy" in type(pool).__name__) is proxied, url
