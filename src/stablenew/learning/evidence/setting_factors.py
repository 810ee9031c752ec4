"""Settings as codes: the values of each setting that images have, and which of them each image has."""

import json
import math
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pyarrow import compute as pc

from stablenew.errors import ConfigError
from stablenew.formats.settings import SAMPLER, SCHEDULE, standard_name
from stablenew.learning.dataset.columns import COLUMNS, MAIN_SETTINGS, SEED, STAGE_SETTINGS, stage_column, whole
from stablenew.learning.evidence.matched_pairs import Codes
from stablenew.learning.evidence.rating_order import flatten_lists

_NOT_COMPARED: Final = frozenset({"model_hash"})
"""Text that says the same as another setting."""
_LONGEST_NAME: Final = 256
"""A package names settings by at most so many characters."""
OWN: Final = "settings."
"""How the names of settings begin that are not in the table of settings, as in a query."""
MOST_OWN_SETTINGS: Final = 256
"""Those that most images have are looked at."""


OF_SIZE: Final = frozenset({"width", "height", "enable_hr", "hr_scale", "factor"})
"""Settings that say how large an image becomes."""
_OTHER_NUMBERS: Final = frozenset({"batch_size", "n_iter"})
_TUNED_WORDS: Final = frozenset({SAMPLER, SCHEDULE})
"""Words that make images better or worse, and no others."""


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


def is_of_kind(name: str) -> bool:
    """Whether a setting of the table says which kind of image is made: another model, file, stage or size."""
    stage, _, key = name.partition(".")
    kind = STAGE_SETTINGS.get((stage, key), MAIN_SETTINGS.get(key))
    is_word = kind == pa.string() and key not in _TUNED_WORDS
    return is_word or kind == pa.bool_() or key in OF_SIZE | _OTHER_NUMBERS


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


def build_factor(name: str, column: pa.ChunkedArray) -> Factor:
    """A setting with its values in order, from the value that each image had."""
    values, codes = encode_column(column)
    order = sorted(range(len(values)), key=lambda code: sort_key(values[code]))
    ranks = np.empty(len(values), np.int32)
    ranks[order] = np.arange(len(values))
    return Factor(name, [values[code] for code in order], ranks[codes])


def build_own_factors(column: pa.ChunkedArray) -> dict[str, Factor]:
    """A setting for each that is not in the table of settings, apart from seeds.

    Its values need not agree on a type.
    """
    rows, entries = flatten_lists(whole(column))
    names, values = (pc.struct_field(entries, field) for field in ("name", "value"))
    counts = Counter({count["values"]: count["counts"] for count in pc.value_counts(names).to_pylist()})
    factors = {}
    for name, _ in sorted(counts.most_common(MOST_OWN_SETTINGS)):
        if _is_seed(name) or len(OWN) + len(name) > _LONGEST_NAME:
            continue
        here = pc.equal(names, name)
        indices = np.full(len(column), -1, np.int64)
        indices[rows[here.to_numpy(zero_copy_only=False).astype(bool)]] = np.arange(counts[name])
        texts = values.filter(here).take(pa.array(indices, mask=indices < 0))
        factors[f"{OWN}{name}"] = _decode_values(build_factor(f"{OWN}{name}", texts))
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


def form_interval(values: Collection[Any]) -> bool:
    """Whether values are numbers that lie in an interval; ends too far apart to be subtracted are words."""
    return all(map(is_number, values)) and (not values or math.isfinite(float(max(values)) - float(min(values))))


def sort_key(value: Any) -> tuple[bool, str, Any]:
    """A key to sort values by; unknown values come last."""
    return (value is None, type(value).__name__, "" if value is None else value)


def encode_column(column: pa.ChunkedArray | pa.Array) -> tuple[list[Any], Codes]:
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


def hash_lists(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """A hash of each list of objects, equal for equal lists."""
    lists = whole(column)
    parents, entries = flatten_lists(lists)
    positions = np.arange(len(parents)) - np.searchsorted(parents, parents)
    keys = np.zeros(len(parents), np.uint64)
    for member in entries.type:
        keys += hash_codes(f"{name}.{member.name}", encode_column(pc.struct_field(entries, member.name))[1])
    found = hash_codes(name, lists.is_valid().to_numpy(zero_copy_only=False).astype(np.int64))
    np.add.at(found, parents, keys * (2 * positions + 1).astype(np.uint64))
    return found
