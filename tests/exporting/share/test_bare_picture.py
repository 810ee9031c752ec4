"""Pictures that carry nothing but what can be seen."""

import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stablenew.errors import UndecodableImage
from stablenew.exporting.share.bare_picture import encode_bare, encode_thumbnail, read_bare
from tests.importing.images import make_pictured_png


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_a_picture_of_any_kind_becomes_red_green_and_blue(mode):
    image = Image.new("I;16", (9, 7), 40_000) if mode == "I;16" else Image.new("RGB", (9, 7), "red").convert(mode)
    bare = read_bare(encode(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert (bare.mode, bare.size) == ("RGB", (9, 7))


@pytest.mark.parametrize(
    ("alpha", "pixel"), [(0, (255, 255, 255)), (255, (10, 20, 30)), (254, (10, 20, 30)), (1, (255, 255, 255))]
)
def test_where_a_picture_is_transparent_it_is_white_and_the_last_bit_of_it_says_nothing(alpha, pixel):
    assert read_bare(encode(Image.new("RGBA", (4, 4), (10, 20, 30, alpha)))).getpixel((0, 0)) == pixel


@pytest.mark.parametrize(("orientation", "size"), [(1, (9, 4)), (6, (4, 9)), (8, (4, 9)), (3, (9, 4))])
def test_a_picture_is_turned_as_its_exif_says(orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read_bare(encode(Image.new("RGB", (9, 4)), "JPEG", exif=exif)).size == size


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 20]
)
def test_a_picture_whose_exif_is_damaged_stays_as_it_is(exif):
    assert read_bare(encode(Image.new("RGB", (9, 4)), "JPEG", exif=exif)).size == (9, 4)


@pytest.mark.parametrize("write", [encode_bare, encode_thumbnail])
def test_no_text_comes_along(write):
    info = PngInfo()
    info.add_text("parameters", "a secret prompt")
    exif = Image.Exif()
    exif[0x9286] = b"ASCII\0\0\0a secret prompt"
    exif[0x010E] = "a secret prompt"
    data = write(read_bare(encode(Image.new("RGB", (40, 30), "red"), pnginfo=info, exif=exif)))
    assert b"secret" not in data
    with Image.open(io.BytesIO(data)) as shown:
        assert (shown.format, shown.size, dict(shown.getexif())) == ("WEBP", (40, 30), {})


def test_a_picture_still_looks_like_itself():
    bare = read_bare(make_pictured_png())
    with Image.open(io.BytesIO(encode_bare(bare))) as shown:
        pairs = zip(shown.convert("RGB").tobytes(), bare.tobytes(), strict=True)
        assert sum(abs(one - other) for one, other in pairs) / len(bare.tobytes()) < 6


@pytest.mark.parametrize(("size", "small"), [((640, 480), (320, 240)), ((100, 900), (36, 320)), ((30, 20), (30, 20))])
def test_a_thumbnail_is_320_pixels_long_at_most(size, small):
    bare = read_bare(encode(Image.new("RGB", size)))
    with Image.open(io.BytesIO(encode_thumbnail(bare))) as shown:
        assert shown.size == small
    assert bare.size == size


@pytest.mark.parametrize("data", [b"", b"no image", make_pictured_png()[:70]])
def test_what_is_no_image_is_said_to_be_none(data):
    with pytest.raises(UndecodableImage):
        read_bare(data)
