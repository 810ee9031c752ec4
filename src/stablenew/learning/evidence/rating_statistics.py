"""The statistics behind evidence. Pure, on plain arrays; every function names its source."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import erf, ndtri, stdtr, stdtrit

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

NOT_ENOUGH: Final = "not enough evidence"
"""Begins the reason of an answer that there are too few ratings for."""
CONFIDENCE: Final = 0.95
MOST_STARS: Final = 5.0
_GRID: Final = 80
ROUNDING: Final = 1 / 12
"""The variance that rounding to whole stars adds."""
_ANY_STARS: Final = 35 / 12
"""The variance of stars from 0 to 5 that are all equally likely."""
_USUAL_SPREAD: Final = 0.35
"""Stars by which the values of a setting usually differ: the scale of a prior, which data overrules."""
_HALVINGS: Final = 50


class Interval(NamedTuple):
    """An estimate, with the bounds that hold the true value with probability `CONFIDENCE`."""

    estimate: float
    """The estimate."""
    low: float
    """The lower bound."""
    high: float
    """The upper bound."""

    def within(self, least: float, most: float) -> "Interval":
        """The same, cut to the bounds that the true value cannot exceed."""
        return Interval(self.estimate, max(self.low, least), min(self.high, most))

    def reversed(self) -> "Interval":
        """The interval of the same quantity with its sign reversed."""
        return Interval(-self.estimate, -self.high, -self.low)


class GroupMeans(NamedTuple):
    """Means of groups of stars, and their sampling variances."""

    counts: Codes
    """Images in each group."""
    means: Floats
    """Mean stars of each group."""
    variances: Floats
    """Variance of each mean that is its own: from its images, and from how its clusters differ from all clusters."""
    common_variance: float
    """Variance that all means share, because the clusters (prompt families) are a sample."""


def measure_groups(stars: Floats, groups: Codes, clusters: Codes, group_count: int) -> GroupMeans:
    """Means of `stars` by group, with variances from two components: between clusters, and within them.

    Images of one cluster are not independent. The components are those of all groups together (analysis of variance;
    Searle et al., Variance Components, 1992), because a small group says little about its own. No group is
    empty.
    """
    counts = np.bincount(groups, minlength=group_count)
    means = np.bincount(groups, stars, group_count) / counts
    width = int(clusters.max(initial=0)) + 1
    used, cells = np.unique(groups * width + clusters, return_inverse=True)  # a cell: one cluster in one group
    cell_groups, cell_clusters = used // width, used % width
    cell_counts = np.bincount(cells)
    cell_means = np.bincount(cells, stars) / cell_counts
    within = _variance_within(stars, cell_means[cells], len(used), means[groups], group_count)
    concentration = np.bincount(cell_groups, cell_counts.astype(float) ** 2, group_count)
    spread = float(np.sum(cell_counts * (cell_means - means[cell_groups]) ** 2))
    divisor = float(np.sum(counts - concentration / counts))
    between = max(0.0, (spread - (len(used) - group_count) * within) / divisor) if divisor > 0 else 0.0
    shares = np.bincount(clusters, minlength=width) / len(stars)
    own_shares = cell_counts / counts[cell_groups]
    crossed = np.bincount(cell_groups, own_shares**2 - 2 * own_shares * shares[cell_clusters], group_count)
    common = float(np.sum(shares**2))
    between *= _widening(int(np.count_nonzero(shares)) - 1)
    own = _widening(len(used) - group_count) * within / counts + between * np.maximum(0.0, crossed + common)
    return GroupMeans(counts, means, own, between * common)


def _widening(degrees: int) -> float:
    """The factor on a variance that was estimated with so few degrees of freedom, for intervals of the right width."""
    return float((stdtrit(max(2, degrees), 0.975) / ndtri(0.975)) ** 2)


def _variance_within(
    stars: Floats, cell_means: Floats, cell_count: int, group_means: Floats, group_count: int
) -> float:
    """The variance of images within a cluster; where clusters have one image each, within a group.

    Never less than rounding to whole stars alone adds. With one image a group it is that of stars chosen at random.
    """
    if len(stars) > cell_count:
        return max(ROUNDING, float(np.sum((stars - cell_means) ** 2) / (len(stars) - cell_count)))
    if len(stars) > group_count:
        return max(ROUNDING, float(np.sum((stars - group_means) ** 2) / (len(stars) - group_count)))
    return _ANY_STARS


def shrink_means(groups: GroupMeans) -> list[Interval]:
    """The means shrunken towards each other according to their uncertainty, with intervals.

    The normal hierarchical model (Gelman et al., Bayesian Data Analysis, section 5.4), with a half-Cauchy prior on the
    spread between groups (Gelman, Bayesian Analysis, 2006) integrated numerically. So two lucky images do not beat
    forty good ones.
    """
    means, variances = groups.means, np.maximum(groups.variances, 1e-6)
    if len(means) == 1:
        half = ndtri(0.975) * math.sqrt(variances[0] + groups.common_variance)
        return [Interval(float(means[0]), float(means[0] - half), float(means[0] + half))]
    weights, centres, own_spreads = _posterior(means, variances)
    spreads = np.sqrt(own_spreads**2 + groups.common_variance)
    estimates = weights @ centres
    low = _mixture_quantile(0.5 - CONFIDENCE / 2, weights, centres, spreads)
    high = _mixture_quantile(0.5 + CONFIDENCE / 2, weights, centres, spreads)
    return [Interval(float(e), float(a), float(b)) for e, a, b in zip(estimates, low, high, strict=True)]


def _posterior(means: Floats, variances: Floats) -> tuple[Floats, Floats, Floats]:
    """The weight of each spread on a grid, and for each spread the mean and standard deviation of each group."""
    between = (np.linspace(0.001, 1, _GRID) ** 2 * 2.5)[:, None] ** 2
    total = variances + between
    mu_variance = 1 / np.sum(1 / total, axis=1, keepdims=True)
    mu = mu_variance * np.sum(means / total, axis=1, keepdims=True)
    prior = np.gradient(np.sqrt(between[:, 0])) / (1 + between[:, 0] / _USUAL_SPREAD**2)
    logs = 0.5 * np.log(mu_variance[:, 0]) - 0.5 * np.sum(np.log(total) + (means - mu) ** 2 / total, axis=1)
    weights = np.exp(logs - logs.max()) * prior
    pull = variances / total
    centres = means * (1 - pull) + mu * pull
    spreads = np.sqrt(variances * (1 - pull) + pull**2 * mu_variance)
    return weights / float(weights.sum()), centres, spreads


def _mixture_quantile(probability: float, weights: Floats, centres: Floats, spreads: Floats) -> Floats:
    low: Floats = np.full(centres.shape[1], -2 * MOST_STARS)
    high: Floats = np.full(centres.shape[1], 3 * MOST_STARS)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = weights @ (0.5 * (1 + erf((middle - centres) / (spreads * math.sqrt(2)))))
        is_low = below < probability
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return low


class Difference(NamedTuple):
    """How much better one value is than another, from matched pairs."""

    interval: Interval
    """The difference in stars."""
    place_count: int
    """The number of matched pairs."""
    effective_count: float
    """The number of pairs of equal weight that would say as much."""
    confidence: float
    """The probability that the difference has the sign of its estimate; one half says nothing."""

    def within(self, least: float, most: float) -> "Difference":
        """The same, cut to the bounds that the true value cannot exceed."""
        return self._replace(interval=self.interval.within(least, most))

    def reversed(self) -> "Difference":
        """The difference of the two values the other way round."""
        return self._replace(interval=self.interval.reversed())


def measure_difference(differences: Floats, weights: Floats) -> Difference:
    """The weighted mean of the differences of independent pairs, with an interval from their scatter.

    A pair of means of n and m ratings weighs `n m / (n + m)`. The error is never less than that of rounding.
    """
    total = float(weights.sum())
    estimate = float(np.sum(weights * differences) / total)
    effective = float(total**2 / np.sum(weights**2))
    degrees = max(1.0, effective - 1)
    scatter = float(np.sum(weights**2 * (differences - estimate) ** 2) / total**2)
    error = math.sqrt(max(scatter * effective / degrees, ROUNDING / total)) if len(differences) > 1 else math.inf
    half = float(stdtrit(degrees, 0.5 + CONFIDENCE / 2)) * error
    return Difference(
        Interval(estimate, estimate - half, estimate + half),
        len(differences),
        effective,
        float(stdtr(degrees, abs(estimate) / error)),
    )


class Strength(NamedTuple):
    """How often a value would win against the average of the others."""

    win_rate: Interval
    """The probability of winning."""
    comparison_count: int
    """Comparisons in which it was shown."""


def fit_bradley_terry(winners: Codes, losers: Codes, points: Floats, count: int) -> list[Strength]:
    """Strengths of `count` values from comparisons between them.

    `points` is 1 where the winner won and 0.5 for a tie. The model of Bradley and Terry (Biometrika, 1952), with a
    weak normal prior (standard deviation 1.5 on the log scale) that keeps undefeated values finite; intervals from the
    curvature at the optimum.
    """
    strengths = np.zeros(count)
    for _ in range(100):
        gradient, curvature = _bradley_terry_step(strengths, winners, losers, points, count)
        step = np.linalg.solve(curvature, gradient)
        strengths += step
        if np.abs(step).max() < 1e-9:
            break
    covariance = np.linalg.inv(_bradley_terry_step(strengths, winners, losers, points, count)[1])
    centring = np.eye(count) - 1 / count
    errors = np.sqrt(np.diag(centring @ covariance @ centring.T))
    centred = strengths - strengths.mean()
    z = float(ndtri(0.5 + CONFIDENCE / 2))
    shown = np.bincount(winners, minlength=count) + np.bincount(losers, minlength=count)
    return [
        Strength(Interval(_logistic(s), _logistic(s - z * e), _logistic(s + z * e)), int(n))
        for s, e, n in zip(centred, errors, shown, strict=True)
    ]


def _bradley_terry_step(
    strengths: Floats, winners: Codes, losers: Codes, points: Floats, count: int
) -> tuple[Floats, Floats]:
    probability = 1 / (1 + np.exp(strengths[losers] - strengths[winners]))
    prior = 1 / 1.5**2
    residual = points - probability
    gradient = np.bincount(winners, residual, count) - np.bincount(losers, residual, count) - prior * strengths
    information = probability * (1 - probability)
    curvature = np.diag(np.bincount(winners, information, count) + np.bincount(losers, information, count) + prior)
    np.add.at(curvature, (winners, losers), -information)
    np.add.at(curvature, (losers, winners), -information)
    return gradient, curvature


def _logistic(value: float) -> float:
    return float(1 / (1 + math.exp(-value)))


def measure_agreement(images: Codes, stars: Floats) -> float | None:
    """Krippendorff's alpha for interval data: 1 is full agreement, 0 that of chance; None if no image has two raters.

    `images` and `stars` have an entry for each rating (Krippendorff, Content Analysis, 2004, chapter 11).
    """
    _, codes, counts = np.unique(images, return_inverse=True, return_counts=True)
    shared = counts[codes] > 1
    values, units = stars[shared], codes[shared]
    if not len(values):
        return None
    sizes = np.bincount(units).astype(float)
    sums, squares = np.bincount(units, values), np.bincount(units, values**2)
    is_used = sizes > 1
    observed = np.sum(2 * (sizes * squares - sums**2)[is_used] / (sizes[is_used] - 1)) / len(values)
    expected = 2 * (len(values) * np.sum(values**2) - np.sum(values) ** 2) / (len(values) * (len(values) - 1))
    return 1.0 if expected == 0 else float(1 - observed / expected)


def count_stars(stars: Sequence[float] | Floats) -> list[int]:
    """How many images have each number of stars from 0 to 5; means are rounded half up."""
    return np.bincount(np.floor(np.asarray(stars, float) + 0.5).astype(np.int64), minlength=6).tolist()  # type: ignore[no-any-return]
