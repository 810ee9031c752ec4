"""Which images of the index are one picture: files with the same pixels, and those that a person said are copies.

`image.picture` of a copy is the image that stands for all of them: the first that the index met. Tables keep what was
said of each file; opinions are folded, and images listed, by picture.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from stablenew.index.index_schema import COPY_PREFIX, OPINION_TABLES, PLACE, TAG, Row
from stablenew.index.stored_values import DIGEST_BYTES
from stablenew.index.text_ids import find_images
from stablenew.store.sources.same_pictures import read_same_pictures, same_pictures_path

_IMAGE_AT: Final = PLACE.positions["image"]
_TAG_AT: Final = TAG.positions["name"]
_COPY_NAMES: Final = (
    f"SELECT id FROM name WHERE text >= '{COPY_PREFIX}' AND text < '{COPY_PREFIX[:-1]}{chr(ord(COPY_PREFIX[-1]) + 1)}'"
)


class SamePictures:
    """What the cache of pixels knows of one store, read again when it changed."""

    def __init__(self, root: Path) -> None:
        self._path = same_pictures_path(root)
        self._read: tuple[str, dict[bytes, bytes]] = ("", {})

    @property
    def mark(self) -> str:
        """What changes when the knowledge does; empty where there is none."""
        try:
            found = self._path.stat()
        except OSError:
            return ""
        return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"

    def current(self) -> Mapping[bytes, bytes]:
        """For each image that is there in several files the least digest of them."""
        mark = self.mark
        if mark != self._read[0]:
            self._read = (mark, read_same_pictures(self._path))
        return self._read[1]


def concerns_copies(
    connection: sqlite3.Connection,
    same: Mapping[bytes, bytes],
    places: Iterable[Row],
    tags: Iterable[Row],
    replaced: Sequence[int],
) -> bool:
    """Whether new rows, or those of runs that are about to be replaced, may change which images are one picture."""
    if same and any(row[_IMAGE_AT][:DIGEST_BYTES] in same for row in places):
        return True
    if any(row[_TAG_AT].startswith(COPY_PREFIX) for row in tags):
        return True
    names = [name for (name,) in connection.execute(_COPY_NAMES)] if replaced else []
    if not names:
        return False
    query = f"SELECT 1 FROM tag WHERE run = ? AND name IN ({','.join(map(str, names))}) LIMIT 1"
    return any(connection.execute(query, (run,)).fetchone() for run in replaced)


def link_copies(connection: sqlite3.Connection, same: Mapping[bytes, bytes]) -> set[int]:
    """Bring `image.picture` up to date; the ids of the images of every picture that changed."""
    wanted = _find_pictures([*_groups_of_pixels(connection, same), *_confirmed_groups(connection)])
    stored = dict(connection.execute("SELECT id, picture FROM image WHERE picture IS NOT NULL"))
    changed = {image for image in {*wanted, *stored} if wanted.get(image) != stored.get(image)}
    rows = [(wanted.get(image), image) for image in changed]
    connection.executemany("UPDATE image SET picture = ? WHERE id = ?", rows)
    return changed.union(*({links[image]} for links in (wanted, stored) for image in changed if image in links))


def _groups_of_pixels(connection: sqlite3.Connection, same: Mapping[bytes, bytes]) -> Iterable[list[int]]:
    groups: dict[bytes, list[int]] = {}
    for digest, image in find_images(connection, list(same)):
        groups.setdefault(same[digest[:DIGEST_BYTES]], []).append(image)
    return groups.values()


def _confirmed_groups(connection: sqlite3.Connection) -> Iterable[list[int]]:
    names = ",".join(str(name) for (name,) in connection.execute(_COPY_NAMES))
    groups: dict[int, list[int]] = {}
    if names:
        for name, image in connection.execute(f"SELECT DISTINCT name, image FROM standing_tag WHERE name IN ({names})"):
            groups.setdefault(name, []).append(image)
    return groups.values()


def _find_pictures(groups: Iterable[list[int]]) -> dict[int, int]:
    """For each image but the first of its picture that first one. Groups that share an image are one picture."""
    first_of: dict[int, int] = {}

    def find(image: int) -> int:
        while first_of.setdefault(image, image) != image:
            image = first_of[image]
        return image

    for group in groups:
        roots = {find(image) for image in group if image}
        first_of.update(dict.fromkeys(roots, min(roots, default=0)))
    return {image: first for image in first_of if (first := find(image)) != image}


def runs_about(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """Id and run id of the runs that hold one of the touched images, or say something of it."""
    found: dict[int, Any] = {}
    for table in (PLACE, *OPINION_TABLES):
        for column in table.image_columns:
            query = (
                f"SELECT DISTINCT r.id, r.run_id FROM touched t JOIN {table.name} ON {table.name}.{column} = t.id "
                f"JOIN run r ON r.id = {table.name}.run"
            )
            found.update(connection.execute(query))
    return sorted(found.items())
