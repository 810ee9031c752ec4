"""Outputs as the index keeps them: path and digest in one text, without what all of them share."""

from collections.abc import Sequence
from typing import Final

MAX_SHOWN_OUTPUTS: Final = 8
"""How many outputs of a run its summary shows."""


def pack_outputs(outputs: Sequence[tuple[str, str]]) -> str | None:
    """Path and digest of outputs in one text, without what all of them share."""
    return " ".join(f"{path[8:]} {digest[7:]}" for path, digest in outputs) or None


def unpack_outputs(text: str | None) -> list[tuple[str, str]]:
    """Path and digest of the outputs in such a text."""
    words = (text or "").split(" ") if text else []
    return [(f"outputs/{path}", f"xxh128:{digest}") for path, digest in zip(words[::2], words[1::2], strict=True)]
