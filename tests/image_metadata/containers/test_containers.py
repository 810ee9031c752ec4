"""Each format's reader, on files that other programs wrote or that are built byte by byte."""

import io
import struct
import sys
import zlib

import pytest
from PIL import Image

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES
from stablenew.image_metadata.containers.packed_text import NEEDS_BROTLI, unpack_text
from stablenew.image_metadata.containers.sniffing import read_container
from tests.image_metadata.files import (
    box,
    exif_with_comment,
    make_exif,
    make_gif,
    make_image,
    make_jxl,
    make_mp4,
    make_png,
    make_webm,
    png_chunk,
    stored_brotli,
)

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>
<rdf:Description xmp:Rating="4" comfy:prompt="{&quot;1&quot;: 2}">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">a &amp; b</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def texts_of(data):
    return {(text.place, text.key): text.text for text in read_container(data).texts}


def facts_of(data):
    container = read_container(data)
    return container.media_type, container.width, container.height


def test_a_png_gives_its_plain_packed_and_international_texts():
    chunks = [
        (b"tEXt", b"plain\0caf\xe9"),
        (b"zTXt", b"packed\0\0" + zlib.compress(b"squeezed")),
        (b"iTXt", b"world\0\0\0\0\0" + "テスト".encode()),
        (b"iTXt", b"both\0\x01\0en\0both\0" + zlib.compress("テスト".encode())),
    ]
    found = texts_of(make_png(chunks=chunks))
    assert found == {
        ("png", "plain"): "café", ("png", "packed"): "squeezed", ("png", "world"): "テスト", ("png", "both"): "テスト",
    }  # fmt: skip


def test_a_png_gives_texts_behind_its_pixels_and_its_size():
    data = make_png(late=[(b"tEXt", b"parameters\0late")], mode="RGBA")
    assert texts_of(data) == {("png", "parameters"): "late"}
    assert facts_of(data) == ("image/png", 64, 48)
    assert read_container(data).has_alpha


def test_a_png_gives_exif_xmp_and_a_c2pa_manifest():
    chunks = [
        (b"eXIf", exif_with_comment("hello")),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        (b"caBX", b"jumb c2pa"),
    ]
    container = read_container(make_png(chunks=chunks))
    found = {(text.place, text.key): text.text for text in container.texts}
    assert found["exif", "UserComment"] == "hello"
    assert found["xmp", "Description"] == "a & b"
    assert container.c2pa == b"jumb c2pa"
    assert container.rating == 4


@pytest.mark.heavy
def test_text_that_unpacks_to_too_much_is_cut_and_that_is_reported():
    bomb = zlib.compress(bytes(MAX_TEXT_BYTES * 4).replace(b"\0", b"a"))
    container = read_container(make_png(chunks=[(b"zTXt", b"bomb\0\0" + bomb)]))
    assert sum(len(text.text) for text in container.texts) <= MAX_TEXT_BYTES
    assert "bomb" in container.problems[0]


def test_many_bombs_together_stay_within_the_same_bounds():
    bomb = zlib.compress(b"a" * MAX_TEXT_BYTES)
    container = read_container(make_png(chunks=[(b"zTXt", b"bomb%d\0\0" % number + bomb) for number in range(20)]))
    assert sum(len(text.text) for text in container.texts) <= 2 * MAX_TEXT_BYTES
    assert container.problems


def test_no_room_is_no_licence_to_unpack_everything():
    assert unpack_text(zlib.compress(b"a" * 1000), 0) == (b"", False)
    assert unpack_text(zlib.compress(b"a" * 1000), 10) == (b"a" * 10, False)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("order", ["be", "le"])
def test_a_user_comment_is_read_in_either_byte_order(kind, order):
    data = make_image(kind, exif=exif_with_comment("ein Hafen, テスト", order))
    assert texts_of(data)["exif", "UserComment"] == "ein Hafen, テスト"
    assert facts_of(data) == (f"image/{kind.lower()}", 64, 48)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_xmp_is_kept_whole_and_its_telling_fields_are_named(kind):
    found = texts_of(make_image(kind, xmp=XMP))
    assert found["xmp", "xmp"] == XMP.decode()
    assert found["xmp", "prompt"] == '{"1": 2}'
    assert read_container(make_image(kind, xmp=XMP)).rating == 4


@pytest.mark.parametrize("order", ["<", ">"])
def test_strings_of_any_tag_are_read_as_savers_of_workflows_use_them(order):
    exif = make_exif({0x010F: b"workflow:{}\0", 0x0110: b"prompt:{}\0", 0x010E - 5: b"other: {}\0"}, order=order)
    found = texts_of(make_image("WEBP", exif=exif))
    assert found["exif", "Make"] == "workflow:{}"
    assert found["exif", "Model"] == "prompt:{}"
    assert found["exif", "0x0109"] == "other: {}"


def test_a_jpeg_gives_its_comment():
    assert texts_of(make_image("JPEG", comment=b"a harbour"))["comment", "comment"] == "a harbour"


def test_a_gif_gives_its_comment():
    data = make_gif(b"a harbour" * 100)
    assert texts_of(data) == {("comment", "comment"): "a harbour" * 100}
    assert facts_of(data) == ("image/gif", 64, 48)


