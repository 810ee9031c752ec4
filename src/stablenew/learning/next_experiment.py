"""The next experiment: which settings to try within which ranges, which images to rate first, and whether to stop."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.errors import ConfigError
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.evidence.best_settings import FEWEST_IMAGES, build_observations, encode_images
from stablenew.learning.evidence.evidence_table import (
    OWN,
    EvidenceTable,
    build_evidence_table,
    most_used,
    read_images_for_evidence,
    sort_key,
)
from stablenew.learning.learning_contract import limits_of
from stablenew.learning.surface.next_batch import Batch, Bounds, Left, propose_batch
from stablenew.learning.surface.observations import Floats, Observations
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.setting_kernel import Dimension

MOST_UNRATED: Final = 2_000
"""Images that nobody has rated are looked at up to this many."""
_PROMPTS: Final = 8
_MADE_WITH: Final = "txt2img."


class SettingRange(NamedTuple):
    """What one setting may be: everything between two numbers, or one of some values."""

    name: str
    """Its dotted name."""
    values: tuple[Any, ...]
    """The lowest and the highest, or each value."""
    is_interval: bool


class ImageName(NamedTuple):
    """An image that is there already."""

    run_id: str
    image_id: str


@dataclass(frozen=True)
class NextExperiment:
    """What to do next to learn which settings are best."""

    tuned: tuple[SettingRange, ...]
    """The settings that are varied, and how far."""
    fixed: Mapping[str, Any]
    """What images are made with beside them, by dotted name: as most rated images had it."""
    settings: tuple[Mapping[str, Any], ...]
    """The settings to make images with, by dotted name."""
    is_random: tuple[bool, ...]
    """For each of them whether it was drawn at random."""
    rate_first: tuple[ImageName, ...]
    """Images that are there already and teach as much as new ones would."""
    best: Mapping[str, Any] | None
    """The best known settings; None before there are enough ratings."""
    left: Left | None
    """What better settings may still bring; None before there are enough ratings."""
    rating_count: int
    """Ratings and comparisons that this rests on."""
    prompts: tuple[tuple[str, str], ...]
    """Prompts and negative prompts of the images that were rated, the most frequent first."""
    surface: Surface | None
    """What is known; None where nothing is."""
    bounds: Mapping[str, Bounds]
    """The ranges of the tuned settings, as the surface has them."""

    @property
    def is_done(self) -> bool:
        """Whether there is little left to gain, as far as enough ratings can tell."""
        return self.left is not None and self.left.is_little and self.rating_count >= FEWEST_IMAGES

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the surface."""
        return {
            "tuned": [{"name": name, "values": list(values)} for name, values, _ in self.tuned],
            "settings": [dict(settings) for settings in self.settings],
            "is_random": list(self.is_random),
            "rate_first": [image._asdict() for image in self.rate_first],
            "best": None if self.best is None else dict(self.best),
            "left": None if self.left is None else self.left._asdict(),
            "is_done": self.is_done,
            "rating_count": self.rating_count,
            "prompts": [list(prompt) for prompt in self.prompts],
            "fixed": dict(self.fixed),
        }


def parse_ranges(texts: Sequence[str]) -> list[tuple[str, tuple[str, ...], bool]]:
    """Name, values as text, and whether they are two ends, of each `cfg=3..12` or `sampler=Euler|DPM++ 2M`.

    A text may hold several, with commas between.

    Raises:
        ConfigError: one is not of that form.
    """
    found = []
    for text in (part.strip() for whole in texts for part in whole.split(",")):
        name, equals, values = text.partition("=")
        low, dots, high = values.partition("..")
        parts = (low, high) if dots else tuple(values.split("|"))
        if not equals or not all(part.strip() for part in (name, *parts)) or len(parts) < 2:
            raise ConfigError(f"expected SETTING=LOW..HIGH or SETTING=VALUE|VALUE, found {text!r}")
        found.append((name.strip(), tuple(part.strip() for part in parts), bool(dots)))
    return found


