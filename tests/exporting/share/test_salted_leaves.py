"""Leaves that stand for values: checked by whoever has salt and value, guessed by nobody, in any order of keys."""

import hashlib

import pytest
from hypothesis import given

from stablenew.exporting.share.salted_leaves import LeafList, hash_leaf, hash_root
from tests.strategies import json_values

SALT = "00" * 16


def test_a_leaf_is_sha256_of_salt_name_and_value():
    expected = hashlib.sha256(bytes(16) + b'["prompt","caf\\u00e9"]').hexdigest()
    assert hash_leaf("prompt", "café", SALT) == expected


@given(json_values)
def test_whoever_has_salt_and_value_can_check_a_leaf(value):
    leaves = LeafList()
    leaves.add("shown", value, is_shown=True)
    leaves.add("hidden", value, is_shown=False)
    shown, hidden = leaves.leaves
    (opener,) = leaves.withheld
    assert hash_leaf("shown", value, shown["salt"]) == shown["hash"]
    assert set(hidden) == {"name", "hash"}
    assert hash_leaf(opener["name"], opener["value"], opener["salt"]) == hidden["hash"]
    assert shown["hash"] != hidden["hash"]


def test_equal_values_have_leaves_of_their_own():
    leaves = LeafList()
    for _ in range(20):
        leaves.add("same", 1, is_shown=True)
    assert len({leaf["hash"] for leaf in leaves.leaves}) == len({leaf["salt"] for leaf in leaves.leaves}) == 20


@pytest.mark.parametrize(
    ("other", "is_equal"),
    [({"b": 2, "a": 1}, True), ({"a": 1, "b": 2.0}, False), ({"a": "1", "b": 2}, False), ({}, False)],
)
def test_the_order_of_keys_does_not_matter_and_types_do(other, is_equal):
    assert (hash_leaf("n", {"a": 1, "b": 2}, SALT) == hash_leaf("n", other, SALT)) == is_equal
    assert hash_leaf("n", other, SALT) != hash_leaf("m", other, SALT) != hash_leaf("m", other, "11" * 16)


def test_the_root_stands_for_all_leaves_in_their_order():
    leaves = LeafList()
    assert leaves.root == hashlib.sha256(b"").hexdigest()
    for number in range(3):
        leaves.add(str(number), number, is_shown=number != 1)
    hashes = [leaf["hash"] for leaf in leaves.leaves]
    assert leaves.root == hash_root(hashes) != hash_root(reversed(hashes))
