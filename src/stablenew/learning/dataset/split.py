"""The split into train, validation and test that does not leak.

A hash of its prompt family says where an image belongs. Images of the same bytes are tied, and so may others be by a
seed or by lineage (one was made from the other, or they have the same pixels): of all that share such a tie, the first
in the order of runs owns it, and an image whose prompt belongs elsewhere is held out of every split. So no prompt
family, image, seed or lineage ever stands in two splits; and since newer runs come last, a newer run never moves an
older image.
"""

import functools
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pyarrow import compute as pc

from stablenew.formats.digest import PREFIX, digest_bytes
from stablenew.learning.dataset.columns import SPLITS, whole
from stablenew.learning.dataset.split_plan import LINEAGE, SEED, SplitPlan

_TAG = re.compile(r"<[^<>]*>")
_WEIGHT = re.compile(r":\s*-?[0-9.]+\s*(?=[)\]])")
_WORD = re.compile(r"[^\W_]+")


@functools.lru_cache(maxsize=1 << 14)
def build_prompt_family(prompt: str, label: str | None = None) -> str:
    """16 hex digits that are equal for prompts of one family.

    `label` is the variant's: what it says was put in (`[time]=dawn; person->woman`) is taken out again.
    """
    text = _TAG.sub(" ", prompt.casefold())
    for value in _values_put_in(label or ""):
        text = re.sub(rf"(?<!\w){re.escape(value.casefold())}(?!\w)", " ", text)
    words = sorted(set(_WORD.findall(_WEIGHT.sub(" ", text))))
    return xxhash.xxh3_64_hexdigest(" ".join(words).encode("utf-8", "replace"))


def _values_put_in(label: str) -> Iterable[str]:
    """The longest first, so that one that is part of another does not tear it."""
    values: set[str] = set()
    for part in label.split("; "):
        name, arrow, value = part.partition("->")
        if not arrow:
            name, _, value = part.partition("=")
            if not name.startswith(("[", "__")):
                continue
        values.update(text for text in (value.strip(), name.strip() if arrow else "") if text)
    return sorted(values, key=len, reverse=True)


_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_KEY: Final = np.uint64(2**64 - 4)
"""The bits of a tie's key that count; the others leave room for the split."""
_ROOM: Final = 4
"""Places for each key, where keys that begin alike share one."""
_ARE_SEVERAL: Final = np.array([bits.bit_count() > 1 for bits in range(1 << len(SPLITS))])
"""Whether a set of splits, a bit each, has more than one."""
_HEX_START: Final = len(PREFIX)


class SplitTies(NamedTuple):
    """What ties the images of a part to others."""

    splits: npt.NDArray[np.int8]
    """Where the prompt of each image belongs."""
    rows: npt.NDArray[np.int32]
    """Of each tie: its image, ..."""
    keys: npt.NDArray[np.uint64]
    """... and what it shares with whoever has the same key. First those of each image's own bytes."""

    @property
    def own_keys(self) -> npt.NDArray[np.uint64]:
        """For each image a number, equal for those of the same bytes."""
        return self.keys[: len(self.splits)]

    @property
    def digest(self) -> str:
        """Equal for equal ties, on this machine."""
        return digest_bytes(b"%d " % len(self.splits) + b"".join(array.tobytes() for array in self))


TYING_COLUMNS: Final = ["prompt_family", "seed", "image_id", "pixel_digest", "parents"]


def build_ties(images: pa.Table, plan: SplitPlan) -> SplitTies:
    """The ties of a part's images, of which the `TYING_COLUMNS` are looked at."""
    families = whole(images["prompt_family"]).dictionary_encode()
    known = np.array([plan.split_of(family) for family in families.dictionary.to_pylist()], np.int8)
    splits = known[families.indices.to_numpy(zero_copy_only=False)] if len(images) else np.empty(0, np.int8)
    ties = [_own_ties(images["image_id"])]
    if SEED in plan.by:
        ties.append(_seed_ties(images["seed"]))
    if LINEAGE in plan.by:
        ties += [_pixel_ties(images["pixel_digest"]), _parent_ties(images["parents"])]
    rows, keys = zip(*ties, strict=True)
    return SplitTies(splits, np.concatenate(rows).astype(np.int32), np.concatenate(keys))


_Ties = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]


def _seed_ties(seeds: pa.ChunkedArray) -> _Ties:
    is_known = pc.is_valid(seeds).to_numpy(zero_copy_only=False).astype(bool)
    values = pc.drop_null(seeds).to_numpy().astype(np.uint64)
    return np.flatnonzero(is_known).astype(np.int32), (values + np.uint64(1)) * _SPREAD


def _own_ties(ids: pa.ChunkedArray) -> _Ties:
    return np.arange(len(ids), dtype=np.int32), keys_of(whole(ids))


def _pixel_ties(digests: pa.ChunkedArray) -> _Ties:
    is_known = pc.is_valid(digests).to_numpy(zero_copy_only=False).astype(bool)
    return np.flatnonzero(is_known).astype(np.int32), keys_of(whole(pc.drop_null(digests)))


def _parent_ties(parents: pa.ChunkedArray) -> _Ties:
    lists = whole(parents)
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int32)
    return rows, keys_of(pc.list_flatten(lists))


def keys_of(digests: pa.StringArray) -> npt.NDArray[np.uint64]:
    """The first 64 bits of each."""
    digits = "".join(pc.utf8_slice_codeunits(digests, _HEX_START, _HEX_START + 16).to_pylist())
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)


def resolve_splits(parts: list[SplitTies]) -> list[npt.NDArray[np.int8]]:
    """The split of every image of all parts, given in the order of their runs; -1 is held out."""
    starts = np.cumsum([0, *(len(part.splits) for part in parts)])
    splits = np.concatenate([np.empty(0, np.int8), *(part.splits for part in parts)])
    rows, keys = _disputed(*_possibly_disputed(parts, starts), splits)
    resolved = splits.copy()
    resolved[rows[splits[rows] != _owners(rows, keys, splits)]] = -1
    return np.split(resolved, starts[1:-1]) if parts else []


_Ties64 = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]


def _possibly_disputed(parts: list[SplitTies], starts: npt.NDArray[np.int64]) -> _Ties64:
    """Ties whose key begins like one of another split: all that are disputed, and a few more of very many."""
    bits = max(1, (_ROOM * sum(len(part.keys) for part in parts)).bit_length())
    shift = np.uint64(64 - bits)
    seen = np.zeros(1 << bits, np.uint8)
    for part in parts:
        places, splits = part.keys >> shift, part.splits[part.rows]
        for split in range(len(SPLITS)):
            seen[places[splits == split]] |= 1 << split
    rows, keys = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for part, start in zip(parts, starts, strict=False):
        chosen = np.flatnonzero(_ARE_SEVERAL[seen[part.keys >> shift]])
        rows.append(part.rows[chosen] + start)
        keys.append(part.keys[chosen] & _KEY)
    return np.concatenate(rows), np.concatenate(keys)


def _disputed(rows: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64], splits: npt.NDArray[np.int8]) -> _Ties64:
    """The ties whose images belong to different splits, found by one quick sort."""
    together = keys | splits[rows].astype(np.uint64)
    together.sort()
    bare = together & _KEY
    chosen = np.isin(keys, bare[1:][(bare[1:] == bare[:-1]) & (together[1:] != together[:-1])])
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
