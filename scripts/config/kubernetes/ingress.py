"""How browsers and applications get in: one ingress for web, one for the bundled object store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from scripts.core.errors import SettingsError

from .model import S3_PORT, WEB_PORT, Cluster

GATEWAY = "gateway:"
CHOICE = re.compile(r"(nginx|traefik|gateway:[a-z0-9-]+/[a-z0-9-]+)?")
"""A class of ingresses, or a gateway by its namespace and name."""

WEB_BODY, MEDIA_BODY = "64m", "1g"
"""Largest bodies: a batch of spans; a file of 1 GB (`LANGFUSE_S3_MEDIA_MAX_CONTENT_LENGTH`)."""

_TIMEOUT_S = 120


def ingresses(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the ingresses; none where no class was chosen.

    Raises:
        SettingsError: an address has what an ingress cannot have.
    """
    if not cluster.ingress:
        return []
    web, media = cluster.settings["NEXTAUTH_URL"], cluster.settings["S3_PUBLIC_ENDPOINT"]
    found = [_ingress(cluster, "web", "NEXTAUTH_URL", f"{cluster.fullname}-web", WEB_PORT, WEB_BODY)]
    if not cluster.external_s3:
        if urlsplit(web).hostname == urlsplit(media).hostname:
            raise SettingsError(
                "NEXTAUTH_URL and S3_PUBLIC_ENDPOINT have the same host: an ingress cannot tell them apart.",
                fix="give the object store a host of its own in .env.",
            )
        service = cluster.store("s3")
        found.append(_ingress(cluster, "s3", "S3_PUBLIC_ENDPOINT", service, S3_PORT, MEDIA_BODY))
    return found


def class_annotations(kind: str, *, secure: bool, body: str) -> dict[str, str]:
    """Return what a class needs: bodies of that size, and answers that are passed on as they come.

    nginx: the community's controller and that of F5, each of which leaves out the other's. Traefik
    streams, and has no limit (https://doc.traefik.io/traefik/middlewares/http/buffering/).
    """
    if kind == "traefik":
        prefix = "traefik.ingress.kubernetes.io/router."
        found = {f"{prefix}entrypoints": "websecure" if secure else "web"}
        return {**found, f"{prefix}tls": "true"} if secure else found
    community, f5 = "nginx.ingress.kubernetes.io/", "nginx.org/"
    return {
        f"{community}proxy-body-size": body,
        f"{community}proxy-buffering": "off",
        f"{community}proxy-request-buffering": "off",
        f"{community}proxy-read-timeout": str(_TIMEOUT_S),
        f"{f5}client-max-body-size": body,
        f"{f5}proxy-buffering": "False",
        f"{f5}proxy-read-timeout": f"{_TIMEOUT_S}s",
    }


def _ingress(cluster: Cluster, part: str, setting: str, service: str, port: int, body: str) -> dict[str, Any]:
    url = urlsplit(cluster.settings[setting])
    secure = url.scheme == "https"
    if url.port not in (None, 443 if secure else 80):
        raise SettingsError(
            f"{setting} is {cluster.settings[setting]}: an ingress has no port to choose.",
            fix=f"leave the port out of {setting} in .env, or leave out --ingress.",
        )
    name = f"langfuse-stack-{part}"
    metadata = {"name": name, "namespace": cluster.namespace, "labels": cluster.labels}
    if cluster.ingress.startswith(GATEWAY):
        namespace, gateway = cluster.ingress.removeprefix(GATEWAY).split("/")
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": metadata,
            "spec": {
                "parentRefs": [{"name": gateway, "namespace": namespace}],
                "hostnames": [url.hostname],
                "rules": [
                    {
                        "backendRefs": [{"name": service, "port": port}],
                        "timeouts": {"request": f"{_TIMEOUT_S}s"},
                    }
                ],
            },
        }
    marks: Mapping[str, str] = class_annotations(cluster.ingress, secure=secure, body=body)
    if secure and cluster.issuer:
        marks = {**marks, "cert-manager.io/cluster-issuer": cluster.issuer}
    backend = {"service": {"name": service, "port": {"number": port}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec: dict[str, Any] = {
        "ingressClassName": cluster.ingress,
        "rules": [{"host": url.hostname, "http": {"paths": [path]}}],
    }
    if secure:
        spec["tls"] = [{"hosts": [url.hostname], "secretName": f"{name}-tls"}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {**metadata, "annotations": dict(marks)},
        "spec": spec,
    }
