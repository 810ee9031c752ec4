"""What people think of an image, as the programs write it into XMP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.xmp_opinions import XmpOpinion, parse_packet, read_opinion

SPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "xmp": "http://ns.adobe.com/xap/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/", "digiKam": "http://www.digikam.org/ns/1.0/",
    "darktable": "http://darktable.sf.net/", "lr": "http://ns.adobe.com/lightroom/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/", "Old": "http://ns.microsoft.com/photo/1.0",
    "sn": "https://stablenew.example/ns/1.0/",
}  # fmt: skip


def packet(*elements, **attributes):
    """A packet with fields as elements and as attributes, whose names have `_` for the colon."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in SPACES.items())
    fields = " ".join(f'{name.replace("_", ":")}="{value}"' for name, value in attributes.items())
    body = "".join(elements)
    head = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF {spaces}><rdf:Description rdf:about='' {fields}>"
    return f"{head}{body}</rdf:Description></rdf:RDF></x:xmpmeta>"


def bag(name, *items):
    return f"<{name}><rdf:Bag>{''.join(f'<rdf:li>{item}</rdf:li>' for item in items)}</rdf:Bag></{name}>"


def opinion(*elements, **attributes):
    return read_opinion(packet(*elements, **attributes))


@pytest.mark.parametrize(
    ("written", "rating", "is_rejected"),
    [
        ("1", 1, False), ("5", 5, False), (" 3 ", 3, False), ("4.0", 4, False), ("3.75", 4, False), ("9", 5, False),
        ("0", None, False), ("-0.2", None, False), ("-1", None, True), ("-7", None, True), ("", None, False),
        ("12", None, False), ("five", None, False), ("4.", None, False), ("NaN", None, False), ("٣", None, False),
    ],
)  # fmt: skip
def test_stars_are_one_to_five_and_less_than_none_is_rejected(written, rating, is_rejected):
    for found in (opinion(xmp_Rating=written), opinion(f"<xmp:Rating>{written}</xmp:Rating>")):
        assert (found.rating, found.is_rejected) == (rating, is_rejected)


@pytest.mark.parametrize("prefix", ["MicrosoftPhoto", "Old"])
def test_windows_counts_in_percent_and_counts_only_where_no_stars_are_written(prefix):
    for percent, stars in ((1, 1), (25, 2), (50, 3), (75, 4), (99, 5), (0, None), (60, None), (100, None)):
        assert opinion(**{f"{prefix}_Rating": percent}).rating == stars
    assert opinion(xmp_Rating=2, **{f"{prefix}_Rating": 99}).rating == 2


def test_digikam_picks_and_rejects():
    assert opinion(digiKam_PickLabel=3).is_picked
    assert opinion(digiKam_PickLabel=1).is_rejected
    assert not opinion(digiKam_PickLabel=1, xmp_Rating=4).is_rejected, "stars say more than a label"
    for label in (0, 2, 9):
        assert not opinion(digiKam_PickLabel=label).says_something


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"xmp_Label": "Red"}, "red"),
        ({"xmp_Label": "To Print"}, "to print"),
        ({"xmp_Label": "x" * 100}, "x" * 64),
        ({"xmp_Label": "Blue", "digiKam_ColorLabel": 1}, "blue"),
        ({"digiKam_ColorLabel": 1}, "red"),
        ({"digiKam_ColorLabel": 9}, "white"),
        ({"digiKam_ColorLabel": 0}, None),
        ({"digiKam_ColorLabel": 10}, None),
        ({"darktable_colorlabels": 0}, "red"),
        ({"darktable_colorlabels": 4}, "purple"),
        ({"darktable_colorlabels": 5}, None),
        ({"digiKam_ColorLabel": "9" * 5_000}, None),
        ({"darktable_colorlabels": "9" * 5_000}, None),
        ({"digiKam_ColorLabel": "red"}, None),
    ],
    ids=str,
)
def test_each_program_has_its_own_numbers_for_colours(fields, label):
    assert opinion(**fields).label == label


