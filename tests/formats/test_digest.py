"""Content addresses: what other tools print, in whatever pieces the bytes come."""

import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.digest import DoubleHash, digest_bytes, digest_json, is_digest, short_digest
from tests.strategies import json_values

EMPTY = "xxh128:99aa06d3014798d86001c324468d497f"
"""XXH3-128 of no bytes, as its authors publish it."""
HARBOUR = "xxh128:efd3d48172695ff7d829910db2a74bfb"


def test_digests_never_change():
    assert digest_bytes(b"") == EMPTY
    assert digest_bytes(b"harbour") == digest_bytes(bytearray(b"harbour")) == digest_bytes(memoryview(b"harbour"))
    assert digest_bytes(b"harbour") == HARBOUR
    assert digest_json({"b": [1.0, None], "a": "é"}) == digest_bytes('{"a":"é","b":[1,null]}'.encode())


@pytest.mark.skipif(not shutil.which("xxh128sum"), reason="xxh128sum is not installed")
def test_digest_is_what_xxh128sum_prints(tmp_path):
    (tmp_path / "a").write_bytes(b"harbour at dawn" * 999)
    printed = subprocess.run(["xxh128sum", tmp_path / "a"], capture_output=True, text=True, check=True).stdout
    assert digest_bytes((tmp_path / "a").read_bytes()) == f"xxh128:{printed.split()[0]}"


def test_digest_of_json_does_not_depend_on_the_order_of_keys():
    assert digest_json({"a": 1, "b": 2.0}) == digest_json({"b": 2, "a": 1.0})


@given(json_values)
def test_every_digest_is_known_as_one_by_its_form(value):
    digest = digest_json(value)
    assert is_digest(digest)
    assert short_digest(digest) == digest[7:19]
    assert short_digest(digest[7:]) == short_digest(digest)


@pytest.mark.parametrize(
    "text",
    ["", EMPTY[:-1], EMPTY + "0", EMPTY + "\n", f" {EMPTY}", EMPTY.upper(), EMPTY[7:], "sha256:" + "0" * 32,
     "xxh128:" + "g" * 32, "xxh128:" + "٣" * 32],
)  # fmt: skip
def test_what_has_another_form_is_no_digest(text):
    assert not is_digest(text)


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_double_hash_is_the_hash_of_the_whole(chunks):
    hashes = DoubleHash()
    for chunk in chunks:
        hashes.update(chunk)
    whole = b"".join(chunks)
    assert (hashes.digest, hashes.size_bytes) == (digest_bytes(whole), len(whole))
    assert hashes.sha256 == hashlib.sha256(whole).hexdigest()


def test_a_double_hash_tells_what_it_has_seen_so_far():
    hashes = DoubleHash()
    assert (hashes.digest, hashes.sha256, hashes.size_bytes) == (EMPTY, hashlib.sha256().hexdigest(), 0)
    hashes.update(b"harbour")
    assert hashes.digest == digest_bytes(b"harbour")
    hashes.update(memoryview(b" at dawn"))
    assert hashes.digest == digest_bytes(b"harbour at dawn")


def test_a_digest_that_is_known_is_not_worked_out_again_and_the_rest_is():
    hashes = DoubleHash(known_digest=EMPTY)
    hashes.update(b"harbour")
    assert (hashes.digest, hashes.size_bytes) == (EMPTY, 7)
    assert hashes.sha256 == hashlib.sha256(b"harbour").hexdigest()
