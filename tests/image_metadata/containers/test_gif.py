"""GIF: comments between the blocks, and a walk over pixels that ends."""

import pytest

from tests.image_metadata.containers.reading import facts, texts

HEAD = b"GIF89a" + (8).to_bytes(2, "little") + (6).to_bytes(2, "little") + b"\0\0\0"
IMAGE = b"\x2c" + bytes(8) + b"\0\x02\x03abc\0"
NAME = ("comment", "comment")


def comment(*parts):
    return b"\x21\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


@pytest.mark.parametrize(
    ("blocks", "found"),
    [
        (comment(b"a harbour"), {NAME: "a harbour"}),
        (comment(b"a " * 100, b"harbour"), {NAME: "a " * 100 + "harbour"}),
        (IMAGE + comment(b"behind an image"), {NAME: "behind an image"}),
        (b"\x21\xf9\x04" + bytes(4) + b"\0" + comment(b"behind a delay"), {NAME: "behind a delay"}),
        (b"\x21\xff\x0bNETSCAPE2.0\x03\1\0\0\0" + comment(b"behind a loop"), {NAME: "behind a loop"}),
        (comment(b"before the end") + b"\x3b" + comment(b"behind"), {NAME: "before the end"}),
        (comment(), {}),
        (b"\x21\xfe\x20cut off", {NAME: "cut off"}),
        (b"\x2c", {}),
        (b"rubbish", {}),
        (b"", {}),
    ],
)
def test_a_comment_is_found_wherever_it_stands(blocks, found):
    assert texts(HEAD + blocks) == found


@pytest.mark.parametrize("bits", range(8))
def test_tables_of_colours_are_stepped_over(bits):
    table = bytes(3 * 2 ** (bits + 1))
    head = HEAD[:10] + bytes([0x80 | bits, 0, 0]) + table
    image = b"\x2c" + bytes(8) + bytes([0x80 | bits]) + table + b"\x02\x01a\0"
    assert texts(head + image + comment(b"found")) == {NAME: "found"}


def test_the_head_says_the_size():
    assert facts(HEAD) == ("image/gif", 8, 6)
    assert facts(b"GIF87a" + HEAD[6:]) == ("image/gif", 8, 6)
    assert facts(HEAD[:12]) == ("image/gif", None, None)


def test_blocks_without_an_end_end():
    assert facts(HEAD + b"\x2c" + bytes(9) + b"\x02" + b"\x01a" * 60_000) == ("image/gif", 8, 6)
