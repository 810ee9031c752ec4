"""What is left to gain is said in words that hold."""

import numpy as np
import pytest

from stablenew.learning.surface.left_to_gain import ENOUGH, Left, measure_left


def test_what_is_left_is_said_as_a_part_of_the_way_and_its_bound():
    assert Left(0.42, 0.3, 0.45).text == "0.42 stars, 30% of the way from average to best, very likely at most 45%"


@pytest.mark.parametrize("most", [1.01, 2.24, float("inf")])
def test_more_than_the_whole_way_only_says_that_little_is_known(most):
    text = Left(1.1, 1.09, most).text
    assert "%" not in text
    assert "too few ratings" in text


def test_where_all_surfaces_have_their_best_at_the_best_known_nothing_is_left():
    drawn = np.array([[1.0, 3.0, 2.0], [0.5, 2.5, 2.0]])
    left = measure_left(drawn, 1, np.array([[0.0, 0.0]]))
    assert (left.stars, left.share, left.most, left.is_little) == (0, 0, 0, True)


def test_what_is_left_grows_with_what_other_settings_may_bring():
    drawn = np.array([[1.0, 3.0, 3.0 + gain] for gain in (0.0, 0.2, 0.4)])
    some, more = (measure_left(drawn * by, 1, np.zeros((1, 2))) for by in (1.0, 2.0))
    assert more.stars == pytest.approx(2 * some.stars)
    assert some.share == pytest.approx(more.share)
    assert some.share < some.most
    assert some.is_little == (some.most < ENOUGH)
