"""Simulated users of known taste, who rate images of six settings: five samplers, three schedulers, four numbers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from stablenew.learning.surface.kernel_sizes import SizeSearch
from stablenew.learning.surface.observations import Observations
from stablenew.learning.surface.setting_kernel import Dimension, KernelParts, SettingSpace
from stablenew.learning.surface.settings_search import Bounds

SAMPLERS, SCHEDULERS, NUMBERS, PROMPTS = 5, 3, 4, 8
SPACE: Final = SettingSpace(
    (
        Dimension("txt2img.sampler", tuple(f"sampler {number}" for number in range(SAMPLERS)), is_number=False),
        Dimension("txt2img.scheduler", tuple(f"scheduler {number}" for number in range(SCHEDULERS)), is_number=False),
        *(Dimension(f"number {number}", (0.0, 1.0), is_number=True) for number in range(NUMBERS)),
    )
)
BOUNDS: Final = {
    dimension.name: Bounds((0.0, 1.0), True)
    if dimension.is_number
    else Bounds(tuple(float(code) for code in range(len(dimension.values))), False)
    for dimension in SPACE.dimensions
}
FAMILIES: Final = (
    "bowl", "plateau", "ridge", "two_optima", "interaction", "drifting", "careless", "prompts", "nothing"
)  # fmt: skip
TUNING_FAMILIES: Final = ("wavy", "dependent", "saturating", "patchy")
"""Other tastes, for choosing between versions of the model: the families that are reported have not been seen then."""
SPAN: Final = (2.0, 3.0)
"""Stars between average settings and the best, lowest and highest: with these, the settings of the best-rated of 48
images are 0.4 of the way from best to average, as people's way was found to be."""
DRIFT: Final = 1.5
"""Stars by which a drifting user's scale moves over a hundred images, up or down, beside a random walk."""

CARELESS_SHARE: Final = 0.15
CARELESS_NOISE: Final = 3.0
"""How many stars of a careless user say next to nothing, and how far they are off."""
_MANY: Final = 350
_NEXT_TO_NOTHING: Final = 0.005

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Taste = Callable[[Floats], Floats]


def draw_taste(family: str, chance: np.random.Generator) -> Taste:
    """The true worth of points, in stars."""
    if family in TUNING_FAMILIES:
        return _draw_tuning_taste(family, chance)
    samplers, schedulers = chance.normal(0, 0.4, SAMPLERS), chance.normal(0, 0.25, SCHEDULERS)
    centre, other = chance.uniform(0.15, 0.85, NUMBERS), chance.uniform(0.15, 0.85, NUMBERS)
    weights = chance.dirichlet(np.ones(NUMBERS)) * 2.0

    def words(points: Floats) -> Floats:
        return np.asarray(samplers[points[:, 0].astype(int)] + schedulers[points[:, 1].astype(int)])

    def hill(points: Floats, middle: Floats, height: float) -> Floats:
        return np.asarray(height * np.exp(-np.sum((points[:, 2:4] - middle[:2]) ** 2, axis=1) / 0.06))

    def corner(points: Floats) -> Floats:
        return np.asarray((points[:, 0] < 2) & (points[:, 2] > centre[0]) & (points[:, 3] > centre[1]), float)

    tastes: dict[str, Taste] = {
        "plateau": lambda points: words(points) - 2 * np.max(np.abs(points[:, 2:4] - centre[:2]), axis=1).clip(0.2),
        "ridge": lambda points: words(points) - 3 * np.abs(points[:, 2] + points[:, 3] - centre[0] - centre[1]),
        "two_optima": lambda points: words(points) + np.maximum(hill(points, centre, 2), hill(points, other, 1.6)),
        "interaction": lambda points: words(points) / 2 + 1.5 * corner(points) - (points[:, 4] - centre[2]) ** 2,
        "nothing": lambda points: np.zeros(len(points)),
    }
    return tastes.get(family, lambda points: words(points) - (points[:, 2:] - centre) ** 2 @ (weights * 3))


def _draw_tuning_taste(family: str, chance: np.random.Generator) -> Taste:
    """As `draw_taste`, of the families for tuning."""
    samplers, schedulers = chance.normal(0, 0.5, SAMPLERS), chance.normal(0, 0.3, SCHEDULERS)
    centres = chance.uniform(0.15, 0.85, (SAMPLERS, NUMBERS))
    waves, phases = chance.normal(0, 1.8, (12, NUMBERS)), chance.uniform(0, 2 * np.pi, 12)
    weights = chance.dirichlet(np.ones(NUMBERS)) * 3.0

    def words(points: Floats) -> Floats:
        return np.asarray(samplers[points[:, 0].astype(int)] + schedulers[points[:, 1].astype(int)])

    def apart(points: Floats) -> Floats:
        return np.asarray((points[:, 2:] - centres[points[:, 0].astype(int)]) ** 2)

    tastes: dict[str, Taste] = {
        "wavy": lambda points: words(points) + np.cos(points[:, 2:] @ waves.T + phases).mean(axis=1) * 2,
        "dependent": lambda points: words(points) - apart(points) @ weights,
        "saturating": lambda points: words(points) + (1 - np.exp(-5 * points[:, 2:])) @ weights - 2 * points[:, 4] ** 2,
        "patchy": lambda points: words(points) - 1.5 * (np.abs(points[:, 2:] - centres[0]) > 0.25) @ weights,
    }
    return tastes[family]


