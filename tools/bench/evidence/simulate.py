"""Do proposals find good settings, does the program keep what it says, and does it stop in time? Simulated users.

    python tools/bench/evidence/simulate.py [--users 20] [--first 3000] [--families plateau ridge ...] [--ways ...]

Each user has a known taste over six settings (`simulated_users.py`) and rates images in whole stars, with noise.
Printed for each way of choosing settings, with 24, 48 and 96 stars: the median regret, which is the share of the
distance from the best settings to average ones that is lost, over all families and for each. Of the ways with the
model also: how often 95 % intervals of differences hold the truth, the expected calibration error of "X is better than
Y", how many users are told to stop when less than some share is left to gain, after how many stars and with which
regret, and the processor time a user. The family `nothing` shows how often settings without any effect are said to
matter. Users from 3000 on were used to choose the widening of variances, and nothing else.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr
from simulated_users import (
    BOUNDS,
    FAMILIES,
    NUMBERS,
    SAMPLERS,
    SCHEDULERS,
    SPACE,
    TUNING_FAMILIES,
    RatedImages,
    SimulatedUser,
    draw_points,
)

from stablenew.learning.evidence.best_settings import FEWEST_IMAGES, SUPPORT
from stablenew.learning.surface.next_batch import propose_batch
from stablenew.learning.surface.preference_model import Surface

STARS = (24, 48, 96)
WARM_STARS = (0, 12, 24)
ROUND = 4
NEAR = 0.05
"""The regret below which there is little left to gain."""
IN_TIME = 0.2 * STARS[-1]
OLD = 500
"""Ratings that a warm start begins with."""
SHARES = (0.2, 0.15, 0.12, 0.1)
"""Of what settings can bring: to stop when very likely no more is left is compared for these."""
_FIXED = np.zeros(len(SPACE.dimensions))
Figures = dict[str, list[Any]]
Way = Callable[[SimulatedUser, Figures], dict[int, float]]


def with_model(user: SimulatedUser, figures: Figures, *, is_active: bool) -> dict[int, float]:
    """Settings proposed by the program, or random ones; recommended by the surface."""
    images = RatedImages()
    regrets: dict[int, float] = {}
    stopped: set[float] = set()
    reached: int | None = None
    stop: int | None = None
    while True:
        count = len(images)
        is_asked = count in STARS
        surface = Surface(images.observe()) if count and (is_active or is_asked) else None
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


def best_image(user: SimulatedUser, _: Figures) -> dict[int, float]:
    """Random settings; those of the best-rated image are taken."""
    images, regrets = RatedImages(), {}
    while len(images) < STARS[-1]:
        images.rate(user, draw_points(ROUND, user.chance))
        if len(images) in STARS:
            regrets[len(images)] = user.regret(images.points[int(images.stars.argmax())])
    return regrets


def full_grid(user: SimulatedUser, _: Figures) -> dict[int, float]:
    """All of three samplers, two schedulers and three values of two numbers, in random order; the best mean wins."""
    cells = np.array([[sampler, scheduler, one / 2, two / 2, 0.5, 0.5] for sampler in range(3) for scheduler in range(2)
                      for one in range(3) for two in range(3)])  # fmt: skip
    order = np.concatenate([user.chance.permutation(len(cells)) for _ in range(2)])[: STARS[-1]]
    return _best_mean(user, cells[order])


def _best_mean(user: SimulatedUser, points: Any) -> dict[int, float]:
    images, regrets, sums = RatedImages(), {}, defaultdict(list)
    for start in range(0, STARS[-1], ROUND):
        images.rate(user, points[start : start + ROUND])
        for point, stars in zip(images.points[-ROUND:], images.stars[-ROUND:], strict=True):
            sums[tuple(point)].append(stars)
        if len(images) in STARS:
            regrets[len(images)] = user.regret(np.array(max(sums, key=lambda point: np.mean(sums[point]))))
    return regrets


def one_at_a_time(user: SimulatedUser, _: Figures) -> dict[int, float]:
    """From the middle, one setting after the other, two images for each word or for four values of a number."""
    images, regrets = RatedImages(), {}
    point = np.array([0, 0, 0.5, 0.5, 0.5, 0.5])
    values = [np.arange(SAMPLERS), np.arange(SCHEDULERS), *[np.linspace(0.125, 0.875, 4)] * NUMBERS]
    while True:
        for index, tried in enumerate(values):
            means = []
            for value in tried:
                here = np.tile(point, (2, 1))
                here[:, index] = value
                images.rate(user, here)
                means.append(images.stars[-2:].mean())
                if len(images) in STARS:
                    now = point.copy()
                    now[index] = tried[int(np.argmax(means))]
                    regrets[len(images)] = user.regret(now)
                if len(images) >= STARS[-1]:
                    return regrets
            point[index] = tried[int(np.argmax(means))]


def tpe(user: SimulatedUser, _: Figures) -> dict[int, float]:
    """Optuna's multivariate TPE and its `best_params`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(multivariate=True, seed=1)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    images, regrets = RatedImages(), {}
    while len(images) < STARS[-1]:
        trials = [study.ask() for _ in range(ROUND)]
        images.rate(user, np.array([_suggest(trial) for trial in trials]))
        for trial, stars in zip(trials, images.stars[-ROUND:], strict=True):
            study.tell(trial, float(stars))
        if len(images) in STARS:
            regrets[len(images)] = user.regret(np.array(list(study.best_params.values()), float))
    return regrets


def _suggest(trial: Any) -> list[float]:
    words = [trial.suggest_categorical("sampler", list(range(SAMPLERS))),
             trial.suggest_categorical("scheduler", list(range(SCHEDULERS)))]  # fmt: skip
    return [*map(float, words), *(trial.suggest_float(f"number {number}", 0, 1) for number in range(NUMBERS))]


WAYS: dict[str, Way] = {
    "proposals": lambda user, figures: with_model(user, figures, is_active=True),
    "random, model": lambda user, figures: with_model(user, figures, is_active=False),
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
        text = " ".join(f"{stars}: {np.median([regrets[stars] for regrets in found]):.3f}" for stars in found[0])
        if family != "nothing":
            for stars in found[0]:
                pooled[stars] += [regrets[stars] for regrets in found]
            for key, values in figures.items():
                everything[key] += values
        print(f"{name:14} {family:12} {text}", describe(figures), flush=True)
    seconds = (time.process_time() - start) / (len(families) * len(users))
    text = " ".join(
        f"{stars}: {np.median(regrets):.3f} (mean {np.mean(regrets):.3f})" for stars, regrets in pooled.items()
    )
    print(f"{name:14} {'POOLED':12} {text} {describe(everything)} {seconds:.2f} s a user", flush=True)


def describe(figures: Figures) -> str:
    """What the model said, and whether it was so."""
    if not figures["held"]:
        return ""
    stops = [
        f"{share}: {len(figures[f'stopped at {share}']) / len(figures['users']):.0%}"
        f" at {np.median([count for count, _ in figures[f'stopped at {share}']] or [0]):.0f}"
        f" with {np.median([regret for _, regret in figures[f'stopped at {share}']] or [0]):.3f}"
        for share in SHARES
    ]
    return (
        f"| held {np.mean(figures['held']):.3f} of {len(figures['held'])}"
        f", calibration error {calibration_error(figures['statements']):.3f}"
        f", settings matter {np.mean(figures['says they matter']):.0%}, stopped {'; '.join(stops)}"
        f", {describe_stops(figures['stops'])}"
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
