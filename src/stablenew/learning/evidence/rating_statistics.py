"""The statistics behind evidence. Pure, on plain arrays; every function names where it comes from."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

CONFIDENCE: Final = 0.95
MOST_STARS: Final = 5.0
_GRID: Final = 80
_ROUNDING: Final = 1 / 12
"""The variance of what is lost when a liking is told in whole stars."""
_ANY_STARS: Final = 35 / 12
"""The variance of stars from 0 to 5 that are all as likely."""
_USUAL_SPREAD: Final = 0.35
"""Stars by which the values of a setting usually differ: the scale of a prior that much data overrules."""
_HALVINGS: Final = 50
_ERF_SCALE: Final = 0.3275911
_ERF_WEIGHTS: Final = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


class Interval(NamedTuple):
    """An estimate, and where the truth lies with `CONFIDENCE`."""

    estimate: float
    low: float
    high: float

    def within(self, least: float, most: float) -> "Interval":
        """The same, where the truth cannot lie beyond these."""
        return Interval(self.estimate, max(self.low, least), min(self.high, most))

    def reversed(self) -> "Interval":
        """Of the same with the other sign."""
        return Interval(-self.estimate, -self.high, -self.low)


def student_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t distribution.

    Exact for 1 and 2 degrees of freedom, else by Hill's expansion (Algorithm 396, CACM 1970), to about four digits.
    """
    if probability < 0.5:
        return -student_quantile(1 - probability, degrees)
    if degrees <= 1:
        return math.tan(math.pi * (probability - 0.5))
    tail = 2 * (1 - probability)
    if degrees <= 2:
        return math.sqrt(2 / (tail * (2 - tail)) - 2)
    return _hill(tail, degrees)


def _hill(tail: float, n: float) -> float:
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * n
    y = (d * tail) ** (2 / n)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(tail / 2)
        y = x * x
        if n < 5:
            c += 0.3 * (n - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        y = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) * (n + 1) / (
            n + 2
        ) + 1 / y
    return math.sqrt(n * y)


class GroupMeans(NamedTuple):
    """Means of groups of stars, and how far chance may have moved them."""

    counts: Codes
    means: Floats
    variances: Floats
    """Of each mean, by what is its own: its images, and how its clusters differ from those of all."""
    common_variance: float
    """Of all means together: the clusters (prompt families) that there are, are a sample."""


def measure_groups(stars: Floats, groups: Codes, clusters: Codes, group_count: int) -> GroupMeans:
    """Means of `stars` by group, with variances from two components: between clusters, and within them.

    Images of one cluster are not independent. The components are those of all groups together (analysis of variance;
    Searle et al., Variance Components, 1992), because a small group says little about its own. Every group has a
    member.
    """
    counts = np.bincount(groups, minlength=group_count)
    means = np.bincount(groups, stars, group_count) / counts
    width = int(clusters.max(initial=0)) + 1
    used, cells = np.unique(groups * width + clusters, return_inverse=True)
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
    between *= _widened(int(np.count_nonzero(shares)) - 1)
    own = _widened(len(used) - group_count) * within / counts + between * np.maximum(0.0, crossed + common)
    return GroupMeans(counts, means, own, between * common)


def _widened(degrees: int) -> float:
    """By how much a variance that was estimated from so little makes intervals wider."""
    return (student_quantile(0.975, max(2, degrees)) / student_quantile(0.975, 1e6)) ** 2


def _variance_within(
    stars: Floats, cell_means: Floats, cell_count: int, group_means: Floats, group_count: int
) -> float:
    """The variance of images of one cluster; of all images about their group where clusters have one image each.

    Never less than what rounding to whole stars alone comes to; and where nothing can be told from so few, that of
    stars that might be any.
    """
    if len(stars) > cell_count:
        return max(_ROUNDING, float(np.sum((stars - cell_means) ** 2) / (len(stars) - cell_count)))
    if len(stars) > group_count:
        return max(_ROUNDING, float(np.sum((stars - group_means) ** 2) / (len(stars) - group_count)))
    return _ANY_STARS


