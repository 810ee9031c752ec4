"""What people think of an image, as an XMP packet says it: stars, reject, colour, keywords, a note, and when.

Lightroom, digiKam, darktable, Immich and Windows each write some of these fields. Pure: text comes in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
XMP: Final = "{http://ns.adobe.com/xap/1.0/}"
DC: Final = "{http://purl.org/dc/elements/1.1/}"
DIGIKAM: Final = "{http://www.digikam.org/ns/1.0/}"
DARKTABLE: Final = "{http://darktable.sf.net/}"
LIGHTROOM: Final = "{http://ns.adobe.com/lightroom/1.0/}"
MICROSOFT: Final = "{http://ns.microsoft.com/photo/1.0/}"
MICROSOFT_LEGACY: Final = "{http://ns.microsoft.com/photo/1.0}"
OWN: Final = "{https://stablenew.example/ns/1.0/}"
"""Fields of this program: `ImageId`, and `Said`, what it wrote there."""

REJECTED: Final = -1
_LONGEST: Final = 4 << 20
_PERCENT: Final = {1: 1, 25: 2, 50: 3, 75: 4, 99: 5}
_PICKS: Final = {"1": "reject", "3": "pick"}
_DIGIKAM_COLOURS: Final = ("", "red", "orange", "yellow", "green", "blue", "magenta", "gray", "black", "white")
_DARKTABLE_COLOURS: Final = ("red", "yellow", "green", "blue", "purple")
_PROGRAMS: Final = ("lightroom", "digikam", "darktable", "immich", "rawtherapee", "bridge", "capture one", "exiftool")
_PACKET: Final = re.compile(r"<(?:x:xmpmeta|rdf:RDF)\b.*</(?:x:xmpmeta|rdf:RDF)>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class XmpOpinion:
    """What a packet says. Only what was said is set: a missing star is no rating, not zero stars."""

    rating: int | None = None
    """1 to 5; 0 in a packet means unrated, which says nothing."""
    is_rejected: bool = False
    is_picked: bool = False
    label: str | None = None
    """A colour, in small letters."""
    tags: tuple[str, ...] = ()
    said_at: str | None = None
    """`xmp:MetadataDate` or `xmp:ModifyDate`, as it stands there."""
    program: str | None = None
    """The program that wrote it, where it is one that is known."""
    image_id: str | None = None
    """The digest of the image, where this program wrote the packet."""
    said: str | None = None
    """What this program wrote into it; where it is not what the packet says now, somebody changed it."""

    @property
    def says_something(self) -> bool:
        """Whether there is any opinion in it."""
        return bool(self.rating or self.is_rejected or self.is_picked or self.label or self.tags)

    @property
    def summary(self) -> str:
        """All opinions in one text, which `Said` holds."""
        rating = REJECTED if self.is_rejected else self.rating or 0
        return "|".join([str(rating), self.label or "", *sorted(self.tags)])


def parse_packet(packet: str) -> ET.Element:
    """The tree of a packet.

    Raises:
        ValueError: it is no XML, too long, or has a document type, which could make a parser expand it for ever.
    """
    if len(packet) > _LONGEST or "<!DOCTYPE" in packet or "<!ENTITY" in packet:
        raise ValueError("expected a packet of XMP without a document type, of at most 4 MB")
    found = _PACKET.search(packet)
    try:
        return ET.fromstring(found[0] if found else packet)  # noqa: S314  # nothing in it can be expanded
    except ET.ParseError as error:
        raise ValueError(f"not a packet of XMP: {error}") from None


def read_opinion(packet: str) -> XmpOpinion:
    """What a packet says; nothing where it cannot be read."""
    try:
        fields = dict(iter_fields(parse_packet(packet)))
    except ValueError:
        return XmpOpinion()
    rating = _rating_of(fields)
    pick = _PICKS.get(_first(fields, f"{DIGIKAM}PickLabel"))
    return XmpOpinion(
        rating=rating if rating and rating > 0 else None,
        is_rejected=rating == REJECTED or (pick == "reject" and not rating),
        is_picked=pick == "pick",
        label=_label_of(fields),
        tags=_tags_of(fields),
        said_at=_first(fields, f"{XMP}MetadataDate") or _first(fields, f"{XMP}ModifyDate") or None,
        program=_program_of(fields),
        image_id=_first(fields, f"{OWN}ImageId") or None,
        said=_first(fields, f"{OWN}Said") or None,
    )


def iter_fields(tree: ET.Element) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every field of every description in a packet with its values, attributes and elements alike."""
    for description in tree.iter(f"{RDF}Description"):
        yield from ((name, (value,)) for name, value in description.attrib.items() if not name.startswith(RDF))
        for element in description:
            items = [item.text or "" for item in element.iter(f"{RDF}li")]
            yield element.tag, tuple(items or [element.text or ""])


def _first(fields: dict[str, tuple[str, ...]], name: str) -> str:
    return fields.get(name, ("",))[0].strip()


def _rating_of(fields: dict[str, tuple[str, ...]]) -> int | None:
    text = _first(fields, f"{XMP}Rating")
    if re.fullmatch(r"-?[0-9](?:\.[0-9]{1,3})?", text):
        return max(REJECTED, min(5, round(float(text))))
    for name in (f"{MICROSOFT}Rating", f"{MICROSOFT_LEGACY}Rating"):
        percent = _first(fields, name)
        if percent.isdecimal() and len(percent) < 4:
            return _PERCENT.get(int(percent))
    return None


def _label_of(fields: dict[str, tuple[str, ...]]) -> str | None:
    label = _first(fields, f"{XMP}Label").casefold()
    if label:
        return label[:64]
    for name, colours in ((f"{DIGIKAM}ColorLabel", _DIGIKAM_COLOURS), (f"{DARKTABLE}colorlabels", _DARKTABLE_COLOURS)):
        number = _first(fields, name)
        if number.isdecimal() and len(number) < 4 and int(number) < len(colours):
            return colours[int(number)] or None
    return None


def _tags_of(fields: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Keywords; of hierarchies the last name, which programs write beside them too."""
    tags = [tag.strip() for tag in fields.get(f"{DC}subject", ())]
    for name, separator in ((f"{DIGIKAM}TagsList", "/"), (f"{LIGHTROOM}hierarchicalSubject", "|")):
        tags += [tag.rpartition(separator)[2].strip() for tag in fields.get(name, ())]
    return tuple(tag for tag in dict.fromkeys(tags) if tag)


def _program_of(fields: dict[str, tuple[str, ...]]) -> str | None:
    creator = _first(fields, f"{XMP}CreatorTool").casefold()
    for program in _PROGRAMS:
        if program in creator:
            return program.replace(" ", "-")
    if any(name.startswith(DARKTABLE) for name in fields):
        return "darktable"
    if any(name.startswith(DIGIKAM) for name in fields):
        return "digikam"
    if any(name.startswith((MICROSOFT, MICROSOFT_LEGACY)) for name in fields):
        return "windows"
    return "lightroom" if any(name.startswith(LIGHTROOM) for name in fields) else None
