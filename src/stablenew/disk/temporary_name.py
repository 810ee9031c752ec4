"""Names of files that are still being written. Every reader ignores them."""

import re
from typing import Final

_TEMPORARY: Final = re.compile(r"\A\..+\.[0-9a-f]{8}\.tmp\Z")


def temporary_name(name: str, token: str) -> str:
    """The name of a file that will be renamed to `name`; `token` is 8 hex digits."""
    return f".{name}.{token}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file name is one of our own temporary names."""
    return bool(_TEMPORARY.match(name))
