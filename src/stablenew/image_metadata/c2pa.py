"""Whether an image carries a C2PA manifest, and which program that names. Nothing is verified."""

import re
from typing import Final

from stablenew.image_metadata.containers.container import Container

_AI_SOURCES: Final = (b"trainedAlgorithmicMedia", b"compositeWithTrainedAlgorithmicMedia")
_CLAIM: Final = re.compile(rb"claim_generator_info")
_NAME: Final = re.compile(rb"dname(?:[\x60-\x77]|x.|y..)([\x20-\x7e]{2,80})", re.DOTALL)
"""A CBOR pair: the key `name`, and a text whose length stands before it."""
_MAKERS: Final = {b"OpenAI": "OpenAI", b"Google LLC": "Google", b"Adobe": "Adobe", b"Microsoft": "Microsoft"}
_SEARCHED: Final = 1024 * 1024


def read_generator(container: Container) -> str | None:
    """The program that a manifest names as its maker, else the firm that signed; None without a manifest."""
    if container.c2pa is None:
        return None
    manifest = container.c2pa[:_SEARCHED]
    claim = _CLAIM.search(manifest)
    found = _NAME.search(manifest, claim.end(), claim.end() + 400) if claim else None
    if found:
        name = found[1]
        length = _length_before(manifest, found.start(1))
        return name[:length].decode("ascii").strip()
    return next((maker for mark, maker in _MAKERS.items() if mark in manifest), "unknown (C2PA)")


def declares_ai(container: Container) -> bool:
    """Whether a manifest or an IPTC field says that a trained model made the image."""
    sources = [text.encode() for text in container.values("DigitalSourceType")]
    return any(source in data for data in (*sources, (container.c2pa or b"")[:_SEARCHED]) for source in _AI_SOURCES)


def _length_before(data: bytes, at: int) -> int:
    """The length of the CBOR text that begins at `at`."""
    if data[at - 2 : at - 1] == b"x":
        return data[at - 1]
    if data[at - 3 : at - 2] == b"y":
        return int.from_bytes(data[at - 2 : at], "big")
    return data[at - 1] & 31
