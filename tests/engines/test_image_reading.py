"""Images that servers send: complete ones as they are, others refused."""

import io

import pytest
from PIL import Image

from stablenew.engines.image_reading import read_image
from stablenew.errors import EngineError
from tests.samples import png


def test_an_image_is_taken_as_exactly_its_bytes():
    data = png(width=8, height=6)
    image = read_image(data, seed=7, parent=0)
    assert (image.data, image.media_type, image.width, image.height, image.seed, image.parent) == (
        data, "image/png", 8, 6, 7, 0,
    )  # fmt: skip


def truncated():
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(stream, "PNG")
    return stream.getvalue()[:-500]


@pytest.mark.parametrize("data", [b"", b"<html>", png()[:40], truncated()])
def test_an_image_that_is_cut_off_is_no_image(data):
    with pytest.raises(EngineError, match="sent an image that cannot be decoded"):
        read_image(data)
