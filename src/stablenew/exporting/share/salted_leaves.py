"""Salted leaves: digests that stand for values one by one, so that some can be left out without a way to guess them.

Each value is hashed with its name and 16 random bytes of its own. Whoever has a salt and a value can check that leaf.
Without its salt, not even a list of all likely values tells which one a leaf stands for. The root stands for all.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

_SALT_BYTES: Final = 16


@dataclass(slots=True)
class LeafList:
    """The leaves of a pack, in order."""

    leaves: list[dict[str, str]] = field(default_factory=list)
    """Each with its name and hash; and its salt, where its value is in the pack."""
    withheld: list[dict[str, Any]] = field(default_factory=list)
    """What opens the other leaves: name, salt and value. It is never part of a pack."""

    def add(self, name: str, value: Any, *, is_shown: bool) -> None:
        """Add the leaf of a value."""
        salt = secrets.token_hex(_SALT_BYTES)
        leaf = {"name": name, "hash": hash_leaf(name, value, salt)}
        self.leaves.append(leaf | {"salt": salt} if is_shown else leaf)
        if not is_shown:
            self.withheld.append({"name": name, "salt": salt, "value": value})

    @property
    def root(self) -> str:
        """What stands for all of them."""
        return hash_root(leaf["hash"] for leaf in self.leaves)


def hash_leaf(name: str, value: Any, salt: str) -> str:
    """The hash of one leaf, in hex: SHA-256 of the salt's bytes and of `[name, value]` as ASCII JSON."""
    text = json.dumps([name, value], ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(bytes.fromhex(salt) + text.encode("ascii")).hexdigest()


def hash_root(hashes: Iterable[str]) -> str:
    """The root, in hex: SHA-256 of the leaves' hashes, one after the other."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, hashes))).hexdigest()
