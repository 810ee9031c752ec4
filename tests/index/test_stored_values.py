"""Values as the index stores them come back as they were, and compare as they should."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.clock import parse_timestamp
from stablenew.formats.strict_json import MAX_SAFE_INTEGER
from stablenew.index.stored_values import (
    is_joined,
    join_names,
    match_phrase,
    pack_digest,
    read_path,
    read_seed,
    searchable,
    split_names,
    store_path,
    store_seed,
    timestamp_of,
    type_label,
    unpack_digest,
    write_seed,
)
from stablenew.store.run_folder import output_name

DIGESTS = st.binary(min_size=16, max_size=16).map(lambda data: f"xxh128:{data.hex()}")
DIGEST = "xxh128:" + "0123456789abcdef" * 2


@given(DIGESTS, st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex))
def test_a_digest_comes_back_whatever_follows_it(digest, sha256):
    packed = pack_digest(digest, sha256)
    assert unpack_digest(packed) == digest
    assert len(packed) == (16 if sha256 is None else 20)


def test_files_of_one_digest_are_told_apart_by_their_sha256():
    assert pack_digest(DIGEST, "0" * 64) != pack_digest(DIGEST, "f" * 64)
    assert pack_digest("") == b""


@given(
    st.integers(0, 20_000),
    st.sampled_from(["txt2img", "img2img", "upscale"]),
    st.integers(0, 10**9 - 1),
    DIGESTS,
    st.sampled_from(["image/png", "image/jpeg", "x/unknown"]),
)
def test_a_usual_path_is_stored_as_its_number(variant, stage, number, digest, media_type):
    path = output_name(variant, stage, number, digest, media_type)
    stored = store_path(path, variant, stage, digest, media_type)
    assert stored == number
    assert read_path(stored, variant, stage, digest, media_type) == path


@pytest.mark.parametrize(
    "path",
    [
        "outputs/0000-txt2img-0.0123456789ab.jpg",
        "outputs/0000-txt2img-00.0123456789ab.png",
        "outputs/0000-txt2img-\u0663.0123456789ab.png",
        "outputs/0000-txt2img-1234567890.0123456789ab.png",
        "outputs/0001-txt2img-0.0123456789ab.png",
        "outputs/0000-txt2img-.0123456789ab.png",
        "outputs/0000-txt2img-0.0123456789ac.png",
        "outputs/picture.png",
        "",
    ],
)
def test_any_other_path_is_stored_as_it_is(path):
    stored = store_path(path, 0, "txt2img", DIGEST, "image/png")
    assert stored == path
    assert read_path(stored, 0, "txt2img", DIGEST, "image/png") == path


def test_an_image_in_place_has_no_path():
    assert store_path(None, 0, "txt2img", DIGEST, "image/png") is None
    assert read_path(None, 0, "txt2img", DIGEST, "image/png") is None


@given(st.none() | st.integers(-(2**64), 2**64))
def test_a_seed_comes_back_however_large(seed):
    stored = store_seed(seed)
    assert read_seed(stored) == seed
    with sqlite3.connect(":memory:") as database:
        assert database.execute("SELECT ?", (stored,)).fetchone() == (stored,)


@given(st.lists(st.integers(2**63, 2**70), min_size=2, max_size=5))
def test_seeds_beyond_63_bits_sort_as_numbers(seeds):
    assert [read_seed(stored) for stored in sorted(map(store_seed, seeds))] == sorted(seeds)


@pytest.mark.parametrize(
    ("seed", "written"),
    [
        (None, None), (0, 0), (MAX_SAFE_INTEGER, MAX_SAFE_INTEGER), (-MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER),
        (MAX_SAFE_INTEGER + 1, str(MAX_SAFE_INTEGER + 1)), (2**64 - 1, str(2**64 - 1)),
    ],
)  # fmt: skip
def test_a_seed_is_written_as_documents_write_it(seed, written):
    assert write_seed(store_seed(seed)) == written


@given(st.lists(st.text("abc _.", min_size=1), max_size=5))
def test_names_of_settings_come_back_from_one_text(names):
    joined = join_names(names)
    assert (joined is None) == (not names)
    if joined is not None:
        assert is_joined(joined)
        assert split_names(joined) == names


@given(st.lists(st.text("abc _.", min_size=1), min_size=1, max_size=3))
def test_no_other_word_is_taken_for_joined_names(names):
    assert not any(map(is_joined, names))


def found(text, phrase, *, is_prefix=False):
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE VIRTUAL TABLE prompt USING fts5(body)")
        database.execute("INSERT INTO prompt VALUES (?)", (searchable(text),))
        query = "SELECT count(*) FROM prompt WHERE prompt MATCH ?"
        return database.execute(query, (match_phrase(phrase, is_prefix=is_prefix),)).fetchone() == (1,)


@pytest.mark.parametrize(
    ("text", "phrase", "is_found"),
    [
        ("a quiet harbour", "quiet harbour", True),
        ("a quiet harbour", "harbour quiet", False),
        ("a quiet harbour", "harb", False),
        ("静かな港の夜明け", "港", True),
        ("静かな港の夜明け", "港の", True),
        ("静かな港の夜明け", "の港", False),
        ("조용한 항구", "항구", True),
        ('a "quiet" harbour', '"quiet"', True),
        ("a harbour", 'harbour" OR "b', False),
        ("a harbour", "NOT harbour", False),
    ],
)
def test_a_phrase_is_found_in_any_script_and_is_never_an_expression(text, phrase, is_found):
    assert found(text, phrase) == is_found


def test_only_the_last_word_of_a_phrase_may_be_a_prefix():
    assert found("a quiet harbour", "quiet harb", is_prefix=True)
    assert not found("a quiet harbour", "qui harbour", is_prefix=True)


def test_a_text_of_one_script_is_stored_as_it_is():
    assert searchable("plain (words:1.2)") == "plain (words:1.2)"


@given(st.integers(0, 4_102_444_800_000))
def test_a_moment_is_written_as_documents_write_it(milliseconds):
    assert round(parse_timestamp(timestamp_of(milliseconds)).timestamp() * 1000) == milliseconds


def test_a_media_type_is_shown_by_its_last_part():
    assert type_label("image/svg+xml") == "svg+xml\0image/svg+xml"
