"""Pairs of variants that differ in exactly one setting."""

import pytest

from stablenew.index.asking.similar_variants import find_similar_variants
from tests.index.entries import image, run, variant

BASE = {"steps": 20, "seed": 7, "sampler": "Euler", "prompt": "a quay"}


def similar(filled, number=1, limit=100):
    filled.cache.refresh("me")
    found = find_similar_variants(filled.reader, filled.table, filled.reader.id_of(f"run-{number}"), limit)
    return [(pair.setting, pair.value, pair.other_value) for pair in found]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"steps": 30}, [("steps", 20, 30)]),
        ({"sampler": "Heun"}, [("sampler", "Euler", "Heun")]),
        ({"seed": 2**64 - 1}, [("seed", 7, 2**64 - 1)]),
        ({"seed": None}, [("seed", 7, None)]),
        ({"prompt": "a lake"}, [("prompt", "a quay", "a lake")]),
        ({"negative": "fog"}, [("negative", None, "fog")]),
        ({}, []),
        ({"steps": 30, "sampler": "Heun"}, []),
        ({"prompt": "a lake", "seed": 8}, []),
        ({"cfg_scale": 7.0}, [("cfg_scale", None, 7.0)]),
    ],
)
def test_a_variant_is_similar_where_one_setting_alone_differs(filled, change, expected):
    filled.put(run(1, variant(image(1), **BASE)), run(2, variant(image(2), **BASE | change)))
    assert similar(filled) == expected
    assert similar(filled, 2) == [(name, other, value) for name, value, other in expected]


def test_the_newest_stand_first_and_no_more_than_wanted(filled):
    runs = [run(number, variant(image(number), **BASE | {"steps": 20 + number})) for number in range(6)]
    filled.put(*runs)
    assert [other for _, _, other in similar(filled, 0)] == [25, 24, 23, 22, 21]
    assert [other for _, _, other in similar(filled, 0, limit=2)] == [25, 24]


def test_variants_of_one_run_are_compared_too_and_one_with_several_images_counts_once(filled):
    first, second = variant(image(1), image(2), **BASE), variant(image(3), image(4), number=1, **BASE | {"steps": 30})
    filled.put(run(1, first, second))
    assert sorted(similar(filled)) == [("steps", 20, 30), ("steps", 30, 20)]


def test_runs_that_are_gone_are_similar_to_none(filled):
    filled.put(run(1, variant(image(1), **BASE)), run(2, variant(image(2), **BASE | {"steps": 9})))
    assert similar(filled) != []
    filled.remove(2)
    assert similar(filled) == []
