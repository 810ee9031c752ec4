"""What a reader finds in bytes, for tests of one format."""

import struct

from stablenew.image_metadata.containers.sniffing import read_container

XMP = b'<rdf:Description xmp:Rating="4"><dc:description>a harbour</dc:description></rdf:Description>'


def texts(data):
    """The texts of a file by place and key; of XMP only what it says."""
    found = read_container(data).texts
    return {(text.place, text.key): text.text for text in found if text.key != "xmp"}


def facts(data):
    container = read_container(data)
    return container.media_type, container.width, container.height


def segment(marker, data):
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def riff_chunk(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def webp(*chunks):
    body = b"WEBP" + b"".join(riff_chunk(*chunk) for chunk in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body
