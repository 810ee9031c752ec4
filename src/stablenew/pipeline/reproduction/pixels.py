"""How much two images differ, pixel by pixel."""

from dataclasses import dataclass
from typing import Any, Final

from stablenew.formats.image_files import open_image

_ALIKE_MEAN: Final = 4.0
"""Of 255: number types, attention kernels and other hardware stay below it, another sampler or model does not."""
_ALIKE_SHARE: Final = 0.05
_FAR: Final = 48
"""Of 255: a difference of one value that anybody sees."""


@dataclass(frozen=True, slots=True)
class PixelDifference:
    """The difference of two images of one size, over all pixels and the three colours."""

    mean: float
    """Of 255, as are the others."""
    largest: int
    changed_share: float
    """The part of the pixels that are not equal, from 0 to 1."""
    far_share: float
    """The part of the values that are more than `_FAR` apart."""

    @property
    def is_none(self) -> bool:
        """Whether every pixel is equal."""
        return self.largest == 0

    @property
    def looks_alike(self) -> bool:
        """Whether a person takes both for the same image."""
        return self.mean <= _ALIKE_MEAN and self.far_share <= _ALIKE_SHARE

    def to_dict(self) -> dict[str, float]:
        """The JSON form."""
        return {"mean": round(self.mean, 3), "largest": self.largest, "changed_share": round(self.changed_share, 4)}


def compare_pixels(before: bytes, after: bytes) -> PixelDifference | None:
    """How much two image files differ; None where one cannot be decoded, or they have different sizes."""
    import numpy as np  # noqa: PLC0415

    first, second = _decode(before), _decode(after)
    if first is None or second is None or first.shape != second.shape:
        return None
    apart = np.abs(first - second)
    return PixelDifference(
        mean=float(apart.mean()),
        largest=int(apart.max()),
        changed_share=float(apart.any(axis=2).mean()),
        far_share=float((apart > _FAR).mean()),
    )


def _decode(data: bytes) -> Any:
    """Rows of RGB as 16-bit integers, so that differences do not wrap."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    try:
        with open_image(data) as image:
            return np.asarray(image.convert("RGB"), dtype=np.int16)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning):
        return None
