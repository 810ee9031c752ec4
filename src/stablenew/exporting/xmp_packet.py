"""XMP packets with what was said about an image: new ones, and others' with our fields in them. Pure.

Into a packet of another program the fields are written as text: all that is not ours stays byte for byte. The result is
then parsed, and refused unless every field of others is what it was, and ours are what they shall be.
"""

import html
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stablenew.errors import InvalidDocument
from stablenew.exporting.maker import Maker
from stablenew.image_metadata.xmp_opinions import (
    DC,
    OWN,
    REJECTED,
    XMP,
    XmpOpinion,
    iter_fields,
    parse_packet,
    read_opinion,
)

_IPTC: Final = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_NAMESPACES: Final = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xmp": XMP.strip("{}"),
    "dc": DC.strip("{}"),
    "Iptc4xmpExt": _IPTC.strip("{}"),
    "stablenew": OWN.strip("{}"),
}
_PACKET: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f'<rdf:RDF xmlns:rdf="{_NAMESPACES["rdf"]}">\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>\n'
)
_END: Final = re.compile(r"</([A-Za-z_][\w.-]*):RDF\s*>")
_DECLARATION: Final = re.compile(r"""xmlns:([A-Za-z_][\w.-]*)\s*=\s*["']([^"']*)["']""")
_OURS: Final = (f"{XMP}Rating", f"{XMP}Label", f"{XMP}MetadataDate", f"{DC}subject", f"{OWN}ImageId", f"{OWN}Said")
"""Fields that are rewritten each time. The prompt and how the image came to be are only written where nobody has."""
_DESCRIPTION: Final = f"{DC}description"
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a packet shall say."""

    image_id: str
    rating: int | None = None
    """0 to 5."""
    is_rejected: bool = False
    label: str | None = None
    tags: tuple[str, ...] = ()
    description: str | None = None
    """The prompt."""
    maker: Maker | None = None
    """The program that made the image."""

    def origin(self) -> dict[str, str]:
        """How the image came to be, by the field's name (IPTC Photo Metadata Standard 2025.1, AI fields)."""
        if self.maker is None:
            return {}
        fields = {
            "DigitalSourceType": self.maker.digital_source_type,
            "AISystemUsed": self.maker.name,
            "AISystemVersionUsed": self.maker.version,
            "AIPromptInformation": self.description,
        }
        return {f"{_IPTC}{name}": value for name, value in fields.items() if value}


def opinion_of(image: Mapping[str, Any], maker: Maker | None = None) -> Opinion:
    """What was said about an image as a query finds it: one's own rating, else the mean of all."""
    rating = image["rating"] if image["mine"] is None else image["mine"]
    return Opinion(
        image_id=image["digest"],
        rating=None if rating is None else int(rating + 0.5),
        is_rejected=(image["flag"] or next(iter(image["flags"]), None)) == "reject",
        label=next(iter(image["labels"]), None),
        tags=tuple(_clean(tag) for tag in image["tags"] if not tag.startswith("label:")),
        description=_clean(image["prompt"] or "") or None,
        maker=maker,
    )


def build_packet(opinion: Opinion, written_at: str, before: str | None = None) -> str:
    """A packet that says `opinion`, and beside it all that `before` said.

    Raises:
        InvalidDocument: `before` cannot be read, or would not survive.
    """
    if before is None:
        return _with_fields(_PACKET, opinion, written_at, tags=opinion.tags, present=frozenset())
    try:
        old = _fields_of(before)
    except ValueError as error:
        raise InvalidDocument(f"it cannot be read, so it was left as it is: {error}") from None
    said = read_opinion(before)
    kept = _without_ours(before, opinion)
    tags = _join_tags(said, opinion)
    packet = _with_fields(kept, opinion, written_at, tags=tags, present=frozenset(name for name, _ in old))
    _check(packet, old, opinion, tags)
    return packet


def says_the_same(packet: str, opinion: Opinion) -> bool:
    """Whether a packet says all of `opinion` already, so that nothing needs to be written."""
    said = read_opinion(packet)
    return (
        said.image_id == opinion.image_id
        and said.said == said.summary
        and (opinion.rating is None or said.rating == (opinion.rating or None))
        and said.is_rejected == opinion.is_rejected
        and said.label == (opinion.label or said.label)
        and set(opinion.tags) == set(said.tags)
        and opinion.origin().keys() <= {name for name, _ in _fields_of(packet)}
    )


def _join_tags(said: XmpOpinion, opinion: Opinion) -> tuple[str, ...]:
    """The tags of others and ours; one that was ours and was taken away goes."""
    ours_before = set(said.said.split("|")[2:]) if said.said else set()
    others = [tag for tag in said.tags if tag not in ours_before]
    return tuple(dict.fromkeys([*others, *opinion.tags]))


def _fields_of(packet: str) -> list[tuple[str, tuple[str, ...]]]:
    return list(iter_fields(parse_packet(packet)))


