"""A packet says what was said, and loses nothing of what others wrote; else it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import InvalidDocument
from stablenew.exporting.maker import Maker
from stablenew.exporting.xmp_packet import Opinion, build_packet, says_the_same
from stablenew.image_metadata.xmp_opinions import iter_fields, parse_packet, read_opinion

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
NOW = "2026-11-28T12:00:00.000Z"
IMAGE = "xxh128:" + "a" * 32
DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:darktable="http://darktable.sf.net/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   xmp:Rating="2"
   darktable:history_end="3">
   <!-- a comment of theirs -->
   <darktable:colorlabels><rdf:Seq><rdf:li>1</rdf:li></rdf:Seq></darktable:colorlabels>
   <darktable:history><rdf:Seq>
    <rdf:li darktable:operation="exposure" darktable:params="00ff&amp;"/></rdf:Seq></darktable:history>
   <dc:subject><rdf:Bag><rdf:li>theirs</rdf:li></rdf:Bag></dc:subject>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">a caption by hand</rdf:li></rdf:Alt></dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
OTHER_PREFIXES = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<r:Description r:about="" xmlns:xap="http://ns.adobe.com/xap/1.0/" xap:CreateDate="2024-01-01">
<xap:Rating>1</xap:Rating><xap:Label>Blue</xap:Label></r:Description></r:RDF></x:xmpmeta>"""


def fields(packet):
    return dict(iter_fields(parse_packet(packet)))


def test_a_new_packet_says_all_of_it():
    packet = build_packet(
        Opinion(IMAGE, rating=4, label="red", tags=("quay", "a & b"), description="fog <lora:x:1> & “dawn”"), NOW
    )
    said = read_opinion(packet)
    assert (said.rating, said.label, said.tags, said.image_id) == (4, "red", ("quay", "a & b"), IMAGE)
    assert fields(packet)["{http://purl.org/dc/elements/1.1/}description"] == ("fog <lora:x:1> & “dawn”",)
    assert packet.startswith("<?xpacket begin")
    assert said.said == said.summary, "so that it is recognized as our own word"


def test_how_the_image_came_to_be_is_said_in_the_fields_of_the_iptc():
    packet = build_packet(Opinion(IMAGE, description="a \t lake\n& more", maker=Maker("ComfyUI", "0.8.0")), NOW)
    said = {name.removeprefix(IPTC): value for name, value in fields(packet).items() if name.startswith(IPTC)}
    assert said == {
        "DigitalSourceType": ("http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",),
        "AISystemUsed": ("ComfyUI",),
        "AISystemVersionUsed": ("0.8.0",),
        "AIPromptInformation": ("a \t lake\n& more",),
    }


def test_what_somebody_wrote_about_its_origin_stays():
    opinion = Opinion(
        IMAGE, rating=2, label="yellow", tags=("theirs",), description="the prompt", maker=Maker("ComfyUI")
    )
    named = f'xmlns:i="{IPTC.strip("{}")}" i:AISystemUsed="Mine"'
    before = DARKTABLE.replace("<rdf:Description ", f"<rdf:Description {named} ", 1)
    packet = build_packet(opinion, NOW, before)
    assert fields(packet)[f"{IPTC}AISystemUsed"] == ("Mine",)
    assert fields(packet)[f"{IPTC}AIPromptInformation"] == ("the prompt",)
    assert build_packet(opinion, NOW, packet).count("AIPromptInformation") == 1
    assert says_the_same(packet, opinion)
    assert not says_the_same(build_packet(Opinion(IMAGE, rating=2, label="yellow", tags=("theirs",)), NOW), opinion)


def test_a_reject_is_minus_one_whatever_the_stars():
    packet = build_packet(Opinion(IMAGE, rating=4, is_rejected=True), NOW)
    assert 'xmp:Rating="-1"' in packet
    assert read_opinion(packet).is_rejected


def test_what_others_wrote_stays_and_ours_joins_it():
    packet = build_packet(Opinion(IMAGE, rating=5, tags=("ours",), description="the prompt"), NOW, DARKTABLE)
    said = read_opinion(packet)
    assert (said.rating, said.tags) == (5, ("theirs", "ours"))
    assert "<!-- a comment of theirs -->" in packet
    assert 'darktable:params="00ff&amp;"' in packet
    assert fields(packet)["{http://purl.org/dc/elements/1.1/}description"] == ("a caption by hand",)
    assert 'xmp:Rating="2"' not in packet


def test_other_prefixes_and_elements_are_understood():
    packet = build_packet(Opinion(IMAGE, rating=3), NOW, OTHER_PREFIXES)
    said = read_opinion(packet)
    assert (said.rating, said.label) == (3, "blue"), "a label that we have no word for stays"
    assert "2024-01-01" in packet
    assert packet.count("Rating") == 1


def test_what_was_not_rated_here_leaves_the_stars_of_others():
    assert read_opinion(build_packet(Opinion(IMAGE, tags=("x",)), NOW, DARKTABLE)).rating == 2


def test_a_tag_that_was_ours_and_is_taken_away_goes():
    first = build_packet(Opinion(IMAGE, tags=("ours", "stays")), NOW, DARKTABLE)
    second = build_packet(Opinion(IMAGE, tags=("stays",)), NOW, first)
    assert set(read_opinion(second).tags) >= {"stays"}
    third = build_packet(
        Opinion(IMAGE, tags=("stays",)), NOW, build_packet(Opinion(IMAGE, tags=("gone", "stays")), NOW)
    )
    assert read_opinion(third).tags == ("stays",)


def test_saying_the_same_again_needs_no_write():
    opinion = Opinion(IMAGE, rating=4, tags=("quay",))
    packet = build_packet(opinion, NOW)
    assert says_the_same(packet, opinion)
    assert not says_the_same(packet, Opinion(IMAGE, rating=5, tags=("quay",)))
    assert not says_the_same(packet.replace('xmp:Rating="4"', 'xmp:Rating="1"'), opinion)


@pytest.mark.parametrize(
    "packet",
    [
        "",
        "not xml",
        DARKTABLE.replace("</rdf:Description>", ""),
        "<!DOCTYPE x [<!ENTITY a 'b'>]>" + DARKTABLE,
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>",
        DARKTABLE.replace('xmp:Rating="2"', 'xmp:Rating="2"\n darktable:note=\' xmp:Rating="9"\''),
    ],
    ids=["empty", "text", "broken", "entities", "no RDF", "our field inside theirs"],
)
def test_what_cannot_be_kept_is_refused(packet):
    with pytest.raises(InvalidDocument, match="left as it is"):
        build_packet(Opinion(IMAGE, rating=5), NOW, packet)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
tags = st.lists(texts.map(str.strip).filter(bool), max_size=4, unique=True)


@given(st.none() | st.integers(0, 5), st.booleans(), tags, texts)
def test_any_text_reads_back_equal(rating, is_rejected, named, prompt):
    from stablenew.exporting.xmp_packet import opinion_of

    image = {"digest": IMAGE, "mine": rating, "rating": rating, "flag": "reject" if is_rejected else None, "flags": [],
             "labels": [], "tags": named, "prompt": prompt}  # fmt: skip
    opinion = opinion_of(image)
    packet = build_packet(opinion, NOW)
    said = read_opinion(packet)
    assert said.is_rejected == is_rejected
    if not is_rejected:
        assert said.rating == (rating or None)
    assert set(said.tags) == {tag.strip() for tag in opinion.tags if tag.strip() and not tag.startswith("label:")}
    parse_packet(build_packet(opinion, NOW, packet))
