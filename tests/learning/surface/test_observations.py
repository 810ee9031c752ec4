"""Ratings and comparisons as arrays: what is repeated, what is thinned, and which images each is about."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.surface import observations
from stablenew.learning.surface.observations import ImagesOfObservations, every
from tests.learning.surface.spaces import POINTS, observe

said = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 5)), max_size=25)
"""Of each rating, in the order they were given: its image, its rater, its stars."""


def in_order(ratings, shuffled):
    """Ratings at places of chance in the arrays, with the positions that say when each was given."""
    rows = [(*rating, position) for position, rating in enumerate(ratings)]
    images, raters, stars, positions = zip(*shuffled(rows), strict=True) if rows else ((),) * 4
    return observe(stars, images, raters=raters, positions=positions)


@given(said, st.randoms())
def test_repeats_are_those_that_a_plain_loop_over_what_was_said_finds(ratings, chance):
    observed = in_order(ratings, lambda rows: chance.sample(rows, len(rows)))
    earlier, later = observed.pair_repeats()
    told = defaultdict(list)
    for position, (image, rater, _) in enumerate(ratings):
        told[image, rater].append(position)
    expected = [pair for times in told.values() for pair in pairwise(times)]
    found = zip(observed.positions[earlier].tolist(), observed.positions[later].tolist(), strict=True)
    assert sorted(found) == sorted(expected)
    kept = observed.latest()
    assert sorted(kept.positions.tolist()) == sorted(times[-1] for times in told.values())
    assert [ratings[position][2] for position in kept.positions.tolist()] == kept.stars.tolist()
    assert [ratings[position][:2] for position in kept.positions.tolist()] == [
        *zip(kept.rated.tolist(), kept.raters.tolist(), strict=True)
    ]


def test_where_the_order_is_not_known_nothing_is_a_repeat():
    observed = observe([1, 2], [0, 0])
    assert [len(indices) for indices in observed.pair_repeats()] == [0, 0]
    assert observed.latest().stars.tolist() == [1, 2]
    assert observed.latest().positions is None
    assert observed.thinned().positions is None


def test_thinning_keeps_of_images_what_ratings_and_comparisons_are_about():
    observed = observe([4, 2], [3, 1], winners=[5], losers=[3], points_won=[0.5], prompts=range(6), seeds=range(6))
    thin = observed.thinned()
    assert thin.points.tolist() == POINTS[[1, 3, 5]].tolist()
    assert thin.prompts.tolist() == thin.seeds.tolist() == [1, 3, 5]
    assert (thin.rated.tolist(), thin.winners.tolist(), thin.losers.tolist()) == ([1, 0], [2], [1])
    assert (thin.stars.tolist(), thin.points_won.tolist()) == ([4, 2], [0.5])


def test_thinning_takes_as_large_a_part_of_comparisons_which_count_twice_and_of_each_rater(monkeypatch):
    monkeypatch.setattr(observations, "MOST_OBSERVATIONS", 20)
    stars, winners = np.arange(40) % 6, np.arange(30) % 6
    raters = [0] * 30 + [1] * 10
    observed = observe(stars, np.arange(40) % 6, winners=winners, losers=(winners + 1) % 6, raters=raters)
    thin = observed.thinned()
    assert (len(thin.stars), len(thin.winners)) == (8, 6), "a fifth of each: 40 + 2 * 30 are five times 20"
    assert np.bincount(thin.raters).tolist() == [6, 2]


def test_positions_go_with_the_ratings_that_are_kept(monkeypatch):
    monkeypatch.setattr(observations, "MOST_OBSERVATIONS", 3)
    thin = observe([0, 1, 2, 3, 4, 5], positions=range(6)).thinned()
    assert thin.positions.tolist() == thin.stars.tolist() == [0, 2, 4]


def test_of_no_entries_there_is_no_part_and_of_any_at_least_one():
    assert every(0, 0.5).tolist() == []
    assert every(1000, 0.0).tolist() == [0]
    assert every(3, 1.0).tolist() == [0, 1, 2]


MIXED = observe([1, 2, 3], [2, 0, 2], raters=[0, 1, 0], winners=[1, 4], losers=[0, 2])
SCALES = np.array([1.0, 2.0])


def plain_matrix():
    """Row for row what each observation is: a multiple of an image, or the difference of two."""
    rows = np.zeros((5, 6))
    rows[[0, 1, 2], [2, 0, 2]] = [1, 2, 1]
    rows[[3, 4], [1, 4]], rows[[3, 4], [0, 2]] = 1, -1
    return rows


def test_covariances_of_observations_are_those_of_a_product_with_a_plain_matrix():
    root = np.random.default_rng(1).normal(size=(6, 6))
    covariance, across = root @ root.T, root[:4]
    images = ImagesOfObservations.of(MIXED, SCALES)
    assert images.across(across) == pytest.approx(across @ plain_matrix().T)
    assert images.between(covariance) == pytest.approx(plain_matrix() @ covariance @ plain_matrix().T)


def test_what_images_have_by_themselves_adds_up_in_comparisons_and_follows_the_scale_of_a_rater():
    own = np.array([1.0, 2, 4, 8, 16, 32])
    found = ImagesOfObservations.of(MIXED, SCALES).add_variances(own)
    assert found.tolist() == [4, 4 * 1, 4, 2 + 1, 16 + 4]
    assert found == pytest.approx(np.diag(plain_matrix() @ np.diag(own) @ plain_matrix().T))
