"""The rated images of a dataset as arrays of codes, which evidence is computed from."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pyarrow import compute as pc

from stablenew.errors import ConfigError
from stablenew.formats.documents.learning_plan import PLAN_TAG
from stablenew.formats.settings import standard_name
from stablenew.learning.dataset.columns import (
    COLUMNS,
    MAIN_SETTINGS,
    SEED,
    STAGE_SETTINGS,
    stage_column,
    stage_model,
    whole,
)
from stablenew.learning.dataset.reader import NO_PICTURES, Dataset
from stablenew.learning.evidence.matched_pairs import Codes, RatingGroups, group_ratings
from stablenew.learning.evidence.pictures import keep_first_rows, merge_pictures
from stablenew.learning.evidence.rating_order import EARLIER, RatingOrder, flatten_lists, order_ratings
from stablenew.learning.evidence.rating_statistics import measure_agreement

_NOT_COMPARED: Final = frozenset({"model_hash"})
"""Text that says the same as another setting."""
OWN: Final = "settings."
"""How the names of settings begin that are not in the table of settings, as in a query."""
MOST_OWN_SETTINGS: Final = 256
"""Those that most images have are looked at."""
_SPREAD: Final = 0.25
"""A setting whose most frequent value has a smaller share than this was not used but tried."""
_CONTEXT: Final = ("prompt", "negative_prompt", "engine")
"""What must be equal, besides settings and LoRAs, for two images to be compared."""
_OTHER: Final = (
    "run_id", "image_id", "settings", "seed", "image_seed", "prompt_family", "loras", "learning_tags",
    "rating", "ratings", EARLIER, "role",
)  # fmt: skip


def _setting_columns() -> dict[str, str]:
    named = {f"{stage}.{name}": stage_column(stage, name) for stage, name in STAGE_SETTINGS}
    named |= {f"img2img.{name}": name for name in ("denoising_strength",) if name not in named}
    types = {column.name: column.type for column in COLUMNS}
    return {
        name: column
        for name, column in named.items()
        if column is not None and types[column] != SEED and column not in _NOT_COMPARED
    }


SETTINGS: Final = _setting_columns()
"""The column of every setting that evidence can be about, by dotted name."""


def find_setting(name: str, own: Collection[str] = ()) -> str:
    """The dotted name of a setting, given that, or its plain name, another name for it, or the beginning of its name.

    `own` are the names of settings that are not in the table of settings, which begin with `OWN`.

    Raises:
        ConfigError: there is no such setting.
    """
    known = {main: f"txt2img.{main}" for main in MAIN_SETTINGS if f"txt2img.{main}" in SETTINGS}
    known |= {dotted.removeprefix(OWN): dotted for dotted in own}
    if name in SETTINGS or name in own:
        return name
    if name in known or standard_name(name) in known:
        return known.get(name) or known[standard_name(name)]
    begun = [plain for plain in known if plain.startswith(name)]
    if len(begun) == 1:
        return known[begun[0]]
    import difflib  # noqa: PLC0415

    near = difflib.get_close_matches(name, [*SETTINGS, *known, *own], 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join([*SETTINGS, *own])}"
    raise ConfigError(f"no setting {name!r} to ask about; {hint}")


@dataclass
class Factor:
    """One setting: its values, and which of them each rated image had."""

    name: str
    """The dotted name of the setting."""
    values: list[Any]
    """The different values, in order; None where it is not known."""
    codes: npt.NDArray[np.int32]
    """For each image the index of its value in `values`."""

    @property
    def is_varied(self) -> bool:
        """Whether there is anything to compare."""
        return len(self.values) > 1

    @cached_property
    def used(self) -> tuple[list[int], Codes]:
        """The codes that occur, and for each image the index of its own code among them."""
        return used_codes(self.codes)


def used_codes(codes: npt.NDArray[np.int32]) -> tuple[list[int], Codes]:
    """The different codes, in order, and for each image the index of its own code among them."""
    used, places = np.unique(codes, return_inverse=True)
    return used.tolist(), places.astype(np.int64)


@dataclass
class EvidenceTable:
    """Rated images, their ratings and their comparisons, as arrays.

    Arrays of rated images have one entry per image, those that begin with `rating_` one per rating by one rater, and
    those that begin with `compared_` one per image that was rated or compared.
    """

    run_ids: list[str]
    """The runs, in order."""
    runs: npt.NDArray[np.int32]
    """For each rated image the index of its run in `run_ids`."""
    stars: npt.NDArray[np.float64]
    """For each rated image the mean of its raters' stars."""
    families: Codes
    """For each rated image its prompt family."""
    is_controlled: npt.NDArray[np.bool_]
    """For each rated image whether a learning plan made it."""
    factors: dict[str, Factor]
    """Every setting, by dotted name."""
    contexts: npt.NDArray[np.uint64]
    """For each rated image a number, equal for images that are alike in everything but the seed."""
    seeds: npt.NDArray[np.uint64]
    """For each rated image a number, equal for images with the same seed."""
    rating_images: Codes
    """For each rating the index of its image."""
    rating_raters: Codes
    """For each rating the index of its rater in `raters`."""
    rating_stars: npt.NDArray[np.float64]
    """For each rating its stars."""
    raters: list[str]
    """Names of the raters."""
    order: RatingOrder
    """When each rating was given, and what raters said of the same images before."""
    preferences: list[dict[str, Any]] = field(default_factory=list)
    """Comparisons, in the columns of a dataset's table of preferences."""
    compared: dict[str, int] = field(default_factory=dict)
    """The index of each compared image in the `compared_` arrays, by image id."""
    compared_codes: dict[str, npt.NDArray[np.int32]] = field(default_factory=dict)
    """For each setting the code of each image."""
    compared_contexts: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """As `contexts`, for every rated or compared image."""
    compared_prompts: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    """For each rated or compared image a number, equal for images of one prompt."""
    compared_seeds: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    """For each rated or compared image a number, equal for images of one seed; -1 where it is not known."""
    rated_rows: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    """For each rated image its index in the `compared_` arrays."""

    def find_setting(self, name: str) -> str:
        """The dotted name of a setting of these images; see `find_setting`.

        Raises:
            ConfigError: there is no such setting.
        """
        return find_setting(name, self.factors.keys() - SETTINGS.keys())

    @cached_property
    def agreement(self) -> float | None:
        """Krippendorff's alpha of the raters; None when nobody rated the same image as another."""
        return measure_agreement(self.rating_images, self.rating_stars)

    @cached_property
    def groups(self) -> dict[tuple[bool, bool], RatingGroups]:
        """Ratings by one rater of images that are alike in everything, grouped.

        By whether a learning plan made the images, and by whether the seed must be equal too. Subtracting the
        `hash_codes` of a setting from the keys gives strata over that setting.
        """
        found = {}
        for is_controlled, with_seeds in itertools.product((False, True), repeat=2):
            wanted = np.flatnonzero(self.is_controlled[self.rating_images] == is_controlled)
            images = self.rating_images[wanted]
            alike = self.contexts + self.seeds if with_seeds else self.contexts
            keys = alike[images] + hash_codes("rater", self.rating_raters[wanted])
            found[is_controlled, with_seeds] = group_ratings(keys, images, self.rating_stars[wanted])
        return found

    def compared_contexts_without(self, name: str) -> npt.NDArray[np.uint64]:
        """For each compared image a number, equal for those alike in everything but one setting and the seed."""
        return np.subtract(self.compared_contexts, hash_codes(name, self.compared_codes[name]))


