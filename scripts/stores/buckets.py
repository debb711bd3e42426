"""The buckets of a compose stack, reached from this machine."""

from __future__ import annotations

from scripts.settings.values import Settings

from .s3 import Bucket, Location

EVENTS, MEDIA, EXPORTS = "S3_EVENTS_BUCKET", "S3_MEDIA_BUCKET", "S3_EXPORTS_BUCKET"
"""The settings that name the buckets."""


def open_bucket(settings: Settings, setting: str) -> Bucket:
    """Return a bucket of the stack; the caller closes it."""
    return Bucket(location(settings, setting))


def location(settings: Settings, bucket_setting: str) -> Location:
    """Return where a bucket is, seen from this machine."""
    host = settings["LANGFUSE_BIND_ADDRESS"]
    if host in ("", "0.0.0.0"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    elif host == "::":
        host = "[::1]"
    return Location(
        endpoint=(settings.get("S3_ENDPOINT") or f"http://{host}:{settings['S3_PORT']}").rstrip("/"),
        region=settings["S3_REGION"],
        bucket=settings[bucket_setting],
        access_key=settings["S3_ACCESS_KEY_ID"],
        secret_key=settings["S3_SECRET_ACCESS_KEY"],
        path_style=settings["S3_FORCE_PATH_STYLE"] == "true",
    )
