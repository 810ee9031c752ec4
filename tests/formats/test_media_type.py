"""Media types by the first bytes of files, and the names that outputs get for good."""

import io

import pytest
from PIL import Image

from stablenew.formats.media_type import EXTENSIONS, extension_for, sniff_media_type


def box(brand, *compatible):
    body = brand + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 8).to_bytes(4, "big") + b"ftyp" + body + bytes(64)


def made(kind, **options):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (made("PNG"), "image/png"),
        (made("JPEG"), "image/jpeg"),
        (made("WEBP"), "image/webp"),
        (made("GIF"), "image/gif"),
        (made("AVIF"), "image/avif"),
        (made("TIFF"), "image/tiff"),
        (made("TIFF", big_tiff=True), "image/tiff"),
        (made("BMP"), "image/bmp"),
        (made("JPEG2000"), "image/jp2"),
        (box(b"heic"), "image/heic"),
        (box(b"mif1", b"mif1", b"heic"), "image/heic"),
        (box(b"mif1", b"miaf", b"avif"), "image/avif"),
        (box(b"mif1"), "image/heif"),
        (box(b"crx "), "image/x-canon-cr3"),
        (box(b"qt  "), "video/quicktime"),
        (b"\0\0\0\x08wide\0\0\0\x20mdat" + bytes(64), "video/quicktime"),
        (box(b"isom", b"iso2", b"mp41"), "video/mp4"),
        (box(b"3gp4"), "video/3gpp"),
        (box(b"M4A ", b"isom"), "audio/mp4"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm" + bytes(64), "video/webm"),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska" + bytes(64), "video/x-matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"\xff\x0a\xfa\x21", "image/jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "image/jxl"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a quay -->\n<svg width="1">', "image/svg+xml"),
        (b'<!DOCTYPE svg PUBLIC "x" "y">\n<svg>', "image/svg+xml"),
        (b"glTF\x02\0\0\0", "model/gltf-binary"),
        (b"<html><svg></svg></html>", "application/octet-stream"),
        (b"BMW is a maker of cars, and not a picture", "application/octet-stream"),
        (b"", "application/octet-stream"),
        (b"\0\0\0\0ftyp", "video/mp4"),
    ],
)
def test_files_are_known_by_their_first_bytes(data, media_type):
    assert sniff_media_type(data) == media_type


def test_every_known_type_has_a_name_ending_of_its_own():
    assert len(set(EXTENSIONS.values())) == len(EXTENSIONS)
    assert extension_for("application/x-unheard-of") == "bin"
