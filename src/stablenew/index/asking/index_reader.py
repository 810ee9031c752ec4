"""IndexReader: SQL queries to the index. Any number of processes may read it while one writes."""

import contextlib
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stablenew.formats.digest import is_digest
from stablenew.index.index_schema import (
    DIGEST_KEY,
    DIGEST_KEY_BYTES,
    FIELD_PACK,
    FIELD_TAG,
    LARGEST_ID,
    NO_POSITION,
    RUN_IS,
    open_for_reading,
    sqlite_errors,
)
from stablenew.index.stored_values import (
    DIGEST_BYTES,
    MAX_SHOWN_OUTPUTS,
    is_joined,
    pack_digest,
    read_path,
    split_names,
    unpack_digest,
    write_seed,
)

if TYPE_CHECKING:
    from stablenew.formats.query_language import Pattern

TIME: Final = "time"
OLDEST: Final = "oldest"
NEWEST: Final = "newest"
BEST: Final = "best"
WORST: Final = "worst"
RANDOM: Final = "random"
UNRATED: Final = "unrated"
JOBS: Final = "jobs"
IMAGES: Final = "images"

Row = dict[str, Any]
"""A run in the JSON form of JobSummary, or an image."""
_MAX_PARAMETERS: Final = 500
Cursor = tuple[Any, ...]
"""Where a page ended: what the next one starts after."""
_SCORES: Final = ("metric.", "aspect.")


class ComparisonRow(NamedTuple):
    """Which of two images somebody preferred."""

    run_id: str
    """The run in whose log it stands."""
    winner: int
    """The index's id of the image."""
    loser: int
    rater: str
    outcome: str
    shown: str | None
    asked: str | None
    repeat: int
    clock: str


