"""Paths as they are at hand.

Where hundreds of files a second are written, making and joining `pathlib` objects would be a third of our own work;
what writes files takes strings as well.
"""

import os
from typing import TypeAlias

StrPath: TypeAlias = str | os.PathLike[str]


def folder_of(path: StrPath) -> str:
    """The folder that a file is in."""
    return os.path.dirname(path) or os.curdir
