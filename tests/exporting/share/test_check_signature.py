"""Signatures of packs: the curve's own laws, known answers, and whatever somebody may write in the place of one."""

import pytest

from stablenew.errors import ConfigError
from stablenew.exporting.share.check_signature import (
    BASE,
    ORDER,
    P,
    add,
    check,
    fingerprint,
    is_signed,
    message_of,
    multiply,
)
from stablenew.exporting.share.pack_signer import PackSigner, open_signer
from stablenew.store.local_state import state_folder

SIGNER = PackSigner(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721)
"""The key of RFC 6979, A.2.5."""
RFC_KEY = (
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
RFC_SIGNATURE = (
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)
PACK = {"kind": "k", "version": "1", "created_at": "now", "root": "ab" * 32, "files": {}}


def test_the_example_of_the_standard_is_accepted_and_one_of_another_message_is_not():
    assert SIGNER.key == RFC_KEY
    assert is_signed(RFC_KEY, b"sample", RFC_SIGNATURE)
    assert not is_signed(RFC_KEY, b"samples", RFC_SIGNATURE)


@pytest.mark.parametrize(("message", "bit"), [(b"", 0), (b"\xff" * 50, 255), (b"root", 256), (b"root", 511)])
def test_what_was_signed_is_accepted_and_one_flipped_bit_is_noticed(message, bit):
    value = SIGNER.sign(message)["value"]
    assert is_signed(RFC_KEY, message, value)
    flipped = f"{int(value, 16) ^ 1 << bit:0128x}"
    assert not is_signed(RFC_KEY, message, flipped)
    assert not is_signed(PackSigner(7).key, message, value)


@pytest.mark.parametrize(("one", "other"), [(1, 1), (3, 4), (ORDER - 1, 1), (ORDER - 2, 5), (2**200, 2**255)])
def test_points_add_up_as_numbers_do(one, other):
    assert add(multiply(one, BASE), multiply(other, BASE)) == multiply((one + other) % ORDER, BASE)


def test_the_point_at_infinity_is_the_zero_of_the_curve():
    point = multiply(5, BASE)
    assert multiply(0, BASE) is multiply(ORDER, BASE) is None
    assert add(None, point) == add(point, None) == point
    assert add(point, (point[0], P - point[1])) is None


@pytest.mark.parametrize(
    "signature", ["", "x" * 128, "0" * 128, RFC_SIGNATURE[:127], RFC_SIGNATURE[:64] + "0" * 64, f"{ORDER:064x}" * 2]
)
def test_what_is_no_signature_is_not_one(signature):
    assert not is_signed(RFC_KEY, b"sample", signature)


@pytest.mark.parametrize("key", ["", "x", "0" * 128, RFC_KEY[:-1] + "8", f"{P:064x}" + RFC_KEY[64:]])
def test_what_is_no_point_of_the_curve_is_no_key(key):
    assert not is_signed(key, b"sample", RFC_SIGNATURE)


def test_a_pack_that_is_signed_says_whose_it_is(capsys):
    pack = PACK | {"signature": SIGNER.sign(message_of(PACK))}
    assert check(pack) == []
    assert f"It is signed by the key {fingerprint(RFC_KEY)}" in capsys.readouterr().out
    assert check(pack | {"root": "cd" * 32}) == check(pack | {"created_at": "then"}) != []
    assert check(pack | {"files": {"more": "x"}}) == [], "the root stands for what is in it"


@pytest.mark.parametrize(
    "signature", [None, {}, {"key": RFC_KEY}, {"value": RFC_SIGNATURE}, {"key": 1, "value": 2}, [], [1], "text", 7]
)
def test_a_pack_without_a_signature_or_with_an_odd_one_is_not_signed(signature):
    assert check(PACK | {"signature": signature}) == ["the signature of the root is not valid"]
    assert check(PACK) == ["the signature of the root is not valid"]


def test_a_fingerprint_is_short_enough_to_be_read_out():
    assert len(fingerprint(RFC_KEY).split()) == 8
    assert fingerprint(RFC_KEY) != fingerprint(RFC_SIGNATURE)


def test_the_same_message_is_never_signed_with_the_same_number_twice():
    values = {SIGNER.sign(b"same")["value"][:64] for _ in range(5)}
    assert len(values) == 5


# The key of this user


def test_a_key_is_made_once_and_kept():
    first, second = open_signer(), open_signer()
    assert first == second
    assert not first.is_certified
    assert is_signed(first.key, b"x", second.sign(b"x")["value"])


@pytest.mark.parametrize("text", ["", "no key", "0", f"{ORDER:x}", "-5", "ü"])
def test_what_is_no_key_is_named_with_what_to_do(text):
    open_signer()
    path = state_folder() / "share" / "key.txt"
    path.chmod(0o644)
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"key\.txt holds no key; delete it"):
        open_signer()
    path.unlink()
    open_signer()
