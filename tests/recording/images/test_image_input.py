"""Images as people hand them over, read without a recorder around them."""

import array
import base64
import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from stablenew.formats.digest import digest_bytes
from stablenew.recording.image_content import build_image, read_size
from stablenew.recording.images.image_input import ImageInput, is_one_image, pixel_digest_of, read_images
from tests.samples import png

FIRST, SECOND = png(b"first"), png(b"second")
ENCODED = base64.b64encode(FIRST).decode()
PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def data_of(images):
    return [image.data for image in read_images(images)]


def problems_of(images):
    return [image.problem for image in read_images(images)]


def pixels_of(image):
    return np.asarray(Image.open(io.BytesIO(image.data)))


@pytest.mark.parametrize(
    "given",
    [
        FIRST, bytearray(FIRST), memoryview(FIRST), array.array("B", FIRST), io.BytesIO(FIRST), ENCODED,
        ENCODED.encode(),
        f"data:image/png;base64,{ENCODED}", f"data:image/png;base64,{ENCODED}".encode(),
        ENCODED.replace("+", "-").replace("/", "_").rstrip("="), "\n".join([ENCODED[:40], ENCODED[40:]]),
        SimpleNamespace(read_bytes=lambda: FIRST), ImageInput(FIRST), [FIRST], (FIRST,), {"a": FIRST}, [[[FIRST]]],
        iter([FIRST]), SimpleNamespace(images=[FIRST]), SimpleNamespace(frames=FIRST),
        np.array([FIRST, None], object)[:1],
    ],
)  # fmt: skip
def test_one_image_is_read_in_any_form(given):
    assert data_of(given) == [FIRST]


@pytest.mark.parametrize("as_given", [str, Path, Path.as_uri, os.fsencode])
def test_a_path_means_its_file(tmp_path, as_given):
    path = tmp_path / "a b.png"
    path.write_bytes(FIRST)
    assert data_of(as_given(path)) == [FIRST]


def test_a_file_that_is_called_like_base64_is_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = base64.b64encode(b"GIF89a").decode()
    (tmp_path / name).write_bytes(FIRST)
    assert data_of(name) == [FIRST]


def test_an_open_file_is_read_from_its_beginning_and_stays_where_it_was():
    file = io.BytesIO(FIRST)
    file.seek(7)
    assert (data_of(file), file.tell()) == ([FIRST], 7)


def test_many_images_are_read_in_order_however_deep_they_lie():
    assert data_of([FIRST, {"x": [SECOND]}, (FIRST,)]) == [FIRST, SECOND, FIRST]
    assert data_of([]) == data_of({}) == data_of(iter(())) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "expected an image, found no bytes"), (None, "expected an image"), (5, "expected an image"),
        ("nowhere.png", "No such file"), (io.StringIO("text"), "expected a file opened for bytes"),
        ("data:image/png;base64,%%%", ""), ([[[[[FIRST]]]]], "expected an image (list)"),
    ],
)  # fmt: skip
def test_what_is_no_image_says_why(given, said):
    (problem,) = problems_of(given)
    assert said in problem


def test_a_folder_is_no_image_and_a_pipe_is_not_waited_for(tmp_path):
    (problem,) = problems_of(tmp_path)
    assert "expected a file, found something else" in problem


def test_one_that_cannot_be_read_spoils_no_other():
    assert data_of([FIRST, "nowhere.png", SECOND]) == [FIRST, None, SECOND]


def failing():
    yield FIRST
    raise OSError("the disk is gone")


def test_an_iterable_that_fails_on_its_way_gives_those_before():
    first, broken = read_images(failing())
    assert first.data == FIRST
    assert "could not be read to the end" in broken.problem
    assert "the disk is gone" in broken.problem


def test_of_things_without_end_that_are_no_images_only_some_are_named():
    def endless():
        while True:
            yield None

    assert len(read_images(endless())) == 100


def test_an_object_whose_attributes_raise_is_named_and_nothing_more():
    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError(name)

    assert len(problems_of([Hostile(), FIRST])) == 2
    assert data_of([Hostile(), FIRST])[1] == FIRST


@pytest.mark.parametrize("given", [PIXELS, PIXELS.tolist(), Image.fromarray(PIXELS)])
def test_pixels_become_an_image_with_a_digest_of_them(given):
    (image,) = read_images(given)
    assert (pixels_of(image) == PIXELS).all()
    assert image.pixel_digest == pixel_digest_of(PIXELS)


def test_a_batch_is_its_images():
    batch = np.stack([PIXELS, PIXELS[::-1]])
    first, second = read_images(batch)
    assert (pixels_of(first) == PIXELS).all()
    assert (pixels_of(second) == PIXELS[::-1]).all()


def test_only_images_in_memory_have_a_digest_of_their_pixels():
    assert pixel_digest_of(PIXELS) == pixel_digest_of(Image.fromarray(PIXELS))
    assert pixel_digest_of(FIRST) is None
    assert pixel_digest_of("nowhere.png") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(FIRST, True), ("a", True), (io.BytesIO(), True), (PIXELS, True), ([], False), ({}, False), (None, False)],
)
def test_one_image_is_told_from_many(value, expected):
    assert is_one_image(value) is expected


def reference(data=FIRST, **fields):
    return build_image(data, variant=0, stage="txt2img", number=0, **fields).reference


def test_a_reference_follows_from_the_bytes():
    found = reference()
    assert (found.digest, found.size_bytes, found.media_type) == (digest_bytes(FIRST), len(FIRST), "image/png")
    assert (found.width, found.height, found.seed, found.parents, found.role) == (8, 6, None, None, None)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"media_type": "video/mp4"}, "media_type", "video/mp4"), ({"media_type": "a b"}, "media_type", "image/png"),
        ({"media_type": f"image/{'x' * 200}"}, "media_type", "image/png"), ({"size": (64, 48)}, "width", 64),
        ({"size": (0, 48)}, "width", 8), ({"size": (True, 48)}, "width", 8), ({"size": (64,)}, "width", 8),
        ({"seed": "5"}, "seed", 5), ({"seed": 2**64 - 1}, "seed", 2**64 - 1), ({"seed": "many"}, "seed", None),
        ({"parents": [digest_bytes(b"x"), "no digest"]}, "parents", [digest_bytes(b"x")]),
        ({"parents": ["no digest"]}, "parents", None),
    ],
)  # fmt: skip
def test_facts_that_cannot_be_true_are_left_out(fields, name, value):
    found = getattr(reference(**fields), name)
    assert (list(found) if name == "parents" and found else found) == value


def jpeg():
    stream = io.BytesIO()
    Image.new("RGB", (33, 21)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "size"),
    [(FIRST, (8, 6)), (FIRST[:24], (8, 6)), (FIRST[:20], (None, None)), (jpeg(), (33, 21)), (b"", (None, None))],
)
def test_a_size_is_read_from_the_head_of_a_file(data, size):
    assert read_size(data) == size
