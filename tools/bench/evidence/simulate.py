"""Does the surface find good settings, and do its intervals keep what they say? Simulated users of known taste.

    python tools/bench/evidence/simulate.py [--users 40] [--stars 48 96] [--families plateau ridge ...]

Each user tries random choices of six settings (five samplers, three schedulers, four numbers) over eight prompts and
rates each image in whole stars, with noise. Printed for each family: the median regret (the share of the distance from
the best choice to the average one that is lost) of the settings of the best-rated image and of those that the surface
recommends; how often 95 % intervals of differences between random choices hold the truth; the calibration error of the
probability that one choice is better than another; how often the recommended settings are claimed to be better (at
95 %) than those of the first image, and how often that is true; and the processor time of learning and recommending.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stablenew.learning.evidence.best_settings import SUPPORT
from stablenew.learning.evidence.rating_statistics import CONFIDENCE
from stablenew.learning.surface.observations import Observations
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.setting_kernel import Dimension, SettingSpace

SAMPLERS, SCHEDULERS, PROMPTS = 5, 3, 8
SPACE = SettingSpace(
    (
        Dimension("txt2img.sampler", tuple(f"sampler {number}" for number in range(SAMPLERS)), is_number=False),
        Dimension("txt2img.scheduler", tuple(f"scheduler {number}" for number in range(SCHEDULERS)), is_number=False),
        *(Dimension(f"number {number}", (0.0, 1.0), is_number=True) for number in range(4)),
    )
)
Floats = npt.NDArray[np.float64]
Taste = Callable[[Floats], Floats]


def family(name: str, chance: np.random.Generator) -> Taste:
    """The true worth of points, in stars."""
    samplers, schedulers = chance.normal(0, 0.4, SAMPLERS), chance.normal(0, 0.25, SCHEDULERS)
    centre, other = chance.uniform(0.15, 0.85, 4), chance.uniform(0.15, 0.85, 4)
    weights = chance.dirichlet(np.ones(4)) * 2.0

    def words(points: Floats) -> Floats:
        return np.asarray(samplers[points[:, 0].astype(int)] + schedulers[points[:, 1].astype(int)])

    def hill(points: Floats, middle: Floats, height: float) -> Floats:
        return np.asarray(height * np.exp(-np.sum((points[:, 2:4] - middle[:2]) ** 2, axis=1) / 0.06))

    def corner(points: Floats) -> Floats:
        return np.asarray((points[:, 0] < 2) & (points[:, 2] > centre[0]) & (points[:, 3] > centre[1]), float)

    tastes: dict[str, Taste] = {
        "bowl": lambda points: words(points) - (points[:, 2:] - centre) ** 2 @ (weights * 3),
        "plateau": lambda points: words(points) - 2 * np.max(np.abs(points[:, 2:4] - centre[:2]), axis=1).clip(0.2),
        "ridge": lambda points: words(points) - 3 * np.abs(points[:, 2] + points[:, 3] - centre[0] - centre[1]),
        "two_optima": lambda points: words(points) + np.maximum(hill(points, centre, 2), hill(points, other, 1.6)),
        "interaction": lambda points: words(points) / 2 + 1.5 * corner(points) - (points[:, 4] - centre[2]) ** 2,
        "nothing": lambda points: np.zeros(len(points)),
    }
    return tastes.get(name, tastes["bowl"])


FAMILIES = ("bowl", "plateau", "ridge", "two_optima", "interaction", "careless", "prompts", "nothing")


def draw_points(count: int, chance: np.random.Generator) -> Floats:
    words = [chance.integers(0, SAMPLERS, count), chance.integers(0, SCHEDULERS, count)]
    return np.column_stack([*words, chance.uniform(0, 1, (count, 4))]).astype(float)


def observe(name: str, taste: Taste, count: int, chance: np.random.Generator) -> Observations:
    points = draw_points(count, chance)
    prompts = chance.integers(0, PROMPTS, count)
    of_prompts = chance.normal(0, 1.2 if name == "prompts" else 0.4, PROMPTS)
    noise = np.full(count, chance.uniform(0.5, 0.9))
    if name == "careless":
        noise[chance.random(count) < 0.15] = 3.0
    felt = 2.5 + taste(points) - taste(draw_points(2000, chance)).mean() + of_prompts[prompts]
    stars = np.clip(np.floor(felt + chance.normal(0, 1, count) * noise + 0.5), 0, 5)
    nothing = np.empty(0, np.int64)
    return Observations(
        SPACE, points, prompts, np.arange(count), np.arange(count), np.zeros(count, np.int64), stars,
        nothing, nothing, np.empty(0),
    )  # fmt: skip


def measure(name: str, count: int, users: int) -> dict[str, float]:
    """Figures for one family, as the module's docstring names them."""
    regrets, best_image, costs = [], [], []
    held: list[bool] = []
    claims: list[bool] = []
    statements: list[tuple[float, bool]] = []
    for user in range(users):
        chance = np.random.default_rng([user, count, FAMILIES.index(name)])
        taste = family(name, chance)
        observed = observe(name, taste, count, chance)
        worth = taste(draw_points(50_000, chance))
        start = time.process_time()
        surface = Surface(observed)
        found = surface.find_best()
        costs.append(time.process_time() - start)
        span = max(worth.max() - worth.mean(), 1e-9)
        regrets.append((worth.max() - taste(found[None])[0]) / span)
        best_image.append((worth.max() - taste(observed.points[[observed.stars.argmax()]])[0]) / span)
        claimed, usual = surface.compare(found, observed.points[0]), observed.points[0]
        if claimed.probability >= CONFIDENCE and surface.support >= SUPPORT:
            claims.append(bool(taste(found[None])[0] > taste(usual[None])[0]))
        pairs = draw_points(40, chance).reshape(20, 2, 6)
        for first, second in pairs:
            gain, truth = surface.compare(first, second), float(np.diff(taste(np.stack([second, first])))[0])
            held.append(gain.low <= truth <= gain.high)
            if truth:
                statements.append((gain.probability, truth > 0))
    return {
        "best image": float(np.median(best_image)),
        "surface": float(np.median(regrets)),
        "intervals": float(np.mean(held)),
        "calibration error": calibration_error(statements),
        "claims": len(claims) / users,
        "true claims": float(np.mean(claims)) if claims else float("nan"),
        "seconds": float(np.median(costs)),
    }


def calibration_error(statements: list[tuple[float, bool]]) -> float:
    """The expected calibration error of probabilities, in ten bins."""
    if not statements:
        return float("nan")
    said, came = np.array([p for p, _ in statements]), np.array([true for _, true in statements], float)
    bins = np.minimum((said * 10).astype(int), 9)
    gaps = [abs(said[bins == b].mean() - came[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)]
    return float(np.sum(gaps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--stars", type=int, nargs="*", default=[48, 96])
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=FAMILIES)
    arguments = parser.parse_args()
    for count in arguments.stars:
        for name in arguments.families:
            figures = measure(name, count, arguments.users)
            print(
                f"{count:4} {name:12}", *(f"{key} {value:.3f}" for key, value in figures.items()), sep="  ", flush=True
            )


if __name__ == "__main__":
    main()
