"""The surface against derivatives by difference, exact cases, and users whose taste is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.surface import kernel_sizes, observations
from stablenew.learning.surface.likelihood import Likelihood
from stablenew.learning.surface.observations import Observations
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.rater_habits import measure_drift
from stablenew.learning.surface.setting_kernel import Dimension, SettingSpace

SPACE = SettingSpace(
    (
        Dimension("txt2img.sampler", ("a", "b", "c"), is_number=False),
        Dimension("txt2img.cfg_scale", (3.0, 12.0), is_number=True),
        Dimension("txt2img.clip_skip", (1, 2), is_number=True),
    )
)
NOTHING = np.empty(0, np.int64)


def worth(points):
    """Sampler b and a medium CFG scale are best; clip skip does nothing."""
    return 1.2 * (points[:, 0] == 1) - 4 * (points[:, 1] - 0.5) ** 2


def observe(count, seed, taste=worth, *, raters=1, prompt_spread=0.5, noise=0.4):
    chance = np.random.default_rng(seed)
    points = np.column_stack([chance.integers(0, 3, count), chance.random(count), chance.integers(0, 2, count)])
    prompts, rater = chance.integers(0, 6, count), chance.integers(0, raters, count)
    felt = 2.5 + taste(points) + chance.normal(0, prompt_spread, 6)[prompts] + chance.normal(0, noise, count)
    felt = (felt - 2.5) * np.array([1.0, 0.5, 1.5])[rater] + 2.5 + np.array([0, 1, -0.5])[rater]
    stars = np.clip(np.floor(felt + 0.5), 0, 5)
    images = np.arange(count)
    return Observations(SPACE, points, prompts, images, images, rater, stars, NOTHING, NOTHING, np.empty(0))


@pytest.mark.parametrize("most", [1, 7, 200, 5_000])
def test_a_part_of_any_number_of_entries_is_evenly_chosen_from_these(most):
    for count in [*range(1, 1_000), *range(5_001, 9_000, 7)]:
        chosen = observations.every(count, min(1.0, most / count))
        assert len(chosen) == min(count, most)
        assert chosen[0] == 0
        assert chosen[-1] < count
        assert set(np.diff(chosen)) <= {count // len(chosen), count // len(chosen) + 1}
    assert len(observations.every(0, 1.0)) == 0


@pytest.mark.parametrize("count", [268, 536])
def test_a_surface_is_learned_from_numbers_of_ratings_that_no_part_divides(count):
    surface = Surface(observe(count, 1))
    assert SPACE.decode(surface.find_best())["txt2img.sampler"] == "b"


@pytest.mark.parametrize("seed", range(3))
def test_good_settings_are_found_and_what_does_nothing_matters_least(seed):
    surface = Surface(observe(80, seed))
    best = SPACE.decode(surface.find_best())
    assert best["txt2img.sampler"] == "b"
    assert 5.5 < best["txt2img.cfg_scale"] < 9.5
    worse = SPACE.encode({**best, "txt2img.sampler": "a", "txt2img.cfg_scale": 12.0})
    assert surface.compare(SPACE.encode(best), worse).probability > 0.99
    assert surface.support > 3


@pytest.mark.heavy
def test_intervals_hold_the_truth_as_often_as_they_say():
    held = []
    for seed in range(12):
        surface, chance = Surface(observe(60, 100 + seed)), np.random.default_rng(seed)
        for _ in range(10):
            pair = np.column_stack([chance.integers(0, 3, 2), chance.random(2), chance.integers(0, 2, 2)])
            gain, values = surface.compare(*pair), worth(pair)
            held.append(gain.low <= values[0] - values[1] <= gain.high)
    assert np.mean(held) > 0.88


@pytest.mark.heavy
def test_raters_with_scales_of_their_own_are_brought_together():
    surface = Surface(observe(150, 4, raters=3))
    assert surface.scales[1] < surface.scales[0] < surface.scales[2]
    assert SPACE.decode(surface.find_best())["txt2img.sampler"] == "b"


def test_prompts_that_matter_more_than_settings_are_no_settings():
    """Sampler a was used with the easy prompt only, nearly: its images have more stars, but not because of it."""
    chance = np.random.default_rng(5)
    prompts = np.repeat([0, 1], 40)
    samplers = np.where(chance.random(80) < 0.15, 1 - prompts, prompts)
    points = np.column_stack([samplers, np.full(80, 0.5), np.zeros(80)]).astype(float)
    felt = np.where(prompts == 0, 4.2, 1.2) + 0.8 * (samplers == 1) + chance.normal(0, 0.4, 80)
    stars = np.clip(np.floor(felt + 0.5), 0, 5)
    images = np.arange(80)
    raters = np.zeros(80, np.int64)
    observed = Observations(SPACE, points, prompts, images, images, raters, stars, NOTHING, NOTHING, np.empty(0))
    assert stars[samplers == 0].mean() > stars[samplers == 1].mean() + 1
    assert Surface(observed).compare(np.array([1, 0.5, 0]), np.array([0, 0.5, 0])).estimate > 0.2


def test_comparisons_alone_teach_too():
    stars = observe(60, 6)
    chance = np.random.default_rng(7)
    pairs = chance.permutation(60).reshape(30, 2)
    values = worth(stars.points)
    winners = np.where(values[pairs[:, 0]] > values[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    losers = pairs.sum(axis=1) - winners
    nothing = np.empty(0)
    observed = Observations(
        SPACE, stars.points, stars.prompts, stars.seeds, NOTHING, NOTHING, nothing, winners, losers, np.ones(30)
    )
    surface = Surface(observed)
    assert surface.compare(np.array([1, 0.5, 0]), np.array([0, 0.0, 0])).probability > 0.85
    swapped = Observations(
        SPACE, stars.points, stars.prompts, stars.seeds, NOTHING, NOTHING, nothing, winners, losers, np.full(30, 0.5)
    )
    assert Surface(swapped).compare(np.array([1, 0.5, 0]), np.array([0, 0.0, 0])).probability == pytest.approx(0.5)


@pytest.mark.heavy
def test_stars_that_nothing_explains_support_no_effect():
    supports = [Surface(observe(48, seed, lambda points: 0 * points[:, 0])).support for seed in range(20)]
    assert sum(support > 3 for support in supports) <= 1


def test_the_same_data_give_the_same_surface():
    first, second = Surface(observe(50, 8)), Surface(observe(50, 8))
    assert (first.find_best() == second.find_best()).all()
    assert first.support == second.support


def test_very_many_ratings_are_thinned_evenly(monkeypatch):
    monkeypatch.setattr(observations, "MOST_OBSERVATIONS", 60)
    thinned = observe(240, 9, raters=3).thinned()
    assert 55 <= len(thinned.stars) <= 60
    assert np.bincount(thinned.raters).min() > 10
    assert len(thinned.points) == len(thinned.stars)
    assert SPACE.decode(Surface(observe(240, 9, raters=3)).find_best())["txt2img.sampler"] == "b"


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(ValueError, match="nothing to learn from"):
        Surface(observe(0, 10))


values = st.lists(st.floats(-12, 12), min_size=8, max_size=8)


@given(values, st.lists(st.integers(0, 5), min_size=5, max_size=5), st.floats(0.2, 2))
def test_gradient_and_curvature_are_those_of_the_likelihood(given_values, stars, noise):
    observed = Observations(
        SPACE, np.zeros((5, 3)), np.zeros(5, int), np.zeros(5, int), np.arange(5), np.zeros(5, int),
        np.array(stars, float), np.arange(3), np.arange(3) + 1, np.array([1.0, 0.5, 1.0]),
    )  # fmt: skip
    habits = measure_drift(observed, noise)
    likelihood, at, step = Likelihood.of(observed, 2.5, noise, habits), np.array(given_values), 1e-5
    log, gradient, curvature = likelihood.evaluate(at)
    assert np.isfinite(log)
    assert (curvature > 0).all()
    for index in range(8):
        moved = [at + sign * step * (np.arange(8) == index) for sign in (1, -1)]
        (up, up_gradient, _), (down, down_gradient, _) = (likelihood.evaluate(point) for point in moved)
        scale = 1 + abs(gradient[index]) + abs(log)
        assert (up - down) / (2 * step) == pytest.approx(gradient[index], abs=2e-4 * scale)
        slope = (up_gradient[index] - down_gradient[index]) / (2 * step)
        assert -slope == pytest.approx(curvature[index], abs=2e-3 * (1 + abs(curvature[index])))


def test_the_gradient_of_the_sizes_is_that_of_their_probability(monkeypatch):
    checked = []
    minimize = kernel_sizes.minimize

    def check(objective, start, **options):
        point = start + np.random.default_rng(1).normal(0, 0.3, len(start))
        _, gradient = objective(point)
        for index, expected in enumerate(gradient):
            step = 1e-5 * (np.arange(len(start)) == index)
            assert (objective(point + step)[0] - objective(point - step)[0]) / 2e-5 == pytest.approx(expected, abs=1e-4)
            checked.append(index)
        return minimize(objective, start, **options)

    monkeypatch.setattr(kernel_sizes, "minimize", check)
    Surface(observe(30, 11, raters=3))
    assert len(checked) == 3 + 7
