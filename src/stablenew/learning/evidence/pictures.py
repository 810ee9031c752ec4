"""One observation a picture: an image in several runs, or in several files with the same pixels, counts once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stablenew.learning.dataset.columns import whole
from stablenew.learning.dataset.row_changes import replace_rows
from stablenew.learning.evidence.matched_pairs import Codes
from stablenew.learning.evidence.rating_order import EARLIER

_SAID: Final = ("rating", "ratings", EARLIER)
_ORDER: Final = ("rated_at", "rating")


def code_pictures(images: pa.Table, pictures: Mapping[str, str]) -> Codes:
    """For each row a number, equal for those of one picture.

    `pictures` names for images that are there in several files one that stands for all of them.
    """
    encoded = whole(images["image_id"]).dictionary_encode()
    names = [pictures.get(image_id, image_id) for image_id in encoded.dictionary.to_pylist()]
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)
    found: Codes = codes[encoded.indices.to_numpy(zero_copy_only=False)]
    return found


def keep_first_rows(images: pa.Table, pictures: Mapping[str, str]) -> pa.Table:
    """The first row of each picture."""
    firsts = _find_firsts(code_pictures(images, pictures))
    return images if len(firsts) == len(images) else images.take(pa.array(firsts))


def merge_pictures(images: pa.Table, pictures: Mapping[str, str]) -> pa.Table:
    """The first row of each picture, with what was said of any of its files.

    Rows of the same bytes agree already. Of a rater's stars for several files the last count, the others are earlier.
    """
    codes = code_pictures(images, pictures)
    firsts = _find_firsts(codes)
    if len(firsts) == len(images):
        return images
    several = _rows_of_several_files(images, codes)
    rows = np.array(sorted(int(firsts[np.searchsorted(codes[firsts], code)]) for code in several), np.int64)
    if len(rows):
        merged = [_merge_words([images.slice(row, 1) for row in several[int(codes[first])]]) for first in rows]
        names = [name for name in _SAID if name in images.column_names]
        columns = {name: pa.array([said[name] for said in merged], images.schema.field(name).type) for name in names}
        images = replace_rows(images, rows, columns)
    return images.take(pa.array(firsts))


def _find_firsts(codes: Codes) -> Codes:
    """The first row of each code; these rows ascend, and so do their codes, which count up."""
    return np.sort(np.unique(codes, return_index=True)[1])


def _rows_of_several_files(images: pa.Table, codes: Codes) -> dict[int, list[int]]:
    """For pictures in several files the first row of each."""
    repeated = np.flatnonzero(np.bincount(codes)[codes] > 1)
    files: dict[int, dict[str, int]] = defaultdict(dict)
    named = images["image_id"].take(pa.array(repeated)).to_pylist()
    for row, image_id in zip(repeated.tolist(), named, strict=True):
        files[int(codes[row])].setdefault(image_id, row)
    return {code: list(rows.values()) for code, rows in files.items() if len(rows) > 1}


def _merge_words(files: Sequence[pa.Table]) -> dict[str, Any]:
    """The feedback columns of one picture, from a row of each of its files."""
    words: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in files:
        for name in (EARLIER, "ratings"):
            for word in (file[name][0].as_py() or ()) if name in file.column_names else ():
                words[word["rater"]].append(word)
    said = [sorted(own, key=lambda word: tuple(word[name] for name in _ORDER)) for _, own in sorted(words.items())]
    latest = [own[-1] for own in said]
    mean = sum(word["rating"] for word in latest) / len(latest) if latest else None
    return {"rating": mean, "ratings": latest or None, EARLIER: [word for own in said for word in own[:-1]] or None}
