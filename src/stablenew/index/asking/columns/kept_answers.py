"""How many answers are kept in memory for when they are asked for again."""

from typing import Any, Final

_MASK_BYTES: Final = 32 << 20
"""Of the masks that are kept in one place; each takes a byte per row."""
_LEAST_KEPT: Final = 4


def most_masks(row_count: int) -> int:
    """How many masks of so many rows are kept."""
    return max(_MASK_BYTES // (row_count + 1), _LEAST_KEPT)


def make_room(kept: dict[Any, Any], most: int) -> None:
    """Drop the oldest of what is kept until one more can be."""
    while len(kept) >= most:
        del kept[next(iter(kept))]
