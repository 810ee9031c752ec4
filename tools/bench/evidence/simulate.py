"""Do proposals find good settings, does the program keep what it says, and does it stop in time? Simulated users.

    python tools/bench/evidence/simulate.py [--users 20] [--first 3000] [--families plateau ridge ...] [--ways ...]

Each user has a known taste over six settings (`simulated_users.py`) and rates images in whole stars, with noise.
Printed for each way of choosing settings, with 24, 48 and 96 stars: the median regret with its standard error, over all
families and for each. Regret is the share of the distance from the best settings to average ones that is lost. Of the
ways with the model also: how often 95 % intervals of differences hold the truth, the expected calibration error of "X
is better than Y"; for several limits how many users are told to stop because very likely no more is left, after how
many stars, with which median regret, and how many of them have more left than the limit; and the processor time a user.

The family `nothing` shows how often settings without any effect are said to matter. With `known sizes` proposals are
made as if the sizes of the surface's parts were known. A warm start begins with 500 old ratings. Users from 3000 on
were used to choose the widening of variances, and nothing else.
"""

import argparse
import time
from collections import defaultdict
from typing import Any, Final

import numpy as np
from other_ways import ROUND, STARS, Figures, Way, best_image, full_grid, one_at_a_time, tpe
from scipy.special import ndtr
from simulated_users import (
    BOUNDS,
    FAMILIES,
    NUMBERS,
    SPACE,
    TUNING_FAMILIES,
    RatedImages,
    SimulatedUser,
    draw_points,
    find_true_sizes,
)

from stablenew.learning.evidence.best_settings import FEWEST_IMAGES, SUPPORT
from stablenew.learning.surface.next_batch import propose_batch
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.setting_kernel import KernelParts

WARM_STARS = (0, 12, 24, 36)
NEAR = 0.05
"""The regret below which there is little left to gain."""
IN_TIME = 0.2 * STARS[-1]
RESAMPLED: Final = 400
OLD = 500
"""Ratings that a warm start begins with."""
SHARES = (0.25, 0.2, 0.15)
"""Of what settings can bring: to stop when very likely no more is left is compared for these."""
_FIXED = np.zeros(len(SPACE.dimensions))


def with_model(
    user: SimulatedUser, figures: Figures, *, is_active: bool, parts: KernelParts | None = None
) -> dict[int, float]:
    """Settings proposed by the program, or random ones; recommended by the surface."""
    images = RatedImages()
    regrets: dict[int, float] = {}
    stopped: set[float] = set()
    reached: int | None = None
    stop: int | None = None
    while True:
        count = len(images)
        is_asked = count in STARS
        surface = Surface(images.observe(), parts) if count and (is_active or is_asked) else None
        batch = propose_batch(SPACE, BOUNDS, _FIXED, surface, size=ROUND)
        if batch.best is not None and batch.left is not None and surface is not None:
            regret = user.regret(batch.best)
            if stop is None:
                reached = None if regret >= NEAR else reached or count
            if stop is None and count >= FEWEST_IMAGES and batch.left.is_little:
                stop = count
            for share in SHARES:
                if count >= FEWEST_IMAGES and batch.left.most < share and share not in stopped:
                    stopped.add(share)
                    figures[f"stopped at {share}"].append((count, regret))
        if is_asked and surface is not None and batch.best is not None:
            regrets[count] = user.regret(batch.best)
            check_statements(user, surface, batch.best, figures)
        if count >= STARS[-1]:
            figures["users"].append(1)
            figures["stops"].append((reached, stop))
            figures["says they matter"].append(surface is not None and surface.support >= SUPPORT)
            return regrets
        images.rate(user, batch.points if is_active else draw_points(ROUND, user.chance))


def warm_start(user: SimulatedUser, _: Figures) -> dict[int, float]:
    """Proposals after 500 old ratings of images made as people do: around habits, with a few other words and numbers.

    Stars are counted from then on.
    """
    images = RatedImages()
    regrets: dict[int, float] = {}
    habits = draw_points(3, user.chance)
    while len(images) < OLD:
        points, other = habits[user.chance.integers(0, len(habits), ROUND)], draw_points(ROUND, user.chance)
        points[:, 2:] = np.clip(points[:, 2:] + user.chance.normal(0, 0.1, (ROUND, NUMBERS)), 0, 1)
        is_other = user.chance.random(points.shape) < 0.2
        images.rate(user, np.where(is_other, other, points))
    while True:
        batch = propose_batch(SPACE, BOUNDS, _FIXED, Surface(images.observe()), size=ROUND)
        if batch.best is not None:
            regrets[len(images) - OLD] = user.regret(batch.best)
        if len(images) - OLD >= WARM_STARS[-1]:
            return {stars: regrets[stars] for stars in WARM_STARS}
        images.rate(user, batch.points)