def read_evidence_table(dataset: Dataset) -> EvidenceTable:
    """The rated and the compared final images of a dataset."""
    return read_images_for_evidence(dataset).build_table()


class ImagesForEvidence(NamedTuple):
    """The final images of a dataset, as read in one pass."""

    judged: pa.Table
    """Those that are rated or compared."""
    others: pa.Table
    """The newest of those that nobody has rated."""
    preferences: list[dict[str, Any]]
    """Every comparison."""
    pictures: Mapping[str, str]
    """For images that are there in several files one that stands for all of them."""

    def build_table(self) -> EvidenceTable:
        """What evidence is computed from."""
        return build_evidence_table(self.judged, self.preferences, self.pictures)


def read_images_for_evidence(dataset: Dataset, *, most_others: int = 0) -> ImagesForEvidence:
    """What is rated or compared, and at most `most_others` of the images that nobody has rated; each picture once."""
    preferences = dataset.read_preferences().to_pylist()
    wanted = _compared_ids(preferences)
    known = {column.name for column in dataset.columns}
    columns = [name for name in image_columns() if name != EARLIER or name in known]  # older datasets lack it
    tables: list[pa.Table] = []
    others: list[pa.Table] = []
    for table in dataset.iter_tables(columns):
        final = table.filter(pc.fill_null(pc.equal(table["role"], "final"), True))
        is_rated = pc.is_valid(final["rating"])
        tables.append(_with_codes(final.filter(pc.or_(is_rated, pc.is_in(final["image_id"], wanted)))))
        if most_others:
            unrated = pa.concat_tables([*others, final.filter(pc.invert(is_rated))])
            others = [unrated.slice(max(0, len(unrated) - most_others))]
        pa.default_memory_pool().release_unused()
    empty = dataset.read_images(columns) if not tables else tables[0].slice(0, 0)
    pictures = dataset.pictures
    judged = merge_pictures(pa.concat_tables(tables), pictures) if tables else empty
    unrated = _without(keep_first_rows(others[0], pictures), judged, pictures) if others else empty
    return ImagesForEvidence(judged, unrated, preferences, pictures)


