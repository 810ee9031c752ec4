"""The rated images of a dataset as arrays of codes: what evidence is computed from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pyarrow import compute as pc

from stablenew.errors import ConfigError
from stablenew.formats.learning_plan import PLAN_TAG
from stablenew.learning.arrow_column import whole
from stablenew.learning.dataset_columns import MAIN_SETTINGS, STAGE_SETTINGS, stage_column
from stablenew.learning.dataset_reader import Dataset
from stablenew.learning.statistics_of_stars import measure_agreement

_NOT_SETTINGS: Final = frozenset({"seed", "model_hash", "txt2img_subseed", "img2img_seed"})
_CONTEXT: Final = ("prompt", "negative_prompt", "engine", "loras")
"""What must be alike besides the settings for two images to be compared."""
_OTHER: Final = (
    "run_id", "image_id", "seed", "image_seed", "prompt_family", "learning_tags", "rating", "ratings", "role",
)  # fmt: skip

Codes = npt.NDArray[np.int64]


def _setting_columns() -> dict[str, str]:
    named = {f"{stage}.{name}": stage_column(stage, name) for stage, name in STAGE_SETTINGS}
    named |= {f"img2img.{name}": name for name in ("denoising_strength",) if name not in named}
    return {name: column for name, column in named.items() if column is not None and column not in _NOT_SETTINGS}


SETTINGS: Final = _setting_columns()
"""Column of every setting that evidence can be about, by dotted name."""


def find_setting(name: str) -> str:
    """The dotted name of a setting, given it or, for a main setting, its own name or its beginning (`cfg`).

    Raises:
        ConfigError: there is no such setting.
    """
    if name in SETTINGS:
        return name
    begun = [one for one in MAIN_SETTINGS if one.startswith(name) and f"txt2img.{one}" in SETTINGS]
    if name in begun or len(begun) == 1:
        return f"txt2img.{name if name in begun else begun[0]}"
    import difflib  # noqa: PLC0415

    near = difflib.get_close_matches(name, [*SETTINGS, *MAIN_SETTINGS], 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SETTINGS)}"
    raise ConfigError(f"no setting {name!r} to ask about; {hint}")


@dataclass
class Factor:
    """One setting: its values, and which of them each rated image had."""

    name: str
    values: list[Any]
    """None where it is not known."""
    codes: Codes

    @property
    def is_varied(self) -> bool:
        """Whether there is anything to compare."""
        return len(self.values) > 1


@dataclass
class EvidenceTable:
    """Rated images, an entry each; ratings by rater apart, an entry each."""

    run_ids: list[str]
    stars: npt.NDArray[np.float64]
    """The mean of its raters."""
    families: Codes
    """Prompt family of each image."""
    is_controlled: npt.NDArray[np.bool_]
    """Whether a learning plan made it."""
    factors: dict[str, Factor]
    contexts: npt.NDArray[np.uint64]
    """Equal for images that are alike in all settings and in all else but the seed."""
    seeds: npt.NDArray[np.uint64]
    """Equal for images of one seed."""
    rating_images: Codes
    """Of each rating its image, ..."""
    rating_raters: Codes
    rating_stars: npt.NDArray[np.float64]
    raters: list[str]
    preferences: list[dict[str, Any]] = field(default_factory=list)
    """Comparisons, in the columns of a dataset's table of preferences."""
    compared: dict[tuple[str, str], int] = field(default_factory=dict)
    """Place in `compared_codes` of each compared image, by run and image id."""
    compared_codes: dict[str, Codes] = field(default_factory=dict)
    """Of each compared image the code of each setting, ..."""
    compared_contexts: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    @cached_property
    def agreement(self) -> float | None:
        """Krippendorff's alpha of the raters; None when nobody rated the same image as another."""
        return measure_agreement(self.rating_images, self.rating_stars)

    def contexts_without(self, name: str) -> npt.NDArray[np.uint64]:
        """As `contexts`, with one setting left open."""
        return self.contexts - _hash_codes(name, self.factors[name].codes)

    def compared_contexts_without(self, name: str) -> npt.NDArray[np.uint64]:
        """The same of the compared images."""
        return self.compared_contexts - _hash_codes(name, self.compared_codes[name])


