"""The statistics against worked examples and what must hold whatever the data."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.evidence.rating_statistics import (
    count_stars,
    fit_bradley_terry,
    measure_agreement,
    measure_difference,
    measure_groups,
    shrink_means,
)


def groups_of(*stars, clusters=None):
    """Means of lists of stars; every image its own cluster unless told otherwise."""
    flat = np.array([one for some in stars for one in some], float)
    codes = np.repeat(np.arange(len(stars)), [len(some) for some in stars])
    own = np.arange(len(flat)) if clusters is None else np.array(clusters)
    return measure_groups(flat, codes, own, len(stars))


def test_two_lucky_images_do_not_beat_forty_good_ones():
    lucky, good, *others = shrink_means(
        groups_of([5, 5], [5, 5, 4, 3] * 10, [4, 5, 2, 5] * 10, [4, 3, 5, 3] * 10, [5, 3, 3, 5] * 10)
    )
    assert good.estimate > lucky.estimate > max(one.estimate for one in others)
    assert lucky.high - lucky.low > 1.5 * (good.high - good.low)


def test_six_bad_images_do_not_beat_three_very_good_ones():
    many, few = shrink_means(groups_of([1] * 6, [5, 5, 5]))
    assert few.low > many.high


def test_one_image_says_next_to_nothing():
    (only,) = shrink_means(groups_of([5]))
    assert only.high - only.low > 4
    (same,) = shrink_means(groups_of([5, 5, 5]))
    assert 0.3 < same.high - same.low < 2


def test_pairs_that_agree_to_the_star_leave_a_doubt():
    found = measure_difference(np.full(5, 1.0), np.full(5, 0.5))
    assert 0.3 < found.interval.low < 1 < found.interval.high
    assert 0.95 < found.confidence < 1


def test_values_that_hardly_differ_are_drawn_together():
    chance = np.random.default_rng(1)
    raw = groups_of(*(list(chance.normal(3, 1, 6)) for _ in range(12)))
    shrunken = [one.estimate for one in shrink_means(raw)]
    assert np.std(shrunken) < 0.7 * np.std(raw.means)


def test_images_of_one_prompt_are_not_independent():
    stars = [[3, 3, 3, 3, 5, 5, 5, 5, 1, 1, 1, 1], [3, 3, 3, 3, 5, 5, 5, 5, 1, 1, 1, 1]]
    clusters = [0] * 4 + [1] * 4 + [2] * 4
    alone, together = groups_of(*stars), groups_of(*stars, clusters=clusters * 2)
    assert together.common_variance > 5 * alone.variances.max()
    assert shrink_means(together)[0].high - shrink_means(together)[0].low > 3


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=8), min_size=1, max_size=6))
def test_every_interval_holds_its_estimate(stars):
    for one in shrink_means(groups_of(*stars)):
        assert math.isfinite(one.low)
        assert one.low <= one.estimate + 1e-6
        assert one.estimate - 1e-6 <= one.high


def test_a_difference_has_the_interval_of_a_paired_t_test():
    """Sleep of ten patients under two drugs (Student, 1908): mean 1.58, 95 % from 0.70 to 2.46, p 0.00283."""
    extra = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    found = measure_difference(extra, np.ones(10))
    assert found.interval == pytest.approx((1.58, 0.7001, 2.4599), abs=2e-3)
    assert found.confidence == pytest.approx(1 - 0.00283 / 2, abs=1e-4)
    assert (found.place_count, found.effective_count) == (10, 10)


def test_one_heavy_place_is_not_many():
    found = measure_difference(np.array([1.0, 1.0, 1.0, 0.9]), np.array([100.0, 1.0, 1.0, 1.0]))
    assert found.effective_count < 1.1
    assert not math.isfinite(measure_difference(np.array([1.0]), np.array([1.0])).interval.low)


def test_preferences_give_the_strengths_of_bradley_and_terry():
    """Three values that beat each other as strengths 4 : 2 : 1 would have it."""
    games = [(0, 1, 400), (1, 0, 200), (0, 2, 400), (2, 0, 100), (1, 2, 200), (2, 1, 100)]
    winners = np.concatenate([np.full(count, one) for one, _, count in games])
    losers = np.concatenate([np.full(count, other) for _, other, count in games])
    found = fit_bradley_terry(winners, losers, np.ones(len(winners)), 3)
    expected = [s / (s + 2) for s in (4, 2, 1)]  # against their geometric mean, which is 2
    assert [one.win_rate.estimate for one in found] == pytest.approx(expected, abs=0.01)
    assert found[0].win_rate.low > found[1].win_rate.high
    assert sum(one.comparison_count for one in found) == 2 * len(winners)


def test_a_value_that_never_lost_has_finite_strength_and_ties_say_nothing():
    found = fit_bradley_terry(np.zeros(5, int), np.ones(5, int), np.ones(5), 2)
    assert 0.5 < found[0].win_rate.estimate < found[0].win_rate.high < 1
    ties = fit_bradley_terry(np.zeros(5, int), np.ones(5, int), np.full(5, 0.5), 2)
    assert ties[0].win_rate.estimate == pytest.approx(0.5)


def test_agreement_is_krippendorffs_alpha():
    """The worked example of Krippendorff (Computing Krippendorff's Alpha-Reliability, 2011), interval data: 0.849."""
    coders = {
        "a": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        "b": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        "c": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        "d": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    }
    said = [(unit, value) for values in coders.values() for unit, value in enumerate(values) if value is not None]
    units, values = (np.array(column) for column in zip(*said, strict=True))
    assert measure_agreement(units, values.astype(float)) == pytest.approx(0.849, abs=1e-3)
    assert measure_agreement(np.arange(4), np.array([1.0, 2, 3, 4])) is None
    assert measure_agreement(np.array([0, 0, 1, 1]), np.array([3.0, 3, 3, 3])) == 1.0


def test_means_are_counted_rounded_half_up():
    assert count_stars([0, 0.5, 1.49, 4.5, 5]) == [1, 2, 0, 0, 0, 2]
