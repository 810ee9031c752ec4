"""Matched pairs are those that a plain loop over all pairs of ratings finds."""

from collections import defaultdict
from itertools import combinations
from statistics import fmean

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.evidence.matched_pairs import group_ratings, match_groups

ratings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 9), st.integers(0, 5)), max_size=40)
"""Of each rating: what it is alike in, its value, its image, its stars."""


def match(found, most=1000):
    alike, codes, images, stars = np.array(found, np.int64).T
    keys = (alike * 100 + codes).astype(np.uint64)
    groups = group_ratings(keys, images, stars.astype(float))
    code_of = dict(zip(keys.tolist(), codes.tolist(), strict=True))
    group_codes = np.array([code_of[key] for key in groups.keys.tolist()], np.int64)
    return match_groups(groups, groups.keys - group_codes.astype(np.uint64), group_codes, most)


def match_plainly(found):
    groups = defaultdict(list)
    for alike, code, image, stars in found:
        groups[alike, code].append((image, stars))
    pairs, images = defaultdict(list), defaultdict(set)
    for ((alike, code), one), ((same, other), two) in combinations(sorted(groups.items()), 2):
        if alike == same:
            difference = fmean(stars for _, stars in one) - fmean(stars for _, stars in two)
            pairs[code, other].append((difference, len(one) * len(two) / (len(one) + len(two))))
            images[code, other].update(image for image, _ in one + two)
    return pairs, images


@given(ratings.filter(len))
def test_pairs_are_those_of_a_plain_loop(found):
    matched, pair_count = match(found)
    pairs, images = match_plainly(found)
    assert (matched.keys(), pair_count) == (pairs.keys(), len(pairs))
    for pair, one in matched.items():
        shown = zip(one.differences.tolist(), one.weights.tolist(), strict=True)
        np.testing.assert_allclose(sorted(shown), sorted(pairs[pair]), atol=1e-9)
        assert set(one.images.tolist()) == images[pair]


def test_of_no_ratings_there_are_no_pairs():
    nothing = np.empty(0, np.int64)
    groups = group_ratings(nothing.astype(np.uint64), nothing, nothing.astype(float))
    assert match_groups(groups, groups.keys, nothing, 1000) == ({}, 0)


def test_a_value_that_came_once_is_still_paired():
    (pair, one), *others = match([(1, 7, 0, 5), (1, 3, 1, 2), (2, 7, 2, 5)]).pairs.items()
    assert (pair, one.differences.tolist(), one.weights.tolist()) == ((3, 7), [-3.0], [0.5])
    assert sorted(one.images.tolist()) == [0, 1]
    assert others == []


def test_of_many_pairs_those_that_met_most_are_kept():
    found = [
        (stratum, code, 0, code) for stratum, codes in enumerate([(1, 2), (1, 3), (2, 3), (2, 3)]) for code in codes
    ]
    matched = match(found, most=2)
    assert {pair: len(one.weights) for pair, one in matched.pairs.items()} == {(1, 2): 1, (2, 3): 2}
    assert matched.pair_count == 3
