"""Media types: told by the first bytes of a file, and the file name extension each one gets."""

EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "application/json": "json",
}
"""File name extension of each media type we name files for; any other gets `bin`."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def sniff_media_type(data: bytes) -> str:
    """The media type by the first bytes of a file; `application/octet-stream` when they say nothing."""
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return "image/avif" if data[8:12] in {b"avif", b"avis"} else "video/mp4"
    return "application/octet-stream"


def extension_for(media_type: str) -> str:
    """The file name extension for a media type, without the dot."""
    return EXTENSIONS.get(media_type, "bin")
