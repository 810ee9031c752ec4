"""Patterns of text, with `*` and `?`."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text, or a pattern with `*` and `?` that must match all of it.

    Neither case matters, nor whether an accent is a character of its own, in which systems differ.
    """

    text: str

    @property
    def has_wildcard(self) -> bool:
        """Whether it matches more than one text."""
        return "*" in self.text or "?" in self.text


def fold(text: str) -> str:
    """A text in the form in which it is compared: without case, letters with accents as one character each."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def match_any(patterns: Iterable[Pattern]) -> Callable[[str], bool]:
    """A function that returns whether a text matches one of the patterns; those without wildcards cost nothing each."""
    patterns = list(patterns)
    plain = {fold(pattern.text) for pattern in patterns if not pattern.has_wildcard}
    globs = [Glob(pattern.text) for pattern in patterns if pattern.has_wildcard]
    return lambda text: fold(text) in plain or any(glob.matches(text) for glob in globs)


class Glob:
    """A pattern with `*` and `?`. Its cost is at most the length of pattern times text: it never backtracks.

    Between two stars the leftmost place is always right, since a later one leaves less text for the rest.
    """

    def __init__(self, pattern: str) -> None:
        first, *others = fold(pattern).split("*")
        self._first = first
        self._last = others.pop() if others else None
        self._pieces = [_find_piece(piece) for piece in others if piece]

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` matches; case does not matter."""
        text = fold(text)
        if self._last is None:
            return len(text) == len(self._first) and _fits(self._first, text)
        at, end = len(self._first), len(text) - len(self._last)
        if at > end or not _fits(self._first, text[:at]) or not _fits(self._last, text[end:]):
            return False
        for find in self._pieces:
            found = find(text, at, end)
            if found is None:
                return False
            at = found
        return True


def _fits(piece: str, text: str) -> bool:
    """Whether a pattern without stars matches `text` of the same length."""
    if "?" not in piece:
        return piece == text
    return all(wanted in ("?", found) for wanted, found in zip(piece, text, strict=True))


def _find_piece(piece: str) -> Callable[[str, int, int], int | None]:
    """A function that returns where the leftmost match of `piece` inside a part of a text ends."""
    if "?" not in piece:
        return lambda text, at, end: _end_of(text.find(piece, at, end), piece)
    regex = re.compile("".join("." if letter == "?" else re.escape(letter) for letter in piece), re.DOTALL)

    def find(text: str, at: int, end: int) -> int | None:
        match = regex.search(text, at, end)
        return match and match.end()

    return find


def _end_of(start: int, piece: str) -> int | None:
    return None if start < 0 else start + len(piece)