def _without(images: pa.Table, others: pa.Table, pictures: Mapping[str, str]) -> pa.Table:
    """The images whose pictures are none of those in `others`."""
    known = {pictures.get(image_id, image_id) for image_id in others["image_id"].to_pylist()} if pictures else set()
    named = images["image_id"].to_pylist() if known else []
    is_other = [pictures.get(image_id, image_id) not in known for image_id in named]
    return images.filter(pa.array(is_other, pa.bool_())) if named else images


def image_columns() -> list[str]:
    """The columns of a dataset that `build_evidence_table` needs."""
    return [*_OTHER, *_CONTEXT, *dict.fromkeys(SETTINGS.values())]


def _with_codes(images: pa.Table) -> pa.Table:
    """The images with settings and texts dictionary-encoded, which takes a fifth of the memory."""
    names = [*_CONTEXT, *dict.fromkeys(SETTINGS.values()), "run_id", "prompt_family"]
    for name in names:
        index = images.schema.get_field_index(name)
        images = images.set_column(index, name, pc.dictionary_encode(images[name]))
    return images


def build_evidence_table(
    images: pa.Table, preferences: Sequence[dict[str, Any]] = (), pictures: Mapping[str, str] = NO_PICTURES
) -> EvidenceTable:
    """The table of `images` (dataset columns), each picture once, and comparisons between them or copies of them."""
    factors = {name: _build_factor(name, images[column]) for name, column in SETTINGS.items()}
    factors |= _build_own_factors(images["settings"])
    contexts = np.zeros(len(images), np.uint64)
    for name, factor in factors.items():
        contexts += hash_codes(name, factor.codes)
    for name in _CONTEXT:
        contexts += hash_codes(name, _encode(images[name])[1])
    contexts += _hash_lists("loras", images["loras"])
    is_rated = pc.is_valid(images["rating"]).to_numpy(zero_copy_only=False).astype(bool)
    rows = slice(None) if is_rated.all() else is_rated  # a slice copies nothing
    rated = images if is_rated.all() else images.filter(pa.array(is_rated))
    ratings = _flatten_ratings(rated)
    runs = _build_factor("run_id", rated["run_id"])
    return EvidenceTable(
        run_ids=runs.values,
        runs=runs.codes,
        stars=rated["rating"].to_numpy().astype(np.float64),
        families=_encode(rated["prompt_family"])[1],
        is_controlled=_has_plan_tag(rated["learning_tags"]),
        factors={name: Factor(name, factor.values, factor.codes[rows]) for name, factor in factors.items()},
        contexts=contexts[rows],
        seeds=hash_codes("seed", _encode(pc.coalesce(rated["image_seed"], rated["seed"]))[1]),
        rating_images=ratings[0],
        rating_raters=ratings[1],
        rating_stars=ratings[2],
        raters=ratings[3],
        order=order_ratings(rated, ratings[3]),
        preferences=list(preferences),
        compared=_find_compared(images, preferences, pictures),
        compared_codes={name: factor.codes for name, factor in factors.items()},
        compared_contexts=contexts,
        compared_prompts=_encode(images["prompt"])[1],
        compared_seeds=_known_codes(pc.coalesce(images["image_seed"], images["seed"])),
        rated_rows=np.flatnonzero(is_rated).astype(np.int64),
    )


