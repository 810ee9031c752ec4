"""The split into train, validation and test that does not leak.

A hash of its prompt family says where an image belongs. Images may also be tied by a seed or by lineage (one was made
from the other, or they are the same bytes): of all that share such a tie, the first in the order of runs owns it, and
an image whose prompt belongs elsewhere is held out of every split. So no prompt family, seed or lineage ever stands in
two splits; and since newer runs come last, a newer run never moves an older image.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.errors import ConfigError
from stablenew.learning.arrow_column import whole
from stablenew.learning.dataset_columns import SPLITS

PROMPT: Final = "prompt"
SEED: Final = "seed"
LINEAGE: Final = "lineage"
TIES: Final = (PROMPT, SEED, LINEAGE)

_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_KEY: Final = np.uint64(2**64 - 4)
"""The bits of a tie's key that count; the others leave room for the split."""
_HEX_START: Final = len("xxh128:")


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Shares of the splits, and what keeps images together."""

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    by: tuple[str, ...] = TIES
    salt: str = ""
    """Another salt, another split."""

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if any(not 0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
            raise ConfigError(f"the shares of a split lie between 0 and 1 and come to 1, found {shares}")
        unknown = [tie for tie in self.by if tie not in TIES]
        if unknown or PROMPT not in self.by:
            raise ConfigError(f"a split is by prompt, and may be by seed and lineage, found {', '.join(self.by)}")

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON has it, in the form of `SplitShares`."""
        return asdict(self) | {"by": list(self.by)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The plan that `to_dict` gave; fields of later versions are passed over."""
        known = {one.name: fields[one.name] for one in dataclass_fields(cls)}
        return cls(**{**known, "by": tuple(known["by"])})

    def split_of(self, family: str) -> int:
        """Where a prompt family belongs: its place in `SPLITS`."""
        digest = hashlib.sha256(f"{self.salt}\n{family}".encode()).digest()
        share = int.from_bytes(digest[:8]) / 2**64
        return 0 if share < self.train else 1 if share < self.train + self.validation else 2


class SplitTies(NamedTuple):
    """What ties the images of a part to others."""

    splits: npt.NDArray[np.int8]
    """Where the prompt of each image belongs."""
    rows: npt.NDArray[np.int32]
    """Of each tie: its image, ..."""
    keys: npt.NDArray[np.uint64]
    """... and what it shares with whoever has the same key."""


def build_ties(images: pa.Table, plan: SplitPlan) -> SplitTies:
    """The ties of a part's images."""
    families = whole(images["prompt_family"]).dictionary_encode()
    known = np.array([plan.split_of(family) for family in families.dictionary.to_pylist()], np.int8)
    splits = known[families.indices.to_numpy(zero_copy_only=False)] if len(images) else np.empty(0, np.int8)
    ties = []
    if SEED in plan.by:
        ties.append(_seed_ties(images["seed"]))
    if LINEAGE in plan.by:
        ties += [_own_ties(images["image_id"]), _parent_ties(images["parents"])]
    rows, keys = zip(*ties, strict=True) if ties else ((), ())
    return SplitTies(
        splits,
        np.concatenate([np.empty(0, np.int32), *rows]).astype(np.int32),
        np.concatenate([np.empty(0, np.uint64), *keys]),
    )


_Ties = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]


def _seed_ties(seeds: pa.ChunkedArray) -> _Ties:
    is_known = pc.is_valid(seeds).to_numpy(zero_copy_only=False).astype(bool)
    values = pc.drop_null(seeds).to_numpy().astype(np.uint64)
    return np.flatnonzero(is_known).astype(np.int32), (values + np.uint64(1)) * _SPREAD


def _own_ties(ids: pa.ChunkedArray) -> _Ties:
    return np.arange(len(ids), dtype=np.int32), _keys_of(whole(ids))


def _parent_ties(parents: pa.ChunkedArray) -> _Ties:
    lists = whole(parents)
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int32)
    return rows, _keys_of(pc.list_flatten(lists))


def _keys_of(digests: pa.StringArray) -> npt.NDArray[np.uint64]:
    """The first 64 bits of each."""
    digits = "".join(pc.utf8_slice_codeunits(digests, _HEX_START, _HEX_START + 16).to_pylist())
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)


def resolve_splits(parts: list[SplitTies]) -> list[npt.NDArray[np.int8]]:
    """The split of every image of all parts, given in the order of their runs; -1 is held out."""
    starts = np.cumsum([0, *(len(part.splits) for part in parts)])
    splits = np.concatenate([np.empty(0, np.int8), *(part.splits for part in parts)])
    shifted = (part.rows + start for part, start in zip(parts, starts, strict=False))
    rows = np.concatenate([np.empty(0, np.int64), *shifted])
    keys = np.concatenate([np.empty(0, np.uint64), *(part.keys for part in parts)]) & _KEY
    rows, keys = _disputed(rows, keys, splits)
    resolved = splits.copy()
    resolved[rows[splits[rows] != _owners(rows, keys, splits)]] = -1
    return np.split(resolved, starts[1:-1]) if parts else []


_Ties64 = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]


def _disputed(rows: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64], splits: npt.NDArray[np.int8]) -> _Ties64:
    """The ties whose images belong to different splits: few of very many, found by one quick sort."""
    together = keys | splits[rows].astype(np.uint64)
    together.sort()
    bare = together & _KEY
    is_disputed = (bare[1:] == bare[:-1]) & (together[1:] != together[:-1])
    chosen = np.isin(keys, np.unique(bare[1:][is_disputed]))
    return rows[chosen], keys[chosen]


def _owners(
    rows: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64], splits: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """For each tie the split of the first image that has its key."""
    order = np.lexsort((rows, keys))
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[order][1:] != keys[order][:-1]
    firsts = rows[order][is_first][np.cumsum(is_first) - 1] if len(keys) else rows
    owners = np.empty(len(keys), np.int8)
    owners[order] = splits[firsts]
    return owners


def name_splits(splits: npt.NDArray[np.int8]) -> pa.Array:
    """The split column: names, null for what is held out."""
    codes = pa.array(splits.astype(np.int8), mask=splits < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(SPLITS)).cast(pa.string())
