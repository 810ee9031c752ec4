"""The surface as people can look at it: what each setting does on average, and what two do together."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from stablenew.learning.surface.observations import Floats
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.settings_search import Bounds

CURVE_POINTS: Final = 13
"""Values of a number that a curve has."""
MAP_POINTS: Final = 9
"""Values of a number on each side of a map."""
_BACKGROUND: Final = 40
"""Images over whose other settings an effect is averaged."""


class CurvePoint(NamedTuple):
    """The expected stars at one value, compared with the average of the curve."""

    value: Any
    estimate: float
    low: float
    """The lower end of the 95 % interval."""
    high: float
    """The upper end of the 95 % interval."""


class SurfaceMap(NamedTuple):
    """Expected stars over two settings, compared with the average of the map."""

    setting: str
    against: str
    values: tuple[Any, ...]
    """Of the first setting."""
    others: tuple[Any, ...]
    """Of the second setting."""
    stars: tuple[tuple[float, ...], ...]
    """One row for each value of the first."""


def draw_curve(surface: Surface, name: str, bounds: Bounds) -> tuple[CurvePoint, ...]:
    """What a setting does within its bounds, averaged over the other settings of the images that were rated."""
    index, codes = _find(surface, name), _spread(bounds, CURVE_POINTS)
    background = _background(surface)
    points = np.concatenate([_moved(background, {index: code}) for code in codes])
    mean, covariance = surface.predict(points)
    average = np.kron(np.eye(len(codes)), np.full((1, len(background)), 1 / len(background)))
    centre = (np.eye(len(codes)) - 1 / len(codes)) @ average
    estimates = centre @ mean
    spreads = 1.96 * np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", centre, covariance, centre), 0))
    dimension = surface.observed.space.dimensions[index]
    return tuple(
        CurvePoint(dimension.decode(code), float(estimate), float(estimate - spread), float(estimate + spread))
        for code, estimate, spread in zip(codes.tolist(), estimates, spreads, strict=True)
    )


def draw_map(surface: Surface, bounds: Mapping[str, Bounds], name: str, against: str) -> SurfaceMap:
    """What two settings do together, averaged over the others."""
    first, second = _find(surface, name), _find(surface, against)
    rows, columns = (_spread(bounds[setting], MAP_POINTS) for setting in (name, against))
    background = _background(surface)
    cells = [_moved(background, {first: row, second: column}) for row in rows for column in columns]
    stars = surface.expect(np.concatenate(cells)).reshape(len(rows), len(columns), -1).mean(axis=2)
    stars -= stars.mean()
    dimensions = surface.observed.space.dimensions
    return SurfaceMap(
        name,
        against,
        tuple(dimensions[first].decode(code) for code in rows.tolist()),
        tuple(dimensions[second].decode(code) for code in columns.tolist()),
        tuple(tuple(row) for row in stars.round(3).tolist()),
    )


def _find(surface: Surface, name: str) -> int:
    return [dimension.name for dimension in surface.observed.space.dimensions].index(name)


def _spread(bounds: Bounds, count: int) -> Floats:
    """The codes of a curve: evenly spread for a number, else every word."""
    return np.linspace(bounds.codes[0], bounds.codes[-1], count) if bounds.is_number else np.array(bounds.codes)


def _background(surface: Surface) -> Floats:
    points = surface.observed.points
    return np.asarray(points[np.unique(np.linspace(0, len(points) - 1, _BACKGROUND).astype(int))])


def _moved(points: Floats, codes: Mapping[int, float]) -> Floats:
    moved = points.copy()
    for index, code in codes.items():
        moved[:, index] = code
    return moved
