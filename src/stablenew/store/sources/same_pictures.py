"""Which images of a store have the same pixels in files with other bytes. This machine's own cache.

Whoever works out pixels writes it, and the index reads it: one picture a line, the hex digests of its files.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from stablenew.disk.atomic_file import replace_cached
from stablenew.store.local_state import cache_folder, store_key

_HEX_DIGITS: Final = 32


def same_pictures_path(root: Path) -> Path:
    """The file of a store, whether it is there or not."""
    return cache_folder() / "imports" / f"{store_key(root)}-same-pictures.txt"


def write_same_pictures(root: Path, groups: Iterable[Sequence[str]]) -> bool:
    """Keep which digests are one picture each; whether that is other than what was kept.

    Raises:
        WriteFailed: it could not be written.
    """
    lines = sorted(" ".join(sorted(digest.rpartition(":")[2] for digest in group)) for group in groups)
    data = "".join(f"{line}\n" for line in lines).encode()
    path = same_pictures_path(root)
    if data == _read(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_cached(path, data)
    return True


def read_same_pictures(path: Path) -> dict[bytes, bytes]:
    """For each image that is there in several files the least digest of them, both as 16 bytes."""
    found = {}
    for line in _read(path).decode("ascii", "replace").split("\n"):
        digests = [bytes.fromhex(word) for word in line.split() if _is_hex(word)]
        found.update(dict.fromkeys(digests, min(digests, default=b"")))
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _is_hex(word: str) -> bool:
    return len(word) == _HEX_DIGITS and not set(word) - set("0123456789abcdef")
