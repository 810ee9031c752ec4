"""Thumbnails: made once, kept by digest, never of anything but the image."""

import io
import os
import signal
import threading

import numpy as np
import pytest
from PIL import Image

from stablenew.formats.digest import digest_bytes
from stablenew.web.pictures.picture_worker import PictureWorker
from stablenew.web.pictures.thumbnail_making import SIZES, SMALL, NoPicture, make_thumbnails
from stablenew.web.pictures.thumbnails import ThumbnailCache
from tests.samples import huge_png


def picture(width, height, mode="RGB", kind="PNG"):
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((width, height)).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def sizes(data):
    return {size: Image.open(io.BytesIO(one)).size for size, one in make_thumbnails(data).items()}


def test_all_sizes_keep_the_shape_and_nothing_is_enlarged():
    assert sizes(picture(2048, 1024)) == {1024: (1024, 512), 512: (512, 256), 320: (320, 160)}
    assert sizes(picture(600, 900)) == {1024: (600, 900), 512: (341, 512), 320: (213, 320)}
    assert sizes(picture(64, 48)) == {1024: (64, 48), 512: (64, 48), 320: (64, 48)}
    assert sizes(picture(5000, 1)) == {1024: (1024, 1), 512: (512, 1), 320: (320, 1)}


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGBA", "PNG"), ("P", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("P", "GIF")]
)
def test_any_usual_image_has_one(mode, kind):
    made = make_thumbnails(picture(400, 300, mode, kind))
    assert Image.open(io.BytesIO(made[320])).format == "WEBP"


NO_IMAGES = [b"", b"GIF89a", b"<svg/>", picture(400, 300)[:200], b"%!PS-Adobe-3.0 EPSF-3.0\n"]


@pytest.mark.parametrize("data", [*NO_IMAGES, huge_png(), huge_png(20_000, 20_000)])
def test_what_is_no_whole_image_has_none(data):
    with pytest.raises(NoPicture):
        make_thumbnails(data)


def test_small_ones_are_made_once_and_kept_and_the_large_one_when_it_is_wanted(tmp_path):
    data, reads = picture(500, 400), []

    def read():
        reads.append(1)
        return data

    cache = ThumbnailCache(tmp_path)
    digest = digest_bytes(data)
    threads = [threading.Thread(target=cache.get, args=(digest, size, read)) for size in (320, 1024, 320, 1024)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) <= 2
    count = len(reads)
    kept = ThumbnailCache(tmp_path)
    for size in SIZES:
        assert kept.get(digest, size, read) == cache.path(digest, size).read_bytes()
    assert len(reads) == count
    cache.close()


def test_a_wall_makes_no_large_ones(tmp_path):
    data, cache = picture(1600, 1200), ThumbnailCache(tmp_path)
    digest = digest_bytes(data)
    cache.get(digest, SMALL, lambda: data)
    assert [size for size in SIZES if cache.path(digest, size).exists()] == [320, 512]
    cache.get(digest, 1024, lambda: data)
    assert [size for size in SIZES if cache.path(digest, size).exists()] == [320, 512, 1024]
    cache.close()


def test_the_average_colour_is_kept_with_a_thumbnail_which_stays_a_picture(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (400, 300), (200, 100, 40)).save(buffer, "PNG")
    data, cache = buffer.getvalue(), ThumbnailCache(tmp_path)
    digest = digest_bytes(data)
    assert cache.colour(digest) is None
    small = cache.get(digest, SMALL, lambda: data)
    assert cache.colour(digest) == "#c86428"
    with Image.open(io.BytesIO(small)) as image:
        assert image.size == (320, 240)
    cache.close()


def test_a_decoder_that_crashes_ends_its_own_process_and_no_other(tmp_path):
    worker, data = PictureWorker(), picture(400, 300)
    assert set(worker.make(data)) == {320, 512, 1024}
    child = worker._process
    os.kill(child.pid, signal.SIGSTOP)
    crash = threading.Timer(0.2, child.kill)
    crash.start()
    with pytest.raises(NoPicture, match="ended with -9"):
        worker.make(data)
    assert set(worker.make(data)) == {320, 512, 1024}
    worker.close()


def test_what_is_no_image_is_refused_by_the_child_as_well():
    worker = PictureWorker()
    with pytest.raises(NoPicture, match="cannot be decoded"):
        worker.make(b"GIF89a")
    worker.close()


def test_bytes_of_another_digest_are_refused_and_not_kept(tmp_path):
    cache = ThumbnailCache(tmp_path)
    with pytest.raises(NoPicture, match="not the one"):
        cache.get("xxh128:" + "0" * 32, 320, lambda: picture(50, 50))
    assert not list(tmp_path.rglob("*.webp"))
    cache.close()


def test_a_cache_that_cannot_be_written_is_no_reason_to_show_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    data = picture(50, 50)
    cache = ThumbnailCache(tmp_path / "file")
    assert cache.get(digest_bytes(data), 320, lambda: data)
    cache.close()


def picture_of(data):
    with Image.open(io.BytesIO(make_thumbnails(data)[SMALL])) as picture:
        return picture.convert("RGB")


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_scaled_and_not_cut_off(kind):
    ramp = np.linspace(0, 65535, 100, dtype=np.uint16)[None].repeat(20, axis=0)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, kind)
    greys = np.asarray(picture_of(buffer.getvalue()))[10, :, 0].astype(int)
    assert (abs(greys - np.linspace(0, 255, 100)) < 6).all()


def test_maps_of_numbers_are_shown_from_their_least_to_their_greatest():
    depths = np.linspace(-40, 900, 100, dtype=np.float32)[None].repeat(20, axis=0)
    buffer = io.BytesIO()
    Image.fromarray(depths).save(buffer, "TIFF")
    greys = np.asarray(picture_of(buffer.getvalue()))[10, :, 0].astype(int)
    assert greys[0] < 10
    assert greys[-1] > 245


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_pictures_stand_as_their_orientation_says(kind):
    exif = Image.Exif()
    exif[0x0112] = 8
    buffer = io.BytesIO()
    Image.new("RGB", (80, 30), (200, 30, 30)).save(buffer, kind, exif=exif)
    assert picture_of(buffer.getvalue()).size == (30, 80)


def test_damaged_exif_is_no_reason_to_show_nothing():
    buffer = io.BytesIO()
    Image.new("RGB", (80, 30)).save(buffer, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert picture_of(buffer.getvalue()).size == (80, 30)
