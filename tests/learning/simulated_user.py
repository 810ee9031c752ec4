"""A user whose taste is known: ratings drawn from true effects, with noise, confounding and unequal counts."""

import random
from dataclasses import dataclass, replace

import pyarrow as pa

from stablenew.learning.dataset.columns import IMAGES_SCHEMA

VALUES = {
    "model": ["alpha", "beta", "gamma"],
    "sampler": ["Euler a", "DPM++ 2M", "DDIM", "UniPC"],
    "cfg_scale": [5.0, 7.0, 9.0],
}


PROMPT_SPREAD = 0.4


@dataclass
class User:
    """What somebody likes, and how they work."""

    effects: dict
    """Stars that each value adds, by setting and value."""
    prompts: list
    """Stars that each prompt adds."""
    habits: dict
    """How often each value is used, by setting; samplers by model, which confounds the two."""
    noise: float
    chance: random.Random

    @classmethod
    def from_seed(cls, seed, *, spread=0.35, noise=0.5, prompts=12):
        chance = random.Random(seed)
        effects = {name: {value: chance.gauss(0, spread) for value in values} for name, values in VALUES.items()}
        habits = {name: skewed(chance, values) for name, values in VALUES.items()}
        habits["sampler"] = {model: skewed(chance, VALUES["sampler"]) for model in VALUES["model"]}
        return cls(effects, [chance.gauss(0, PROMPT_SPREAD) for _ in range(prompts)], habits, noise, chance)

    def with_new_prompts(self, count=300):
        """The same user with other prompts of the same kind."""
        return replace(self, prompts=[self.chance.gauss(0, PROMPT_SPREAD) for _ in range(count)])

    def settings(self):
        model = pick(self.chance, self.habits["model"])
        sampler = pick(self.chance, self.habits["sampler"][model])
        return {"model": model, "sampler": sampler, "cfg_scale": pick(self.chance, self.habits["cfg_scale"])}

    def taste(self, settings, prompt):
        """The stars of an image before chance has a say."""
        return 2.5 + self.prompts[prompt] + sum(self.effects[name][value] for name, value in settings.items())

    def rate(self, settings, prompt):
        """Whole stars from 0 to 5."""
        return min(5, max(0, int(self.taste(settings, prompt) + self.chance.gauss(0, self.noise) + 0.5)))

    def work(self, count, *, sweeps=0.3):
        """About `count` rated images: now and then every value of one setting is tried, else settings by habit."""
        rows = []
        while len(rows) < count:
            prompt, settings = self.chance.randrange(len(self.prompts)), self.settings()
            tried = [settings]
            if self.chance.random() < sweeps:
                name = self.chance.choice(list(VALUES))
                tried = [settings | {name: value} for value in VALUES[name]]
            rows += [(f"run-{len(rows)}", prompt, one, self.rate(one, prompt)) for one in tried]
        return rows


def skewed(chance, values):
    """Habits: the first values far more often than the last, in an order of chance."""
    order = chance.sample(values, len(values))
    return {value: 1 / (place + 1) ** 1.5 for place, value in enumerate(order)}


def pick(chance, habits):
    return chance.choices(list(habits), list(habits.values()))[0]


def build_images(rows, tags=()):
    """Rated images, given as (run, prompt, settings, stars), as the dataset has them."""
    given = {
        "run_id": [run for run, *_ in rows],
        "image_id": [f"xxh128:{number:032x}" for number in range(len(rows))],
        "prompt": [f"prompt {prompt}" for _, prompt, *_ in rows],
        "prompt_family": [f"{prompt:016x}" for _, prompt, *_ in rows],
        "learning_tags": [list(tags)] * len(rows),
        "role": ["final"] * len(rows),
        "rating": [float(stars) for *_, stars in rows],
        "rating_count": [1] * len(rows),
        "ratings": [[{"rater": "alice", "rating": stars, "rated_at": None}] for *_, stars in rows],
    }
    for name in VALUES:
        given[name] = [settings[name] for _, _, settings, _ in rows]
    columns = [pa.array(given.get(one.name, [None] * len(rows)), one.type) for one in IMAGES_SCHEMA]
    return pa.table(columns, schema=IMAGES_SCHEMA)