@pytest.mark.parametrize(("make", "kind"), [(make_mp4, "video/mp4"), (make_webm, "video/webm")])
def test_a_video_gives_its_tags_and_size(make, kind):
    data = make({"prompt": '{"a": 1}', "comment": "x" * 5_000})
    assert texts_of(data) == {("tags", "prompt"): '{"a": 1}', ("tags", "comment"): "x" * 5_000}
    assert facts_of(data) == (kind, 64, 48)


def test_heic_is_no_video():
    assert facts_of(box(b"ftyp", b"heic", bytes(4), b"mif1heic"))[0] == "image/heic"


def test_a_file_gives_what_its_bytes_give_and_no_more_is_read_than_needed(tmp_path):
    data = make_png({"parameters": "text"}, chunks=[(b"IDAT", bytes(3_000_000))])
    (tmp_path / "a.png").write_bytes(data)

    class Counting(io.FileIO):
        read_bytes = 0

        def read(self, size=-1):
            got = super().read(size)
            self.read_bytes += len(got)
            return got

    with Counting(tmp_path / "a.png") as file:
        assert read_container(file).texts == read_container(data).texts
        assert file.read_bytes < 40_000


def test_a_stated_length_never_makes_a_read_larger_than_its_bound():
    source = ByteSource(bytes(100_000))
    assert len(source.read(10, 2**40)) == 100_000 - 10
    assert source.read(200_000, 5) == b""
    assert source.read(-1, 5) == b""


def test_a_file_that_gives_less_than_was_asked_for_is_read_whole():
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 1_000))

    data = make_png({"parameters": "x" * 50_000})
    assert read_container(Slow(data)).texts == read_container(data).texts


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", b"")[:9],
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0tEXtabcd" * 100_000,
        b"\xff\xd8\xff\xe1\0\0" * 50,
        b"RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xffII*\0",
        box(b"ftyp", b"avif") + box(b"meta", b"\xff" * 40),
        b"GIF89a" + b"\xff" * 200,
        b"\x1a\x45\xdf\xa3" + b"\x01" * 200,
        struct.pack(">I4sQ", 1, b"ftyp", 2**63) + b"isom",
    ],
)
def test_damaged_files_give_what_there_is(data):
    container = read_container(data)
    assert container.texts == []


def test_a_directory_of_exif_that_leads_to_itself_ends():
    exif = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 0)
    assert texts_of(make_image("JPEG", exif=exif)) == {}


def test_jpeg_xl_gives_exif_xmp_and_its_size():
    exif = exif_with_comment("a cat")
    for data in (bytes(4) + exif, exif, bytes(4) + b"Exif\0\0" + exif):  # writers differ in what stands before
        found = make_jxl(box(b"Exif", data), box(b"xml ", XMP))
        assert texts_of(found)["exif", "UserComment"] == "a cat"
        assert texts_of(found)["xmp", "Description"] == "a & b"
        assert facts_of(found) == ("image/jxl", 64, 48)


def test_jpeg_xl_whose_metadata_is_compressed_says_what_it_takes_to_read_it(monkeypatch):
    packed = box(b"brob", b"Exif" + stored_brotli(bytes(4) + exif_with_comment("a cat")))
    data = make_jxl(packed, box(b"brob", b"xml " + stored_brotli(XMP)))
    monkeypatch.setitem(sys.modules, "brotli", None)  # as where it is not installed
    without = read_container(data)
    assert (without.texts, without.problems) == ([], [NEEDS_BROTLI])
    assert (without.width, without.height) == (64, 48)
    other = read_container(make_jxl(box(b"brob", b"jbrd" + bytes(20))))
    assert other.problems == [], "what holds no metadata needs no package"


def test_jpeg_xl_whose_metadata_is_compressed_is_read_where_brotli_is_installed():
    exif = exif_with_comment("a cat, much of it " * 50)
    brotli = pytest.importorskip("brotli", "1.2")
    for pack in (stored_brotli, brotli.compress):
        boxes = [box(b"brob", b"Exif" + pack(bytes(4) + exif)), box(b"brob", b"xml " + pack(XMP))]
        found = read_container(make_jxl(*boxes))
        assert found.problems == []
        assert found.values("UserComment") == ["a cat, much of it " * 50]
        assert found.values("Description") == ["a & b"]


def test_what_brotli_cannot_unpack_or_unpacks_to_too_much_is_a_problem():
    brotli = pytest.importorskip("brotli", "1.2")
    whole = brotli.compress(bytes(4) + exif_with_comment("a cat"))
    for data in (
        whole[:-9],
        b"\xff" * 40,
        b"",
        brotli.compress(bytes(4) + b"II" + bytes(MAX_TEXT_BYTES * 2), quality=1),
    ):
        container = read_container(make_jxl(box(b"brob", b"Exif" + data)))
        assert "Brotli" in " ".join(container.problems)


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ("ff0acb06", (64, 48)),
        ("ff0afa1f1900", (1024, 1024)),
        ("ff0afa25e867", (832, 1216)),
        ("ff0aba211d00", (1920, 1080)),
        ("ff0a0001800c", (65, 33)),
        ("ff0a3c1901001c", (257, 9000)),
    ],
)
def test_jpeg_xl_without_a_container_has_a_size(head, size):
    assert facts_of(bytes.fromhex(head) + bytes(40)) == ("image/jxl", *size)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_tiff_gives_its_description_and_its_size(compression):
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "TIFF", description="a cat", compression=compression)
    assert texts_of(file.getvalue())["exif", "ImageDescription"] == "a cat"
    assert facts_of(file.getvalue()) == ("image/tiff", 64, 48)