def shrink_means(groups: GroupMeans) -> list[Interval]:
    """The means drawn towards each other as far as their uncertainty asks for, with intervals.

    The normal hierarchical model (Gelman et al., Bayesian Data Analysis, section 5.4), its spread integrated over with
    a half-Cauchy prior (Gelman, Bayesian Analysis, 2006). So two lucky images do not beat forty good ones.
    """
    means, variances = groups.means, np.maximum(groups.variances, 1e-6)
    if len(means) == 1:
        half = student_quantile(0.975, 1e6) * math.sqrt(variances[0] + groups.common_variance)
        return [Interval(float(means[0]), float(means[0] - half), float(means[0] + half))]
    weights, centres, own_spreads = _posterior(means, variances)
    spreads = np.sqrt(own_spreads**2 + groups.common_variance)
    estimates = weights @ centres
    low = _mixture_quantile(0.5 - CONFIDENCE / 2, weights, centres, spreads)
    high = _mixture_quantile(0.5 + CONFIDENCE / 2, weights, centres, spreads)
    return [Interval(float(e), float(a), float(b)) for e, a, b in zip(estimates, low, high, strict=True)]


def _posterior(means: Floats, variances: Floats) -> tuple[Floats, Floats, Floats]:
    """For each spread on a grid its weight, and for each group mean and standard deviation given that spread."""
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
        below = weights @ (0.5 * (1 + error_function((middle - centres) / (spreads * math.sqrt(2)))))
        is_low = below < probability
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return low


def error_function(values: Floats) -> Floats:
    """The error function, to seven digits (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26)."""
    part = 1 / (1 + _ERF_SCALE * np.abs(values))
    found: Floats = np.sign(values) * (1 - np.polyval((*_ERF_WEIGHTS, 0), part) * np.exp(-(values**2)))
    return found


class Difference(NamedTuple):
    """How much better one value is than another, from places that are alike in everything else."""

    interval: Interval
    place_count: int
    effective_count: float
    """As many places of equal weight would say as much."""
    confidence: float
    """How sure it is which of the two is better; one half is not at all."""

    def within(self, least: float, most: float) -> "Difference":
        """The same, where the truth cannot lie beyond these."""
        return self._replace(interval=self.interval.within(least, most))

    def reversed(self) -> "Difference":
        """How much better the other value is than the one."""
        return self._replace(interval=self.interval.reversed())


def measure_difference(differences: Floats, weights: Floats) -> Difference:
    """The weighted mean of differences found in independent places, with an interval from how much they scatter.

    A place weighs `n m / (n + m)` for means of n and m ratings. However alike places are, whole stars leave a doubt.
    """
    total = float(weights.sum())
    estimate = float(np.sum(weights * differences) / total)
    effective = float(total**2 / np.sum(weights**2))
    degrees = max(1.0, effective - 1)
    scatter = float(np.sum(weights**2 * (differences - estimate) ** 2) / total**2)
    error = math.sqrt(max(scatter * effective / degrees, _ROUNDING / total)) if len(differences) > 1 else math.inf
    half = student_quantile(0.5 + CONFIDENCE / 2, degrees) * error
    return Difference(
        Interval(estimate, estimate - half, estimate + half),
        len(differences),
        effective,
        _student_cdf(abs(estimate) / error, degrees),
    )


def _student_cdf(value: float, degrees: float) -> float:
    """By halving `student_quantile`."""
    low, high = 0.5, 1 - 1e-12
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if student_quantile(middle, degrees) < value else (low, middle)
    return (low + high) / 2


class Strength(NamedTuple):
    """How often a value would win against the average of the others."""

    win_rate: Interval
    comparison_count: int


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
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    shown = np.bincount(winners, minlength=count) + np.bincount(losers, minlength=count)
    return [
        Strength(Interval(_logistic(s), _logistic(s - z * e), _logistic(s + z * e)), int(n))
        for s, e, n in zip(centred, errors, shown, strict=True)
    ]


def _bradley_terry_step(
    strengths: Floats, winners: Codes, losers: Codes, points: Floats, count: int
) -> tuple[Floats, Floats]:
    chance = 1 / (1 + np.exp(strengths[losers] - strengths[winners]))
    prior = 1 / 1.5**2
    surprise = points - chance
    gradient = np.bincount(winners, surprise, count) - np.bincount(losers, surprise, count) - prior * strengths
    information = chance * (1 - chance)
    curvature = np.diag(np.bincount(winners, information, count) + np.bincount(losers, information, count) + prior)
    np.add.at(curvature, (winners, losers), -information)
    np.add.at(curvature, (losers, winners), -information)
    return gradient, curvature


def _logistic(value: float) -> float:
    return float(1 / (1 + math.exp(-value)))


def measure_agreement(images: Codes, stars: Floats) -> float | None:
    """Krippendorff's alpha for interval data: 1 is full agreement, 0 what chance gives; None when nobody shares images.

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
    """How many of each from 0 to 5, means rounded half up."""
    return np.bincount(np.floor(np.asarray(stars, float) + 0.5).astype(np.int64), minlength=6).tolist()  # type: ignore[no-any-return]
