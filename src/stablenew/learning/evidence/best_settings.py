"""The best settings all together, from the preference model: how sure it is that they beat those in use, and why.

The evidence about single settings (`evidence`) and this answer rest on different assumptions: see `README.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from stablenew.learning.evidence.evidence_table import EvidenceTable
from stablenew.learning.evidence.rating_statistics import CONFIDENCE, NOT_ENOUGH
from stablenew.learning.evidence.setting_factors import Factor, form_interval, is_number, is_of_kind, sort_key
from stablenew.learning.evidence.values_in_use import values_in_use
from stablenew.learning.surface.observations import Floats, Observations
from stablenew.learning.surface.preference_model import Gain, Surface
from stablenew.learning.surface.setting_kernel import UNKNOWN, Dimension, SettingSpace

FEWEST_IMAGES: Final = 20
"""With fewer rated or compared images there is no surface to speak of."""
MOST_DIMENSIONS: Final = 16
"""Settings that are looked at together: those known of most images."""
SUPPORT: Final = 3.0
"""Settings are taken to matter if the ratings are e^3 = 20 times more probable that way: strong evidence after Kass and
Raftery (Bayes Factors, 1995)."""
_BACKGROUND: Final = 200
"""Images over whose other settings the effect of one setting is averaged."""
_NEAREST: Final = 12
_CLOSE: Final = 0.1
"""Numbers are one answer if they differ by at most this part of the larger."""


@dataclass(frozen=True)
class Influence:
    """How much one setting matters."""

    setting: str
    """Its dotted name."""
    effect: float
    """Expected stars between its best and its worst value, averaged over the other settings."""
    best: Any
    """Its best value on that average."""


@dataclass(frozen=True)
class SettingAnswer:
    """What the surface says of one setting, the others being at their best."""

    gain: Gain
    """How many stars its best value is better than the one in use."""
    likely: tuple[Any, ...]
    """The values that may be as good as its best: of a number the lowest and the highest, else each."""

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these."""
        numbers = [number for number in (*self.likely, value) if is_number(number)]
        if len(numbers) > len(self.likely) > 0:
            return bool(self.likely[0] <= value <= self.likely[-1])
        return value in self.likely


@dataclass(frozen=True)
class BestSettings:
    """The settings that the surface expects to be rated best, compared with those in use."""

    settings: Mapping[str, Any]
    """The best settings, by dotted name."""
    current: Mapping[str, Any]
    """The settings they are compared with."""
    is_supported: bool
    """Whether settings matter at all, and these are better with a probability of at least `CONFIDENCE`."""
    reason: str
    """Why, in words; begins with "not enough evidence" where that is so."""
    gain: Gain | None
    """How many stars better they are; None where there is no surface."""
    influences: tuple[Influence, ...]
    """How much each setting matters, the most first."""
    image_count: int
    """Rated or compared images behind it."""
    run_ids: tuple[str, ...]
    """The runs of the rated images that are most like the best settings."""
    answers: Mapping[str, SettingAnswer] = field(default_factory=dict)
    """By setting; empty where settings may not matter at all."""


def find_best_settings(table: EvidenceTable, current: Mapping[str, Any] | None = None) -> BestSettings:
    """The best settings for these images; `current` are those in use, by default what most rated images had.

    What makes another kind of image (model, VAE, size and the like) is taken as some image had it together.

    Raises:
        ConfigError: `current` names a setting that does not exist.
    """
    used = values_in_use(table, current)
    observed = build_observations(table)
    names = [dimension.name for dimension in observed.space.dimensions]
    compared_with = {name: used[name] for name in names}
    count = len(np.union1d(observed.rated, np.concatenate([observed.winners, observed.losers])))
    if count < FEWEST_IMAGES or not names:
        few = f"{count} rated or compared images, {FEWEST_IMAGES} are needed"
        reason = few if names else "no setting was varied"
        return BestSettings({}, compared_with, False, f"{NOT_ENOUGH}: {reason}", None, (), count, ())
    surface = Surface(observed)
    best = surface.find_best(kept=[index for index, name in enumerate(names) if is_of_kind(name)])
    gain = surface.compare(best, observed.space.encode(compared_with))
    is_supported = gain.probability >= CONFIDENCE and surface.support >= SUPPORT
    return BestSettings(
        settings=observed.space.decode(best),
        current=compared_with,
        is_supported=is_supported,
        reason=_explain(gain, surface.support, is_supported=is_supported),
        gain=gain,
        influences=_find_influences(surface),
        image_count=count,
        run_ids=_find_nearest(table, surface, observed.points[table.rated_rows], best),
        answers=_answer_each(surface, best, compared_with) if surface.support >= SUPPORT else {},
    )


