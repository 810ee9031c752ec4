"""How to tell that something came to a folder, left it or was renamed in it, without reading anything."""

import os
from typing import Final

YOUNG_NS: Final = 2_000_000_000
"""A file that changed this lately may change again within the same tick of the file system's clock."""
_POSITIVE: Final = (1 << 63) - 1


def folder_signature(status: os.stat_result) -> int:
    """One number that is another one when the folder's own list of files changed."""
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_ino)) & _POSITIVE