def _with_fields(
    packet: str, opinion: Opinion, written_at: str, *, tags: Iterable[str], present: Container[str]
) -> str:
    end = list(_END.finditer(packet))
    if not end:
        raise InvalidDocument("it has no RDF in it, so it was left as it is")
    at, prefix = end[-1].start(), end[-1][1]
    block = _describe(opinion, written_at, tuple(tags), prefix, present)
    return f"{packet[:at]}{block}\n{packet[at:]}"


def _describe(opinion: Opinion, written_at: str, tags: tuple[str, ...], rdf: str, present: Container[str]) -> str:
    rating = REJECTED if opinion.is_rejected else opinion.rating
    said = XmpOpinion(
        rating=opinion.rating or None, is_rejected=opinion.is_rejected, label=_label(opinion), tags=tags
    ).summary
    fields = [
        None if rating is None else f'xmp:Rating="{rating}"',
        f'xmp:Label="{_quote(opinion.label.capitalize())}"' if opinion.label else None,
        f'xmp:MetadataDate="{written_at}"',
        f'stablenew:ImageId="{opinion.image_id}"',
        f'stablenew:Said="{_quote(said)}"',
        *(
            f'Iptc4xmpExt:{name.removeprefix(_IPTC)}="{_quote(value)}"'
            for name, value in opinion.origin().items()
            if name not in present
        ),
    ]
    names = [f'xmlns:{name}="{address}"' for name, address in _NAMESPACES.items() if name != "rdf"]
    lines = [f'<{rdf}:Description {rdf}:about=""', *(f"  {text}" for text in (*names, *filter(None, fields)))]
    inner = []
    if tags:
        items = "".join(f"<{rdf}:li>{_escape(tag)}</{rdf}:li>" for tag in tags)
        inner.append(f"  <dc:subject><{rdf}:Bag>{items}</{rdf}:Bag></dc:subject>")
    if opinion.description and _DESCRIPTION not in present:
        text = _escape(opinion.description)
        item = f'<{rdf}:li xml:lang="x-default">{text}</{rdf}:li>'
        inner.append(f"  <dc:description><{rdf}:Alt>{item}</{rdf}:Alt></dc:description>")
    return "\n".join(["\n".join(lines) + ">", *inner, f"</{rdf}:Description>"])


def _label(opinion: Opinion) -> str | None:
    return opinion.label.casefold() if opinion.label else None


def _without_ours(packet: str, opinion: Opinion) -> str:
    """The packet without the fields that are rewritten. A rating or label that we have no word for stays."""
    wanted = set(_OURS)
    if opinion.rating is None and not opinion.is_rejected:
        wanted.discard(f"{XMP}Rating")
    if opinion.label is None:
        wanted.discard(f"{XMP}Label")
    prefixes: dict[str, list[str]] = {}
    for prefix, address in _DECLARATION.findall(packet):
        prefixes.setdefault(address, []).append(prefix)
    for name in wanted:
        address, _, local = name[1:].partition("}")
        for prefix in dict.fromkeys(prefixes.get(address, ())):
            packet = _without_field(packet, f"{re.escape(prefix)}:{local}")
    return packet


def _without_field(packet: str, name: str) -> str:
    packet = re.sub(rf"""\s{name}\s*=\s*(?:"[^"]*"|'[^']*')""", "", packet)
    packet = re.sub(rf"\s*<{name}(?:\s[^<>]*)?/>", "", packet)
    return re.sub(rf"\s*<{name}(?:\s[^<>]*)?(?<!/)>.*?</{name}\s*>", "", packet, flags=re.DOTALL)


def _check(packet: str, old: list[tuple[str, tuple[str, ...]]], opinion: Opinion, tags: tuple[str, ...]) -> None:
    """See that the new packet reads back as it shall. Raises InvalidDocument."""
    try:
        new = _fields_of(packet)
    except ValueError as error:
        raise InvalidDocument(f"our fields do not fit into it, so it was left as it is: {error}") from None
    said = read_opinion(packet)
    is_ours = said.image_id == opinion.image_id and set(said.tags) >= set(tags)
    if opinion.rating is not None and not opinion.is_rejected:
        is_ours = is_ours and said.rating == (opinion.rating or None)
    lost = Counter(field for field in old if field[0] not in _OURS) - Counter(new)
    if not is_ours or lost:
        names = ", ".join(sorted({name.rpartition("}")[2] for name, _ in lost})) or "our own fields"
        raise InvalidDocument(f"it would not read back equal ({names}), so it was left as it is")


def _escape(text: str) -> str:
    """As the text of an element; a reader of XML takes a bare carriage return for a line feed."""
    return html.escape(text, quote=False).replace("\r", "&#13;")


def _quote(text: str) -> str:
    """A text as the value of an attribute, where XML reads bare tabs and line ends as spaces."""
    found = html.escape(_clean(text), quote=True)
    return found.replace("\t", "&#9;").replace("\n", "&#10;").replace("\r", "&#13;")


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)
