"""Hints for whoever indexes a store: which runs this machine's programs have just written.

One line a change in the state folder. They only save time: a hint that is lost, or that nobody reads, costs nothing
but a longer search.
"""

import contextlib
from pathlib import Path
from typing import Final

from stablenew.store.line_log import append_lines, split_lines
from stablenew.store.local_state import state_folder, store_key

MAX_BYTES: Final = 1 << 20
"""Beyond this the file starts over; a reader sees that it has shrunk and looks at everything."""


def hints_path(root: Path) -> Path:
    """Where the hints about a store are."""
    return state_folder() / "changes" / f"{store_key(root)}.log"


def note_change(run_path: Path) -> None:
    """Leave word that a run was written."""
    with contextlib.suppress(OSError):
        path = hints_path(run_path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > MAX_BYTES:
            path.unlink()
        append_lines(path, [run_path.name.encode()], durable=False)


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
