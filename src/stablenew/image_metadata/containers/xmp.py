"""XMP: the fields that say how an image was made; the packet itself is kept whole.

No XML parser: packets are often damaged, and nothing in them may make a parser expand what it reads.
"""

import html
import re
from typing import Final

from stablenew.image_metadata.containers.container import Container

JPEG_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
"""Begins the segment of a JPEG that holds XMP."""
_MAX_PACKET: Final = 4 * 1024 * 1024
_FIELDS: Final = {
    "exif:UserComment": "UserComment",
    "dc:description": "Description",
    "xmp:CreatorTool": "Software",
    "tiff:Software": "Software",
    "comfy:prompt": "prompt",
    "comfy:workflow": "workflow",
    "parameters": "parameters",
    "sd:parameters": "parameters",
    "photoshop:DateCreated": "DateTime",
    "xmp:CreateDate": "DateTime",
    "Iptc4xmpExt:AIPromptInformation": "AIPromptInformation",
    "Iptc4xmpExt:AISystemUsed": "AISystemUsed",
    "Iptc4xmpExt:AISystemVersionUsed": "AISystemVersionUsed",
    "Iptc4xmpExt:DigitalSourceType": "DigitalSourceType",
}
_NAME: Final = "|".join(re.escape(name) for name in _FIELDS)
_ATTRIBUTE: Final = re.compile(rf"\s({_NAME})=(\"[^\"]*\"|'[^']*')")
_OPENING: Final = re.compile(rf"<({_NAME})(?:\s[^<>]{{0,400}})?>")
_TAG: Final = re.compile(r"<[^<>]*>")
_RATING: Final = re.compile(r"xmp:Rating\s{0,4}(?:=\s{0,4}[\"']|>)\s{0,4}(-?[0-9](?:\.[0-9]{1,3})?)\s{0,4}(?=[\"'<])")


def read_xmp(packet: str, container: Container) -> None:
    """Add the packet and its telling fields to the texts of a container."""
    container.add("xmp", "xmp", packet)
    packet = packet[:_MAX_PACKET]
    for name, value in _iter_fields(packet):
        container.add("xmp", _FIELDS[name], html.unescape(value).strip())
    if rating := _RATING.search(packet):
        container.rating = max(-1, min(5, round(float(rating[1]))))


def _iter_fields(packet: str) -> list[tuple[str, str]]:
    found = [(match[1], match[2][1:-1]) for match in _ATTRIBUTE.finditer(packet)]
    end = 0
    for match in _OPENING.finditer(packet):
        if match.start() < end:
            continue
        end = packet.find(f"</{match[1]}>", match.end())
        if end < 0:
            break
        found.append((match[1], _TAG.sub("", packet[match.end() : end])))
    return found
