"""Images as rows: what is shown of each, with all the places where it is."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from stablenew.formats.common_names import common_file_name
from stablenew.formats.settings import FILES, INDEXED
from stablenew.index.asking.index_reader import PATH_COLUMNS, IndexReader, Row
from stablenew.index.index_file import iter_id_lists
from stablenew.index.index_schema import LABEL_PREFIX, VARIANT, spelling_column
from stablenew.index.stored_values import read_seed, split_names, timestamp_of, unpack_digest, write_seed

MAX_PLACES: Final = 20
"""How many of the places of an image are shown: an all black image may have thousands."""
_NOT_COMPARED: Final = ("seed", "width", "height")
_TEXTS: Final = {column.name: column.text for column in VARIANT.columns}
_SETTINGS: Final = ", ".join(
    f"coalesce(v.{spelling_column(setting).name}, v.{setting.name})" if setting.is_file else f"v.{setting.name}"
    for setting in INDEXED
)
_SELECT: Final = (
    "SELECT r.run_id, coalesce(v.made, r.created), v.number, p.number, p.path, "
    "nullif(coalesce(p.width, v.width), 0), nullif(coalesce(p.height, v.height), 0), p.type, p.stage, "
    "coalesce(i.picture, i.id), i.digest, i.rating, i.rater_count, i.is_trashed, "
    "(SELECT body FROM text WHERE id = v.prompt), "
    f"(SELECT body FROM text WHERE id = v.negative), v.other_settings, v.other_values, {_SETTINGS} "
    "FROM place p JOIN run r ON r.id = p.run JOIN variant v ON v.run = p.run AND v.position = p.position "
    "JOIN image i ON i.id = p.image WHERE p.run = ? AND p.position = ? AND p.number = ?"
)
_SELECT_PLACES: Final = (
    f"SELECT r.run_id, p.number, {PATH_COLUMNS} FROM image i JOIN place p ON p.image = i.id "
    "JOIN run r ON r.id = p.run JOIN variant v ON v.run = p.run AND v.position = p.position "
    f"WHERE i.id = ? OR i.picture = ? ORDER BY p.run, p.position, p.number LIMIT {MAX_PLACES}"
)
_SETTINGS_AT: Final = 18

Key: TypeAlias = tuple[int, int, int]
"""A place of an image: run, position and number."""
_ByImage: TypeAlias = Mapping[int, list[tuple[Any, ...]]]


def read_images(reader: IndexReader, keys: Iterable[Key], rater: str) -> list[Row]:
    """The images at these places, in order; deleted ones are left out."""
    with reader.snapshot():
        found = [row for key in keys for row in reader.fetch(_SELECT, key)]
        images = list({row[9]: None for row in found})
        said = _Said(reader, images, rater)
        return [_build(reader, row, said) for row in found]


def compared_settings(image: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an image as lists show and files are named by them: model files have their common names."""
    return {**image["settings"], **image["common_names"]}


def varying_settings(images: Sequence[Row]) -> list[str]:
    """The settings in which these images differ, without seed and size."""
    found = list(map(compared_settings, images))
    values: dict[str, set[Any]] = {name: set() for settings in found for name in settings}
    for name, different in values.items():
        different.update(settings.get(name) for settings in found)
    return [name for name, different in values.items() if len(different) > 1 and name not in _NOT_COMPARED]


