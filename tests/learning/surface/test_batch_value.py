"""A batch of points, against the value of a look that is reckoned point by point."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablenew.learning.surface.batch_value import choose_batch
from tests.profiles import by_profile

RATINGS = 4
"""Points are valued as if they were rated so often."""
EXAMPLES = by_profile(few=5, quick=10, ci=30, nightly=500)
few = st.integers(2, 5).flatmap(
    lambda count: st.tuples(
        st.lists(st.floats(-1, 1), min_size=count, max_size=count),
        st.lists(st.lists(st.floats(-1, 1), min_size=count, max_size=count), min_size=count, max_size=count),
    )
)
"""Means of some points, and the root of their covariance."""


def choose(mean, covariance, noise=0.5, size=1, free=None):
    count = len(mean)
    marks = None if free is None else np.isin(np.arange(count), free)
    return choose_batch(
        np.array(mean, float), np.array(covariance, float), np.full(count, noise), size, np.random.default_rng(1), marks
    )


def gain_of(mean, covariance, noise, point):
    """How much better the best mean is after a look at one point: over the five nodes of a normal distribution."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    moved = covariance[point] / np.sqrt(covariance[point, point] + noise / RATINGS)
    best = [max(mean + node * moved) for node in nodes]
    return float(np.dot(weights, best) / weights.sum() - max(mean))


@settings(max_examples=EXAMPLES)
@given(few)
def test_the_first_point_is_the_one_after_which_the_best_is_best(given_few):
    mean, root = map(np.array, given_few)
    covariance = root @ root.T
    gains = [gain_of(mean, covariance, 0.5, point) for point in range(len(mean))]
    choice = choose(mean, covariance)
    assert gains[choice.picks[0]] == pytest.approx(max(gains), abs=1e-9)
    assert choice.value == pytest.approx(max(0.0, *gains), abs=1e-9)


@settings(max_examples=EXAMPLES)
@given(few, st.integers(0, 8))
def test_no_point_is_taken_twice_and_all_are_where_there_are_no_more(given_few, size):
    mean, root = map(np.array, given_few)
    choice = choose(mean, root @ root.T + 0.01 * np.eye(len(mean)), size=size)
    assert len(choice.picks) == len(set(choice.picks)) == min(size, len(mean))
    assert choice.value >= 0


def test_a_second_look_at_the_same_teaches_less_than_one_at_something_else():
    twins = [[1, 1, 0], [1, 1, 0], [0, 0, 0.9]]
    assert set(choose([0, 0, 0], twins, size=2).picks) in ({0, 2}, {1, 2})


def test_what_is_known_already_teaches_nothing():
    assert choose([1.0, 0.0], np.zeros((2, 2))).value == 0
    assert choose([0.0, 0.0], np.diag([0.0, 1.0])).picks == (1,)


def test_a_noisy_rating_teaches_less():
    covariance = np.eye(2)
    quiet, loud = (choose([0.0, 0.0], covariance, noise=noise).value for noise in (0.1, 10.0))
    assert loud < quiet
    choice = choose_batch(np.zeros(2), covariance, np.array([4.0, 0.4]), 1, np.random.default_rng(1))
    assert choice.picks == (1,)


@pytest.mark.parametrize(("variance", "expected"), [(0.9, 1), (0.3, 0)])
def test_what_costs_nothing_is_taken_where_it_teaches_nearly_as_much(variance, expected):
    assert choose([0.0, 0.0], np.diag([1.0, variance]), noise=0.1, free=[1]).picks == (expected,)


def test_equal_chances_give_equal_batches_and_what_was_given_stays():
    mean, covariance, noise = np.zeros(4), np.eye(4), np.full(4, 0.5)
    first, second = (choose_batch(mean, covariance, noise, 3, np.random.default_rng(5)) for _ in range(2))
    assert first == second
    assert (mean == 0).all()
    assert (covariance == np.eye(4)).all()
    assert (noise == 0.5).all()
