"""The rated images of a dataset as arrays of codes, which evidence is computed from."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.formats.documents.learning_plan import PLAN_TAG
from stablenew.learning.dataset.columns import whole
from stablenew.learning.dataset.reader import NO_PICTURES, Dataset
from stablenew.learning.evidence.matched_pairs import Codes, RatingGroups, group_ratings
from stablenew.learning.evidence.pictures import keep_first_rows, merge_pictures
from stablenew.learning.evidence.rating_order import EARLIER, RatingOrder, flatten_lists, order_ratings
from stablenew.learning.evidence.rating_statistics import measure_agreement
from stablenew.learning.evidence.setting_factors import (
    SETTINGS,
    Factor,
    build_factor,
    build_own_factors,
    encode_column,
    find_setting,
    hash_codes,
    hash_lists,
)

_CONTEXT: Final = ("prompt", "negative_prompt", "engine")
"""What must be equal, besides settings and LoRAs, for two images to be compared."""
_OTHER: Final = (
    "run_id", "image_id", "image_width", "image_height", "settings", "seed", "image_seed", "prompt_family", "loras",
    "learning_tags", "rating", "ratings", EARLIER, "role",
)  # fmt: skip


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

    def filter(self, judged: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_]) -> "ImagesForEvidence":
        """The same of some of the images."""
        return self._replace(judged=self.judged.filter(pa.array(judged)), others=self.others.filter(pa.array(others)))


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
    factors = {name: build_factor(name, images[column]) for name, column in SETTINGS.items()}
    factors |= build_own_factors(images["settings"])
    contexts = np.zeros(len(images), np.uint64)
    for name, factor in factors.items():
        contexts += hash_codes(name, factor.codes)
    for name in _CONTEXT:
        contexts += hash_codes(name, encode_column(images[name])[1])
    contexts += hash_lists("loras", images["loras"])
    is_rated = pc.is_valid(images["rating"]).to_numpy(zero_copy_only=False).astype(bool)
    rows = slice(None) if is_rated.all() else is_rated  # a slice copies nothing
    rated = images if is_rated.all() else images.filter(pa.array(is_rated))
    ratings = _flatten_ratings(rated)
    runs = build_factor("run_id", rated["run_id"])
    return EvidenceTable(
        run_ids=runs.values,
        runs=runs.codes,
        stars=rated["rating"].to_numpy().astype(np.float64),
        families=encode_column(rated["prompt_family"])[1],
        is_controlled=has_plan_tag(rated["learning_tags"]),
        factors={name: Factor(name, factor.values, factor.codes[rows]) for name, factor in factors.items()},
        contexts=contexts[rows],
        seeds=hash_codes("seed", encode_column(pc.coalesce(rated["image_seed"], rated["seed"]))[1]),
        rating_images=ratings[0],
        rating_raters=ratings[1],
        rating_stars=ratings[2],
        raters=ratings[3],
        order=order_ratings(rated, ratings[3]),
        preferences=list(preferences),
        compared=_find_compared(images, preferences, pictures),
        compared_codes={name: factor.codes for name, factor in factors.items()},
        compared_contexts=contexts,
        compared_prompts=encode_column(images["prompt"])[1],
        compared_seeds=_known_codes(pc.coalesce(images["image_seed"], images["seed"])),
        rated_rows=np.flatnonzero(is_rated).astype(np.int64),
    )


def _known_codes(column: pa.ChunkedArray) -> Codes:
    """For each entry the index of its value, -1 for null."""
    values, codes = encode_column(column)
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


def has_plan_tag(tags: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """For each image, given its tags, whether a learning plan made it."""
    parents, entries = flatten_lists(whole(tags))
    found = np.zeros(len(tags), bool)
    found[parents[pc.starts_with(entries, PLAN_TAG).to_numpy(zero_copy_only=False).astype(bool)]] = True
    return found


def _flatten_ratings(rated: pa.Table) -> tuple[Codes, Codes, npt.NDArray[np.float64], list[str]]:
    images, entries = flatten_lists(whole(rated["ratings"]))
    raters, codes = encode_column(pc.struct_field(entries, "rater"))
    return images, codes, pc.struct_field(entries, "rating").to_numpy(zero_copy_only=False).astype(float), raters
