"""Opening images: large ones and odd metadata are welcome, bombs are not, and a decoder's failure has one name."""

import io
import struct
import threading
import zlib
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stablenew.errors import ImageTooLarge, UndecodableImage
from stablenew.formats.digest import digest_bytes
from stablenew.formats.image_files import decode_image, open_image
from tests.samples import chunk, huge_png, png


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def ramp(mode="RGB", size=(300, 1100)):
    return Image.radial_gradient("L").resize(size).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_the_pixel_digest_is_that_of_the_whole_image_in_rgb(mode):
    """It is computed by bands, of which this image has three."""
    image = ramp(mode)
    width, height, (digest, *_) = decode_image(encode(image))
    assert (width, height) == image.size
    assert digest == digest_bytes(Image.open(io.BytesIO(encode(image))).convert("RGB").tobytes())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_formats_that_tools_write_are_opened(kind):
    data = encode(ramp(), kind)
    assert decode_image(data).pixel_digests == (digest_bytes(Image.open(io.BytesIO(data)).convert("RGB").tobytes()),)


@pytest.mark.heavy
@pytest.mark.parametrize("size", [(9500, 9500), (14_100, 14_100)], ids=["90 megapixels", "199 megapixels"])
def test_a_large_image_is_decoded_and_pillows_own_limit_stays(size):
    before = Image.MAX_IMAGE_PIXELS
    data = encode(Image.new("L", size, 7), compress_level=1)
    with open_image(data) as image:
        assert image.size == size
        image.load()
        assert image.getpixel((size[0] - 1, size[1] - 1)) == 7
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.heavy
def test_an_image_beyond_the_limit_is_called_too_large_and_not_damaged():
    data = encode(Image.new("1", (20_000, 10_001)))
    with pytest.raises(ImageTooLarge, match="more than 200,000,000 pixels"), open_image(data):
        pass


@pytest.mark.parametrize("size", [(10_000, 10_000), (14_000, 14_000), (20_000, 20_000), (65_535, 65_535)])
def test_a_file_too_short_for_its_pixels_is_refused_before_memory_is_taken(size):
    with pytest.raises(UndecodableImage, match="cannot hold|pixels"), open_image(huge_png(*size)):
        raise AssertionError("nothing may be decoded")


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "tEXt"])
def test_text_of_megabytes_around_an_image_is_no_reason_to_refuse_it(kind):
    text = "x" * 3_000_000
    info = PngInfo()
    if kind == "iTXt":
        info.add_itxt("workflow", text, zip=True)
    else:
        info.add_text("workflow", text, zip=kind == "zTXt")
    data = encode(ramp("RGB", (64, 48)), pnginfo=info)
    assert decode_image(data) == decode_image(encode(ramp("RGB", (64, 48))))


def test_eighty_long_text_chunks_and_one_after_the_pixels_are_skipped():
    plain = png()
    text = chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"y" * 900_000))
    end = plain.index(b"IEND") - 4
    assert decode_image(plain[:33] + text * 80 + plain[33:end] + text + plain[end:]) == decode_image(plain)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_broken_exif_data_does_not_hide_the_picture(kind):
    data = encode(ramp(size=(64, 48)), kind, exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert decode_image(data)[:2] == (64, 48)


def test_whatever_a_decoder_raises_is_an_undecodable_image():
    """AssertionError, RuntimeError, struct.error and others were all seen from Pillow's plugins."""
    palette = png().replace(b"IHDR" + png()[16:26], b"IHDR" + png()[16:24] + b"\x08\x03")
    for data in (palette, png()[:60], b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 "):
        with pytest.raises(UndecodableImage), open_image(data) as image:
            image.load()
    for failure in (AssertionError(), RuntimeError("Conversion from YUV failed"), struct.error("short"), MemoryError()):
        with pytest.raises(UndecodableImage), open_image(png()):
            raise failure


def test_an_interruption_is_not_taken_for_a_damaged_image():
    with pytest.raises(KeyboardInterrupt), open_image(png()):
        raise KeyboardInterrupt


@pytest.mark.heavy
def test_large_images_are_decoded_one_at_a_time():
    data = encode(Image.new("L", (7000, 7000), 9), compress_level=1)
    inside, most = [], []

    def look():
        with open_image(data) as image:
            inside.append(1)
            most.append(len(inside))
            image.load()
            inside.pop()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


@pytest.mark.parametrize("data", [Path(__file__).read_bytes(), b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_image_says_so(data):
    with pytest.raises(UndecodableImage, match="no image of a known format"), open_image(data):
        pass
