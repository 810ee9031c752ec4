"""Values as the index stores them: words of prompts, packed output lists, seeds beyond 64 bits."""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from stablenew.formats.strict_json import MAX_SAFE_INTEGER

_UNSPACED = re.compile("([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9d])")


def searchable(text: str) -> str:
    """`text` with every character of scripts that put no spaces between words made a word of its own.

    The tokenizer takes a run of them for one word, which nobody would find again.
    """
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def match_phrase(text: str, *, is_prefix: bool = False) -> str:
    """The FTS5 expression for `text` as a phrase; with `is_prefix` its last word is the beginning of one."""
    quoted = searchable(text).replace('"', '""')
    return f'"{quoted}"{" *" if is_prefix else ""}'


MAX_SHOWN_OUTPUTS: Final = 8
"""How many outputs of a run its summary shows."""


def pack_outputs(outputs: Sequence[tuple[str, str]]) -> str | None:
    """Path and digest of outputs in one text, without what all of them share."""
    return " ".join(f"{path[8:]} {digest[7:]}" for path, digest in outputs) or None


def unpack_outputs(text: str | None) -> list[tuple[str, str]]:
    """Path and digest of the outputs in such a text."""
    words = (text or "").split(" ") if text else []
    return [(f"outputs/{path}", f"xxh128:{digest}") for path, digest in zip(words[::2], words[1::2], strict=True)]


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
