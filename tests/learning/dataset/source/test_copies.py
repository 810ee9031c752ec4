"""Rows of images that stand in several runs, against plain counting over all rows."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.dataset.source.copies import (
    COPIES_SCHEMA,
    Place,
    SharedFeedback,
    build_copies,
    find_pairs,
    find_repeated,
    places_by_part,
)
from stablenew.learning.dataset.split import keys_of
from tests.samples import digest_of

parts = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=6), max_size=4)
"""Of each part its rows: run and image."""
elsewhere = st.sets(st.integers(0, 5), max_size=2).map(lambda images: {digest_of(image) for image in images})


def keys(images):
    return keys_of(pa.array([digest_of(image) for image in images], pa.string()))


def copies_of(found, others=frozenset()):
    """The copies among all rows of all parts."""
    tables = []
    for number, rows in enumerate(found):
        columns = {"run_id": [f"run-{run}" for run, _ in rows], "image_id": [digest_of(image) for _, image in rows]}
        table = pa.table({name: pa.chunked_array([pa.array(column, pa.string())]) for name, column in columns.items()})
        tables.append((number, np.arange(len(rows)), table))
    return build_copies(tables, set(others))


@given(parts, elsewhere)
def test_rows_of_images_that_come_again_are_found_in_every_part(found, others):
    counts = Counter(image for rows in found for _, image in rows)
    repeated = find_repeated([keys([image for _, image in rows]) for rows in found], others)
    assert [indices.tolist() for indices in repeated] == [
        [row for row, (_, image) in enumerate(rows) if counts[image] > 1 or digest_of(image) in others]
        for rows in found
    ]


@given(parts, elsewhere)
def test_every_place_of_such_an_image_names_the_first_one(found, others):
    every = [
        (part, row, f"run-{run}", digest_of(image))
        for part, rows in enumerate(found)
        for row, (run, image) in enumerate(rows)
    ]
    counts, firsts = Counter(image for *_, image in every), {}
    expected = []
    for part, row, run, image in every:
        if counts[image] > 1 or image in others:
            copy_of = firsts.get(image)
            firsts.setdefault(image, run)
            expected.append({"part": part, "row": row, "run_id": run, "image_id": image, "copy_of": copy_of})
    copies = copies_of(found, others)
    assert copies.schema == COPIES_SCHEMA
    assert copies.to_pylist() == expected
    assert find_pairs(copies) == {(row["run_id"], row["image_id"]) for row in expected}
    places = [place for part in places_by_part(copies).values() for place in part]
    assert places == [Place(row["row"], row["run_id"], row["image_id"], row["copy_of"]) for row in expected]


def test_without_parts_there_are_no_copies():
    assert copies_of([]).equals(COPIES_SCHEMA.empty_table())
    assert find_repeated([], set()) == []
    assert places_by_part(COPIES_SCHEMA.empty_table()) == {}


def shared(rows, **columns):
    return SharedFeedback(np.array(rows, np.int64), {name: pa.array(values) for name, values in columns.items()})


@pytest.mark.parametrize(
    "other", [shared([1, 3], rating=[4.0, 2.0]), shared([1, 2], rating=[4.0, None]), shared([1, 2], stars=[4.0, 2.0])]
)
def test_what_rows_share_has_one_digest_exactly_where_it_is_equal(other):
    plain = shared([1, 2], rating=[4.0, 2.0])
    assert plain.digest == shared([1, 2], rating=[4.0, 2.0]).digest != other.digest
    assert shared([]).digest == ""
