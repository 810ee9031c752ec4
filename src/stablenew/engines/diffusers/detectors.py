"""What finds the regions that adetailer paints again, and regions as boxes."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stablenew.engines.diffusers.region_detailing import Box
from stablenew.errors import EngineError

if TYPE_CHECKING:
    from PIL.Image import Image

Detector = Callable[["Image", float], Sequence[Sequence[float]]]
"""Finds what adetailer shall paint again, as left, top, right, bottom in pixels, given the least confidence."""


@functools.cache
def load_detector(model: str) -> Detector:
    """A detector from a YOLO file, such as ADetailer uses; loaded once.

    Raises:
        EngineError: the package ultralytics or the file is not there.
    """
    try:
        from ultralytics import YOLO  # noqa: PLC0415
    except ImportError:
        raise EngineError(
            "adetailer needs something that finds faces: pip install ultralytics and give its file as adetailer.model, "
            "or say where they are: adetailer.extra.regions=[[LEFT, TOP, RIGHT, BOTTOM]]"
        ) from None
    try:
        yolo = YOLO(model)
    except (OSError, RuntimeError) as error:
        raise EngineError(f"the detector {model} cannot be loaded: {error}") from None

    def detect(image: "Image", confidence: float) -> Sequence[Sequence[float]]:
        (found,) = yolo(image, conf=confidence, verbose=False)
        boxes: list[list[float]] = found.boxes.xyxy.tolist()
        return boxes

    return detect


def to_box(values: Sequence[float], size: tuple[int, int]) -> Box:
    """A region in whole pixels, as far as it lies in an image of this size.

    Raises:
        EngineError: it lies outside.
    """
    left, top, right, bottom = (round(float(value)) for value in values)
    box = (max(0, left), max(0, top), min(size[0], right), min(size[1], bottom))
    if box[0] >= box[2] or box[1] >= box[3]:
        raise EngineError(f"the region {list(values)} is outside of the image, which is {size[0]} x {size[1]}")
    return box
