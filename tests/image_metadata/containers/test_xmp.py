"""XMP of an image: the packet stays whole, and what tells how the image was made is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.containers.container import Container
from stablenew.image_metadata.containers.xmp import read_xmp
from stablenew.image_metadata.xmp_opinions import read_opinion
from tests.image_metadata.test_xmp_opinions import packet


def read(text):
    container = Container()
    read_xmp(text, container)
    return container


def fields(text):
    return {found.key: found.text for found in read(text).texts if found.key != "xmp"}


def test_the_packet_is_kept_whole_before_what_it_says():
    text = packet("<dc:description>a</dc:description>")
    assert [(found.place, found.key) for found in read(text).texts] == [("xmp", "xmp"), ("xmp", "Description")]
    assert read(text).texts[0].text == text


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("<a xmp:CreatorTool='tool'>", {"Software": "tool"}),
        ('<a tiff:Software="tool 1 &amp; 2">', {"Software": "tool 1 & 2"}),
        ("<exif:UserComment> a <b>c</b> </exif:UserComment>", {"UserComment": "a c"}),
        ("<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>a &lt;b&gt;</rdf:li></rdf:Alt></dc:description>",
         {"Description": "a <b>"}),
        ("<a comfy:prompt='{&quot;1&quot;: 2}' comfy:workflow=\"{}\">", {"prompt": '{"1": 2}', "workflow": "{}"}),
        ("<parameters>Steps: 20</parameters>", {"parameters": "Steps: 20"}),
        ("<sd:parameters x='y'>Steps: 20</sd:parameters>", {"parameters": "Steps: 20"}),
        ("<xmp:CreateDate>2026-01-02</xmp:CreateDate>", {"DateTime": "2026-01-02"}),
        ("<Iptc4xmpExt:DigitalSourceType>ai</Iptc4xmpExt:DigitalSourceType>", {"DigitalSourceType": "ai"}),
        ("<dc:description>never closed", {}),
        ("<dc:description/><dc:title>t</dc:title>", {}),
        ("<dc:description></dc:description>", {}),
        ("<dc:descriptions>a</dc:descriptions>", {}),
        ("<a unknown:prompt='x'>", {}),
    ],
)  # fmt: skip
def test_a_field_is_named_wherever_it_stands(written, found):
    assert fields(written) == found


def test_fields_that_stand_in_each_other_are_one_text():
    assert fields(
        "<dc:description>a <parameters>b</parameters> c</dc:description><sd:parameters>d</sd:parameters>"
    ) == {
        "Description": "a b c",
        "parameters": "d",
    }


@pytest.mark.parametrize(
    ("written", "rating"),
    [
        ("xmp:Rating='4'", 4), ('xmp:Rating = "3"', 3), ("<xmp:Rating>5</xmp:Rating>", 5), ("xmp:Rating='-1'", -1),
        ("xmp:Rating='4.75'", 5), ("xmp:Rating='0'", 0), ("xmp:Rating='9'", 5), ("xmp:Rating='-8'", -1),
        ("xmp:Rating='12'", None), ("xmp:Rating='x'", None), ("xmp:RatingPercent='50'", None), ("", None),
    ],
)  # fmt: skip
def test_stars_stay_within_their_scale(written, rating):
    assert read(written).rating == rating


@given(st.integers(-99, 99).map(str) | st.floats(-9, 9).map(lambda number: f"{number:.3f}"))
def test_stars_are_those_that_are_read_as_an_opinion(written):
    said = read_opinion(packet(xmp_Rating=written))
    found = read(packet(xmp_Rating=written)).rating
    assert (found if found and found > 0 else None, found == -1) == (said.rating, said.is_rejected)


def test_a_packet_beyond_the_limit_is_kept_and_its_beginning_is_read():
    text = packet(xmp_CreatorTool="tool") + "x" * (4 << 20) + "<parameters>late</parameters>"
    assert fields(text) == {"Software": "tool"}
    assert read(text).texts[0].text == text


def test_the_last_stars_of_a_file_count_and_a_packet_without_any_takes_none_away():
    container = Container(rating=2)
    read_xmp(packet(xmp_Label="Red"), container)
    assert container.rating == 2
    read_xmp(packet(xmp_Rating=5), container)
    assert container.rating == 5
