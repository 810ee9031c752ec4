"""Scorers that come along: plain measures of a picture, in NumPy."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

_LONGEST_SIDE = 1024
"""Pictures are measured at this size at most, so that one and the same picture at two sizes compares."""


def sharpness(image: "Image") -> float:
    """How much fine detail there is: the variance of the Laplacian of the brightness (0 to 255). Blur is below 100."""
    grey = _array(image.convert("L"))
    if min(grey.shape) < 3:
        return 0.0
    centre = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * centre
    return float(laplacian.var())


def contrast(image: "Image") -> float:
    """The standard deviation of the brightness, from 0 (one grey) to 0.5 (half black, half white)."""
    return float(_array(image.convert("L")).std() / 255)


def colourfulness(image: "Image") -> float:
    """How colourful people find it, after Hasler and Süsstrunk (2003): 0 is grey, 15 slightly, 109 extremely."""
    red, green, blue = np.moveaxis(_array(image.convert("RGB")), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def _array(image: "Image") -> npt.NDArray[Any]:
    small = image.copy()
    small.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return np.asarray(small, np.float64)
