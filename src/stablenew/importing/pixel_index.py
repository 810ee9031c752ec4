"""PixelIndex: which images of a store have the same pixels, or look alike. A cache that grows when it is asked to.

One SQLite file per store, in the user's cache folder. It goes on where it was; deleted, it comes back.
"""

import contextlib
import os
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from stablenew import worker_pool
from stablenew.importing.pixel_facts import PixelFacts, iter_facts
from stablenew.store.change_hints import note_change
from stablenew.store.local_state import cache_folder, store_key
from stablenew.store.run import Run
from stablenew.store.run_lock import file_lock
from stablenew.store.run_store import RunStore
from stablenew.store.sources.same_pictures import write_same_pictures

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pixels(
  digest TEXT PRIMARY KEY, pixel_digest TEXT NOT NULL, sha512 TEXT NOT NULL, look INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pixels_same ON pixels(pixel_digest);
CREATE INDEX IF NOT EXISTS pixels_sha512 ON pixels(sha512);
PRAGMA user_version=1;
"""
_MOST_OF_A_TASK: Final = 16
_SHARE_SECONDS: Final = 10.0
LOOK_DISTANCE: Final = 4
"""Bits of 64 in which two images that look alike may differ."""
_BANDS: Final = 5
"""One more than the bits that may differ: then at least one band of two that are alike is equal."""


class PixelIndex:
    """The facts of pixels of one store's images."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        path = cache_folder() / "imports" / f"{store_key(store.root)}-pixels.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = _open(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def update(
        self, on_progress: Callable[[int, int], object] = lambda _done, _total: None, *, processes: int | None = None
    ) -> int:
        """Work out what is missing; gives how many images were decoded. Stopped, it goes on there next time."""
        tasks = list(self.missing())
        total = sum(len(digests) for _, digests in tasks)
        done, shared_at = 0, time.monotonic()
        for found in iter_facts(self._store.root, tasks, processes=processes):
            self._connection.executemany("INSERT OR REPLACE INTO pixels VALUES (?, ?, ?, ?)", found)
            self._connection.commit()
            done += len(found)
            on_progress(done, total)
            if time.monotonic() - shared_at > _SHARE_SECONDS:
                self._share()
                shared_at = time.monotonic()
        self._share()
        return done

    def _share(self) -> None:
        """Let history know which images are one picture."""
        newest = next(self._store.iter_runs(newest_first=True), None)
        if newest is not None and write_same_pictures(self._store.root, self.copies()):
            note_change(newest.path)  # whoever keeps the index links copies when it has read a run

    def missing(self) -> Iterator[tuple[str, list[str]]]:
        """Runs with the digests of those of their images that were not looked at yet, the newest first."""
        known = self.known()
        for run in self._store.iter_runs(newest_first=True):
            wanted = [digest for digest in _image_digests(run) if digest not in known]
            known.update(wanted)
            for start in range(0, len(wanted), _MOST_OF_A_TASK):
                yield run.run_id, wanted[start : start + _MOST_OF_A_TASK]

    def known(self) -> set[str]:
        """The digests of the images that were looked at."""
        return {row[0] for row in self._connection.execute("SELECT digest FROM pixels")}

    def same_pixels(self, facts: PixelFacts) -> list[str]:
        """Digests of the images with exactly these pixels."""
        if not facts.pixel_digest:
            return []
        return self._find("pixel_digest = ?", facts.pixel_digest)

    def with_sha512(self, sha512: str) -> list[str]:
        """Digests of the images whose pixels have this SHA-512."""
        return self._find("sha512 = ?", sha512)

    def _find(self, condition: str, value: str) -> list[str]:
        query = f"SELECT digest FROM pixels WHERE {condition} ORDER BY digest"  # noqa: S608  # a condition of ours
        return [row[0] for row in self._connection.execute(query, (value,))]

    def copies(self) -> list[list[str]]:
        """Images with the same pixels and different digests: one picture, saved again without loss.

        Those of a single colour are left out: different pictures that failed look like that.
        """
        groups: dict[str, list[str]] = defaultdict(list)
        query = "SELECT pixel_digest, digest FROM pixels WHERE pixel_digest != '' AND look != 0 ORDER BY digest"
        for pixel_digest, digest in self._connection.execute(query):
            groups[pixel_digest].append(digest)
        return [group for group in groups.values() if len(group) > 1]

    def alike(self) -> Iterator[tuple[str, str, int]]:
        """Pairs that look alike and do not have the same pixels, with the bits in which they differ.

        They are candidates: a scaled or lossy copy, or two pictures of one composition. Somebody must look.
        """
        looks: dict[str, tuple[int, str]] = {}
        for digest, look, pixel_digest in self._connection.execute(
            "SELECT digest, look, pixel_digest FROM pixels WHERE look IS NOT NULL AND look != 0 ORDER BY digest"
        ):
            looks[digest] = (look & ((1 << 64) - 1), pixel_digest)
        yield from sorted(_pairs(looks))


def update_beside(store: RunStore) -> None:
    """Let a process of its own, of low priority, work out what is missing; it goes on when this one ends."""
    if worker_pool.is_available():
        worker_pool.start_beside(__name__, os.fspath(store.root.absolute()))


def main(root: Path) -> int:
    """Work out what is missing in the store at `root`, unless somebody does."""
    lock = file_lock(cache_folder() / "imports" / f"{store_key(root)}-pixels.lock")
    with (
        contextlib.suppress(OSError, sqlite3.Error),
        lock.acquire(timeout=0),
        PixelIndex(RunStore(root)) as pixels,
    ):
        pixels.update(processes=1)
    return 0


def _pairs(looks: dict[str, tuple[int, str]]) -> set[tuple[str, str, int]]:
    width = 64 // _BANDS + 1
    found: set[tuple[str, str, int]] = set()
    for band in range(_BANDS):
        groups: dict[int, list[str]] = defaultdict(list)
        for digest, (look, _) in looks.items():
            groups[look >> (band * width) & ((1 << width) - 1)].append(digest)
        for group in groups.values():
            found.update(_near(group, looks))
    return found


def _near(group: list[str], looks: dict[str, tuple[int, str]]) -> Iterable[tuple[str, str, int]]:
    for number, first in enumerate(group):
        for second in group[number + 1 :]:
            (look, pixels), (other, other_pixels) = looks[first], looks[second]
            distance = (look ^ other).bit_count()
            if distance <= LOOK_DISTANCE and pixels != other_pixels:
                yield (first, second, distance)


def _image_digests(run: Run) -> list[str]:
    try:
        return [output.digest for _, output in run.iter_outputs() if output.media_type.startswith("image/")]
    except (OSError, ValueError):
        return []


def _open(path: Path) -> sqlite3.Connection:
    """The cache; one that cannot be read is made again."""
    try:
        return _connect(path)
    except sqlite3.DatabaseError:
        for ending in ("", "-wal", "-shm"):
            Path(f"{os.fspath(path)}{ending}").unlink(missing_ok=True)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(_SCHEMA)
    return connection


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
