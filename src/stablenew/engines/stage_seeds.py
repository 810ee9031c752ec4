"""The seed of each image of a stage, for engines that make every image from its own."""

import secrets
from typing import Final

from stablenew.engines.engine import StageRequest

_CHOSEN_BITS: Final = 32
"""A seed of our choice is one that every program can take."""


def seeds_of(request: StageRequest) -> list[int]:
    """A seed for each image that a stage makes: that of its input, or else counted up from the one asked for."""
    asked = request.settings.get("seed")
    first = asked if isinstance(asked, int) and asked >= 0 else secrets.randbits(_CHOSEN_BITS)
    if request.stage == "txt2img":
        count = int(request.settings.get("batch_size") or 1) * int(request.settings.get("n_iter") or 1)
        return [(first + number) % 2**64 for number in range(count)]
    return [first if image.seed is None else image.seed for image in request.inputs]
