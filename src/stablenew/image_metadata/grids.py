"""Whether an image is several of the size that its metadata says, side by side. Pure."""

from typing import Any, NamedTuple

from stablenew.image_metadata.containers.container import Container


class Tiling(NamedTuple):
    """How many images lie beside and below each other."""

    across: int
    down: int

    @property
    def images(self) -> int:
        """How many images there are in all."""
        return self.across * self.down


def find_tiling(container: Container, width: Any, height: Any) -> Tiling | None:
    """How often images of a size fit into a file exactly; None when they do not, or only once."""
    if not container.width or not container.height or not isinstance(width, int) or not isinstance(height, int):
        return None
    if min(width, height) <= 0 or container.width % width or container.height % height:
        return None
    tiling = Tiling(container.width // width, container.height // height)
    return tiling if tiling.images > 1 else None
