"""How probable stars and comparisons are, against the complementary error function."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.surface.likelihood import Likelihood, information_of_stars
from stablenew.learning.surface.rater_habits import RaterHabits, measure_drift
from tests.learning.surface.spaces import observe

MEAN = 2.5


def cdf(value):
    """The standard normal distribution; unlike that of `statistics` it keeps its digits far below the mean."""
    return 0.5 * math.erfc(-value / 2**0.5)


def habits_of(noise=(1.0,), drift=(0.0,)):
    count = len(noise)
    return RaterHabits(np.zeros(count, np.int64), np.array(noise), np.array(drift), np.ones(count))


def probability(stars, felt, noise):
    """That what is felt, with noise, rounds to so many stars; the ends of the scale take all beyond them."""
    below = (stars - 0.5 - felt) / noise if stars > 0 else -math.inf
    above = (stars + 0.5 - felt) / noise if stars < 5 else math.inf
    return cdf(-below) - cdf(-above) if below > 0 else cdf(above) - cdf(below)


@given(st.integers(0, 5), st.floats(-1.5, 1.5), st.floats(0.4, 2))
def test_stars_are_what_is_felt_rounded(stars, worth, noise):
    likelihood = Likelihood.of(observe([stars]), MEAN, noise, habits_of())
    log, _, _ = likelihood.evaluate(np.array([worth]))
    assert log == pytest.approx(math.log(probability(stars, MEAN + worth, noise)), abs=1e-6)


@given(st.floats(-3, 3), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.4, 2))
def test_a_comparison_is_the_sign_of_a_difference_felt_with_twice_the_noise(difference, won, noise):
    observed = observe(winners=[0], losers=[1], points_won=[won])
    log, _, _ = Likelihood.of(observed, MEAN, noise, habits_of()).evaluate(np.array([difference]))
    wins, loses = (cdf(sign * difference / (noise * 2**0.5)) for sign in (1, -1))
    assert log == pytest.approx(won * math.log(wins) + (1 - won) * math.log(loses))


def test_observations_are_independent_and_in_order_ratings_first():
    observed = observe([4, 0], winners=[2], losers=[1])
    log, gradient, curvature = Likelihood.of(observed, MEAN, 0.7, habits_of()).evaluate(np.array([0.5, -2.0, 1.0]))
    expected = math.log(probability(4, 3.0, 0.7) * probability(0, 0.5, 0.7) * cdf(1 / (0.7 * 2**0.5)))
    assert log == pytest.approx(expected)
    assert (len(gradient), len(curvature)) == (3, 3)
    assert gradient[0] > 0 > gradient[1], "four stars want it higher, none lower"


def test_a_careless_rater_and_an_image_of_its_own_make_a_rating_noisier():
    observed = observe([3, 3], raters=[0, 1], winners=[0], losers=[1])
    likelihood = Likelihood.of(observed, MEAN, 0.5, habits_of((1.0, 3.0), (0.0, 0.0)), np.array([0.11, 0.0, 0.5]))
    assert likelihood.noise == pytest.approx(np.sqrt([0.25 + 0.11, 2.25, 0.5 + 0.5]))


def test_a_scale_that_has_moved_is_taken_off_the_stars():
    observed = observe([3, 3], [0, 1], positions=[0, 100])
    still, moving = (Likelihood.of(observed, 3.0, 0.5, habits_of(drift=(drift,))) for drift in (0.0, 1.0))
    assert still.upper.tolist() == [0.5, 0.5]
    assert moving.upper.tolist() == [1.0, 0.0], "half a star up and down from the middle of what was rated"
    assert moving.lower.tolist() == [0.0, -1.0]


@pytest.mark.parametrize("worth", [-60.0, 60.0])
def test_what_is_next_to_impossible_still_has_a_logarithm_and_a_direction(worth):
    observed = observe([2], winners=[0], losers=[1], points_won=[0.5])
    log, gradient, curvature = Likelihood.of(observed, MEAN, 0.3, measure_drift(observed, 0.3)).evaluate(
        np.full(2, worth)
    )
    assert math.isfinite(log)
    assert np.isfinite(gradient).all()
    assert (np.sign(gradient) == -np.sign(worth)).all()
    assert (curvature > 0).all()


@given(st.floats(0, 5), st.floats(0.3, 2))
def test_what_a_rating_tells_is_fishers_information(worth, noise):
    step = 1e-4
    expected = 0.0
    for stars in range(6):
        here, up, down = (probability(stars, worth + move, noise) for move in (0, step, -step))
        expected += ((up - down) / (2 * step)) ** 2 / max(here, 1e-12)
    assert information_of_stars(np.array([worth]), noise)[0] == pytest.approx(expected, rel=1e-3, abs=1e-6)
