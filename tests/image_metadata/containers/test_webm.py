"""WebM and Matroska: tags and size, wherever they stand, and clusters are stepped over."""

import pytest

from stablenew.image_metadata.containers.sniffing import read_container
from tests.image_metadata.containers.reading import facts, texts
from tests.image_metadata.files import element, make_webm

HEAD = element("1a45dfa3", element("4282", b"webm"))
WIDTH, HEIGHT = element("b0", b"\x40"), element("ba", b"\x30")


def segment(*elements):
    return HEAD + element("18538067", b"".join(elements))


def tracks(*videos):
    return element("1654ae6b", b"".join(element("ae", element("e0", video)) for video in videos))


def tag(name, text, *more):
    names = [element("45a3", name)] if name is not None else []
    texts = [element("4487", text)] if text is not None else []
    return element("1254c367", element("7373", element("67c8", b"".join([*names, *texts, *more]))))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (tag(b"PROMPT", b"{}"), {("tags", "prompt"): "{}"}),
        (tag(b"Comment", "é".encode(), element("447a", b"und")), {("tags", "comment"): "é"}),
        (tag(b"PROMPT", None), {}),
        (tag(None, b"{}"), {}),
        (element("1549a966", element("7ba9", b"a title")), {("tags", "title"): "a title"}),
        (element("1f43b675", bytes(400)) + tag(b"A", b"behind a cluster"), {("tags", "a"): "behind a cluster"}),
        (element("ec", bytes(40)) + tag(b"A", b"behind a void"), {("tags", "a"): "behind a void"}),
        (bytes.fromhex("67c8") + b"\x82ab", {}),
    ],
)
def test_a_tag_has_its_name_in_small_letters(body, found):
    assert texts(segment(body)) == found


@pytest.mark.parametrize(
    ("videos", "size"),
    [
        ([WIDTH + HEIGHT], (64, 48)),
        ([HEIGHT + WIDTH], (64, 48)),
        ([b"", WIDTH + HEIGHT], (64, 48)),
        ([WIDTH + HEIGHT, element("b0", b"\x01") + element("ba", b"\x01")], (64, 48)),
        ([element("b0", b"\x07\x80") + element("ba", b"\x04\x38")], (1920, 1080)),
        ([WIDTH], (None, None)),
        ([], (None, None)),
    ],
)
def test_the_size_is_that_of_the_first_track_with_one(videos, size):
    assert facts(segment(tracks(*videos))) == ("video/webm", *size)


def test_matroska_says_so_itself():
    assert facts(element("1a45dfa3", element("4282", b"matroska")))[0] == "video/x-matroska"


def test_an_element_of_unknown_size_lasts_until_the_end_of_the_one_around_it():
    live = HEAD + bytes.fromhex("18538067") + b"\x01" + b"\xff" * 7 + tracks(WIDTH + HEIGHT) + tag(b"A", b"live")
    assert texts(live) == {("tags", "a"): "live"}
    assert facts(live) == ("video/webm", 64, 48)


@pytest.mark.parametrize("cut", range(20, 200, 17))
def test_a_file_that_is_cut_off_anywhere_gives_what_there_is(cut):
    container = read_container(make_webm({"a": "x" * 20, "b": "y"})[:cut])
    assert container.problems == []
    assert all(text.text == "x" * 20 for text in container.texts)


def test_elements_that_hold_each_other_without_end_end():
    inner = b""
    for _ in range(50):
        inner = element("18538067", inner)
    assert texts(HEAD + inner) == {}
