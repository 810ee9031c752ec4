"""Images in memory with odd company: whatever stands beside the pixels, these are kept, and the image is left alone."""

import base64
import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from stablenew import RunRecorder, RunStore, RunVerifier
from tests.samples import png

PIXELS = np.random.default_rng(5).integers(0, 256, (20, 30, 3), np.uint8)
FLOATS = PIXELS / np.float32(255)


def record(tmp_path, images):
    """The record of one variant with `images`, and the images as Pillow reads what was kept; the run must be sound."""
    with RunRecorder(tmp_path / "runs") as recorder:
        made = recorder.record_variant(prompt="a mill", images=images)
    run = RunStore(tmp_path / "runs").open(recorder.run_id)
    assert RunVerifier(run, deep=True).verify().findings == ()
    return made, [Image.open(io.BytesIO((run.path / output.path).read_bytes())) for output in made.outputs]


def picture(**info):
    image = Image.fromarray(PIXELS)
    image.info.update(info)
    return image


def with_exif(tag, value):
    image = picture()
    image.getexif()[tag] = value
    return image


@pytest.mark.parametrize(
    "image",
    [
        picture(exif=b"Exif\0\0not a TIFF header"),
        picture(exif="text"),
        picture(icc_profile="sRGB"),
        picture(transparency=7),
        with_exif(0x010F, object()),
        with_exif(0x02BC, "é\ud800"),
    ],
    ids=["exif", "exif text", "profile", "transparency", "tag", "tag text"],
)
def test_what_no_file_can_hold_beside_the_pixels_is_noted_and_costs_no_pixel(tmp_path, image):
    made, (kept,) = record(tmp_path, image)
    assert np.array_equal(np.asarray(kept), PIXELS)
    assert "only the pixels are kept" in made.odd["images[0]"]


def test_a_text_with_half_a_character_is_kept_with_the_rest_of_it(tmp_path):
    made, (kept,) = record(tmp_path, picture(parameters="a mill \ud83c, Steps: 4"))
    assert kept.text["parameters"] == "a mill \ufffd, Steps: 4"
    assert made.odd is None


