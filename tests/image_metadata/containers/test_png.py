"""PNG: texts of every kind of chunk, before and after the pixels, and nothing from what is cut or damaged."""

import zlib

import pytest

from stablenew.image_metadata.containers.sniffing import read_container
from tests.image_metadata.containers.reading import XMP, facts, texts
from tests.image_metadata.files import exif_with_comment, make_exif, make_png, png_chunk

HEADER = (8).to_bytes(4, "big") + (6).to_bytes(4, "big") + b"\x08\x02\0\0\0"


def profile(data, name="exif"):
    """As ImageMagick writes one: name, length and hexadecimal digits over lines."""
    digits = data.hex()
    lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
    return "\n".join(["", name, f"{len(data):8}", *lines, ""]).encode()


def in_png(*chunks):
    """A PNG of nothing but its head and some chunks."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in ((b"IHDR", HEADER), *chunks))


@pytest.mark.parametrize(
    ("kind", "data", "found"),
    [
        (b"tEXt", b"key\0text", {("png", "key"): "text"}),
        (b"tEXt", b"key\0caf\xe9", {("png", "key"): "café"}),
        (b"tEXt", b"key\0" + "写真".encode(), {("png", "key"): "写真"}),
        (b"tEXt", b"key\0a\0b", {("png", "key"): "a\0b"}),
        (b"tEXt", b"key", {}),
        (b"tEXt", b"\0text", {("png", ""): "text"}),
        (b"zTXt", b"key\0\0" + zlib.compress(b"text"), {("png", "key"): "text"}),
        (b"zTXt", b"key\0\0not packed", {}),
        (b"iTXt", b"key\0\0\0en\0clef\0text", {("png", "key"): "text"}),
        (b"iTXt", b"key\0\1\0\0\0" + zlib.compress("é".encode()), {("png", "key"): "é"}),
        (b"iTXt", b"key\0\0\0\0\0" + "é".encode().decode("latin-1").encode(), {("png", "key"): "é"}),
        (b"iTXt", b"key\0\0\0", {}),
        (b"tEXt", b"Raw profile type exif\0" + profile(exif_with_comment("c")), {("exif", "UserComment"): "c"}),
        (b"tEXt", b"Raw profile type APP1\0" + profile(b"Exif\0\0" + make_exif({0x131: b"Forge\0"})),
         {("exif", "Software"): "Forge"}),
        (b"tEXt", b"Raw profile type APP1\0" + profile(b"http://ns.adobe.com/xap/1.0/\0" + XMP, "APP1"),
         {("xmp", "Description"): "a harbour"}),
        (b"tEXt", b"Raw profile type exif\0\nexif\n 4\nnothex\n", {}),
        (b"eXIf", exif_with_comment("c"), {("exif", "UserComment"): "c"}),
        (b"teXt", b"key\0text", {}),
    ],
)  # fmt: skip
def test_a_chunk_gives_its_text_as_programs_write_it(kind, data, found):
    assert texts(in_png((kind, data), (b"IEND", b""))) == found


def test_a_long_key_is_cut_and_the_text_is_whole():
    ((_, key),) = texts(in_png((b"tEXt", b"k" * 300 + b"\0" + b"x" * 300)))
    assert key == "k" * 200


def test_nothing_behind_the_end_is_read():
    assert texts(in_png((b"IEND", b""), (b"tEXt", b"key\0text"))) == {}


@pytest.mark.parametrize(("mode", "has_alpha"), [("RGB", False), ("RGBA", True), ("L", False), ("LA", True)])
def test_the_head_says_size_and_alpha(mode, has_alpha):
    container = read_container(make_png(size=(3, 5), mode=mode))
    assert (container.width, container.height, container.has_alpha) == (3, 5, has_alpha)
    assert (container.is_lossless, container.is_animated) == (True, False)


def test_an_animation_is_one_and_the_first_manifest_counts():
    container = read_container(in_png((b"acTL", bytes(8)), (b"caBX", b"first"), (b"caBX", b"second")))
    assert (container.is_animated, container.c2pa) == (True, b"first")


@pytest.mark.parametrize("cut", range(8, 33))
def test_a_head_that_is_cut_off_has_no_size(cut):
    assert facts(in_png()[:cut]) == ("image/png", *((None, None) if cut < 29 else (8, 6)))


def test_a_packed_text_that_is_damaged_gives_its_beginning_and_is_named():
    packed = zlib.compress(bytes(range(256)) * 50, level=0)[:5_000]
    container = read_container(in_png((b"zTXt", b"key\0\0" + packed)))
    assert container.problems == ["the packed text 'key' is damaged or too long, and was cut"]
    assert len(container.texts[0].text) > 1_000


def test_a_length_that_is_a_lie_ends_the_reading():
    data = in_png((b"tEXt", b"a\0b"))
    lie = b"\xff\xff\xff\xfftEXtc\0d"
    container = read_container(data + lie)
    assert [text.text for text in container.texts] == ["b", "d"]
    assert container.problems == ["a chunk tEXt of 4,294,967,295 bytes was cut"]
