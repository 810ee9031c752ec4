"""Images that are several of one size, side by side."""

import pytest

from stablenew.image_metadata.containers.container import Container
from stablenew.image_metadata.grids import Tiling, find_tiling


@pytest.mark.parametrize(
    ("size", "wanted", "tiling"),
    [
        ((1024, 512), (512, 512), Tiling(2, 1)),
        ((1024, 1536), (512, 512), Tiling(2, 3)),
        ((512, 512), (512, 512), None),
        ((1000, 512), (512, 512), None),
        ((1024, 600), (512, 512), None),
        ((512, 512), (1024, 512), None),
        ((512, 512), (0, 512), None),
        ((512, 512), (-512, 512), None),
        ((512, 512), ("256", 256), None),
        ((512, 512), (None, 256), None),
        ((512, 512), (256.0, 256), None),
        ((None, 512), (256, 256), None),
        ((512, None), (256, 256), None),
    ],
)
def test_an_image_is_several_when_a_size_fits_into_it_more_than_once_and_exactly(size, wanted, tiling):
    assert find_tiling(Container(width=size[0], height=size[1]), *wanted) == tiling


def test_a_tiling_counts_its_images():
    assert Tiling(2, 3).images == 6
