"""Orders of lists, and the cursors that say where a page of one ended."""

import re
import secrets
from typing import Any, Final

from stablenew.errors import ConfigError

TIME: Final = "time"
OLDEST: Final = "oldest"
NEWEST: Final = "newest"
BEST: Final = "best"
WORST: Final = "worst"
RANDOM: Final = "random"
UNRATED: Final = "unrated"
JOBS: Final = "jobs"
IMAGES: Final = "images"
Cursor = tuple[Any, ...]
"""Where a page ended: what the next one starts after."""
ALL_SORTS: Final = (TIME, OLDEST, "rating", "duration", "outputs", "variants")
"""Orders of jobs: but for `oldest`, the newest or largest come first."""
_NUMBER = re.compile(r"-?(?:inf|[0-9]{1,19}(?:\.[0-9]{1,25})?(?:e[+-]?[0-9]{1,3})?)")


def check_job_order(sort: str) -> None:
    """Refuse an order that jobs do not have.

    Raises:
        ConfigError: it is not in `ALL_SORTS`.
    """
    if sort not in ALL_SORTS:
        raise ConfigError(f"cannot sort by {sort!r}; there are {', '.join(ALL_SORTS)}")


def write_cursor(cursor: Cursor, sort: str) -> str:
    """A cursor as text, with the order that it belongs to."""
    return ":".join([sort, *map(str, cursor)])


def read_job_cursor(text: str | None, sort: str) -> Cursor | None:
    """The cursor that `write_cursor` wrote for a list of jobs; None for the first page.

    Raises:
        ConfigError: it is not a cursor of this order.
    """
    return _parse_cursor(text, sort, sort not in (TIME, OLDEST), 1, "jobs")


def read_image_cursor(text: str | None, sort: str) -> Cursor | None:
    """The cursor that `write_cursor` wrote for a list of images; None for the first page.

    Raises:
        ConfigError: it is not a cursor of this order.
    """
    return _parse_cursor(text, sort, sort not in (NEWEST, OLDEST), 4, "images")


def _parse_cursor(text: str | None, sort: str, has_value: bool, length: int, what: str) -> Cursor | None:
    if text is None:
        return None
    name, *parts = text.split(":")
    if name == sort and len(parts) == length + has_value and all(_NUMBER.fullmatch(part) for part in parts):
        value = (float(parts[0]),) if has_value else ()
        return (*value, *map(int, parts[len(value) :]))
    raise ConfigError(f"{text!r} is not a cursor of {what} sorted by {sort}")


def with_seed(sort: str, after: str | None) -> str:
    """`random` with a seed of its own, or that of the page before."""
    if sort != RANDOM:
        return sort
    return after.partition(":")[0] if after else f"{RANDOM}.{secrets.token_hex(4)}"