def find_next(dataset: Dataset, over: Sequence[str] = (), *, size: int = 4) -> NextExperiment:
    """The next `size` images to make or to rate.

    `over` are ranges as `parse_ranges` reads them; by default every setting that rated images differ in is tuned, over
    the values that they had.

    Raises:
        ConfigError: a range names no setting or does not fit it, or there is nothing to tune.
    """
    images = read_images_for_evidence(dataset, most_others=MOST_UNRATED)
    table = images.build_table()
    used = most_used(table)
    ranges = [_read_range(table, *parts) for parts in parse_ranges(over)] or _seen_ranges(table)
    if not ranges:
        raise ConfigError(
            "there is nothing to tune: rated images do not differ; name settings, such as --over cfg=3..12"
        )
    observed = build_observations(table, {found.name: found.values for found in ranges})
    dimensions = {dimension.name: dimension for dimension in observed.space.dimensions}
    ranges = [found for found in ranges if found.name in dimensions]
    bounds = {found.name: _bounds_of(dimensions[found.name], found) for found in ranges}
    fixed = observed.space.encode(used)
    count = len(observed.stars) + len(observed.winners)
    unrated = (
        _choose_unrated(images.others, observed, bounds, fixed)
        if count
        else _Unrated((), np.empty((0, len(dimensions))))
    )
    surface = Surface(observed) if count else None
    batch = propose_batch(observed.space, bounds, fixed, surface, size=size, made=unrated.points)
    return NextExperiment(
        tuned=tuple(ranges),
        fixed={
            name: value
            for name, value in used.items()
            if value is not None and name not in bounds and name.startswith(_MADE_WITH)
        },
        settings=tuple(_decode(observed, batch, row, bounds) for row in range(len(batch.points))),
        is_random=batch.is_random,
        rate_first=tuple(unrated.names[index] for index in batch.existing),
        best=None if batch.best is None else _only(observed.space.decode(batch.best), bounds),
        left=batch.left,
        rating_count=count,
        prompts=_frequent_prompts(images.judged),
        surface=surface,
        bounds=bounds,
    )


def _decode(observed: Observations, batch: Batch, row: int, bounds: Mapping[str, Bounds]) -> dict[str, Any]:
    return _only(observed.space.decode(batch.points[row]), bounds)


def _only(settings: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name in names}


def _read_range(table: EvidenceTable, name: str, texts: tuple[str, ...], is_interval: bool) -> SettingRange:
    dotted = table.find_setting(name)
    limits = limits_of(dotted)
    if dotted.startswith(OWN):
        raise ConfigError(f"{name} is not a setting that a plan can vary")
    if limits.type == "text" or not is_interval:
        if is_interval:
            raise ConfigError(f"{name} is a word: expected {name}=VALUE|VALUE, found {'..'.join(texts)!r}")
        return SettingRange(dotted, tuple(_read_value(name, text, limits.type) for text in texts), is_interval=False)
    low, high = (_read_value(name, text, limits.type) for text in texts)
    for end in (low, high):
        if (limits.lowest is not None and end < limits.lowest) or (limits.highest is not None and end > limits.highest):
            raise ConfigError(f"{name} is between {limits.lowest} and {limits.highest}, found {end}")
    if not low < high:
        raise ConfigError(f"{name}: expected the lower number first, found {'..'.join(texts)}")
    return SettingRange(dotted, (low, high), is_interval=True)


def _read_value(name: str, text: str, kind: str) -> Any:
    if kind == "text":
        return text
    try:
        return int(text) if kind == "integer" else float(text)
    except ValueError:
        raise ConfigError(
            f"{name}: expected {'a whole number' if kind == 'integer' else 'a number'}, found {text!r}"
        ) from None


def _seen_ranges(table: EvidenceTable) -> list[SettingRange]:
    """What rated images had, of every setting that they differ in and that a plan can vary."""
    found = []
    for factor in table.factors.values():
        seen = sorted({factor.values[code] for code in factor.used[0]} - {None}, key=sort_key)
        if len(seen) > 1 and not factor.name.startswith(OWN):
            is_number = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in seen)
            found.append(SettingRange(factor.name, (seen[0], seen[-1]) if is_number else tuple(seen), is_number))
    return found


def _bounds_of(dimension: Dimension, found: SettingRange) -> Bounds:
    codes = tuple(dimension.encode(value) for value in found.values)
    return Bounds(codes, is_number=dimension.is_number and found.is_interval)


class _Unrated(NamedTuple):
    """Images that nobody has rated or compared."""

    names: tuple[ImageName, ...]
    points: Floats
    """Their settings, one row each."""


def _choose_unrated(images: pa.Table, observed: Observations, bounds: Mapping[str, Bounds], fixed: Floats) -> _Unrated:
    """Those within the ranges that are in everything else as what is tried now."""
    if not len(images):
        return _Unrated((), np.empty((0, len(fixed))))
    points = encode_images(observed.space, build_evidence_table(images))
    fits = np.ones(len(points), bool)
    for index, dimension in enumerate(observed.space.dimensions):
        column = points[:, index]
        if dimension.name not in bounds:
            fits &= column == fixed[index]
        elif bounds[dimension.name].is_number:
            fits &= (column >= bounds[dimension.name].codes[0]) & (column <= bounds[dimension.name].codes[-1])
        else:
            fits &= np.isin(column, bounds[dimension.name].codes)
    rows = np.flatnonzero(fits)
    named = images.select(["run_id", "image_id"]).take(rows).to_pylist()
    return _Unrated(tuple(ImageName(image["run_id"], image["image_id"]) for image in named), points[rows])


def _frequent_prompts(images: pa.Table) -> tuple[tuple[str, str], ...]:
    rated = images.filter(pc.is_valid(images["rating"])).select(["prompt", "negative_prompt"])
    counts = Counter((row["prompt"] or "", row["negative_prompt"] or "") for row in rated.to_pylist())
    return tuple(sorted(counts, key=lambda prompt: (-counts[prompt], prompt))[:_PROMPTS])