class _Said:
    """What people and programs say of some images."""

    def __init__(self, reader: IndexReader, images: list[int], rater: str) -> None:
        self.rater = rater
        self.opinions = _by_image(
            reader,
            images,
            "SELECT {picture}, who.text, opinion.rating, CASE WHEN is_flag_latest THEN flags.text END, is_latest "
            "FROM opinion JOIN image ON image.id = opinion.image "
            "JOIN name AS who ON who.id = rater LEFT JOIN name AS flags ON flags.id = flag",
        )
        self.tags = _by_image(
            reader,
            images,
            "SELECT DISTINCT {picture}, text FROM standing_tag JOIN image ON image.id = standing_tag.image "
            "JOIN name ON name.id = standing_tag.name",
        )
        self.notes = _by_image(
            reader,
            images,
            "SELECT {picture} FROM standing_note JOIN image ON image.id = standing_note.image",
        )
        self.scores = _by_image(
            reader,
            images,
            "SELECT {picture}, text, value FROM score JOIN image ON image.id = score.image "
            "JOIN name ON name.id = score.name",
            "scored_at, value",
        )

    def of(self, image: int) -> Row:
        """The opinions of one image, folded."""
        opinions, tags = self.opinions[image], sorted(tag for _, tag in self.tags[image])
        ratings = {who: rating for _, who, rating, _, is_latest in opinions if is_latest and rating is not None}
        flags = {who: flag for _, who, _, flag, _ in opinions if flag is not None}
        metrics = [(name, value) for _, name, value in self.scores[image]]
        labels = [tag.removeprefix(LABEL_PREFIX) for tag in tags if tag.startswith(LABEL_PREFIX)]
        return {
            "mine": ratings.get(self.rater),
            "ratings": dict(sorted(ratings.items())),
            "flag": flags.get(self.rater),
            "flags": sorted(set(flags.values())),
            "labels": labels,
            "tags": tags,
            "note_count": len(self.notes[image]),
            "metrics": {name.removeprefix("metric."): value for name, value in metrics if name.startswith("metric.")},
        }


def _by_image(reader: IndexReader, images: list[int], select: str, order: str = "") -> _ByImage:
    """The rows of a query about some images, or about copies of them, by image."""
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for some in iter_id_lists(images):
        suffix = f" ORDER BY {order}" if order else ""
        chosen = f"WHERE image.id IN ({some}) OR image.picture IN ({some})"
        for row in reader.fetch(f"{select.format(picture='coalesce(image.picture, image.id)')} {chosen}{suffix}"):
            found[row[0]].append(row)
    return found


def _build(reader: IndexReader, row: tuple[Any, ...], said: _Said) -> Row:
    image = row[9]
    settings = _read_settings(reader, row)
    return {
        "id": image,
        "digest": unpack_digest(row[10]),
        "run_id": row[0],
        "name": f"{row[2]}/{row[3]}",
        "variant": row[2],
        "output": row[3],
        "path": reader.path_of((row[4], row[2], row[8], row[7], row[10])),
        "created_at": None if row[1] is None else timestamp_of(row[1]),
        "width": row[5],
        "height": row[6],
        "media_type": reader.name(row[7]).rpartition("\0")[2],
        "stage": reader.name(row[8]),
        "prompt": row[14],
        "negative": row[15],
        "settings": settings,
        "common_names": _common_names(settings),
        "rating": row[11],
        "rater_count": row[12] or 0,
        "is_trashed": bool(row[13]),
        **said.of(image),
        "places": [
            {"run_id": run_id, "name": f"{stored[1]}/{number}", "path": reader.path_of(stored), "digest": digest}
            for run_id, number, *stored in reader.fetch(_SELECT_PLACES, (image, image))
            for digest in [unpack_digest(stored[-1])]
        ],
    }


def _common_names(settings: Mapping[str, Any]) -> dict[str, str]:
    """By setting the common names of model files that a program spelled otherwise."""
    said = {setting.name: settings[setting.name] for setting in FILES if setting.name in settings}
    return {name: common for name, value in said.items() if (common := common_file_name(value)) != value}


def _read_settings(reader: IndexReader, row: tuple[Any, ...]) -> dict[str, Any]:
    """The settings of the image's variant as they ran, by name; model files as its program spelled them."""
    found: dict[str, Any] = {}
    for setting, value in zip(INDEXED, row[_SETTINGS_AT:], strict=True):
        if value is not None:
            shown = reader.name(value) if _TEXTS[setting.name] else value
            found[setting.name] = write_seed(read_seed(value)) if setting.name == "seed" else shown
    if row[16] is not None:
        found |= zip(split_names(reader.name(row[16])), json.loads(row[17]), strict=True)
    return found
