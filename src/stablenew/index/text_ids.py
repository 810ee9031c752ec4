"""Ids of words, prompts and images: each is stored once, and rows refer to it by its id."""

import hashlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from stablenew.index.index_file import iter_parts
from stablenew.index.index_schema import DIGEST_KEY, DIGEST_KEY_BYTES, FULL_TEXT_TABLES, NO_IMAGE, TextKind
from stablenew.index.stored_values import DIGEST_BYTES, searchable

_MAX_CACHED: Final = 20_000

IdSource: TypeAlias = Callable[[Sequence[Any]], Iterable[int | None]]


def with_ids(rows: Sequence[tuple[Any, ...]], sources: Mapping[int, IdSource]) -> Iterator[tuple[Any, ...]]:
    """`rows` with ids in place of the texts in some columns; column by column, because most texts repeat."""
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    if columns:
        for place, ids_of in sources.items():
            columns[place] = ids_of(columns[place])  # type: ignore[arg-type]
    return zip(*columns, strict=True)


def find_images(connection: sqlite3.Connection, digests: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    """The images of some digests, each as the index keeps it, and its id."""
    wanted = set(digests)
    for some in iter_parts(digests):
        keys = [digest[:DIGEST_KEY_BYTES] for digest in some]
        query = f"SELECT digest, id FROM image WHERE {DIGEST_KEY} IN ({','.join('?' * len(keys))})"
        yield from (row for row in connection.execute(query, keys) if row[0][:DIGEST_BYTES] in wanted)


class TextIds(ABC):
    """The ids of texts of one kind, cached as far as memory allows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.forget()

    def forget(self) -> None:
        """Drop the cache, because a transaction was rolled back or the cache has grown too large."""
        self._ids: dict[Any, int | None] = {None: None}

    def ids_of(self, texts: Sequence[Any]) -> Iterable[int | None]:
        """The id of each text; a new text is added."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._ids]:
            self._ids.update(self._find_or_add(new))
        return map(self._ids.__getitem__, texts)

    @abstractmethod
    def _find_or_add(self, texts: Sequence[Any]) -> Iterable[tuple[Any, int]]:
        """Texts that are not in the cache, with their ids."""


class WordIds(TextIds):
    """The ids of words; all of them are cached."""

    def forget(self) -> None:
        """Cache what the index holds, and nothing else."""
        super().forget()
        self._ids.update(self._connection.execute("SELECT text, id FROM name"))

    def _find_or_add(self, texts: Sequence[str]) -> Iterator[tuple[str, int]]:
        for text in texts:
            cursor = self._connection.execute("INSERT INTO name(text) VALUES (?) RETURNING id", (text,))
            yield text, cursor.fetchone()[0]


class _RecentIds(TextIds):
    """The ids of texts that are too many to cache them all; those used most recently are cached."""

    def ids_of(self, texts: Sequence[Any]) -> Iterable[int | None]:
        """The id of each text; a new text is added."""
        if len(self._ids) > _MAX_CACHED:
            self.forget()
        return super().ids_of(texts)


class ImageIds(_RecentIds):
    """The ids of images, by what `pack_digest` makes of digests, with their SHA-256 or without.

    Outputs of one digest are one image, unless their SHA-256 differ. The empty digest stands for a whole run.
    """

    def forget(self) -> None:
        """Drop the cache but for what cannot be looked up: SQLite finds no beginning of an empty digest."""
        super().forget()
        self._ids[b""] = NO_IMAGE

    def _find_or_add(self, texts: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
        """All at once: there are more images than anything else, and nearly all are new."""
        known: dict[bytes, dict[bytes, int]] = {text[:DIGEST_BYTES]: {} for text in texts}
        for stored, identifier in find_images(self._connection, list(known)):
            known[stored[:DIGEST_BYTES]][stored[DIGEST_BYTES:]] = identifier
        ((last,),) = self._connection.execute("SELECT max(id) FROM image")
        new, completed, found = [], [], []
        for text in texts:
            sha256, ids = text[DIGEST_BYTES:], known[text[:DIGEST_BYTES]]
            if sha256 and sha256 not in ids and b"" in ids:  # known without its SHA-256 until now
                ids[sha256] = ids.pop(b"")
                completed.append((text, ids[sha256]))
            elif sha256 not in ids and (sha256 or not ids):
                last += 1
                ids[sha256] = last
                new.append((last, text))
            found.append((text, ids[sha256] if sha256 in ids else min(ids.values())))
        self._connection.executemany("INSERT INTO image(id, digest) VALUES (?, ?)", new)
        self._connection.executemany("UPDATE image SET digest = ? WHERE id = ?", completed)
        yield from found


def hash_body(text: str, kind: TextKind) -> bytes:
    """What a prompt, negative prompt or note is found by in the table `text`."""
    person = b"" if kind == "prompt" else kind.encode()
    return hashlib.blake2b(text.encode(), digest_size=16, person=person).digest()


class BodyIds(_RecentIds):
    """The ids of prompts, negative prompts or notes, which are also searchable."""

    def __init__(self, connection: sqlite3.Connection, kind: TextKind) -> None:
        super().__init__(connection)
        self._kind: TextKind = kind
        self._full_text = FULL_TEXT_TABLES[kind]

    def _find_or_add(self, texts: Sequence[str]) -> Iterator[tuple[str, int]]:
        return ((text, self._find_or_add_one(text)) for text in texts)

    def _find_or_add_one(self, text: str) -> int:
        digest = hash_body(text, self._kind)
        row = self._connection.execute("SELECT id FROM text WHERE hash = ?", (digest,)).fetchone()
        return int(row[0]) if row is not None else self._insert(digest, text)

    def _insert(self, digest: bytes, body: str) -> int:
        query = "INSERT INTO text(hash, body) VALUES (?, ?) RETURNING id"
        identifier = int(self._connection.execute(query, (digest, body)).fetchone()[0])
        query = f"INSERT INTO {self._full_text}(rowid, body) VALUES (?, ?)"
        self._connection.execute(query, (identifier, searchable(body)))
        return identifier
