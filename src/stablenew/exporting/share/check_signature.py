"""Signatures of packs: ECDSA over P-256 with SHA-256 (FIPS 186-5), in the standard library of Python 3.9 or later."""

import hashlib
from typing import Any, List, Optional, Tuple  # noqa: UP035  # the oldest Python that a reader of a pack may have

Point = Optional[Tuple[int, int]]  # noqa: UP006, UP045
SIGNED = ("kind", "version", "created_at", "root")
"""What of `pack.json` is signed, a line each."""
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(one: Point, other: Point) -> Point:
    """The sum of two points of the curve; None is the one at infinity."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % P == 0:
        return None
    if one == other:
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def multiply(factor: int, point: Point) -> Point:
    """A point added to itself so many times."""
    result: Point = None
    while factor:
        result = add(result, point) if factor & 1 else result
        point, factor = add(point, point), factor >> 1
    return result


def is_signed(key: str, message: bytes, signature: str) -> bool:
    """Whether a signature of `message` is by the key: both are two numbers of 32 bytes in hex."""
    try:
        (x, y), (r, s) = ((int(text[:64], 16), int(text[64:128], 16)) for text in (key, signature))
    except ValueError:
        return False
    if not (0 < r < ORDER and 0 < s < ORDER and x < P and (y * y - x * x * x + 3 * x - B) % P == 0):
        return False
    digest, inverse = int(hashlib.sha256(message).hexdigest(), 16), pow(s, -1, ORDER)
    found = add(multiply(digest * inverse % ORDER, BASE), multiply(r * inverse % ORDER, (x, y)))
    return found is not None and found[0] % ORDER == r


def fingerprint(key: str) -> str:
    """What people compare of a key."""
    digits = hashlib.sha256(bytes.fromhex(key)).hexdigest()[:32]
    return " ".join(digits[at : at + 4] for at in range(0, 32, 4))


def message_of(pack: Any) -> bytes:
    """What is signed of a pack."""
    return "\n".join(str(pack[name]) for name in SIGNED).encode()


def check(pack: Any) -> List[str]:  # noqa: UP006
    """What is wrong with the signature of a pack; if nothing is, print whose it is."""
    said = pack.get("signature")
    key, value = (str(said.get(name)) if isinstance(said, dict) else "" for name in ("key", "value"))
    if not is_signed(key, message_of(pack), value):
        return ["the signature of the root is not valid"]
    print(f"root {pack['root']}: the word of who shared it, not what a seal proves")
    print(f"It is signed by the key {fingerprint(key)}")
    return []
