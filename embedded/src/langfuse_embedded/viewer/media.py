"""Media for whoever signed in: images, sound and films to show, everything else as a file to keep."""

from __future__ import annotations

from starlette.responses import FileResponse

from .visit import Answer, Page, Visit, not_found

_SHOWN = frozenset(
    (
        "image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/avif", "image/bmp",
        "audio/mpeg", "audio/mp3", "audio/wav", "audio/ogg", "audio/oga", "audio/aac", "audio/mp4",
        "audio/flac", "audio/opus", "audio/webm", "video/mp4", "video/webm", "video/ogg",
    )
)  # fmt: skip


async def media(visit: Visit) -> Answer:
    """Return the bytes of a media record, or a range of them.

    Who uploads has a key of the project and is not trusted: what a browser could run as a page of this site
    (SVG, HTML, PDF) is a file to keep, of a type that says nothing.
    """
    found = visit.engine.media.get(visit.project_id, visit.params["mediaId"])
    if found is None or not found.is_uploaded:
        raise not_found("file")
    path = visit.engine.media.files.path(visit.project_id, found.id)
    if not path.is_file():
        raise not_found("file")
    if found.content_type in _SHOWN:
        return FileResponse(path, media_type=found.content_type)
    extension = found.content_type.rpartition("/")[2].partition("+")[0]
    name = f"{found.id}.{extension}" if extension.isalnum() else found.id
    return FileResponse(path, media_type="application/octet-stream", filename=name)


PAGES = (Page("/project/{projectId}/media/{mediaId}", media),)
