"""Regions of an image made again with more detail: cut out larger, painted over, blended back. What ADetailer does."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""
_MARGIN: Final = 0.25
_MULTIPLE: Final = 8


def detail_regions(
    image: "Image", boxes: Sequence[Box], repaint: "Callable[[Image, int], Image]", *, side: int, feather: int
) -> "Image":
    """`image` with each box painted again.

    `repaint` gets a box with a margin, its longer side `side` pixels long, and which one it is.
    """
    from PIL import Image, ImageDraw, ImageFilter  # noqa: PLC0415

    result = image.copy()
    for place, box in enumerate(boxes):
        area = _with_margin(box, image.size)
        size = (area[2] - area[0], area[3] - area[1])
        scale = side / max(size)
        larger = tuple(max(_MULTIPLE, round(length * scale / _MULTIPLE) * _MULTIPLE) for length in size)
        painted = repaint(result.crop(area).resize(larger, Image.Resampling.LANCZOS), place)  # type: ignore[arg-type]
        mask = Image.new("L", image.size)
        ImageDraw.Draw(mask).rectangle(box, fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(feather)).crop(area)
        result.paste(painted.resize(size, Image.Resampling.LANCZOS), area, mask)
    return result


def _with_margin(box: Box, size: tuple[int, int]) -> Box:
    """A box with what surrounds it, as far as the image goes."""
    margin = round(max(box[2] - box[0], box[3] - box[1]) * _MARGIN)
    return (
        max(0, box[0] - margin),
        max(0, box[1] - margin),
        min(size[0], box[2] + margin),
        min(size[1], box[3] + margin),
    )
