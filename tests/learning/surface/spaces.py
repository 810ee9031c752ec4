"""A small space of settings, and observations of images in it, which tests of the surface build on."""

import numpy as np

from stablenew.learning.surface.observations import Observations
from stablenew.learning.surface.setting_kernel import Dimension, KernelParts, SettingSpace

CFG = Dimension("txt2img.cfg_scale", (0.0, 10.0), is_number=True)
SAMPLER = Dimension("txt2img.sampler", ("Euler", "DDIM", "UniPC"), is_number=False)
SPACE = SettingSpace((CFG, SAMPLER))
POINTS = np.array([[0.0, 0], [0.5, 1], [1.0, 0], [0.25, 2], [-1.0, 0], [0.5, 1]])
"""Of six images, as `SPACE` encodes settings: one with a CFG scale that is not known, two that are alike."""


def observe(stars=(), rated=None, *, points=POINTS, winners=(), losers=(), points_won=None, **fields):
    """Stars for images, the first for the first unless told otherwise, by one rater; and comparisons."""
    count = len(points)
    given = {
        "prompts": np.zeros(count, np.int64), "seeds": np.full(count, -1), "raters": np.zeros(len(stars), np.int64),
    } | {name: np.array(values, np.int64) for name, values in fields.items()}  # fmt: skip
    return Observations(
        space=SPACE,
        points=np.array(points, float),
        rated=np.arange(len(stars)) if rated is None else np.array(rated, np.int64),
        stars=np.array(stars, float),
        winners=np.array(winners, np.int64),
        losers=np.array(losers, np.int64),
        points_won=np.ones(len(winners)) if points_won is None else np.array(points_won, float),
        **given,
    )


def parts_of(**sizes):
    """Parts of which only those that are named contribute."""
    nothing = {"alone": 0.0, "pairs": 0.0, "together": 0.0, "prompt": 0.0, "seed": 0.0, "rater": 0.0, "noise": 0.5}
    return KernelParts(np.array([0.5, 1.0]), **(nothing | sizes))
