"""Files with the same pixels: kept as one picture, the same on every reading."""

import os

import pytest

from stablenew.store.local_state import cache_folder
from stablenew.store.sources.same_pictures import (
    read_same_pictures,
    same_pictures_path,
    write_same_pictures,
)
from tests.samples import digest_of

DIGESTS = sorted(digest_of(number) for number in range(5))


def raw(digest):
    return bytes.fromhex(digest[7:])


def test_every_file_of_a_picture_leads_to_its_least_digest(tmp_path):
    assert write_same_pictures(tmp_path, [[DIGESTS[2], DIGESTS[0]], [DIGESTS[4], DIGESTS[3]]])
    assert read_same_pictures(same_pictures_path(tmp_path)) == {
        raw(DIGESTS[0]): raw(DIGESTS[0]), raw(DIGESTS[2]): raw(DIGESTS[0]),
        raw(DIGESTS[3]): raw(DIGESTS[3]), raw(DIGESTS[4]): raw(DIGESTS[3]),
    }  # fmt: skip


def test_the_same_pictures_in_another_order_are_no_change(tmp_path):
    groups = [[DIGESTS[0], DIGESTS[1]], [DIGESTS[2], DIGESTS[3]]]
    assert write_same_pictures(tmp_path, groups)
    before = same_pictures_path(tmp_path).stat()
    assert not write_same_pictures(tmp_path, [group[::-1] for group in groups[::-1]])
    assert os.path.samestat(same_pictures_path(tmp_path).stat(), before), (
        "whoever keeps them in memory goes by the file"
    )
    assert write_same_pictures(tmp_path, groups[:1])
    assert len(read_same_pictures(same_pictures_path(tmp_path))) == 2


def test_where_nothing_was_kept_every_file_is_a_picture_of_its_own(tmp_path):
    assert read_same_pictures(same_pictures_path(tmp_path)) == {}
    assert not write_same_pictures(tmp_path, [])
    assert not same_pictures_path(tmp_path).exists()


def test_each_store_has_its_own_in_the_cache_of_this_machine(tmp_path):
    write_same_pictures(tmp_path / "one", [DIGESTS[:2]])
    assert read_same_pictures(same_pictures_path(tmp_path / "other")) == {}
    assert same_pictures_path(tmp_path / "one").is_relative_to(cache_folder())


@pytest.mark.parametrize("junk", [b"\xff\xfe\n", b"x y z\n", b"0123 " + b"g" * 32 + b"\n", b" \n\n"])
def test_a_line_that_is_no_picture_is_none_and_hides_no_other(tmp_path, junk):
    write_same_pictures(tmp_path, [DIGESTS[:2]])
    with same_pictures_path(tmp_path).open("ab") as file:
        file.write(junk)
    assert len(read_same_pictures(same_pictures_path(tmp_path))) == 2
