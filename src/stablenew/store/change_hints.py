"""Hints for whoever indexes a store: which runs this machine's programs have just written.

One line a change in the state folder. They only save time: a hint that is lost, or that nobody reads, costs nothing
but a longer search.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from stablenew.store.line_log import split_lines
from stablenew.store.local_state import state_folder, store_key

_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
MAX_BYTES: Final = 1 << 20
"""Beyond this the file starts over; a reader sees that it has shrunk and looks at everything."""


def hints_path(root: Path) -> Path:
    """Where the hints about a store are."""
    return state_folder() / "changes" / f"{store_key(root)}.log"


def note_change(run_path: Path) -> None:
    """Leave word that a run was written."""
    with contextlib.suppress(OSError):
        _append(os.fspath(hints_path(run_path.parent)), run_path.name.encode() + b"\n")


def _append(path: str, line: bytes) -> None:
    try:
        descriptor = os.open(path, _APPEND, 0o666)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, _APPEND, 0o666)
    try:
        os.write(descriptor, line)
        is_full = os.fstat(descriptor).st_size > MAX_BYTES
    finally:
        os.close(descriptor)
    if is_full:
        Path(path).unlink()


def read_hints(path: Path, position: int) -> tuple[list[str], int, bool]:
    """The run ids noted since `position`, where to go on, and whether nothing was missed in between."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            is_whole = size >= position
            file.seek(position if is_whole else 0)
            data = file.read()
    except FileNotFoundError:
        return [], 0, position == 0
    lines = [line for _, line, is_complete in split_lines(data) if is_complete]
    end = (position if is_whole else 0) + data.rfind(b"\n") + 1
    return list(dict.fromkeys(line.decode("ascii", "replace") for line in lines)), end, is_whole