def read_evidence_table(dataset: Dataset) -> EvidenceTable:
    """The rated and the compared final images of a dataset."""
    preferences = dataset.read_preferences().to_pylist()
    wanted = pa.array(sorted({one[side] for one in preferences for side in ("winner", "loser")}), pa.string())
    columns = [*_OTHER, *_CONTEXT, *dict.fromkeys(SETTINGS.values())]
    tables = []
    for table in dataset.iter_tables(columns):
        is_final = pc.fill_null(pc.equal(table["role"], "final"), True)
        is_wanted = pc.or_(pc.is_valid(table["rating"]), pc.is_in(table["image_id"], wanted))
        tables.append(table.filter(pc.and_(is_final, is_wanted)))
    images = pa.concat_tables(tables) if tables else dataset.read_images(columns)
    return build_evidence_table(images, preferences)


def build_evidence_table(images: pa.Table, preferences: Sequence[dict[str, Any]] = ()) -> EvidenceTable:
    """The table of `images` (dataset columns) and comparisons between them."""
    factors = {name: _build_factor(name, images[column]) for name, column in SETTINGS.items()}
    contexts = np.zeros(len(images), np.uint64)
    for name, factor in factors.items():
        contexts += _hash_codes(name, factor.codes)
    for name in _CONTEXT:
        contexts += _hash_codes(name, _encode(_as_text(images[name]))[1])
    is_rated = pc.is_valid(images["rating"]).to_numpy(zero_copy_only=False).astype(bool)
    rated = images.filter(pa.array(is_rated))
    ratings = _flatten_ratings(rated)
    keys = list(zip(images["run_id"].to_pylist(), images["image_id"].to_pylist(), strict=True))
    return EvidenceTable(
        run_ids=rated["run_id"].to_pylist(),
        stars=rated["rating"].to_numpy().astype(np.float64),
        families=_encode(rated["prompt_family"])[1],
        is_controlled=_has_plan_tag(rated["learning_tags"]),
        factors={name: Factor(name, one.values, one.codes[is_rated]) for name, one in factors.items()},
        contexts=contexts[is_rated],
        seeds=_hash_codes("seed", _encode(pc.coalesce(rated["image_seed"], rated["seed"]))[1]),
        rating_images=ratings[0],
        rating_raters=ratings[1],
        rating_stars=ratings[2],
        raters=ratings[3],
        preferences=list(preferences),
        compared={key: place for place, key in enumerate(keys)} if preferences else {},
        compared_codes={name: factor.codes for name, factor in factors.items()},
        compared_contexts=contexts,
    )


def _build_factor(name: str, column: pa.ChunkedArray) -> Factor:
    values, codes = _encode(column)
    order = sorted(range(len(values)), key=lambda place: _sort_key(values[place]))
    ranks = np.empty(len(values), np.int64)
    ranks[order] = np.arange(len(values))
    return Factor(name, [values[place] for place in order], ranks[codes])


def _sort_key(value: Any) -> tuple[bool, str, Any]:
    return (value is None, type(value).__name__, "" if value is None else value)


def _encode(column: pa.ChunkedArray) -> tuple[list[Any], Codes]:
    """The different values, null among them, and for each entry the place of its own."""
    encoded = pc.dictionary_encode(whole(column), null_encoding="encode")
    if len(encoded) == 0:
        return [], np.empty(0, np.int64)
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_nested(column.type):
        return column
    texts = [json.dumps(value, sort_keys=True) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _hash_codes(name: str, codes: Codes) -> npt.NDArray[np.uint64]:
    """A random-looking number for each code of a column; sums of them over columns name a combination."""
    salt = np.uint64(xxhash.xxh3_64_intdigest(name.encode()))
    mixed = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) ^ salt
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return mixed * np.uint64(0x94D049BB133111EB)


def _has_plan_tag(tags: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.array([any(tag.startswith(PLAN_TAG) for tag in one or ()) for one in tags.to_pylist()], bool)


def _flatten_ratings(rated: pa.Table) -> tuple[Codes, Codes, npt.NDArray[np.float64], list[str]]:
    lists = whole(rated["ratings"])
    images = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    entries = pc.list_flatten(lists)
    raters, codes = _encode(pa.chunked_array([pc.struct_field(entries, "rater")]))
    return images, codes, pc.struct_field(entries, "rating").to_numpy(zero_copy_only=False).astype(float), raters


def most_used(table: EvidenceTable) -> Mapping[str, Any]:
    """The value of each setting that most rated images had; None only where none is known."""
    return {name: _most_used(factor) for name, factor in table.factors.items()}


def _most_used(factor: Factor) -> Any:
    counts = np.bincount(factor.codes, minlength=len(factor.values)).astype(float)
    counts[[value is None for value in factor.values]] *= 1e-9
    return factor.values[int(counts.argmax())] if len(counts) else None
