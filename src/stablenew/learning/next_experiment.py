"""The next experiment: which settings to try within which ranges, which images to rate first, and whether to stop."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from stablenew.learning.coherent_base import CoherentBase, find_base
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.evidence.best_settings import FEWEST_IMAGES, build_observations, encode_images
from stablenew.learning.evidence.evidence_table import (
    EvidenceTable,
    ImagesForEvidence,
    build_evidence_table,
    has_plan_tag,
    read_images_for_evidence,
)
from stablenew.learning.evidence.values_in_use import most_used
from stablenew.learning.surface.asking_again import choose_again
from stablenew.learning.surface.left_to_gain import Left
from stablenew.learning.surface.next_batch import propose_batch
from stablenew.learning.surface.observations import Floats, Observations
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.setting_kernel import UNKNOWN, Dimension, SettingSpace
from stablenew.learning.surface.settings_search import Bounds
from stablenew.learning.tuned_ranges import SettingRange, choose_ranges, read_ranges

MOST_UNRATED: Final = 2_000
"""Images that nobody has rated are looked at up to this many."""
_PROMPTS: Final = 8


class ImageName(NamedTuple):
    """An image that is there already."""

    run_id: str
    image_id: str


class RaterConstancy(NamedTuple):
    """How consistent the stars of a rater are, from images that they rated again."""

    rater: str
    repeat_count: int
    """Ratings of images that the rater had rated before."""
    noise: float
    """How much two stars of theirs for one image differ by chance, as a standard deviation of each."""
    drift: float
    """Stars by which their scale moves over 100 ratings; this is allowed for."""
    is_drifting: bool
    """Whether that is surely more than nothing."""


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
    rate_again: tuple[ImageName, ...]
    """Images that the rater gave stars long ago; said again, without a look at them, they show how sure they are."""
    constancy: tuple[RaterConstancy, ...]
    """Of each rater who rated images again."""
    best: Mapping[str, Any] | None
    """The best known settings; None before there are enough ratings."""
    left: Left | None
    """What better settings may still bring; None before there are enough ratings."""
    rating_count: int
    """Ratings and comparisons that this rests on."""
    unrated_count: int
    """Images within the ranges that nobody has rated or compared."""
    prompts: tuple[tuple[str, str], ...]
    """Prompts and negative prompts of the images that were rated, the most frequent first; else of the others."""
    surface: Surface | None
    """What is known; None where nothing is."""
    bounds: Mapping[str, Bounds]
    """The ranges of the tuned settings, as the surface has them."""
    base: CoherentBase
    """The images whose model, size and other things that make an image of another kind are kept."""

    @property
    def is_done(self) -> bool:
        """Whether there is little left to gain, as far as enough ratings can tell."""
        return self.left is not None and self.left.is_little and self.rating_count >= FEWEST_IMAGES

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the surface."""
        return {
            "tuned": [range_._asdict() for range_ in self.tuned],
            "settings": [dict(settings) for settings in self.settings],
            "is_random": list(self.is_random),
            "rate_first": [image._asdict() for image in self.rate_first],
            "rate_again": [image._asdict() for image in self.rate_again],
            "constancy": [rater._asdict() for rater in self.constancy],
            "best": None if self.best is None else dict(self.best),
            "left": None if self.left is None else self.left._asdict() | {"text": self.left.text},
            "is_done": self.is_done,
            "rating_count": self.rating_count,
            "unrated_count": self.unrated_count,
            "prompts": [list(prompt) for prompt in self.prompts],
            "fixed": dict(self.fixed),
            "base": self.base.to_dict(),
        }


def find_next(dataset: Dataset, over: Sequence[str] = (), *, size: int = 4, rater: str | None = None) -> NextExperiment:
    """The next `size` images to make or to rate, and those that `rater` should rate again.

    `over` are ranges as `parse_ranges` reads them; for what is tuned without any see `choose_ranges`. What makes an
    image of another kind, such as the model, is not varied without being asked for, and is as `find_base` finds it.

    Raises:
        ConfigError: a range names no setting or does not fit it.
    """
    images = read_images_for_evidence(dataset, most_others=MOST_UNRATED)
    table, others = images.build_table(), build_evidence_table(images.others)
    asked = read_ranges(over, table)
    base = find_base(images, table, others, asked)
    alike = images.filter(base.judged, base.others)
    used, ranges = _choose_tuned(alike, base, asked)
    search = _build_search(table, used, ranges)
    count = len(search.observed.find_latest()) + len(search.observed.winners)
    unrated = _choose_unrated(images.others, others, base, search)
    surface = Surface(search.observed) if count else None
    batch = propose_batch(search.space, search.bounds, search.fixed, surface, size=size, made=unrated.points)
    return NextExperiment(
        tuned=search.ranges,
        fixed={
            name: value
            for name, value in used.items()
            if value is not None and name not in search.bounds and base.is_stage_used(name, used)
        },
        settings=tuple(search.decode(point) for point in batch.points),
        is_random=batch.is_random,
        rate_first=tuple(unrated.names[index] for index in batch.existing),
        rate_again=_ask_again(surface, table, images.judged, rater),
        constancy=_describe_raters(surface, table.raters),
        best=None if batch.best is None else search.decode(batch.best),
        left=batch.left,
        rating_count=count,
        unrated_count=len(unrated.names),
        prompts=_frequent_prompts(alike.judged) or _frequent_prompts(alike.others),
        surface=surface,
        bounds=search.bounds,
        base=base,
    )


