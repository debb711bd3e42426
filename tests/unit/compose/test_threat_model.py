"""The threat model names exactly the networks, ports and tests that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from scripts.docker.policy import INTERNAL_NETWORKS, LISTENS, NETWORKS, RULES

from .conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "security.md").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
# Computed profiles belong to bundled stores: they are there as it comes.
EXTRA = {"tls": "tls", "monitoring": "monitoring"} | dict.fromkeys(
    ("monitoring-postgres", "monitoring-valkey"), "monitoring"
)


def profile(service: str) -> str:
    named = COMPOSE["services"][service].get("profiles") or [""]
    return EXTRA.get(named[0], "")


def reached(network: str) -> dict[tuple[str, int], str]:
    """Return the profile in which each port of each service is reached."""
    return {
        (service, port): profile(service)
        for service, networks in NETWORKS.items()
        if network in networks
        for port in LISTENS.get(service, ())
    }


def row(network: str) -> list[str]:
    found = re.findall(rf"^\| `{network}` \| (.*) \| (.*) \| (yes|no) \|$", PAGE, re.MULTILINE)
    assert len(found) == 1, network
    return list(found[0])


def stated(text: str) -> Iterator[tuple[tuple[str, int], str]]:
    """Yield what a cell says: `service` ports, and after "with `profile`" those of that profile."""
    profile_of_part, service = "", ""
    for mark in re.finditer(r"with `(\w+)`|`([\w-]+)`|(\d+)", text):
        if mark[1]:
            profile_of_part = mark[1]
        elif mark[2]:
            service = mark[2]
        else:
            yield (service, int(mark[3])), profile_of_part


@pytest.mark.parametrize("network", sorted(COMPOSE["networks"]))
def test_each_network_reaches_what_the_page_says(network: str) -> None:
    _, ports, leads_out = row(network)
    assert dict(stated(ports)) == reached(network)
    masquerade = (COMPOSE["networks"][network] or {}).get("driver_opts", {})
    closed = network in INTERNAL_NETWORKS or "false" in masquerade.values()
    assert leads_out == ("no" if closed else "yes")


@pytest.mark.parametrize("network", sorted(COMPOSE["networks"]))
def test_each_network_is_there_with_the_profiles_that_the_page_says(network: str) -> None:
    profiles = {profile(service) for service, networks in NETWORKS.items() if network in networks}
    said = row(network)[0]
    assert said == ("always" if "" in profiles else ", ".join(f"`{one}`" for one in sorted(profiles)))


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:tests|smoke_tests)/[\w/.]+)`", PAGE))
    assert len(named) >= 10
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_rule_that_the_page_names_is_there() -> None:
    listed = re.findall(r"rules? ((?:`[\w-]+`(?:, | and )?)+)", PAGE)
    named = {rule for group in listed for rule in re.findall(r"`([\w-]+)`", group)}
    known = {*RULES, "ports-on-known-addresses", "locked-images"}
    assert len(named) >= 15
    assert named - known == set()
