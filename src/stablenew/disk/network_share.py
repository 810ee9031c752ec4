"""Whether a folder is on a network share, where no event tells of changes that another machine makes."""

import os
import re
import sys
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mounts")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
"""How the kernel writes a space, tab, line feed or backslash in the path of a mount; all else stands as it is."""
_SHARES: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "vboxsf", "virtiofs", "prl_fs"}
)


def network_share_type(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the network share or user-space file system that `path` is on; None when it is on neither."""
    if sys.platform == "win32":
        return "a network share" if os.path.realpath(path).startswith("\\\\") else None
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = os.path.realpath(path)
    best, found = "", None
    for line in lines:
        _, place, kind, *_ = (*line.split(" "), "", "", "")
        place = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), place)
        if place and _is_under(real, place) and len(place) >= len(best):
            best, found = place, kind
    is_share = found is not None and (found in _SHARES or found.startswith("fuse"))
    return found if is_share else None


def _is_under(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
