"""Names of runs: `20261121-071009-123-k3v9q2m4xw`, UTC to the millisecond and 50 random bits.

They sort by time, read as a date, and are safe names on every file system.
"""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from stablenew.errors import ConfigError

PATTERN = "^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$"
DEVICE_NAMES = "^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$"
"""Names that Windows keeps for devices, whatever the folder."""

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 50
_VALID = re.compile(PATTERN.replace("$", r"\Z"))
_GENERATED = re.compile(r"\A[0-9]{8}-[0-9]{6}-[0-9]{3}-[0-9a-hjkmnp-tv-z]{10}\Z")
_DEVICE = re.compile(DEVICE_NAMES.replace("$", r"\Z"))


def new_run_id(now: datetime, random_bits: Callable[[int], int] = secrets.randbits) -> str:
    """A fresh id for a run that starts `now`."""
    utc = now.astimezone(UTC)
    bits = random_bits(_RANDOM_BITS)
    suffix = "".join(_CROCKFORD[bits >> shift & 31] for shift in range(_RANDOM_BITS - 5, -1, -5))
    return f"{utc:%Y%m%d-%H%M%S}-{utc.microsecond // 1000:03d}-{suffix}"


def is_run_id(text: str) -> bool:
    """Whether `text` can name a run."""
    return bool(_VALID.match(text)) and not _DEVICE.match(text)


def is_generated_run_id(text: str) -> bool:
    """Whether `text` is a name as `new_run_id` makes them."""
    return bool(_GENERATED.match(text))


def stamp_of(run_id: str) -> str | None:
    """The time in a generated id, as timestamps are written; None for a name that somebody chose."""
    if not is_generated_run_id(run_id):
        return None
    day, time, milliseconds, _ = run_id.split("-")
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}.{milliseconds}Z"


def check_run_id(text: str) -> str:
    """`text` again, if it can name a run.

    Raises:
        ConfigError: it cannot; the message says why.
    """
    if is_run_id(text):
        return text
    raise ConfigError(
        f"{text!r} cannot name a run: use 1 to 64 of a-z, 0-9, '-' and '_', "
        "a letter or digit first and last, and no Windows device name such as 'con'"
    )
