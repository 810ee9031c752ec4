"""Texts that put things in order, with room for another between any two of them.

Sorted as text, such keys and times in RFC 3339 stand among each other, so what nobody moved is where its time puts it.
"""

import re
from typing import Final

_FIRST: Final = ord("!")
_BASE: Final = ord("~") - _FIRST + 1
_KEY: Final = re.compile(r"[!-~]{0,4000}[\"-~]")


def is_order_key(text: str) -> bool:
    """Whether there is room around a text: it is printable ASCII, and does not end in the lowest character."""
    return _KEY.fullmatch(text) is not None


def keys_between(low: str, high: str | None, count: int) -> list[str]:
    """So many keys in ascending order that are greater than `low` and less than `high`; None is greater than all.

    `low` is empty or, like `high`, a key; `low` is less than `high`.
    """
    if count < 1:
        return []
    middle = _key_between(low, high)
    before = (count - 1) // 2
    return [*keys_between(low, middle, before), middle, *keys_between(middle, high, count - 1 - before)]


def _key_between(low: str, high: str | None) -> str:
    """A short key: as long a beginning of `low` as is needed, then a character in the middle of the room there is."""
    key = ""
    while True:
        least = _digit(low, len(key), 0)
        most = _BASE if high is None else _digit(high, len(key), _BASE)
        if most - least > 1:
            return key + chr(_FIRST + (least + most) // 2)
        key += chr(_FIRST + least)
        if most > least:
            high = None  # whatever follows now is less than `high`


def _digit(key: str, place: int, missing: int) -> int:
    return ord(key[place]) - _FIRST if place < len(key) else missing