def check_statements(user: SimulatedUser, surface: Surface, best: Any, figures: Figures) -> None:
    """Whether intervals hold the truth and probabilities come true: of random pairs, and of the best against others."""
    others = draw_points(30, np.random.default_rng(len(surface.observed.stars)))
    points = np.concatenate([best[None], others])
    mean, covariance = surface.predict(points)
    worth = user.taste(points)
    first, second = np.array([0] * 10 + list(range(11, 21))), np.array([*range(1, 11), *range(21, 31)])
    variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
    deviation = np.sqrt(np.maximum(variance, 1e-9))
    gain, truth = mean[first] - mean[second], worth[first] - worth[second]
    figures["held"].extend((np.abs(truth - gain) <= 1.96 * deviation).tolist())
    figures["statements"].extend(zip(ndtr(gain / deviation).tolist(), (truth > 0).tolist(), strict=True))


WAYS: dict[str, Way] = {
    "proposals": lambda user, figures: with_model(user, figures, is_active=True),
    "random, model": lambda user, figures: with_model(user, figures, is_active=False),
    "known sizes": lambda user, figures: with_model(user, figures, is_active=True, parts=find_true_sizes(user)),
    "best image": best_image,
    "full grid": full_grid,
    "one at a time": one_at_a_time,
    "TPE": tpe,
    "warm start": warm_start,
}


def calibration_error(statements: list[tuple[float, bool]]) -> float:
    """The expected calibration error of probabilities, in ten bins."""
    said, came = np.array([p for p, _ in statements]), np.array([true for _, true in statements], float)
    bins = np.minimum((said * 10).astype(int), 9)
    gaps = [abs(said[bins == b].mean() - came[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)]
    return float(np.sum(gaps))


def run_way(name: str, families: list[str], users: range) -> None:
    """Print the figures of one way."""
    pooled: dict[int, list[float]] = defaultdict(list)
    everything: Figures = defaultdict(list)
    start = time.process_time()
    for family in families:
        figures: Figures = defaultdict(list)
        found = [WAYS[name](SimulatedUser(family, user), figures) for user in users]
        text = " ".join(f"{stars}: {show_median([regrets[stars] for regrets in found])}" for stars in found[0])
        if family != "nothing":
            for stars in found[0]:
                pooled[stars] += [regrets[stars] for regrets in found]
            for key, values in figures.items():
                everything[key] += values
        print(f"{name:14} {family:12} {text}", describe(figures), flush=True)
    seconds = (time.process_time() - start) / (len(families) * len(users))
    text = " ".join(
        f"{stars}: {show_median(regrets)} (mean {np.mean(regrets):.3f})" for stars, regrets in pooled.items()
    )
    print(f"{name:14} {'POOLED':12} {text} {describe(everything)} {seconds:.2f} s a user", flush=True)


def show_median(values: list[float]) -> str:
    """The median with its standard error, from resampled users."""
    drawn = np.random.default_rng(len(values)).choice(values, (RESAMPLED, len(values)))
    return f"{np.median(values):.3f} ± {np.median(drawn, axis=1).std():.3f}"


def describe(figures: Figures) -> str:
    """What the model said, and whether it was so."""
    if not figures["held"]:
        return ""
    stops = [describe_limit(share, figures[f"stopped at {share}"], len(figures["users"])) for share in SHARES]
    return (
        f"| held {np.mean(figures['held']):.3f} of {len(figures['held'])}"
        f", calibration error {calibration_error(figures['statements']):.3f}"
        f", settings matter {np.mean(figures['says they matter']):.0%}, stopped {'; '.join(stops)}"
        f", {describe_stops(figures['stops'])}"
    )


def describe_limit(share: float, stops: list[tuple[int, float]], users: int) -> str:
    """How many are told to stop with a limit, and how far they have come then."""
    counts, regrets = np.array(stops or [(0, 0.0)]).T
    beyond = np.mean(regrets > share)
    return (
        f"{share}: {len(stops) / users:.0%} at {np.median(counts):.0f} with {np.median(regrets):.3f}, {beyond:.0%} over"
    )


def describe_stops(stops: list[tuple[int | None, int | None]]) -> str:
    """How many who came near the best, and stayed there, were told to stop in time; how many were before."""
    near = [(reached, stop) for reached, stop in stops if reached is not None]
    late = [stop is None or stop - reached > IN_TIME for reached, stop in near if reached + IN_TIME <= STARS[-1]]
    early = [reached is None or stop < reached for reached, stop in stops if stop is not None]
    return f"too late {sum(late)} of {len(late)}, before regret {NEAR} {sum(early)} of {len(early)}"


def main() -> None:
    """Print the figures of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--first", type=int, default=3000)
    parser.add_argument("--families", nargs="*", choices=(*FAMILIES, *TUNING_FAMILIES), default=FAMILIES)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=[way for way in WAYS if way != "warm start"])
    arguments = parser.parse_args()
    for name in arguments.ways:
        try:
            run_way(name, list(arguments.families), range(arguments.first, arguments.first + arguments.users))
        except ModuleNotFoundError as error:
            print(f"{name:14} skipped: {error}")


if __name__ == "__main__":
    main()
