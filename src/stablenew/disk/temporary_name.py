"""Names of files on their way to their own: no reader takes one for anything."""

import re
from typing import Final

_TEMPORARY: Final = re.compile(r"\A\..+\.[0-9a-f]{8}\.tmp\Z")


def temporary_name(name: str, token: str) -> str:
    """A name for a file on its way to `name`; `token` is 8 hex digits."""
    return f".{name}.{token}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file name is one of our own temporary ones."""
    return bool(_TEMPORARY.match(name))
