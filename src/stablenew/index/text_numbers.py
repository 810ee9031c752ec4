"""Numbers for words and prompts: each is kept once, and rows name it by its number."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from stablenew.index.full_text import searchable

_MOST_REMEMBERED: Final = 20_000

Numbering: TypeAlias = Callable[[Sequence[str | None]], Iterable[int | None]]


def with_numbers(rows: Sequence[tuple[Any, ...]], numberings: Mapping[int, Numbering]) -> Iterator[tuple[Any, ...]]:
    """`rows` with numbers in place of the texts in some columns; column by column, because most texts repeat."""
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    if columns:
        for place, number in numberings.items():
            columns[place] = number(columns[place])  # type: ignore[arg-type]
    return zip(*columns, strict=True)


class WordNumbers:
    """The numbers of words; all of them are remembered."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.forget()

    def forget(self) -> None:
        """Remember what the index holds, and nothing else."""
        self._numbers: dict[str | None, int | None] = {None: None}
        self._numbers.update(self._connection.execute("SELECT text, id FROM name"))

    def number(self, words: Sequence[str | None]) -> Iterable[int | None]:
        """The number of each word; a new one gets one."""
        for word in dict.fromkeys(words):
            if word not in self._numbers:
                cursor = self._connection.execute("INSERT INTO name(text) VALUES (?) RETURNING id", (word,))
                self._numbers[word] = int(cursor.fetchone()[0])
        return map(self._numbers.__getitem__, words)


class PromptNumbers:
    """The numbers of prompts; the last ones used are remembered."""

    def __init__(self, connection: sqlite3.Connection, *, are_negative: bool) -> None:
        self._connection = connection
        self._are_negative = are_negative
        self.forget()

    def forget(self) -> None:
        """Remember nothing."""
        self._numbers: dict[str | None, int | None] = {None: None}

    def number(self, prompts: Sequence[str | None]) -> Iterable[int | None]:
        """The number of each prompt; a new one gets one."""
        if len(self._numbers) > _MOST_REMEMBERED:
            self.forget()
        for prompt in dict.fromkeys(prompts):
            if prompt is not None and prompt not in self._numbers:
                self._numbers[prompt] = self._find_or_insert(prompt)
        return map(self._numbers.__getitem__, prompts)

    def _find_or_insert(self, prompt: str) -> int:
        person = b"negative" if self._are_negative else b""
        digest = hashlib.blake2b(prompt.encode(), digest_size=16, person=person).digest()
        row = self._connection.execute("SELECT id FROM text WHERE hash = ?", (digest,)).fetchone()
        return int(row[0]) if row is not None else self._insert(digest, prompt)

    def _insert(self, digest: bytes, prompt: str) -> int:
        query = "INSERT INTO text(hash, body) VALUES (?, ?) RETURNING id"
        number = int(self._connection.execute(query, (digest, prompt)).fetchone()[0])
        if self._are_negative:
            query = "INSERT INTO negative_text(rowid, prompt) VALUES (?, ?)"
            self._connection.execute(query, (number, searchable(prompt)))
        return number
