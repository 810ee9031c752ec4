"""Regions of an image painted again, pixel by pixel."""

import numpy as np
import pytest
from PIL import Image

from stablenew.engines.diffusers.detectors import to_box
from stablenew.engines.diffusers.region_detailing import detail_regions
from stablenew.errors import EngineError

WHITE = Image.new("RGB", (64, 48), "white")


def paint(boxes, *, side=64, feather=0, image=WHITE):
    """The image with each box painted black, and the sizes in which they were painted."""
    sizes = []

    def repaint(part, place):
        assert place == len(sizes)
        sizes.append(part.size)
        return Image.new("RGB", part.size, "black")

    painted = detail_regions(image, boxes, repaint, side=side, feather=feather)
    return np.asarray(painted)[:, :, 0], sizes


def test_a_box_is_painted_over_and_nothing_beside_it():
    pixels, _ = paint([(16, 8, 32, 24)])
    assert (pixels[8:25, 16:33] == 0).all()
    pixels = pixels.copy()
    pixels[8:25, 16:33] = 255
    assert (pixels == 255).all()
    assert np.asarray(WHITE).min() == 255, "the image that was given stays as it is"


@pytest.mark.parametrize(
    ("box", "side", "size"),
    [
        ((16, 8, 32, 24), 64, (64, 64)),
        ((16, 8, 32, 16), 96, (96, 64)),
        ((0, 0, 64, 48), 64, (64, 48)),
        ((0, 0, 16, 16), 40, (40, 40)),
        ((30, 0, 32, 48), 100, (56, 96)),
        ((0, 40, 64, 41), 64, (64, 24)),
    ],
)
def test_a_box_is_painted_with_its_margin_at_the_size_that_models_take(box, side, size):
    _, sizes = paint([box], side=side)
    assert sizes == [size]


def test_feathering_blends_the_edge_and_leaves_what_is_far_away():
    sharp, soft = (paint([(24, 16, 40, 32)], feather=feather)[0].astype(int) for feather in (0, 3))
    assert soft[24, 32] < 40
    assert 60 < soft[24, 24] < 200
    assert soft[24, 20] > sharp[24, 24]
    assert (soft[:8] == 255).all()


def test_a_later_region_is_painted_on_what_was_painted_before():
    seen = []

    def repaint(part, place):
        seen.append(np.asarray(part).mean())
        return Image.new("RGB", part.size, "black")

    detail_regions(WHITE, [(8, 8, 24, 24), (8, 8, 24, 24)], repaint, side=64, feather=0)
    assert seen[0] == 255
    assert seen[1] < 200
    assert paint([])[1] == []


@pytest.mark.parametrize(
    ("values", "box"),
    [
        ([1.4, 2.6, 30, 40], (1, 3, 30, 40)), ([-9, -9, 99, 99], (0, 0, 64, 48)), (("5", "6", "7", "8"), (5, 6, 7, 8)),
        (np.array([0.0, 0.0, 1.0, 1.0]), (0, 0, 1, 1)),
    ],
)  # fmt: skip
def test_a_region_is_a_box_as_far_as_it_lies_in_the_image(values, box):
    assert to_box(values, (64, 48)) == box


@pytest.mark.parametrize("values", [[64, 0, 80, 20], [-9, -9, 0, 0], [5, 5, 5, 9], [9, 9, 5, 5], [0, 0, 0.4, 9]])
def test_a_region_outside_of_the_image_or_without_pixels_is_refused(values):
    with pytest.raises(EngineError, match="is outside of the image, which is 64 x 48"):
        to_box(values, (64, 48))