class IndexReader:
    """Reads one index. Threads may share it and take turns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._names: list[tuple[int, str]] = []
        self._patterns: dict[tuple[tuple[Pattern, ...], int], list[int]] = {}

    def __del__(self) -> None:
        """Closes the file when garbage collected."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection | None:
        """The connection; a new one when the index was rebuilt under the same name."""
        inode = self.path.stat().st_ino if self.path.exists() else 0
        if inode != self._inode:
            self.close()
            self._names = []
            self._patterns = {}
        if self._connection is None and inode:
            self._connection = open_for_reading(self.path)
            self._inode = inode
        return self._connection

    def fetch(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one SQL query; none when there is no index."""
        with self._guard, sqlite_errors(self.path):
            connection = self._open()
            return [] if connection is None else connection.execute(query, parameters).fetchall()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside the block all queries see the index as it was at the first of them."""
        with self._guard, sqlite_errors(self.path):
            connection = self._open()
            if connection is None or connection.in_transaction:
                yield
                return
            connection.execute("BEGIN")
            try:
                yield
            finally:
                connection.execute("COMMIT")

    def iter_chunks(self, query: str, size: int, parameters: Sequence[Any] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of one SQL query, `size` at a time."""
        with self._guard, sqlite_errors(self.path):
            connection = self._open()
            if connection is None:
                return
            cursor = connection.execute(query, parameters)
            while rows := cursor.fetchmany(size):
                yield rows

    def get_meta(self, key: str, default: Any = None) -> Any:
        """A fact about the index itself."""
        rows = self.fetch("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else default

    @property
    def is_complete(self) -> bool:
        """Whether the index was filled once; until then it holds only the newest runs."""
        return bool(self.get_meta("is_complete", 0))

    def changes_since(self, sequence: int) -> list[tuple[int, str, str]]:
        """(number, run id, what happened) of everything after the change of that number."""
        return self.fetch("SELECT seq, run_id, kind FROM change WHERE seq > ? ORDER BY seq", (sequence,))

    def last_change(self) -> tuple[str, int]:
        """Which index this is (a rebuilt one is another), and the number of the last change in it."""
        which = "(SELECT value FROM meta WHERE key = 'token')"
        last = "(SELECT seq FROM sqlite_sequence WHERE name = 'change')"
        rows = self.fetch(f"SELECT {which}, {last}")
        return (str(rows[0][0]), int(rows[0][1] or 0)) if rows else ("", 0)

    def find_names(self, patterns: "Sequence[Pattern]") -> list[int]:
        """The ids of the words that match one of the patterns. A pack matches by its name or its id."""
        with self._guard:
            names = self.names()
            key = (tuple(patterns), len(names))
            if key not in self._patterns:
                if len(self._patterns) >= _MAX_PARAMETERS:
                    self._patterns.clear()
                from stablenew.formats.query_language import match_any  # noqa: PLC0415

                matches = match_any(patterns)
                self._patterns[key] = [number for number, text in names if any(map(matches, text.split("\0")))]
            return self._patterns[key]

    def find_runs(self, patterns: "Sequence[Pattern]") -> list[int]:
        """The ids of the runs whose run id matches one of the patterns, or begins with it."""
        from stablenew.formats.query_language import Pattern, match_any  # noqa: PLC0415

        prefixes = tuple(pattern.text.casefold() for pattern in patterns if not pattern.has_wildcard)
        matches = match_any(Pattern(f"{pattern.text}*") for pattern in patterns if pattern.has_wildcard)
        runs = self.fetch("SELECT id, run_id FROM run")
        return [number for number, run_id in runs if run_id.startswith(prefixes) or matches(run_id)]

    def find_images(self, pattern: "Pattern") -> list[int]:
        """The ids of the images whose digest begins with the hex digits of a pattern."""
        prefix = pattern.text.lower().removeprefix("xxh128:").rstrip("*")
        if not prefix or set(prefix) - set("0123456789abcdef") or len(prefix) > 2 * DIGEST_BYTES:
            return []
        low = bytes.fromhex(prefix.ljust(2 * DIGEST_BYTES, "0"))
        high = bytes.fromhex(prefix.ljust(2 * DIGEST_BYTES, "f"))
        query = (
            f"SELECT id FROM image WHERE {DIGEST_KEY} BETWEEN ? AND ? AND substr(digest, 1, {DIGEST_BYTES}) "
            "BETWEEN ? AND ?"
        )
        keys = (low[:DIGEST_KEY_BYTES], high[:DIGEST_KEY_BYTES])
        return [row[0] for row in self.fetch(query, (*keys, low, high))]

    def family_names(self) -> list[str]:
        """The fields of families that this index has: `settings.NAME`, `metric.NAME` and `aspect.NAME`."""
        settings = sorted({name for _, text in self.names() if is_joined(text) for name in split_names(text)})
        return [f"settings.{name}" for name in settings] + self._score_names()

    def _score_names(self) -> list[str]:
        """The names of scores. Words are never forgotten, so each is looked for."""
        words = [(number, text) for number, text in self.names() if text.startswith(_SCORES)]
        query = "SELECT EXISTS (SELECT 1 FROM score WHERE name = ?)"
        return [text for number, text in words if self.fetch(query, (number,)) == [(1,)]]

    def names(self) -> list[tuple[int, str]]:
        """Every word, in the order of its id."""
        with self._guard:
            last = self._names[-1][0] if self._names else 0
            added = self.fetch("SELECT id, text FROM name WHERE id > ? ORDER BY id", (last,))
            self._names += added
            return self._names

    def name(self, number: int) -> str:
        """The word of an id."""
        if number > len(self._names):
            self.names()
        return self._names[number - 1][1]

    def _name_or_none(self, number: int | None) -> str | None:
        return None if number is None else self.name(number)

    def bodies(self, numbers: Sequence[int]) -> dict[int, str]:
        """The prompts and other long texts of ids."""
        found: dict[int, str] = {}
        for start in range(0, len(numbers), _MAX_PARAMETERS):
            some = numbers[start : start + _MAX_PARAMETERS]
            found.update(self.fetch(f"SELECT id, body FROM text WHERE id IN ({','.join(map(str, some))})"))
        return found

    def image_ids(self, digests: Iterable[str]) -> dict[str, int]:
        """The ids of images by digest, for copies that of their picture; what the index does not have is left out."""
        found: dict[str, int] = {}
        for digest in digests:
            if is_digest(digest):
                query = f"SELECT coalesce(picture, id) FROM image i WHERE {_DIGEST_IS} ORDER BY id"
                for (number,) in self.fetch(query, _digest_keys(digest)):
                    found.setdefault(digest, int(number))
        return found

    def digests(self, images: Sequence[int]) -> list[str]:
        """The digests of images and of their copies by their ids, in any order."""
        found: list[str] = []
        for start in range(0, len(images), _MAX_PARAMETERS):
            some = ",".join(map(str, images[start : start + _MAX_PARAMETERS]))
            found += [
                unpack_digest(digest)
                for (digest,) in self.fetch(f"SELECT digest FROM image WHERE id IN ({some}) OR picture IN ({some})")
            ]
        return found

    def digests_by_run(self, images: Sequence[int]) -> dict[str, list[str]]:
        """For each run the digests of those of some images, or of their copies, that are among its final outputs."""
        found: dict[str, set[str]] = defaultdict(set)
        for start in range(0, len(images), _MAX_PARAMETERS):
            some = ",".join(map(str, images[start : start + _MAX_PARAMETERS]))
            query = (
                "SELECT r.run_id, i.digest FROM place p JOIN run r ON r.id = p.run JOIN image i ON i.id = p.image "
                f"WHERE i.id IN ({some}) OR i.picture IN ({some})"
            )
            for run_id, digest in self.fetch(query):
                found[run_id].add(unpack_digest(digest))
        return {run_id: sorted(digests) for run_id, digests in found.items()}

    def copies(self) -> list[list[str]]:
        """The digests of each picture that is there in several files."""
        groups: dict[int, list[str]] = defaultdict(list)
        query = (
            "SELECT coalesce(picture, id), digest FROM image "
            "WHERE picture IS NOT NULL OR id IN (SELECT picture FROM image WHERE picture IS NOT NULL) ORDER BY digest"
        )
        for picture, digest in self.fetch(query):
            groups[picture].append(unpack_digest(digest))
        return list(groups.values())

    def runs_holding(self, digest: str) -> list[str]:
        """The runs that have an image among their final outputs, the oldest first."""
        query = (
            "SELECT DISTINCT r.run_id, r.id FROM image i JOIN place p ON p.image = i.id JOIN run r ON r.id = p.run "
            f"WHERE {_DIGEST_IS} ORDER BY r.id"
        )
        return [run_id for run_id, _ in self.fetch(query, _digest_keys(digest))]

    def comparisons(self, asked: str | None = None) -> list[ComparisonRow]:
        """Every comparison that stands, the oldest first; with `asked` those that answered this question."""
        chosen = "" if asked is None else "WHERE c.asked = (SELECT id FROM name WHERE text = ?)"
        rows = self.fetch(
            f"{_SELECT_COMPARISONS} {chosen} ORDER BY c.clock, c.event", () if asked is None else (asked,)
        )
        return [
            ComparisonRow(
                run_id, winner, loser, self.name(rater), self.name(outcome), self._name_or_none(shown),
                self._name_or_none(question), repeat, clock,
            )
            for run_id, winner, loser, rater, outcome, shown, question, repeat, clock in rows
        ]  # fmt: skip

    def all_ids(self, *, limit: int, after: Cursor | None = None, is_ascending: bool = False) -> list[Cursor]:
        """The ids of all runs by time, as cursors. `after` is where to go on."""
        test, order = (">", "ASC") if is_ascending else ("<", "DESC")
        start = after[0] if after is not None else -1 if is_ascending else LARGEST_ID
        return self.fetch(f"SELECT id FROM run WHERE id {test} ? ORDER BY id {order} LIMIT ?", (start, limit))

    def run_count(self) -> int:
        """How many runs there are."""
        rows = self.fetch("SELECT count(*) FROM run")
        return int(rows[0][0]) if rows else 0

    def id_of(self, run_id: str) -> int | None:
        """The id of a run; None when the index does not have it."""
        rows = self.fetch(f"SELECT id FROM run WHERE {RUN_IS}", (run_id,))
        return rows[0][0] if rows else None

    def rows(self, ids: Iterable[int]) -> list[Row]:
        """The runs in the form of JobSummary, in the given order; deleted ones are left out."""
        with self._guard:
            connection = self._open()
            if connection is None:
                return []
            return [row for row in (self._row(connection, identifier) for identifier in ids) if row is not None]

    def outputs(self, identifier: int) -> list[tuple[int, str, str]]:
        """Variant, path and digest of the final outputs that a run holds, in order."""
        rows = self.fetch(
            f"{_SELECT_OUTPUTS} AND path IS NOT NULL ORDER BY p.position, p.number",
            (identifier,),
        )
        return [(row[1], self.path_of(row) or "", unpack_digest(row[4])) for row in rows]

    def output_at(self, run: int, position: int, number: int) -> dict[str, Any] | None:
        """Path and digest of one output; None when it was deleted."""
        query = f"{_SELECT_OUTPUTS} AND p.position = ? AND p.number = ?"
        rows = self.fetch(query, (run, position, number))
        return self._output(rows[0]) if rows else None

    def path_of(self, stored: Sequence[Any]) -> str | None:
        """The path in the run of what `PATH_COLUMNS` selected; None for an image in place."""
        path, variant, stage, kind, digest = stored
        if not isinstance(path, int):
            return path  # type: ignore[no-any-return]
        media_type = self.name(kind).rpartition("\0")[2]
        return read_path(path, variant, self.name(stage), unpack_digest(digest), media_type)

    def _output(self, stored: Sequence[Any]) -> dict[str, Any]:
        return {"path": self.path_of(stored), "digest": unpack_digest(stored[4])}

    def newest_place(self, image: int) -> tuple[int, int, int] | None:
        """Run, position and number of the newest place of an image; None when it was deleted.

        Of copies one with a prompt is taken, where there is any.
        """
        rows = self.fetch(_SELECT_NEWEST, (image, image))
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    def run_id_of(self, identifier: int) -> str | None:
        """The run id of an id."""
        rows = self.fetch("SELECT run_id FROM run WHERE id = ?", (identifier,))
        return rows[0][0] if rows else None

    def run_ids(self, identifiers: Sequence[int]) -> list[str]:
        """The run ids of ids, in any order; deleted ones are left out."""
        found: list[str] = []
        for start in range(0, len(identifiers), _MAX_PARAMETERS):
            some = identifiers[start : start + _MAX_PARAMETERS]
            query = f"SELECT run_id FROM run WHERE id IN ({','.join('?' * len(some))})"
            found += [run_id for (run_id,) in self.fetch(query, tuple(some))]
        return found

    def _row(self, connection: sqlite3.Connection, identifier: int) -> Row | None:
        run = connection.execute(_SELECT_RUN, (identifier,)).fetchone()
        if run is None:
            return None
        model, prompt = connection.execute(_SELECT_FIRST_VARIANT, (identifier,)).fetchone()
        query = "SELECT field, name FROM label WHERE run = ? AND position = ?"
        labels = connection.execute(query, (identifier, NO_POSITION)).fetchall()
        tags = connection.execute(
            "SELECT DISTINCT name FROM tag WHERE run = ? AND is_present", (identifier,)
        ).fetchall()
        tag_ids = {name for kind, name in labels if kind == FIELD_TAG} | {name for (name,) in tags}
        query = f"{_SELECT_OUTPUTS} ORDER BY p.position, p.number LIMIT ?"
        outputs = connection.execute(query, (identifier, MAX_SHOWN_OUTPUTS)).fetchall()
        return {
            "kind": "stablenew.job_summary",
            "schema_version": "1.0",
            "run_id": run[0],
            "created_at": None if run[1] is None else timestamp_of(run[1]),
            "status": self.name(run[3]),
            "state": self.name(run[2]),
            "packs": sorted(self.name(name).split("\0")[0] for kind, name in labels if kind == FIELD_PACK),
            "one_click_action": self._name_or_none(run[5]),
            "engine": self._name_or_none(run[4]),
            "model": self._name_or_none(model),
            "prompt": prompt,
            "tags": sorted(map(self.name, tag_ids)),
            "record_count": run[7],
            "plan_size": run[6],
            "output_count": run[8],
            "duration_seconds": run[9],
            "seed": write_seed(run[10]),
            "seed_count": run[11],
            "rating": run[12],
            "best_rating": run[13],
            "rated_count": run[14],
            "pick_count": run[15],
            "reject_count": run[16],
            "note_count": run[17],
            "outputs": list(map(self._output, outputs)),
            "fitting": None,
            "problem": run[18],
        }


_SELECT_RUN: Final = (
    "SELECT run_id, created, state, status, engine, action, plan_size, record_count, output_count, duration, seed, "
    "seed_count, rating, best_rating, rated_count, pick_count, reject_count, note_count, problem FROM run WHERE id = ?"
)
_SELECT_FIRST_VARIANT: Final = (
    "SELECT model, body FROM variant LEFT JOIN text ON text.id = prompt WHERE run = ? AND position = 0"
)
_SELECT_COMPARISONS: Final = (
    "SELECT r.run_id, coalesce(w.picture, w.id), coalesce(l.picture, l.id), c.rater, c.outcome, c.shown, c.asked, "
    "c.repeat, c.clock FROM comparison c JOIN run r ON r.id = c.run "
    "JOIN image w ON w.id = c.winner JOIN image l ON l.id = c.loser"
)
_SELECT_NEWEST: Final = (
    "SELECT p.run, p.position, p.number FROM image i JOIN place p ON p.image = i.id "
    "JOIN variant v ON v.run = p.run AND v.position = p.position LEFT JOIN text t ON t.id = v.prompt "
    "WHERE i.id = ? OR i.picture = ? ORDER BY coalesce(t.body, '') = '', p.run DESC, p.position DESC LIMIT 1"
)
_DIGEST_IS: Final = f"{DIGEST_KEY} = ? AND substr(i.digest, 1, {DIGEST_BYTES}) = ?"
PATH_COLUMNS: Final = "p.path, v.number, p.stage, p.type, i.digest"
"""What `path_of` needs, of the tables `place`, `variant` and `image`."""
_SELECT_OUTPUTS: Final = (
    f"SELECT {PATH_COLUMNS} FROM place p JOIN variant v ON v.run = p.run AND v.position = p.position "
    "JOIN image i ON i.id = p.image WHERE p.run = ?"
)


def _digest_keys(digest: str) -> tuple[bytes, bytes]:
    """The parameters of the condition that finds an image by its digest."""
    packed = pack_digest(digest)
    return packed[:DIGEST_KEY_BYTES], packed


def timestamp_of(milliseconds: int) -> str:
    """Milliseconds since 1970 as documents write them."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from stablenew.formats.clock import format_timestamp  # noqa: PLC0415

    return format_timestamp(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds))
