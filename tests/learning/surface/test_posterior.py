"""The surface given the observations, against the equations that the most probable values satisfy."""

import numpy as np
import pytest

from stablenew.learning.surface import posterior
from stablenew.learning.surface.likelihood import Likelihood
from stablenew.learning.surface.posterior import find_posterior
from stablenew.learning.surface.rater_habits import measure_drift
from tests.learning.surface.spaces import POINTS, SPACE, observe, parts_of

PARTS = parts_of(alone=0.5, pairs=0.2, together=0.4)
STARS = observe([4, 1, 5, 0, 2], winners=[1, 4, 2], losers=[0, 3, 5], points_won=[1.0, 0.5, 1.0])
ELSEWHERE = np.array([[0.1, 0], [0.9, 2], [-1.0, 1]])


def find(observed, parts=PARTS, mean=2.5, scales=(1.0,)):
    return find_posterior(observed, parts, np.array(scales), mean, measure_drift(observed, parts.noise))


def differences(observed):
    """What each observation is about, as a matrix over the images."""
    rows = np.zeros((len(observed.stars) + len(observed.winners), len(observed.points)))
    rows[np.arange(len(observed.stars)), observed.rated] = 1
    pairs = np.arange(len(observed.stars), len(rows))
    rows[pairs, observed.winners], rows[pairs, observed.losers] = 1, -1
    return rows


def test_the_most_probable_values_are_where_prior_and_likelihood_pull_alike():
    worth, about = find(STARS).expect(POINTS), differences(STARS)
    likelihood = Likelihood.of(STARS, 2.5, PARTS.noise, measure_drift(STARS, PARTS.noise))
    _, pull, _ = likelihood.evaluate(about @ worth)
    assert PARTS.setting_covariance(SPACE, POINTS, POINTS) @ about.T @ pull == pytest.approx(worth, abs=1e-3)


def test_what_observations_explain_is_what_a_normal_of_their_curvature_would():
    found, about = find(STARS), differences(STARS)
    likelihood = Likelihood.of(STARS, 2.5, PARTS.noise, measure_drift(STARS, PARTS.noise))
    _, _, curvature = likelihood.evaluate(about @ found.expect(POINTS))
    prior = about @ PARTS.setting_covariance(SPACE, POINTS, POINTS) @ about.T
    across = PARTS.setting_covariance(SPACE, ELSEWHERE, POINTS) @ about.T
    explained = across @ np.linalg.inv(prior + np.diag(1 / curvature)) @ across.T
    mean, half = found.explain(ELSEWHERE)
    assert half.T @ half == pytest.approx(explained, abs=1e-3)
    assert mean == pytest.approx(found.expect(ELSEWHERE))


def test_more_is_never_explained_than_there_is():
    many = observe([4] * 60, [0] * 60)
    mean, half = find(many).explain(POINTS)
    assert (np.einsum("ij,ij->j", half, half) < PARTS.setting_variance).all()
    assert mean.argmax() == 0
    assert 0 < mean[0] < 1.6


@pytest.mark.parametrize(
    ("parts", "observed"),
    [
        (PARTS, STARS),
        (parts_of(alone=0.5, rater=0.3), observe([4, 1, 5, 0, 2, 3], raters=[0, 1, 0, 1, 1, 0])),
        (
            parts_of(together=0.5, prompt=0.3, seed=0.2),
            observe([4, 1, 5, 0, 2, 3], prompts=[0, 0, 1, 1, 2, 2], seeds=[5, 6, 5, 6, 5, 6]),
        ),
        (parts_of(alone=0.8), observe(winners=[0, 1, 3], losers=[2, 3, 5], points_won=[1, 0.5, 1])),
    ],
    ids=["stars and comparisons", "raters", "prompts and seeds", "comparisons alone"],
)
def test_few_points_are_learned_in_terms_of_weights_as_exactly(monkeypatch, parts, observed):
    scales = np.array([1.0, 1.5])
    exact = find(observed, parts, scales=scales)
    monkeypatch.setattr(posterior, "MOST_EXACT", 0)
    weights = find(observed, parts, scales=scales)
    assert type(weights) is not type(exact)
    for one, other in zip(exact.explain(ELSEWHERE), weights.explain(ELSEWHERE), strict=True):
        if one.ndim == 2:
            one, other = one.T @ one, other.T @ other  # noqa: PLW2901
        assert other == pytest.approx(one, abs=2e-3)
    assert weights.expect(POINTS) == pytest.approx(exact.expect(POINTS), abs=2e-3)


def test_prompts_and_seeds_of_one_image_each_are_noise_of_that_image(monkeypatch):
    monkeypatch.setattr(posterior, "MOST_EXACT", 0)
    parts = parts_of(alone=0.5, prompt=2.0)
    shared = find(observe([5, 5, 0, 0, 0, 0], prompts=[1, 1, 2, 2, 2, 2]), parts).expect(POINTS)
    apart = find(observe([5, 5, 0, 0, 0, 0], prompts=range(6)), parts).expect(POINTS)
    assert np.ptp(shared) < np.ptp(apart), "that all of one prompt are good says little of their settings"
    noisy = find(observe([5, 5, 0, 0, 0, 0]), parts_of(alone=0.5, image=2.0)).expect(POINTS)
    assert apart == pytest.approx(noisy, abs=1e-6)


def test_of_many_points_some_stand_for_all(monkeypatch):
    chance = np.random.default_rng(2)
    points = np.column_stack([chance.random(60), np.zeros(60)])
    observed = observe(np.clip(np.round(4 - 12 * (points[:, 0] - 0.6) ** 2), 0, 5), points=points)
    exact = find(observed).expect(ELSEWHERE)
    monkeypatch.setattr(posterior, "MOST_EXACT", 0)
    monkeypatch.setattr(posterior, "INDUCING", 20)
    assert find(observed).expect(ELSEWHERE) == pytest.approx(exact, abs=0.05)