def _explain(gain: Gain, support: float, *, is_supported: bool) -> str:
    expected = f"{gain.estimate:+.2f} stars expected ({gain.low:+.2f} to {gain.high:+.2f})"
    if is_supported:
        return f"better with a probability of {gain.probability:.0%}: {expected}"
    if support < SUPPORT:
        return f"{NOT_ENOUGH}: the ratings may be as they are without any effect of these settings"
    return f"{NOT_ENOUGH} that other settings are better than those in use: {gain.probability:.0%}, {expected}"


def build_observations(table: EvidenceTable, ranges: Mapping[str, tuple[Any, ...]] | None = None) -> Observations:
    """The ratings and comparisons of a table, over the settings that were varied.

    `ranges` names settings to look at in any case, with values that shall lie within the space.
    """
    wider = ranges or {}
    factors = compared_factors(table)
    varied = [factor for factor in factors.values() if len(_known(factor)) > 1 or factor.name in wider]
    chosen = sorted(varied, key=lambda factor: (factor.name not in wider, -_count_known(factor)))[:MOST_DIMENSIONS]
    dimensions = tuple(_build_dimension(factor, wider.get(factor.name, ())) for factor in chosen)
    columns = [_encode(dimension, factor) for dimension, factor in zip(dimensions, chosen, strict=True)]
    pairs = [
        (winner, loser, 1.0 if comparison["outcome"] == "win" else 0.5)
        for comparison in table.preferences
        if comparison["outcome"] in ("win", "tie")
        and (winner := table.compared.get(comparison["winner"])) is not None
        and (loser := table.compared.get(comparison["loser"])) is not None
        and winner != loser
    ]
    winners, losers, points = (np.array(column) for column in zip(*pairs, strict=True)) if pairs else ([], [], [])
    order = table.order
    return Observations(
        space=SettingSpace(dimensions),
        points=np.column_stack(columns) if columns else np.empty((len(table.compared_prompts), 0)),
        prompts=table.compared_prompts,
        seeds=table.compared_seeds,
        rated=table.rated_rows[np.concatenate([table.rating_images, order.images])],
        raters=np.concatenate([table.rating_raters, order.raters]),
        stars=np.concatenate([table.rating_stars, order.stars]),
        winners=np.asarray(winners, np.int64),
        losers=np.asarray(losers, np.int64),
        points_won=np.asarray(points, np.float64),
        positions=np.concatenate([order.positions, order.earlier_positions]),
    )


def encode_images(space: SettingSpace, table: EvidenceTable) -> Floats:
    """The settings of all images of a table as points of a space, one row each."""
    factors = compared_factors(table)
    unknown = np.full(len(table.compared_prompts), UNKNOWN)
    columns = [
        _encode(dimension, factors[dimension.name]) if dimension.name in factors else unknown
        for dimension in space.dimensions
    ]
    return np.column_stack(columns) if columns else np.empty((len(table.compared_prompts), 0))


def compared_factors(table: EvidenceTable) -> dict[str, Factor]:
    """Every setting with its value of each image of the table, rated or not."""
    return {name: Factor(name, table.factors[name].values, codes) for name, codes in table.compared_codes.items()}


