"""From a file to what it says: the one door of this package.

Nothing here raises on any bytes, holds more than some 32 MB of text, or decodes pixels unless nothing else speaks.
"""

from dataclasses import replace
from typing import Final

from stablenew.image_metadata.c2pa import declares_ai, read_generator
from stablenew.image_metadata.containers.byte_source import Readable
from stablenew.image_metadata.containers.container import Container
from stablenew.image_metadata.containers.sniffing import read_container
from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.metadata import Generation, ImageMetadata
from stablenew.image_metadata.registry import derive_generation
from stablenew.image_metadata.sidecars import find_sidecar_text
from stablenew.image_metadata.stealth import may_hide_text, read_stealth

_TIMES: Final = ("DateTimeOriginal", "DateTime")


def read_image_metadata(readable: Readable, *, may_decode: bool = True) -> ImageMetadata:
    """What an image or video says about how it was made, from its bytes or a binary file open for reading.

    With `may_decode` off, texts hidden in pixels are not looked for; otherwise they are where nothing else is found.
    """
    container = read_container(readable)
    reader, generation = derive_generation(Evidence(container))
    if reader is None and may_decode and container.c2pa is None and may_hide_text(container):
        read_stealth(readable, container)
        reader, generation = derive_generation(Evidence(container))
    return _build(container, reader, generation)


def read_sidecar(data: bytes, name: str, image_name: str | None = None) -> ImageMetadata:
    """What a file beside an image says: `.txt`, `.json` or Fooocus' `log.html`.

    Of a log it is the part about `image_name`.
    """
    container = Container(media_type="text/plain")
    text = find_sidecar_text(data, name, image_name)
    if text is not None:
        container.add("sidecar", "sidecar", text)
    reader, generation = derive_generation(Evidence(container))
    return _build(container, reader, generation)


def _build(container: Container, reader: str | None, generation: Generation) -> ImageMetadata:
    if generation.made_at is None and (made_at := _exif_time(container)):
        generation = replace(generation, made_at=made_at)
    return ImageMetadata(
        media_type=container.media_type,
        width=container.width,
        height=container.height,
        raw=tuple(container.texts),
        generation=generation,
        reader=reader,
        has_c2pa=container.c2pa is not None,
        c2pa_generator=read_generator(container),
        is_ai_declared=declares_ai(container),
        rating=container.rating,
        problems=tuple(container.problems),
    )


def _exif_time(container: Container) -> str | None:
    """EXIF's own way to write a time, as ISO 8601."""
    for name in _TIMES:
        for text in container.values(name):
            digits = text.strip()
            if (
                len(digits) >= 19
                and digits[4:5] == digits[7:8] == ":"
                and digits[:4].isdecimal()
                and digits[:4] > "1970"
            ):
                return f"{digits[:10].replace(':', '-')}T{digits[11:19]}"
            if digits[:4].isdecimal() and digits[4:5] == "-":
                return digits[:40]
    return None
