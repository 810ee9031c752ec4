"""Which reader a file needs, by its first bytes: extensions lie."""

import struct
from collections.abc import Callable
from typing import Final

from stablenew.image_metadata.containers.byte_source import ByteSource, Readable
from stablenew.image_metadata.containers.container import Container
from stablenew.image_metadata.containers.gif import read_gif
from stablenew.image_metadata.containers.iso_media import read_iso_media
from stablenew.image_metadata.containers.jpeg import read_jpeg
from stablenew.image_metadata.containers.jxl import CODESTREAM, SIGNATURE, read_jxl
from stablenew.image_metadata.containers.png import read_png
from stablenew.image_metadata.containers.tiff import read_tiff
from stablenew.image_metadata.containers.webm import read_webm
from stablenew.image_metadata.containers.webp import read_webp

_Reader = Callable[[ByteSource, Container], None]
_STUMBLES: Final = (ValueError, LookupError, OverflowError, struct.error, MemoryError)


def read_container(readable: Readable) -> Container:
    """What a file holds beside its pixels; of one that cannot be read, what was found until then."""
    container = Container()
    try:
        source = ByteSource(readable)
        reader = _find_reader(source.read(0, 16))
        if reader:
            reader(source, container)
    except OSError as error:
        container.report(f"it could not be read on: {error}")
    except _STUMBLES as error:
        container.report(f"damaged: {type(error).__name__} while reading its parts")
    return container


def _find_reader(head: bytes) -> _Reader | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return read_png
    if head.startswith(b"\xff\xd8\xff"):
        return read_jpeg
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return read_webp
    if head[4:8] == b"ftyp":
        return read_iso_media
    if head.startswith(b"GIF8"):
        return read_gif
    if head.startswith((SIGNATURE, CODESTREAM)):
        return read_jxl
    if head.startswith((b"II*\0", b"MM\0*")):
        return read_tiff
    return read_webm if head.startswith(b"\x1a\x45\xdf\xa3") else None