def test_keywords_are_kept_once_and_of_a_hierarchy_the_last_name():
    found = opinion(
        bag("dc:subject", "harbour", " dawn ", "", "harbour"),
        bag("digiKam:TagsList", "Places/Sea/harbour", "Mood/quiet"),
        bag("lr:hierarchicalSubject", "Places|Sea|quay", "dawn"),
    )
    assert found.tags == ("harbour", "dawn", "quiet", "quay")


@pytest.mark.parametrize(
    ("fields", "program"),
    [
        ({"xmp_CreatorTool": "Adobe Photoshop Lightroom Classic 13.2"}, "lightroom"),
        ({"xmp_CreatorTool": "digiKam-8.2.0"}, "digikam"),
        ({"xmp_CreatorTool": "Capture One 16"}, "capture-one"),
        ({"xmp_CreatorTool": "Paint", "darktable_colorlabels": 1}, "darktable"),
        ({"digiKam_PickLabel": 3}, "digikam"),
        ({"Old_Rating": 50}, "windows"),
        ({"lr_x": 1}, "lightroom"),
        ({"xmp_Rating": 3}, None),
    ],
)
def test_the_program_is_known_by_its_name_or_by_its_own_fields(fields, program):
    assert opinion(**fields).program == program


def test_when_it_was_said_is_the_time_of_the_metadata_or_of_the_file():
    both = {"xmp_MetadataDate": "2026-01-02T03:04:05", "xmp_ModifyDate": "2025-01-01"}
    assert opinion(**both).said_at == "2026-01-02T03:04:05"
    assert opinion(xmp_ModifyDate="2025-01-01").said_at == "2025-01-01"
    assert opinion(xmp_Rating=3).said_at is None


def test_what_this_program_wrote_is_known_again_unless_somebody_changed_it():
    fields = {"xmp_Rating": 3, "xmp_Label": "Red", "sn_ImageId": "xxh128:ab", "sn_Said": "3|red|a"}
    unchanged = opinion(bag("dc:subject", "a"), **fields)
    assert (unchanged.image_id, unchanged.said) == ("xxh128:ab", unchanged.summary)
    assert opinion(bag("dc:subject", "a", "b"), **fields).summary == "3|red|a|b"
    assert opinion(**fields | {"xmp_Rating": -1}).summary == "-1|red"
    assert XmpOpinion().summary == "0|"


def test_an_empty_packet_says_nothing_and_any_one_opinion_says_something():
    assert opinion() == XmpOpinion()
    assert not opinion(xmp_CreatorTool="Lightroom", xmp_ModifyDate="2025-01-01").says_something
    for fields in ({"xmp_Rating": 1}, {"xmp_Rating": -1}, {"digiKam_PickLabel": 3}, {"xmp_Label": "a"}):
        assert opinion(**fields).says_something
    assert opinion(bag("dc:subject", "a")).says_something


@pytest.mark.parametrize(
    "text",
    ["", "no xml", "<a", "<rdf:RDF/>", packet(xmp_Rating=3)[:-9], "<!DOCTYPE a>" + packet(xmp_Rating=3),
     packet("<!ENTITY x 'y'>"), packet(xmp_Rating=3) + " " * (4 << 20), packet(xmp_Rating="\0"), "\ud800"],
    ids=["empty", "words", "tag", "prefix", "cut", "doctype", "entity", "long", "nul", "surrogate"],
)  # fmt: skip
def test_what_is_no_packet_says_nothing_and_is_told_to_whoever_asks_for_its_tree(text):
    assert read_opinion(text) == XmpOpinion()
    with pytest.raises(ValueError, match="packet of XMP|surrogates"):
        parse_packet(text)


def test_what_stands_around_a_packet_does_not_matter():
    wrapped = f"\ufeff<?xpacket begin='' id='W5M0'?>\n{packet(xmp_Rating=3)}\n<?xpacket end='w'?>\0\0"
    assert read_opinion(wrapped).rating == 3


@given(st.text(max_size=80), st.text("0123456789-.", max_size=8))
def test_any_text_says_something_sound_or_nothing(text, written):
    for found in (read_opinion(text), opinion(xmp_Rating=written, digiKam_ColorLabel=written)):
        assert found.rating in (None, 1, 2, 3, 4, 5)
