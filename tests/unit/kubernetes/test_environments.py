"""Environments share a file and no secret; an ingress leads to each of their hosts."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from scripts.core.errors import SettingsError, UsageError

from .conftest import Checkout


def _secrets(files: dict[str, str]) -> dict[str, str]:
    first = next(yaml.safe_load_all(files["secrets.yaml"]))
    return {name: base64.b64decode(value).decode() for name, value in first["data"].items()}


def test_an_environment_has_its_size_hosts_and_namespace(checkout: Checkout) -> None:
    values = yaml.safe_load(checkout.render(environment="dev")["values.yaml"])
    assert values["langfuse"]["nextauth"]["url"] == "https://langfuse-dev.acme.example"
    assert values["s3"]["mediaUpload"]["endpoint"] == "https://s3-dev.acme.example"
    assert values["clickhouse"]["cluster"]["storage"]["size"] == "50Gi"
    assert values["langfuse"]["web"]["replicas"] == 1
    told = checkout.out.getvalue()
    assert "--namespace langfuse-dev" in told
    assert "-ttl=7d" in told
    assert "https://langfuse-staging.acme.example" in told, "the difference shows all of them"


def test_an_option_wins_over_the_environment(checkout: Checkout) -> None:
    checkout.render(environment="staging", namespace="olympus", replicas=(3, 0, 0))
    values = yaml.safe_load((checkout.root / "out" / "values.yaml").read_text())
    assert values["langfuse"]["web"]["replicas"] == 3
    assert values["langfuse"]["worker"]["replicas"] == 1
    assert "--namespace olympus" in checkout.out.getvalue()


def test_environments_share_no_secret_and_render_the_same_again(checkout: Checkout) -> None:
    without = _secrets(checkout.render())
    production = _secrets(checkout.render(environment="production"))
    dev, staging = (_secrets(checkout.render(environment=name)) for name in ("dev", "staging"))
    assert production == without
    for name in ("SALT", "ENCRYPTION_KEY", "NEXTAUTH_SECRET", "ADMIN_API_KEY", "S3_INTERNAL_KEY"):
        assert len({production[name], dev[name], staging[name]}) == 3
        assert len(dev[name]) == len(production[name])
        assert int(dev[name], 16) >= 0
    assert _secrets(checkout.render(environment="dev")) == dev


def test_keys_of_production_stay_there(checkout: Checkout) -> None:
    assert "kosmos.env" in checkout.render(environment="production")["secrets.yaml"]
    assert "kosmos.env" not in checkout.render(environment="dev")["secrets.yaml"]


def test_external_stores_are_production_s_alone(checkout: Checkout) -> None:
    checkout.write({"DATABASE_URL": "postgresql://langfuse:secret@pg.acme.example/langfuse"})
    checkout.render(environment="production")
    with pytest.raises(SettingsError, match=r"DATABASE_URL of \.env"):
        checkout.render(environment="dev")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("environments: {}", "environments"),
        ("environments: {dev: {size: huge, retention_days: 1}}", r"environments\.dev\.size"),
        ("environments: {dev: {size: small, retention_days: 0}}", "environments.dev.retention_days"),
        ("environments: {test: {size: small, retention_days: 1}}", "environments.test"),
        ("environments: {dev: {size: small, retention_days: 1, disk: 3}}", "environments.dev.disk"),
        (
            "environments: {dev: {size: small, retention_days: 1, web_url: langfuse}}",
            "environments.dev.web_url",
        ),
    ],
)
def test_what_the_file_may_not_say_is_named(checkout: Checkout, text: str, told: str) -> None:
    (checkout.root / "config" / "kubernetes.yaml").write_text(text)
    with pytest.raises(UsageError, match=told):
        checkout.run(environment="dev")


def test_an_environment_that_is_not_in_the_file_is_refused(checkout: Checkout) -> None:
    with pytest.raises(UsageError, match=r"'test' is not an environment"):
        checkout.run(environment="test")


def _ingresses(files: dict[str, str]) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in yaml.safe_load_all(files["ingress.yaml"])}


def test_an_ingress_leads_to_web_and_one_to_the_object_store(checkout: Checkout) -> None:
    found = _ingresses(checkout.render(ingress="nginx", issuer="letsencrypt"))
    web, media = found["langfuse-stack-web"], found["langfuse-stack-s3"]
    assert [rule["host"] for rule in web["spec"]["rules"]] == ["langfuse.acme.example"]
    assert [rule["host"] for rule in media["spec"]["rules"]] == ["s3.acme.example"]
    backend = media["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "langfuse-s3-all-in-one", "port": {"number": 8333}}
    assert web["spec"]["tls"] == [
        {"hosts": ["langfuse.acme.example"], "secretName": "langfuse-stack-web-tls"}
    ]
    marks = web["metadata"]["annotations"]
    assert marks["cert-manager.io/cluster-issuer"] == "letsencrypt"
    assert (
        marks["nginx.ingress.kubernetes.io/proxy-body-size"]
        == marks["nginx.org/client-max-body-size"]
        == "64m"
    )
    assert marks["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert "ingress.yaml" in checkout.out.getvalue()


def test_traefik_serves_https_only_where_the_address_says_so(checkout: Checkout) -> None:
    marks = _ingresses(checkout.render(ingress="traefik"))["langfuse-stack-web"]["metadata"]["annotations"]
    assert marks == {
        "traefik.ingress.kubernetes.io/router.entrypoints": "websecure",
        "traefik.ingress.kubernetes.io/router.tls": "true",
    }
    checkout.unset("NEXTAUTH_URL")
    checkout.write({"NEXTAUTH_URL": "http://langfuse.acme.example"})
    plain = _ingresses(checkout.render(ingress="traefik", issuer="letsencrypt"))["langfuse-stack-web"]
    assert plain["metadata"]["annotations"] == {"traefik.ingress.kubernetes.io/router.entrypoints": "web"}
    assert "tls" not in plain["spec"]


def test_a_gateway_gets_routes_to_the_same_hosts(checkout: Checkout) -> None:
    found = _ingresses(checkout.render(ingress="gateway:infra/public"))
    assert {one["kind"] for one in found.values()} == {"HTTPRoute"}
    assert [one["spec"]["hostnames"] for one in found.values()] == [
        ["langfuse.acme.example"],
        ["s3.acme.example"],
    ]
    assert found["langfuse-stack-web"]["spec"]["parentRefs"] == [{"name": "public", "namespace": "infra"}]
    backend = found["langfuse-stack-s3"]["spec"]["rules"][0]["backendRefs"]
    assert backend == [{"name": "langfuse-s3-all-in-one", "port": 8333}]


def test_an_external_object_store_has_no_ingress(checkout: Checkout) -> None:
    checkout.write({"S3_ENDPOINT": "https://s3.acme.example"})
    assert list(_ingresses(checkout.render(ingress="nginx"))) == ["langfuse-stack-web"]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://langfuse.acme.example:8443", "an ingress has no port to choose"),
        ("https://s3.acme.example", "the same host"),
    ],
)
def test_addresses_that_no_ingress_can_have_are_refused(checkout: Checkout, address: str, told: str) -> None:
    checkout.unset("NEXTAUTH_URL")
    checkout.write({"NEXTAUTH_URL": address})
    with pytest.raises(SettingsError, match=told):
        checkout.run(ingress="nginx")


@pytest.mark.parametrize("ingress", ["haproxy", "gateway", "gateway:public", "gateway:a/B"])
def test_another_class_is_refused(checkout: Checkout, ingress: str) -> None:
    with pytest.raises(UsageError, match=f"--ingress '{ingress}'"):
        checkout.run(ingress=ingress)


@pytest.mark.parametrize("ingress", ["", "gateway:infra/public"])
def test_an_issuer_without_an_ingress_is_refused(checkout: Checkout, ingress: str) -> None:
    with pytest.raises(UsageError, match="--issuer is for an ingress"):
        checkout.run(ingress=ingress, issuer="letsencrypt")
