"""Copies of images with a packet in them: no pixel and no byte of others' metadata changes."""

import io
import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from stablenew import FeedbackManager, JobHistory, RunStore
from stablenew.errors import InvalidDocument
from stablenew.exporting.image_places import ImagePlaces
from stablenew.exporting.xmp_copies import export_copies
from stablenew.exporting.xmp_embedding import embed_packet, read_packet
from stablenew.exporting.xmp_packet import Opinion, build_packet
from stablenew.image_metadata.reading import read_image_metadata
from stablenew.image_metadata.xmp_opinions import read_opinion
from stablenew.importing.importer import Importer
from tests.importing.images import fill, make_png

NOW = "2026-11-28T12:00:00.000Z"
OPINION = Opinion(image_id="xxh128:" + "a" * 32, rating=4, tags=("sunrise",), description="a quiet harbour")
THEIRS = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:z="http://z/" z:of="them"/></rdf:RDF></x:xmpmeta>'
)
MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")


def merge(before):
    return build_packet(OPINION, NOW, before)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
"""Made once: it says when it was made."""


def encode(media_type, *, mode="RGB", theirs=None, lossless=True, exif=True):
    noise = Image.frombytes("RGBA", (50, 37), random.Random(1).randbytes(50 * 37 * 4))
    image = noise.convert(mode)
    options = {"icc_profile": PROFILE} if exif else {}
    if exif:
        options["exif"] = Image.Exif()
        options["exif"][0x010E] = "what others wrote"
    buffer = io.BytesIO()
    if media_type == "image/png":
        image.save(buffer, "PNG", **options)
        return embed_packet(buffer.getvalue(), media_type, lambda _: theirs) if theirs else buffer.getvalue()
    if theirs:
        options["xmp"] = theirs.encode()
    if media_type == "image/webp":
        options["lossless"] = lossless
    image.save(buffer, media_type.partition("/")[2].upper(), **options)
    return buffer.getvalue()


def look(data):
    """Pixels, mode, profile and EXIF of an image, as Pillow sees them."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image.tobytes(), image.mode, image.size, image.info.get("icc_profile"), dict(image.getexif())


def packet_by_pillow(data):
    info = Image.open(io.BytesIO(data)).info
    packet = info.get("xmp") or info.get("XML:com.adobe.xmp")
    return packet.decode() if isinstance(packet, bytes) else packet


@pytest.mark.parametrize("exif", [True, False])
@pytest.mark.parametrize(
    ("media_type", "options"),
    [
        ("image/png", {"mode": "RGB"}),
        ("image/png", {"mode": "RGBA"}),
        ("image/png", {"mode": "L"}),
        ("image/jpeg", {"mode": "RGB"}),
        ("image/webp", {"mode": "RGB"}),
        ("image/webp", {"mode": "RGBA"}),
        ("image/webp", {"mode": "RGB", "lossless": False}),
        ("image/webp", {"mode": "RGBA", "lossless": False}),
    ],
)
def test_the_packet_is_in_it_and_all_else_is_as_before(media_type, options, exif):
    before = encode(media_type, exif=exif, **options)
    after = embed_packet(before, media_type, merge)
    assert look(after) == look(before)
    said = read_opinion(packet_by_pillow(after))
    assert (said.rating, said.tags, said.image_id) == (4, ("sunrise",), OPINION.image_id)
    assert read_packet(after, media_type) == packet_by_pillow(after)
    assert embed_packet(after, media_type, lambda packet: packet) == after, "a packet takes the place of the old one"


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_what_others_wrote_into_the_packet_stays(media_type):
    after = embed_packet(encode(media_type, theirs=THEIRS), media_type, merge)
    packet = packet_by_pillow(after)
    assert 'z:of="them"' in packet
    assert read_opinion(packet).rating == 4
    assert after.count(b"</rdf:RDF>") == 1


def test_a_png_differs_by_one_chunk_and_keeps_what_follows_its_end():
    before = make_png(3) + b"a workflow of somebody"
    after = embed_packet(before, "image/png", merge)
    at = after.index(b"iTXt") - 4
    length = struct.unpack_from(">I", after, at)[0]
    assert after[:at] + after[at + 12 + length :] == before
    assert zlib.crc32(after[at + 4 : at + 8 + length]) == struct.unpack_from(">I", after, at + 8 + length)[0]


def test_a_packed_packet_of_others_is_read():
    body = b"iTXtXML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(THEIRS.encode())
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = make_png(3)
    assert 'z:of="them"' in packet_by_pillow(embed_packet(data[:33] + chunk + data[33:], "image/png", merge))


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_keeps_its_bytes(media_type, data):
    whole = encode(media_type, theirs=THEIRS)
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for at in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=4)):
        if damaged:
            damaged[at] ^= data.draw(st.integers(1, 255))
    try:
        after = embed_packet(bytes(damaged), media_type, lambda packet: packet or "")
    except InvalidDocument:
        return
    assert len(after) >= len(damaged) - 8


@pytest.mark.parametrize("media_type", ["image/gif", "image/avif", "video/webm"])
def test_a_format_without_a_place_says_what_to_do(media_type):
    with pytest.raises(InvalidDocument, match="export a sidecar instead"):
        embed_packet(b"anything", media_type, merge)


def test_a_packet_too_long_for_a_jpeg_says_what_to_do():
    long = Opinion(image_id=OPINION.image_id, description="harbour " * 10_000)
    with pytest.raises(InvalidDocument, match="export a sidecar instead"):
        embed_packet(encode("image/jpeg"), "image/jpeg", lambda before: build_packet(long, NOW, before))


def find(store):
    history = JobHistory(store.root, rater="anna")
    history.refresh(is_patient=True)
    try:
        return history.find_images("", limit=100).rows
    finally:
        history.close()


def test_copies_say_the_stars_and_the_originals_are_left_alone(store, tmp_path):
    paths = fill(tmp_path / "outputs" / "day", 3)
    Importer(store).run(tmp_path / "outputs")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    for run in RunStore(store.root).iter_runs():
        for record, output in run.iter_outputs():
            if record.actual.seed == 1:
                FeedbackManager(store, rater="anna").record_feedback(run.run_id, output.digest, 5)
    report = export_copies(ImagePlaces(store), find(store), tmp_path / "copies")
    assert sorted(report.names) == [f"day/{path.name}" for path in paths]
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths} == before
    copy = (tmp_path / "copies" / "day" / paths[1].name).read_bytes()
    assert read_opinion(packet_by_pillow(copy)).rating == 5
    assert look(copy) == look(paths[1].read_bytes())
    read = read_image_metadata(copy).generation
    assert (read.prompt, read.settings["seed"]) == ("a quiet harbour at dawn", 1)
    again = export_copies(ImagePlaces(store), find(store), tmp_path / "copies")
    assert (again.names, again.unchanged, again.problems) == ([], 3, [])


def test_a_copy_that_says_otherwise_is_not_replaced(store, tmp_path):
    fill(tmp_path / "outputs", 1)
    Importer(store).run(tmp_path / "outputs")
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "00000-0.png").write_bytes(make_png(9))
    report = export_copies(ImagePlaces(store), find(store), tmp_path / "copies")
    assert (tmp_path / "copies" / "00000-0.png").read_bytes() == make_png(9)
    assert "another file" in report.problems[0][1]
