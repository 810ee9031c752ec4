"""Seeds as the index keeps them: ComfyUI's reach 2^64-1, SQLite's integers 2^63-1.

A larger one is text, its length before its digits: so texts sort as numbers, and after all of those.
"""

from typing import Final, TypeAlias

from stablenew.formats.strict_json import MAX_SAFE_INTEGER

StoredSeed: TypeAlias = int | str | None
_LARGEST: Final = (1 << 63) - 1


def store_seed(seed: int | None) -> StoredSeed:
    """A seed as SQLite can keep and compare it."""
    return seed if seed is None or abs(seed) <= _LARGEST else f"{len(str(seed)):02d}{seed}"


def read_seed(stored: StoredSeed) -> int | None:
    """The seed that was kept."""
    return int(stored[2:]) if isinstance(stored, str) else stored


def write_seed(stored: StoredSeed) -> int | str | None:
    """The seed as documents write it: beyond 2^53-1 as text."""
    seed = read_seed(stored)
    return str(seed) if seed is not None and abs(seed) > MAX_SAFE_INTEGER else seed
