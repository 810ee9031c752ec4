"""Numbers for words and prompts: each is kept once, and rows name it by its number."""

import hashlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from stablenew.index.stored_values import searchable

_MOST_REMEMBERED: Final = 20_000

Numbering: TypeAlias = Callable[[Sequence[str | None]], Iterable[int | None]]


def with_numbers(rows: Sequence[tuple[Any, ...]], numberings: Mapping[int, Numbering]) -> Iterator[tuple[Any, ...]]:
    """`rows` with numbers in place of the texts in some columns; column by column, because most texts repeat."""
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    if columns:
        for place, number in numberings.items():
            columns[place] = number(columns[place])  # type: ignore[arg-type]
    return zip(*columns, strict=True)


class _TextNumbers(ABC):
    """The numbers of texts of one kind, as far as they are remembered."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.forget()

    def forget(self) -> None:
        """Remember nothing."""
        self._numbers: dict[str | None, int | None] = {None: None}

    def number(self, texts: Sequence[str | None]) -> Iterable[int | None]:
        """The number of each text; a new one gets one."""
        for text in dict.fromkeys(texts):
            if text is not None and text not in self._numbers:
                self._numbers[text] = self._number_one(text)
        return map(self._numbers.__getitem__, texts)

    @abstractmethod
    def _number_one(self, text: str) -> int:
        """The number of a text that is not remembered."""


class WordNumbers(_TextNumbers):
    """The numbers of words; all of them are remembered."""

    def forget(self) -> None:
        """Remember what the index holds, and nothing else."""
        super().forget()
        self._numbers.update(self._connection.execute("SELECT text, id FROM name"))

    def _number_one(self, text: str) -> int:
        cursor = self._connection.execute("INSERT INTO name(text) VALUES (?) RETURNING id", (text,))
        return int(cursor.fetchone()[0])


class PromptNumbers(_TextNumbers):
    """The numbers of prompts; the last ones used are remembered."""

    def __init__(self, connection: sqlite3.Connection, *, are_negative: bool) -> None:
        super().__init__(connection)
        self._are_negative = are_negative

    def number(self, texts: Sequence[str | None]) -> Iterable[int | None]:
        """The number of each prompt; a new one gets one."""
        if len(self._numbers) > _MOST_REMEMBERED:
            self.forget()
        return super().number(texts)

    def _number_one(self, text: str) -> int:
        person = b"negative" if self._are_negative else b""
        digest = hashlib.blake2b(text.encode(), digest_size=16, person=person).digest()
        row = self._connection.execute("SELECT id FROM text WHERE hash = ?", (digest,)).fetchone()
        return int(row[0]) if row is not None else self._insert(digest, text)

    def _insert(self, digest: bytes, prompt: str) -> int:
        query = "INSERT INTO text(hash, body) VALUES (?, ?) RETURNING id"
        number = int(self._connection.execute(query, (digest, prompt)).fetchone()[0])
        if self._are_negative:
            query = "INSERT INTO negative_text(rowid, prompt) VALUES (?, ?)"
            self._connection.execute(query, (number, searchable(prompt)))
        return number