def _known_codes(column: pa.ChunkedArray) -> Codes:
    """For each entry the index of its value, -1 for null."""
    values, codes = _encode(column)
    return np.where(codes == values.index(None), -1, codes) if None in values else codes


def _compared_ids(preferences: Sequence[dict[str, Any]]) -> pa.Array:
    return pa.array(
        sorted({comparison[side] for comparison in preferences for side in ("winner", "loser")}), pa.string()
    )


def _find_compared(
    images: pa.Table, preferences: Sequence[dict[str, Any]], pictures: Mapping[str, str]
) -> dict[str, int]:
    compared = _compared_ids(preferences).to_pylist()
    named = images["image_id"].to_pylist() if compared else []
    rows = {pictures.get(image_id, image_id): row for row, image_id in reversed(list(enumerate(named)))}
    found = {image_id: rows.get(pictures.get(image_id, image_id)) for image_id in compared}
    return {image_id: row for image_id, row in found.items() if row is not None}


def _build_factor(name: str, column: pa.ChunkedArray) -> Factor:
    values, codes = _encode(column)
    order = sorted(range(len(values)), key=lambda code: sort_key(values[code]))
    ranks = np.empty(len(values), np.int32)
    ranks[order] = np.arange(len(values))
    return Factor(name, [values[code] for code in order], ranks[codes])


def _build_own_factors(column: pa.ChunkedArray) -> dict[str, Factor]:
    """A factor for each setting that is not in the table of settings, apart from seeds.

    Its values need not agree on a type.
    """
    rows, entries = flatten_lists(whole(column))
    names, values = (pc.struct_field(entries, field) for field in ("name", "value"))
    counts = Counter({count["values"]: count["counts"] for count in pc.value_counts(names).to_pylist()})
    factors = {}
    for name, _ in sorted(counts.most_common(MOST_OWN_SETTINGS)):
        if _is_seed(name):
            continue
        here = pc.equal(names, name)
        indices = np.full(len(column), -1, np.int64)
        indices[rows[here.to_numpy(zero_copy_only=False).astype(bool)]] = np.arange(counts[name])
        texts = values.filter(here).take(pa.array(indices, mask=indices < 0))
        factors[f"{OWN}{name}"] = _decode_values(_build_factor(f"{OWN}{name}", texts))
    return factors


def _is_seed(name: str) -> bool:
    return "seed" in re.split(r"[^a-z]+|(?<=sub)(?=seed)", name.casefold())


def _decode_values(factor: Factor) -> Factor:
    """The factor with its values, JSON texts, decoded; 7 and 7.0 are one value."""
    decoded = [None if text is None else json.loads(text) for text in factor.values]
    if any(isinstance(value, float) for value in decoded):
        decoded = [float(value) if type(value) is int else value for value in decoded]
    keys = [(type(value).__name__, value) for value in decoded]
    unique = dict(zip(keys, decoded, strict=True))
    order = sorted(unique, key=lambda key: sort_key(unique[key]))
    ranks = {key: rank for rank, key in enumerate(order)}
    codes = np.array([ranks[key] for key in keys], np.int32)[factor.codes] if keys else factor.codes
    return Factor(factor.name, [unique[key] for key in order], codes)


