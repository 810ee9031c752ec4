"""Ids of words and prompts: each text is stored once, and rows refer to it by its id."""

import hashlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from stablenew.index.stored_values import searchable

_MAX_CACHED: Final = 20_000

IdSource: TypeAlias = Callable[[Sequence[str | None]], Iterable[int | None]]


def with_ids(rows: Sequence[tuple[Any, ...]], sources: Mapping[int, IdSource]) -> Iterator[tuple[Any, ...]]:
    """`rows` with ids in place of the texts in some columns; column by column, because most texts repeat."""
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    if columns:
        for place, ids_of in sources.items():
            columns[place] = ids_of(columns[place])  # type: ignore[arg-type]
    return zip(*columns, strict=True)


class _TextIds(ABC):
    """The ids of texts of one kind, cached as far as memory allows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.forget()

    def forget(self) -> None:
        """Drop the cache, because a transaction was rolled back or the cache has grown too large."""
        self._ids: dict[str | None, int | None] = {None: None}

    def ids_of(self, texts: Sequence[str | None]) -> Iterable[int | None]:
        """The id of each text; a new text is added."""
        for text in dict.fromkeys(texts):
            if text is not None and text not in self._ids:
                self._ids[text] = self._find_or_add(text)
        return map(self._ids.__getitem__, texts)

    @abstractmethod
    def _find_or_add(self, text: str) -> int:
        """The id of a text that is not in the cache."""


class WordIds(_TextIds):
    """The ids of words; all of them are cached."""

    def forget(self) -> None:
        """Cache what the index holds, and nothing else."""
        super().forget()
        self._ids.update(self._connection.execute("SELECT text, id FROM name"))

    def _find_or_add(self, text: str) -> int:
        cursor = self._connection.execute("INSERT INTO name(text) VALUES (?) RETURNING id", (text,))
        return int(cursor.fetchone()[0])


class PromptIds(_TextIds):
    """The ids of prompts; those used most recently are cached."""

    def __init__(self, connection: sqlite3.Connection, *, are_negative: bool) -> None:
        super().__init__(connection)
        self._are_negative = are_negative

    def ids_of(self, texts: Sequence[str | None]) -> Iterable[int | None]:
        """The id of each prompt; a new prompt is added."""
        if len(self._ids) > _MAX_CACHED:
            self.forget()
        return super().ids_of(texts)

    def _find_or_add(self, text: str) -> int:
        person = b"negative" if self._are_negative else b""
        digest = hashlib.blake2b(text.encode(), digest_size=16, person=person).digest()
        row = self._connection.execute("SELECT id FROM text WHERE hash = ?", (digest,)).fetchone()
        return int(row[0]) if row is not None else self._insert(digest, text)

    def _insert(self, digest: bytes, prompt: str) -> int:
        query = "INSERT INTO text(hash, body) VALUES (?, ?) RETURNING id"
        identifier = int(self._connection.execute(query, (digest, prompt)).fetchone()[0])
        if self._are_negative:
            query = "INSERT INTO negative_text(rowid, prompt) VALUES (?, ?)"
            self._connection.execute(query, (identifier, searchable(prompt)))
        return identifier
