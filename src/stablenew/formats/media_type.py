"""Media types: recognised by the first bytes of a file, and the file name extension each one gets.

Names of outputs are sealed, so a wrong extension stays wrong for good. ISO base media files (MP4, HEIC, AVIF, …) are
told apart by their brands, as ISO/IEC 14496-12 and the registry at mp4ra.org list them.
"""

import re
from typing import Final

UNKNOWN: Final = "application/octet-stream"

EXTENSIONS: Final = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/jxl": "jxl",
    "image/tiff": "tif",
    "image/bmp": "bmp",
    "image/jp2": "jp2",
    "image/x-exr": "exr",
    "image/vnd.radiance": "hdr",
    "image/vnd.adobe.photoshop": "psd",
    "image/x-canon-cr3": "cr3",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/x-msvideo": "avi",
    "video/3gpp": "3gp",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "model/gltf-binary": "glb",
    "application/json": "json",
}
"""File name extension of each media type we name files for; any other gets `bin`."""

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),  # BigTIFF
    (b"MM\x00+", "image/tiff"),
    (b"\x76\x2f\x31\x01", "image/x-exr"),
    (b"#?RADIANCE", "image/vnd.radiance"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"glTF", "model/gltf-binary"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo", b"WAVE": "audio/wav"}
_BRANDS: Final = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "image/heic"),
    b"crx ": "image/x-canon-cr3",
    b"qt  ": "video/quicktime",
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A "), "audio/mp4"),
}
_STILL_BRANDS: Final = {b"mif1", b"msf1", b"miaf"}
"""An image of a codec that the other brands name."""
_QUICKTIME_ATOMS: Final = {b"moov", b"mdat", b"wide", b"skip", b"pnot"}
_EBML: Final = b"\x1a\x45\xdf\xa3"
_SVG: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE\s+svg[^>\[]*(?:\[.*?\])?>\s*)?"
    rb"(?:<!--.*?-->\s*)*<svg[\s>]",
    re.DOTALL | re.IGNORECASE,
)
_HEAD_BYTES: Final = 4096


def sniff_media_type(data: bytes) -> str:
    """The media type by the first bytes of a file; `application/octet-stream` when they are not known."""
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] in _RIFF:
        return _RIFF[data[8:12]]
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    if data[4:8] in _QUICKTIME_ATOMS:
        return "video/quicktime"
    if data.startswith(_EBML):
        return "video/x-matroska" if b"matroska" in data[:_HEAD_BYTES] else "video/webm"
    if data[:2] == b"BM" and len(data) > 18 and data[14:18] in {b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"}:
        return "image/bmp"
    return "image/svg+xml" if _SVG.match(data[:_HEAD_BYTES]) else UNKNOWN


def _by_brand(data: bytes) -> str:
    """The media type by the brands in the `ftyp` box at the start of an ISO base media file."""
    end = min(int.from_bytes(data[:4], "big") or _HEAD_BYTES, _HEAD_BYTES, len(data))
    major = data[8:12]
    if major in _BRANDS:
        return _BRANDS[major]
    compatible = [data[start : start + 4] for start in range(16, end - 3, 4)]
    if major in _STILL_BRANDS:
        return next((_BRANDS[brand] for brand in compatible if brand in _BRANDS), "image/heif")
    return "video/3gpp" if major[:3] == b"3gp" else "video/mp4"


def extension_for(media_type: str) -> str:
    """The file name extension for a media type, without the dot."""
    return EXTENSIONS.get(media_type, "bin")