def _known(factor: Factor) -> list[Any]:
    """The values that some image had, in order, without what is not known."""
    return [factor.values[code] for code in factor.used[0] if factor.values[code] is not None]


def _count_known(factor: Factor) -> int:
    unknown = [code for code, value in enumerate(factor.values) if value is None]
    return int(np.count_nonzero(~np.isin(factor.codes, unknown)))


def _build_dimension(factor: Factor, more: tuple[Any, ...] = ()) -> Dimension:
    values = {*_known(factor), *more}
    are_numbers = form_interval(values)
    return Dimension(factor.name, tuple(sorted(values, key=None if are_numbers else sort_key)), are_numbers)


def _encode(dimension: Dimension, factor: Factor) -> Floats:
    used = set(factor.used[0])
    codes = [dimension.encode(value) if code in used else 0.0 for code, value in enumerate(factor.values)]
    column: Floats = np.array(codes)[factor.codes]
    return column


def _find_influences(surface: Surface) -> tuple[Influence, ...]:
    points = surface.observed.points
    background = points[np.unique(np.linspace(0, len(points) - 1, _BACKGROUND).astype(int))]
    found = []
    pairs = zip(surface.observed.space.dimensions, surface.observed.space.candidates(points), strict=True)
    for index, (dimension, values) in enumerate(pairs):
        means = []
        for value in values:
            moved = background.copy()
            moved[:, index] = value
            means.append(float(surface.expect(moved).mean()))
        best = dimension.decode(values[int(np.argmax(means))])
        found.append(Influence(dimension.name, max(means) - min(means), best))
    return tuple(sorted(found, key=lambda influence: -influence.effect))


def _answer_each(surface: Surface, best: Floats, current: Mapping[str, Any]) -> dict[str, SettingAnswer]:
    space = surface.observed.space
    candidates = zip(space.dimensions, space.candidates(surface.observed.points), strict=True)
    return {
        dimension.name: _answer(surface, best, index, codes[codes != UNKNOWN], current[dimension.name])
        for index, (dimension, codes) in enumerate(candidates)
    }


def _answer(surface: Surface, best: Floats, index: int, codes: Floats, current: Any) -> SettingAnswer:
    dimension = surface.observed.space.dimensions[index]
    moved = np.tile(best, (len(codes) + 1, 1))
    moved[:, index] = [*codes, dimension.encode(current)]
    gains = surface.compare_with(best, moved)
    likely = [code for code, gain in zip(codes.tolist(), gains, strict=False) if gain.low <= 0]
    ends = [likely[0], likely[-1]] if dimension.is_number and likely else likely
    return SettingAnswer(gains[-1], tuple(dict.fromkeys(dimension.decode(code) for code in ends)))


def _find_nearest(table: EvidenceTable, surface: Surface, rated: Floats, best: Floats) -> tuple[str, ...]:
    """The runs of the rated images, whose points are `rated`, that are most like the best settings."""
    alike = surface.parts.setting_covariance(surface.observed.space, best[None], rated)[0]
    images = np.argsort(-alike, kind="stable")[:_NEAREST]
    return tuple(table.run_ids[run] for run in np.unique(table.runs[images]).tolist())


def compare_value(name: str, value: Any, found: BestSettings, *, is_supported: bool) -> tuple[Any, str | None]:
    """What one model says of a setting for which matched pairs favour `value`, and why that differs.

    None where it supports no change or does not know the setting, or where there is no difference.
    """
    if not found.is_supported or name not in found.settings:
        return None, None
    together = found.settings[name]
    if _is_close(value, together):
        return together, None
    if is_supported:
        reason = (
            "matched pairs compare it with the other settings as they were; "
            f"{together} is expected to be better together with the other best settings"
        )
    else:
        reason = f"too few images match in everything else; {together} comes from all {found.image_count} images"
    return together, reason


def _is_close(value: Any, other: Any) -> bool:
    if is_number(value) and is_number(other):
        return bool(abs(value - other) <= _CLOSE * max(abs(value), abs(other)))
    return bool(value == other)