def draw_points(count: int, chance: np.random.Generator) -> Floats:
    """Random settings."""
    words = [chance.integers(0, SAMPLERS, count), chance.integers(0, SCHEDULERS, count)]
    return np.column_stack([*words, chance.uniform(0, 1, (count, NUMBERS))]).astype(float)


class SimulatedUser:
    """One user: what settings are worth to them, and how they rate."""

    def __init__(self, family: str, number: int) -> None:
        index = (*FAMILIES, *TUNING_FAMILIES).index(family)
        self.chance = np.random.default_rng([number, index, 20261128])
        self.family, self.raw = family, draw_taste(family, self.chance)
        points = draw_points(20_000, self.chance)
        mean, best = float(self.raw(points).mean()), self._climb(points)
        self.factor = self.chance.uniform(*SPAN) / max(best - mean, 1e-9)
        self.mean, self.best = mean * self.factor, best * self.factor
        self.of_prompts = self.chance.normal(0, 1.2 if family == "prompts" else 0.4, PROMPTS)
        self.noise = self.chance.uniform(0.5, 0.9)
        self.direction = self.chance.choice([-1, 1])
        self._rated, self._mood = 0, 0.0

    def _climb(self, points: Floats) -> float:
        """The highest worth there is."""
        for step in (0.1, 0.03, 0.01):
            best = np.repeat(points[np.argsort(-self.raw(points))[:50]], 60, axis=0)
            moved = best.copy()
            moved[:, 2:] = np.clip(moved[:, 2:] + self.chance.normal(0, step, (len(best), NUMBERS)), 0, 1)
            points = np.concatenate([points, moved])
        return float(self.raw(points).max())

    def taste(self, points: Floats) -> Floats:
        """The true worth of points, in stars."""
        return self.raw(points) * self.factor

    def regret(self, point: Floats) -> float:
        """The share of the distance from the best settings to the average ones that is lost."""
        return (self.best - float(self.taste(point[None])[0])) / max(self.best - self.mean, 1e-9)

    def rate(self, points: Floats, prompts: Codes) -> Floats:
        """Whole stars for images, one after the other."""
        stars = 2.5 + self.taste(points) - self.mean + self.of_prompts[prompts]
        noise = np.full(len(points), self.noise)
        if self.family == "careless":
            noise[self.chance.random(len(points)) < CARELESS_SHARE] = CARELESS_NOISE
        stars = stars + self.chance.normal(0, 1, len(points)) * noise + self._drift(len(points))
        return np.asarray(np.clip(np.floor(stars + 0.5), 0, 5))

    def _drift(self, count: int) -> Floats:
        if self.family != "drifting":
            return np.zeros(count)
        steps = self.direction * DRIFT / 100 + self.chance.normal(0, 0.05, count)
        moods = self._mood + np.cumsum(steps)
        self._mood = float(moods[-1])
        return moods


def find_true_sizes(user: SimulatedUser) -> KernelParts:
    """What nobody but a simulation knows: the sizes of the surface's parts, from many points without any noise."""
    points = draw_points(_MANY, np.random.default_rng(_MANY))
    each, together = np.arange(_MANY), np.zeros(_MANY, np.int64)
    worth = user.taste(points) - user.mean
    groups = {"prompt": each, "seed": each, "rater": together}
    found = SizeSearch(SPACE, points, worth - worth.mean(), np.ones(_MANY), groups).find_parts()
    careless = CARELESS_SHARE * CARELESS_NOISE**2 if user.family == "careless" else 0.0
    noise = float(np.sqrt(user.noise**2 * (1 - CARELESS_SHARE * (careless > 0)) + careless))
    return replace(found, noise=noise, prompt=float(user.of_prompts.var()), seed=_NEXT_TO_NOTHING, rater=0.1)


class RatedImages:
    """The images that one user rated so far. Each round has one prompt and one seed."""

    def __init__(self) -> None:
        self.points = np.empty((0, len(SPACE.dimensions)))
        self.prompts, self.seeds = np.empty(0, np.int64), np.empty(0, np.int64)
        self.stars = np.empty(0)

    def __len__(self) -> int:
        return len(self.points)

    def rate(self, user: SimulatedUser, points: Floats) -> None:
        """Let the user rate one round."""
        prompts = np.full(len(points), user.chance.integers(0, PROMPTS))
        self.seeds = np.concatenate([self.seeds, np.full(len(points), self.seeds.max(initial=-1) + 1)])
        self.stars = np.concatenate([self.stars, user.rate(points, prompts)])
        self.prompts, self.points = np.concatenate([self.prompts, prompts]), np.concatenate([self.points, points])

    def observe(self) -> Observations:
        """What the model learns from."""
        count, nothing = len(self.points), np.empty(0, np.int64)
        return Observations(
            SPACE, self.points, self.prompts, self.seeds, np.arange(count), np.zeros(count, np.int64), self.stars,
            nothing, nothing, np.empty(0),
        )  # fmt: skip
