"""RunIndex: writing the index. One process at a time does so; whoever holds the index's lock."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import xxhash

from stablenew.index.full_text import searchable
from stablenew.index.index_schema import (
    FIELD_EMBEDDING,
    FIELD_LORA,
    FIELD_OTHER_PACK,
    FIELD_PACK,
    FIELD_TAG,
    FINISH,
    HASH_BITS,
    MAX_USE,
    USE_BITS,
    first_id,
    open_for_writing,
)
from stablenew.index.packed_outputs import pack_outputs
from stablenew.index.run_changes import RESET, RUN_ADDED, RUN_CHANGED, RUN_REMOVED, RunChange
from stablenew.index.run_entry import NO_VARIANT, RunEntry, RunReading, VariantEntry
from stablenew.index.stored_seed import store_seed

KEPT_CHANGES: Final = 100_000
_MOST_REMEMBERED: Final = 20_000

_INSERT_RUN: Final = "INSERT INTO run VALUES (" + ",".join("?" * 24) + ")"
_INSERT_VARIANT: Final = "INSERT INTO variant VALUES (" + ",".join("?" * 21) + ")"


class Known(NamedTuple):
    """What the index knows of a run folder, to tell whether it changed."""

    folder_signature: int
    file_signature: int
    is_hot: bool


class _Change(NamedTuple):
    run_id: str
    kind: str
    old_id: int | None
    new_id: int | None


class RunIndex:
    """The index of one store, for writing. The caller holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_for_writing(path)
        self.inode = path.stat().st_ino
        self._names: dict[str, int] = dict(self._connection.execute("SELECT text, id FROM name"))
        self._texts: dict[tuple[str, bool], int] = {}

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(sqlite3.DatabaseError):
            self._connection.execute("PRAGMA optimize")
        self._connection.close()

    def get_meta(self, key: str, default: Any = None) -> Any:
        """A fact about the index itself."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else row[0]

    def set_meta(self, **values: Any) -> None:
        """Keep facts about the index itself."""
        self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def known(self) -> dict[str, Known]:
        """What is known of every run, by run id."""
        rows = self._connection.execute("SELECT run_id, folder_signature, file_signature, is_hot FROM run")
        return {run_id: Known(folder, file, bool(is_hot)) for run_id, folder, file, is_hot in rows}

    def known_of(self, run_id: str) -> Known | None:
        """What is known of one run."""
        query = "SELECT folder_signature, file_signature, is_hot FROM run WHERE run_id = ?"
        row = self._connection.execute(query, (run_id,)).fetchone()
        return None if row is None else Known(row[0], row[1], bool(row[2]))

    def hot_run_ids(self) -> list[str]:
        """The runs whose folders must be looked into every time, newest first."""
        return [row[0] for row in self._connection.execute("SELECT run_id FROM run WHERE is_hot ORDER BY id DESC")]

    def newest_run_ids(self, limit: int) -> list[str]:
        """The newest runs."""
        return [row[0] for row in self._connection.execute("SELECT run_id FROM run ORDER BY id DESC LIMIT ?", (limit,))]

    def state_of(self, run_id: str) -> str | None:
        """The state a run had when it was read."""
        query = "SELECT text FROM run JOIN name ON name.id = run.state WHERE run_id = ?"
        row = self._connection.execute(query, (run_id,)).fetchone()
        return None if row is None else str(row[0])

    def cool(self, run_ids: Sequence[str]) -> None:
        """Remember that these runs need no closer look any more."""
        if not run_ids:
            return
        with self._transaction():
            self._connection.executemany("UPDATE run SET is_hot = 0 WHERE run_id = ?", ((one,) for one in run_ids))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._names = dict(self._connection.execute("SELECT text, id FROM name"))
            self._texts.clear()
            raise
        self._connection.execute("COMMIT")

    def put(self, readings: Sequence[RunReading], *, is_quiet: bool = False, are_new: bool = False) -> list[RunChange]:
        """Bring the index in step with what was read, in one transaction. Returns what happened.

        With `is_quiet` nobody who follows hears of it; `are_new` promises that the index knows none of these runs.
        """
        changes: list[_Change] = []
        batch = _Batch()
        with self._transaction():
            for reading in sorted(readings, key=_time_order):  # the full-text table wants rising ids
                change = self._put_one(reading, batch, is_new=are_new)
                if change is not None:
                    changes.append(change)
            batch.write(self._connection)
            if not is_quiet:
                self._announce(changes)
        return [RunChange(change.kind, change.run_id) for change in changes]

    def finish_filling(self) -> None:
        """Make what the first filling was faster without."""
        self._connection.executescript(f"BEGIN; {FINISH} COMMIT;")

    def announce_reset(self) -> None:
        """Tell whoever follows to ask for everything again."""
        with self._transaction():
            self._announce([_Change("", RESET, None, None)])

    def _announce(self, changes: "list[_Change]") -> None:
        query = "INSERT INTO change(run_id, kind, old_id, new_id) VALUES (?, ?, ?, ?)"
        cursor = self._connection.executemany(query, changes)
        if cursor.rowcount > 0:
            query = "DELETE FROM change WHERE seq <= (SELECT max(seq) FROM change) - ?"
            self._connection.execute(query, (KEPT_CHANGES,))

    def _put_one(self, reading: RunReading, batch: "_Batch", *, is_new: bool) -> "_Change | None":
        row = None
        if not is_new:
            row = self._connection.execute("SELECT id FROM run WHERE run_id = ?", (reading.run_id,)).fetchone()
        if row is not None:
            self._delete(row[0], batch)
        if reading.entry is None:
            return _Change(reading.run_id, RUN_REMOVED, row[0], None) if row is not None else None
        new = self._insert(reading, reading.entry, batch)
        if row is None:
            return _Change(reading.run_id, RUN_ADDED, None, new)
        return _Change(reading.run_id, RUN_CHANGED, row[0], new)

    def _delete(self, identifier: int, batch: "_Batch") -> None:
        """Take a run out. The full-text table keeps no text, so it must be told what to forget."""
        batch.write(self._connection)
        query = "SELECT use, body FROM variant JOIN text ON text.id = variant.prompt WHERE run = ? ORDER BY position"
        for use, prompt in _join_uses(self._connection.execute(query, (identifier,))):
            query = "INSERT INTO use_text(use_text, rowid, prompt) VALUES ('delete', ?, ?)"
            self._connection.execute(query, (identifier | use, prompt))
        self._connection.execute("DELETE FROM variant WHERE run = ?", (identifier,))
        self._connection.execute("DELETE FROM label WHERE at BETWEEN ? AND ?", (identifier, identifier | MAX_USE))
        self._connection.execute("DELETE FROM run WHERE id = ?", (identifier,))

    def _insert(self, reading: RunReading, entry: RunEntry, batch: "_Batch") -> int:
        row = self._run_row(reading, entry)
        base, slot = first_id(entry.created_ms), xxhash.xxh3_64_intdigest(entry.run_id.encode())
        for probe in range(1 << HASH_BITS):
            identifier = base | ((slot + probe) % (1 << HASH_BITS)) << USE_BITS
            try:
                self._connection.execute(_INSERT_RUN, (identifier, *row))
                break
            except sqlite3.IntegrityError:  # another run of the same millisecond has this id
                continue
        else:
            raise OverflowError(f"more than {1 << HASH_BITS} runs of one millisecond, {entry.run_id} among them")
        self._insert_run_labels(identifier, entry, batch)
        self._insert_variants(identifier, entry.variants or (NO_VARIANT,), batch)
        return identifier

    def _run_row(self, reading: RunReading, entry: RunEntry) -> tuple[Any, ...]:
        metadata, opinions, variants = entry.metadata, entry.opinions, entry.variants
        seeds = [variant.seed for variant in variants if variant.seed is not None]
        best = max([rating for _, rating in opinions.image_ratings], default=None)
        return (
            entry.run_id,
            reading.folder_signature,
            reading.file_signature,
            reading.is_hot,
            metadata.created_ms if metadata else None,
            self._name(entry.state),
            self._name(entry.status),
            self._name(metadata.engine if metadata else None),
            self._name(metadata.action if metadata else None),
            metadata.plan_size if metadata else None,
            len(variants),
            sum([len(variant.outputs) for variant in variants]),
            metadata.duration_seconds if metadata else None,
            store_seed(seeds[0]) if seeds else None,
            len(set(seeds)),
            opinions.rating,
            best,
            opinions.rating if opinions.rating is not None else best,
            len(opinions.image_ratings),
            opinions.pick_count,
            opinions.reject_count,
            opinions.note_count,
            entry.problem,
        )

    def _insert_run_labels(self, identifier: int, entry: RunEntry, batch: "_Batch") -> None:
        metadata = entry.metadata
        packs = metadata.packs if metadata else ()
        others = {variant.pack for variant in entry.variants if variant.pack}.difference(packs)
        self._label(FIELD_PACK, packs, identifier, batch)
        self._label(FIELD_OTHER_PACK, others, identifier, batch)
        self._label(FIELD_TAG, {*entry.opinions.tags, *(metadata.tags if metadata else ())}, identifier, batch)

    def _label(self, field: int, names: Iterable[str], at: int, batch: "_Batch") -> None:
        for name in names:
            batch.labels.append((field, self._name(name), at))

    def _insert_variants(self, identifier: int, variants: Sequence[VariantEntry], batch: "_Batch") -> None:
        uses: dict[tuple[Any, ...], int] = {}
        prompts: list[tuple[int, str]] = []
        for position, variant in enumerate(variants):
            key = (variant.prompt, variant.loras, variant.embeddings)
            use = uses.setdefault(key, min(len(uses), MAX_USE))
            if len(uses) > len(prompts):  # a new one
                prompts.append((use, variant.prompt or ""))
                self._label(FIELD_LORA, variant.loras, identifier | use, batch)
                self._label(FIELD_EMBEDDING, variant.embeddings, identifier | use, batch)
            batch.variants.append(self._variant_row(identifier, position, use, variant))
        batch.uses.extend((identifier | use, prompt) for use, prompt in _join_uses(prompts))

    def _variant_row(self, identifier: int, position: int, use: int, variant: VariantEntry) -> tuple[Any, ...]:
        return (
            identifier,
            position,
            variant.number,
            use,
            self._name(variant.status or None),
            self._text(variant.prompt, is_negative=False),
            self._text(variant.negative, is_negative=True),
            self._name(variant.model),
            self._name(variant.sampler),
            self._name(variant.scheduler),
            self._name(variant.vae),
            variant.steps,
            variant.clip_skip,
            variant.width,
            variant.height,
            variant.cfg_scale,
            variant.denoising_strength,
            store_seed(variant.seed),
            variant.duration_seconds,
            variant.rating,
            pack_outputs(variant.outputs),
        )

    def _name(self, text: str | None) -> int | None:
        """The number of a word."""
        if text is None:
            return None
        number = self._names.get(text)
        if number is None:
            cursor = self._connection.execute("INSERT INTO name(text) VALUES (?) RETURNING id", (text,))
            number = self._names[text] = int(cursor.fetchone()[0])
        return number

    def _text(self, body: str | None, *, is_negative: bool) -> int | None:
        """The number of a prompt."""
        if body is None:
            return None
        number = self._texts.get((body, is_negative))
        if number is None:
            person = b"negative" if is_negative else b""
            digest = hashlib.blake2b(body.encode(), digest_size=16, person=person).digest()
            number = self._find_text(digest) or self._insert_text(digest, body, is_negative=is_negative)
            if len(self._texts) > _MOST_REMEMBERED:
                self._texts.clear()
            self._texts[body, is_negative] = number
        return number

    def _find_text(self, digest: bytes) -> int | None:
        row = self._connection.execute("SELECT id FROM text WHERE hash = ?", (digest,)).fetchone()
        return None if row is None else int(row[0])

    def _insert_text(self, digest: bytes, body: str, *, is_negative: bool) -> int:
        query = "INSERT INTO text(hash, body) VALUES (?, ?) RETURNING id"
        number = int(self._connection.execute(query, (digest, body)).fetchone()[0])
        if is_negative:
            query = "INSERT INTO negative_text(rowid, prompt) VALUES (?, ?)"
            self._connection.execute(query, (number, searchable(body)))
        return number


class _Batch:
    """Rows that wait to be written together."""

    def __init__(self) -> None:
        self.variants: list[tuple[Any, ...]] = []
        self.labels: list[tuple[Any, ...]] = []
        self.uses: list[tuple[int, str]] = []

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany(_INSERT_VARIANT, self.variants)
        connection.executemany("INSERT OR IGNORE INTO label VALUES (?, ?, ?)", self.labels)
        connection.executemany("INSERT INTO use_text(rowid, prompt) VALUES (?, ?)", sorted(self.uses))
        for rows in (self.variants, self.labels, self.uses):
            rows.clear()


def _time_order(reading: RunReading) -> int:
    return reading.entry.created_ms if reading.entry is not None else 0


def _join_uses(prompts: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """The text of each prompt number as the full-text table has it."""
    bodies: dict[int, dict[str, None]] = {}
    for use, body in prompts:
        bodies.setdefault(use, {})[body] = None
    joined = ((use, "\n".join(searchable(body) for body in parts)) for use, parts in bodies.items())
    return [(use, text) for use, text in joined if text]