def animation(kind, mode="RGB"):
    frames = [Image.fromarray(np.roll(PIXELS, shift, 1)).convert(mode) for shift in range(4)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_stays_at_the_frame_where_it_was(tmp_path, kind):
    image = Image.open(io.BytesIO(animation(kind)))
    image.seek(2)
    before = image.tobytes()
    _, (kept,) = record(tmp_path, image)
    assert (image.tell(), image.tobytes()) == (2, before)
    assert kept.n_frames == 4


@pytest.mark.parametrize("mode", ["CMYK", "F"])
def test_pages_of_samples_that_only_tiff_has_are_all_kept(tmp_path, mode):
    _, (kept,) = record(tmp_path, Image.open(io.BytesIO(animation("TIFF", mode))))
    assert (kept.mode, kept.n_frames) == (mode, 4)


def frame_of_a_stream(data):
    """An image that cannot be read again as a whole."""
    return Image.open(io.BufferedReader(io.BytesIO(data)))


def test_an_animation_that_is_cut_off_is_kept_as_far_as_it_goes(tmp_path):
    data = animation("GIF")
    for image in (Image.open(io.BytesIO(data[: len(data) * 2 // 3])), frame_of_a_stream(data[: len(data) * 2 // 3])):
        _, (kept,) = record(tmp_path, image)
        assert kept.convert("RGB").tobytes() == Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def test_an_image_that_was_closed_is_kept_as_its_file(tmp_path):
    (tmp_path / "mill.png").write_bytes(png())
    image = Image.open(tmp_path / "mill.png")
    image.load()
    image.close()
    made, (kept,) = record(tmp_path, image)
    assert (kept.size, "the file that it was opened from" in made.odd["images[0]"]) == ((8, 6), True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
@pytest.mark.timeout(60)
def test_an_image_that_came_through_a_pipe_is_not_waited_for_again(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/zero"):
        image = picture()
        image.filename = str(name)
        _, (kept,) = record(tmp_path, image)
        assert np.array_equal(np.asarray(kept), PIXELS)


@pytest.mark.parametrize("mode", ["I;16L", "I;16N"])
def test_sixteen_bits_in_any_order_of_bytes_are_kept(tmp_path, mode):
    image = Image.new(mode, (4, 3), 40_000)
    _, (kept,) = record(tmp_path, image)
    assert kept.convert("I").getextrema() == (40_000, 40_000)


def test_a_palette_that_is_too_short_gives_the_pixels_that_readers_see(tmp_path):
    image = Image.fromarray(PIXELS[:, :, 0], "P")
    image.putpalette([1, 2, 3] * 5)
    made, _ = record(tmp_path, image)
    assert len(made.outputs) == 1


@pytest.mark.parametrize("white", [1, 255])
def test_floats_that_overshoot_are_clipped_and_never_black(tmp_path, white):
    values = (FLOATS * 1.12 - 0.06) * white
    made, kept = record(tmp_path, np.stack([values, FLOATS * white]))
    for image in kept:
        assert abs(np.asarray(image).astype(float) - PIXELS).max() < 20
    assert list(made.odd) == ["images[0]"]
    assert "clipped" in made.odd["images[0]"]


def test_a_dark_image_of_a_batch_is_as_dark_as_it_was(tmp_path):
    batch = np.stack([FLOATS * 255, FLOATS])  # of values up to 255: the second one is as good as black
    _, (_, dark) = record(tmp_path, batch)
    assert np.asarray(dark).max() <= 1


def test_tensors_of_every_layout_are_images(tmp_path):
    torch = pytest.importorskip("torch")
    plain = torch.tensor(FLOATS).permute(2, 0, 1)
    tensors = {
        "sparse": plain.to_sparse(),
        "eight bits": plain.to(torch.float8_e4m3fn),
        "negated": torch.complex(plain, -plain).conj().imag,
        "needs a gradient": (plain.clone().requires_grad_() * 1).bfloat16(),
    }
    for name, tensor in tensors.items():
        _, (kept,) = record(tmp_path, tensor)
        assert abs(np.asarray(kept).astype(float) - PIXELS).max() < 10, name


def test_images_in_an_array_of_objects_are_images(tmp_path):
    images = np.empty(2, object)
    images[0], images[1] = picture(), PIXELS
    _, kept = record(tmp_path, images)
    assert [np.array_equal(np.asarray(image), PIXELS) for image in kept] == [True, True]


def in_lines(text):
    return "\n".join(text[start : start + 76] for start in range(0, len(text), 76))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_base64_is_read_in_all_its_spellings(tmp_path, kind):
    buffer = io.BytesIO()
    Image.fromarray(np.tile(PIXELS, (6, 6, 1))).save(buffer, kind)
    data = buffer.getvalue()
    text = base64.b64encode(data).decode()
    spellings = [
        text,
        in_lines(text),
        text.rstrip("="),
        base64.urlsafe_b64encode(data).decode(),
        text.encode(),
        f"data:image/{kind.lower()};base64,{in_lines(text)}",
        f"data:image/{kind.lower()};base64,{text}".encode(),
    ]
    made, _ = record(tmp_path, spellings)
    assert {output.size_bytes for output in made.outputs} == {len(data)}
    assert len(made.outputs) == len(spellings)


def test_buffers_with_axes_and_members_of_archives_are_images(tmp_path):
    with zipfile.ZipFile(tmp_path / "mills.zip", "w") as archive:
        archive.writestr("mill.png", png())
    _, kept = record(tmp_path, [memoryview(PIXELS), zipfile.Path(tmp_path / "mills.zip", "mill.png")])
    assert np.array_equal(np.asarray(kept[0]), PIXELS)
    assert kept[1].size == (8, 6)
