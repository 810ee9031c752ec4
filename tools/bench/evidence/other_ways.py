"""How people and other programs choose settings, beside which proposals are measured."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from simulated_users import NUMBERS, SAMPLERS, SCHEDULERS, RatedImages, SimulatedUser, draw_points

STARS: Final = (24, 48, 96)
"""After so many stars settings are recommended."""
ROUND: Final = 4
"""Images that are rated together."""
Figures = dict[str, list[Any]]
Way = Callable[[SimulatedUser, Figures], dict[int, float]]
"""Lets a user rate images; gives the regret after each number of stars."""


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