def is_number(value: Any) -> bool:
    """Whether a value of a setting is a number; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def sort_key(value: Any) -> tuple[bool, str, Any]:
    """A key to sort values by; unknown values come last."""
    return (value is None, type(value).__name__, "" if value is None else value)


def _encode(column: pa.ChunkedArray | pa.Array) -> tuple[list[Any], Codes]:
    """The different values, null among them, and for each entry the index of its value."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    encoded = whole(column.unify_dictionaries() if isinstance(column, pa.ChunkedArray) else column)
    values = encoded.dictionary.to_pylist()
    codes = pc.fill_null(encoded.indices, len(values)).to_numpy(zero_copy_only=False).astype(np.int64)
    return values + [None] * (encoded.null_count > 0), codes


def hash_codes(name: str, codes: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint64]:
    """A hash of each code of a column; the sum of them over several columns identifies a combination."""
    salt = np.uint64(xxhash.xxh3_64_intdigest(name.encode()))
    mixed = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) ^ salt
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return mixed * np.uint64(0x94D049BB133111EB)


def _hash_lists(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """A hash of each list of objects, equal for equal lists."""
    lists = whole(column)
    parents, entries = flatten_lists(lists)
    positions = np.arange(len(parents)) - np.searchsorted(parents, parents)
    keys = np.zeros(len(parents), np.uint64)
    for member in entries.type:
        keys += hash_codes(f"{name}.{member.name}", _encode(pc.struct_field(entries, member.name))[1])
    found = hash_codes(name, lists.is_valid().to_numpy(zero_copy_only=False).astype(np.int64))
    np.add.at(found, parents, keys * (2 * positions + 1).astype(np.uint64))
    return found


def _has_plan_tag(tags: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    parents, entries = flatten_lists(whole(tags))
    found = np.zeros(len(tags), bool)
    found[parents[pc.starts_with(entries, PLAN_TAG).to_numpy(zero_copy_only=False).astype(bool)]] = True
    return found


def _flatten_ratings(rated: pa.Table) -> tuple[Codes, Codes, npt.NDArray[np.float64], list[str]]:
    images, entries = flatten_lists(whole(rated["ratings"]))
    raters, codes = _encode(pc.struct_field(entries, "rater"))
    return images, codes, pc.struct_field(entries, "rating").to_numpy(zero_copy_only=False).astype(float), raters


def most_used(table: EvidenceTable) -> Mapping[str, Any]:
    """The value of each setting that most rated images had; without any, that most images had. None: not known.

    Images that a learning plan made do not count where there are others: what was tried is not what is in use. Where
    there are only such, a setting that was tried all over its range has its default.
    """
    if not len(table.stars):
        return {name: _most_used(table.factors[name].values, codes) for name, codes in table.compared_codes.items()}
    if table.is_controlled.all():
        return {name: _default_within(factor) for name, factor in table.factors.items()}
    return {
        name: _most_used(factor.values, factor.codes[~table.is_controlled]) for name, factor in table.factors.items()
    }


def values_in_use(table: EvidenceTable, current: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values that settings are compared with: those of `current`, for all others what is used most.

    Raises:
        ConfigError: `current` names a setting that does not exist.
    """
    return dict(most_used(table)) | {table.find_setting(name): value for name, value in (current or {}).items()}


def _default_within(factor: Factor) -> Any:
    """The default of a number that was spread over a range with it; else what is used most."""
    stage, _, key = factor.name.partition(".")
    numbers = [factor.values[code] for code in factor.used[0] if isinstance(factor.values[code], (int, float))]
    share = float(np.bincount(factor.used[1]).max()) / len(factor.codes)
    if share < _SPREAD and numbers and not factor.name.startswith(OWN):
        field = stage_model(stage).model_fields.get(key)
        if field is not None and isinstance(field.default, (int, float)) and numbers[0] <= field.default <= numbers[-1]:
            return field.default
    return _most_used(factor.values, factor.codes)


def _most_used(values: Sequence[Any], codes: npt.NDArray[np.int32]) -> Any:
    counts = np.bincount(codes, minlength=len(values)).astype(float)
    counts[[value is None for value in values]] *= 1e-9
    return values[int(counts.argmax())] if len(counts) else None
