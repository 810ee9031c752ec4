"""Standard output and error: open, in an encoding that cannot fail, as wide and as colourful as the terminal."""

import codecs
import contextlib
import json
import os
import sys
from typing import Any, Final, TextIO

from stablenew.cli.table import UNLIMITED

_ASCII: Final = {
    "★": "*", "☆": "-", "→": "->", "—": "-", "·": ".", "…": "...",
    "█": "#", "▉": "#", "▊": "=", "▋": "=", "▌": "=", "▍": "-", "▎": "-", "▏": "-",
    "▁": "_", "▂": ".", "▃": ",", "▄": "-", "▅": "=", "▆": "+", "▇": "*",
}  # fmt: skip
"""What stands for our own signs where the encoding of the output has none."""


def write_json(value: Any, *, indent: int | None = None) -> None:
    """Print a JSON value on standard output, with escapes for what its encoding cannot hold."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    sys.stdout.write(f"{text}\n")


def prepare_streams() -> None:
    """Make printing safe: every standard stream is open, and no character that is printed can fail.

    A closed one is replaced by the null device. Otherwise the next file that is opened would get its number, and
    whatever prints to that number would write into the file.
    """
    with contextlib.suppress(OSError):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)
        os.close(number)
    codecs.register_error("stablenew", _replace_signs)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="stablenew")


def _replace_signs(error: UnicodeError) -> tuple[str, int]:
    """ASCII for the signs we print ourselves, question marks for everything else."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def terminal_width(stream: TextIO) -> int:
    """The columns of the terminal that `stream` is; unlimited for a file or a pipe."""
    import shutil

    return shutil.get_terminal_size((80, 24)).columns if stream.isatty() else UNLIMITED


def is_styled(stream: TextIO) -> bool:
    """Whether colours and bold print make sense: on a terminal that understands them, unless NO_COLOR is set."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return os.name != "nt" or "WT_SESSION" in os.environ
