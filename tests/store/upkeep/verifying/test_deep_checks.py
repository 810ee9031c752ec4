"""`verify --deep`: odd pictures are findings, and never the end of the check."""

import io
import struct

import pytest
from PIL import Image

from stablenew import RunVerifier
from stablenew.formats.digest import digest_bytes
from stablenew.formats.image_files import digest_pixels
from stablenew.recording.image_content import build_image
from stablenew.store.upkeep.verifying.verifier_pool import iter_reports
from tests.samples import chunk, metadata, png, record


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def run_of(store, data, run_id="sample-run", **fields):
    """A sealed run of one output with these bytes and what its record says of them."""
    writer = store.create(metadata(run_id))
    image = build_image(data, variant=0, stage="txt2img", number=0, **fields)
    stored = writer.write_output(data, variant=0, stage="txt2img", number=0, media_type=image.reference.media_type)
    writer.append_record(record(run_id, 0, [image.reference.model_copy(update={"path": stored.path})]))
    return writer.seal(metadata(run_id, status="completed", record_count=1, output_count=1))


def codes(run):
    return [finding.code for finding in RunVerifier(run, deep=True).verify().findings]


def damaged(kind, at, size=(40, 30)):
    data = bytearray(encode(Image.radial_gradient("L").resize(size).convert("RGB"), kind))
    for place in range(at, min(at + 40, len(data))):
        data[place] ^= 0x5A
    return bytes(data)


PALETTE_WITHOUT_ONE = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 30, 8, 3, 0, 0, 0))
    + chunk(b"PLTE", b"\0" * 5)
    + chunk(b"IEND", b"")
)
ODD = [
    PALETTE_WITHOUT_ONE,
    png()[:70],
    *(damaged(kind, at) for kind in ("AVIF", "WEBP", "PNG", "JPEG", "GIF") for at in (12, 60, 160, 300)),
]


@pytest.mark.heavy
def test_no_picture_ends_the_check_of_the_others(store):
    runs = [run_of(store, data, f"odd-{number}") for number, data in enumerate(ODD)]
    runs.append(run_of(store, png(), "sound"))
    reports = {report.subject: report for report in iter_reports(runs, deep=True)}
    assert len(reports) == len(runs)
    assert reports["sound"].findings == ()
    found = {finding.code for report in reports.values() for finding in report.findings}
    assert "image-undecodable" in found
    assert found <= {"image-undecodable", "image-mismatch", "media-type-mismatch"}


@pytest.mark.heavy
def test_sound_images_of_any_size_and_with_any_metadata_are_sound(store):
    large = encode(Image.new("RGB", (8192, 8192), (9, 8, 7)), compress_level=1)
    exif = encode(Image.new("RGB", (64, 48)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    for number, (data, size) in enumerate([(large, (8192, 8192)), (exif, (64, 48))]):
        assert codes(run_of(store, data, f"run-{number}", size=size)) == []


def test_an_image_too_large_to_decode_is_told_and_no_fault(store):
    run = run_of(store, encode(Image.new("1", (20_000, 10_001))))
    report = RunVerifier(run, deep=True).verify()
    assert [(finding.code, finding.severity) for finding in report.findings] == [("image-unchecked", "info")]
    assert report.is_ok


@pytest.mark.parametrize(
    ("data", "media_type", "expected"),
    [
        (png(), "image/jpeg", ["media-type-mismatch"]),
        (encode(Image.new("RGB", (8, 6)), "JPEG"), "image/png", ["media-type-mismatch"]),
        (png(), "application/octet-stream", ["media-type-mismatch"]),
        (png(), "image/png", []),
        (b"%PDF-1.7", "application/pdf", []),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "image/heic", []),
        (b"no image at all", "image/png", ["image-undecodable"]),
    ],
)
def test_the_media_type_of_a_record_is_that_of_the_bytes(store, data, media_type, expected):
    assert codes(run_of(store, data, media_type=media_type)) == expected


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "L", "RGB"])
def test_the_pixel_digest_that_early_programs_wrote_holds_too(store, mode):
    image = Image.linear_gradient("L").convert("I").point(lambda value: value * 257).convert(mode)
    data = encode(image, "TIFF")
    with Image.open(io.BytesIO(data)) as opened:
        early = digest_bytes(opened.convert("RGB").tobytes())
    assert codes(run_of(store, data, "early", pixel_digest=early)) == []
    assert codes(run_of(store, data, "now", pixel_digest=digest_pixels(image))) == []
    assert codes(run_of(store, data, "wrong", pixel_digest=digest_bytes(b"other"))) == ["image-mismatch"]