def _choose_tuned(
    alike: ImagesForEvidence, base: CoherentBase, asked: Sequence[SettingRange]
) -> tuple[Mapping[str, Any], Sequence[SettingRange]]:
    """The settings that most images of the base have, and the ranges to tune: those asked for, or chosen from them."""
    table, others = alike.build_table(), build_evidence_table(alike.others)
    used = most_used(table) if len(alike.judged) else most_used(others)
    return used, asked or choose_ranges(table, others, used, lambda name: base.may_vary(name, used))


class _Search(NamedTuple):
    """Where the next settings are looked for."""

    observed: Observations
    ranges: tuple[SettingRange, ...]
    bounds: Mapping[str, Bounds]
    """The same, as codes."""
    fixed: Floats
    """The code of every setting where it is not tuned."""

    @property
    def space(self) -> SettingSpace:
        """The settings that vary, and their ranges."""
        return self.observed.space

    def decode(self, point: Floats) -> dict[str, Any]:
        """The tuned settings of a point."""
        return {name: value for name, value in self.space.decode(point).items() if name in self.bounds}


def _build_search(table: EvidenceTable, used: Mapping[str, Any], ranges: Sequence[SettingRange]) -> _Search:
    observed = build_observations(table, {found.name: found.values for found in ranges})
    dimensions = {dimension.name: dimension for dimension in observed.space.dimensions}
    known = tuple(found for found in ranges if found.name in dimensions)
    bounds = {found.name: _bounds_of(dimensions[found.name], found) for found in known}
    return _Search(observed, known, bounds, observed.space.encode(used))


def _ask_again(
    surface: Surface | None, table: EvidenceTable, judged: pa.Table, rater: str | None
) -> tuple[ImageName, ...]:
    if surface is None or rater not in table.raters:
        return ()
    rows = choose_again(surface, table.raters.index(rater))
    named = judged.select(["run_id", "image_id"]).take(rows).to_pylist()
    return tuple(ImageName(image["run_id"], image["image_id"]) for image in named)


def _describe_raters(surface: Surface | None, raters: Sequence[str]) -> tuple[RaterConstancy, ...]:
    if surface is None:
        return ()
    habits = surface.habits
    return tuple(
        RaterConstancy(
            raters[rater],
            int(count),
            round(float(surface.parts.noise * habits.noise[rater]), 2),
            round(float(habits.drift[rater]), 2),
            habits.is_drifting(rater),
        )
        for rater, count in enumerate(habits.repeat_counts.tolist())
        if count
    )


def _bounds_of(dimension: Dimension, found: SettingRange) -> Bounds:
    codes = tuple(dimension.encode(value) for value in found.values)
    return Bounds(codes, is_number=dimension.is_number and found.is_interval)


class _Unrated(NamedTuple):
    """Images that nobody has rated or compared."""

    names: tuple[ImageName, ...]
    points: Floats
    """Their settings, one row each."""


def _choose_unrated(images: pa.Table, table: EvidenceTable, base: CoherentBase, search: _Search) -> _Unrated:
    """Those of `images`, with their `table`, within the ranges that are in everything else as what is tried now.

    What a learning plan made, maybe with another engine, need not have what is not known of the base.
    """
    fixed, bounds = search.fixed, search.bounds
    if not len(images):
        return _Unrated((), np.empty((0, len(fixed))))
    points = encode_images(search.space, table)
    is_planned = has_plan_tag(images["learning_tags"])
    fits = base.others | is_planned
    for index, dimension in enumerate(search.space.dimensions):
        column = points[:, index]
        if dimension.name not in bounds:
            fits &= (column == fixed[index]) | (is_planned & (fixed[index] == UNKNOWN))
        elif bounds[dimension.name].is_number:
            fits &= (column >= bounds[dimension.name].codes[0]) & (column <= bounds[dimension.name].codes[-1])
        else:
            fits &= np.isin(column, bounds[dimension.name].codes)
    rows = np.flatnonzero(fits)
    named = images.select(["run_id", "image_id"]).take(rows).to_pylist()
    return _Unrated(tuple(ImageName(image["run_id"], image["image_id"]) for image in named), points[rows])


def _frequent_prompts(images: pa.Table) -> tuple[tuple[str, str], ...]:
    rows = images.select(["prompt", "negative_prompt"]).to_pylist()
    counts = Counter((row["prompt"] or "", row["negative_prompt"] or "") for row in rows)
    return tuple(sorted(counts, key=lambda prompt: (-counts[prompt], prompt))[:_PROMPTS])
