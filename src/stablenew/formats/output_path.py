"""Where an output lies in its run: the form of its path, once."""

import re

PATTERN = "^outputs/[A-Za-z0-9](?:[A-Za-z0-9._-]{0,118}[A-Za-z0-9])?$"

_VALID = re.compile(PATTERN.replace("$", r"\Z"))


def is_output_path(text: str) -> bool:
    """Whether `text` can be the path of an output."""
    return _VALID.match(text) is not None
