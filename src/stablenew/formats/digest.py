"""Content addresses: `xxh128:` and 32 hex digits, XXH3-128 over a file's bytes, the same that `xxh128sum` prints."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import xxhash

from stablenew.formats.strict_json import JsonValue, canonical_bytes

PREFIX = "xxh128:"
SHORT_LENGTH = 12
"""Hex digits of a digest that stand in a file name."""

DIGEST_PATTERN = "^xxh128:[0-9a-f]{32}$"

_DIGEST = re.compile(DIGEST_PATTERN.replace("$", r"\Z"))


def is_digest(text: str) -> bool:
    """Whether `text` has the form of a digest."""
    return _DIGEST.match(text) is not None


def digest_bytes(data: bytes | bytearray | memoryview) -> str:
    """The digest of `data`."""
    return PREFIX + xxhash.xxh3_128_hexdigest(data)


def digest_json(value: JsonValue) -> str:
    """The digest of a value: over its RFC 8785 bytes."""
    return digest_bytes(canonical_bytes(value))


def short_digest(digest: str) -> str:
    """The first hex digits of `digest`, as they stand in file names."""
    return digest.removeprefix(PREFIX)[:SHORT_LENGTH]


@dataclass(slots=True)
class DoubleHash:
    """XXH3-128 and SHA-256 of the same bytes, fed once."""

    known_digest: str | None = None
    """The content address of what is going to be fed, where it was just worked out from the same bytes."""
    size_bytes: int = 0
    _fast: Any = field(default_factory=xxhash.xxh3_128)
    _strong: Any = field(default_factory=hashlib.sha256)

    def update(self, data: bytes | memoryview) -> None:
        """Take in the next bytes."""
        if self.known_digest is None:
            self._fast.update(data)
        self._strong.update(data)
        self.size_bytes += len(data)

    @property
    def digest(self) -> str:
        """The content address of the bytes so far."""
        return self.known_digest or PREFIX + self._fast.hexdigest()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes so far, 64 hex digits."""
        return self._strong.hexdigest()  # type: ignore[no-any-return]
