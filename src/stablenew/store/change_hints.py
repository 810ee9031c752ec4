"""Hints for indexing a store: which runs the programs of this machine have just written.

One line per change, in the state folder. Hints only save time: one that is lost costs nothing but a longer search.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from stablenew.disk.line_log import split_lines
from stablenew.disk.private_folder import make_private_folder
from stablenew.store.local_state import state_folder, store_key

NOWHERE: Final = ""
"""The position before the first hint."""
_MARK: Final = "#"
_APPEND: Final = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
MAX_BYTES: Final = 1 << 20
"""Beyond this size the file starts over; a reader notices that it has shrunk and checks every run."""


def hints_path(root: Path) -> Path:
    """The file of hints about a store."""
    return state_folder() / "changes" / f"{store_key(root)}.log"


def note_change(run_path: Path) -> None:
    """Add a hint that a run was written."""
    with contextlib.suppress(OSError):
        _append(os.fspath(hints_path(run_path.parent)), run_path.name.encode() + b"\n")


def _append(path: str, line: bytes) -> None:
    try:
        descriptor = os.open(path, _APPEND)
    except FileNotFoundError:
        descriptor = _begin(Path(path))
    try:
        os.write(descriptor, line)
        is_full = os.fstat(descriptor).st_size > MAX_BYTES
    finally:
        os.close(descriptor)
    if is_full:
        Path(path).unlink()


def _begin(path: Path) -> int:
    """A new file of hints. Its first line is a random name, by which a reader notices that hints were lost."""
    make_private_folder(path.parent)
    descriptor = os.open(path, _APPEND | os.O_CREAT, 0o666)
    os.write(descriptor, f"{_MARK}{secrets.token_hex(4)}\n".encode())
    return descriptor


def end_of_hints(path: Path) -> str:
    """The position after the last hint: equal to where a reading ended, as long as no hint was added since."""
    try:
        with path.open("rb") as file:
            return _place(file.readline(), file.seek(0, os.SEEK_END))
    except FileNotFoundError:
        return NOWHERE


def _place(first_line: bytes, position: int) -> str:
    return f"{first_line.decode('ascii', 'replace').strip()}:{position}"


def read_hints(path: Path, place: str) -> tuple[list[str], str, bool]:
    """The run ids added since `place`, the position to continue from, and whether no hint was missed in between."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], NOWHERE, place == NOWHERE
    first_line = data.partition(b"\n")[0]
    name, _, position = place.rpartition(":")
    is_whole = place == NOWHERE or name == _place(first_line, 0).rpartition(":")[0]
    start = int(position) if is_whole and position else 0
    lines = [line.decode("ascii", "replace") for _, line, is_complete in split_lines(data[start:]) if is_complete]
    run_ids = [line for line in lines if not line.startswith(_MARK)]
    return list(dict.fromkeys(run_ids)), _place(first_line, data.rfind(b"\n") + 1), is_whole
