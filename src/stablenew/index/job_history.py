"""JobHistory: the jobs of a store, newest first, found among any number of them."""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from stablenew.errors import ConfigError, RunNotFound
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.index.asking.index_reader import OLDEST, SORTS, TIME, Cursor, IndexReader, Row
from stablenew.index.index_keeper import Freshness, IndexKeeper

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stablenew.formats.documents.job_summary import JobSummary
    from stablenew.formats.query_language import Query
    from stablenew.index.asking.column_cache import ColumnCache, FacetValue
    from stablenew.index.asking.similar_variants import Neighbour
    from stablenew.index.reconciler import Progress

ALL_SORTS: Final = (TIME, OLDEST, *SORTS)
_NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,19})?")
RECENT_JOBS: Final = 500
"""How many jobs the rolling view of recent ones holds, unless told otherwise. Searches see all."""
_LOOKS: Final = 100
"""A run that is written anew between two questions has another number then, and is looked for again."""


@dataclass(frozen=True)
class Page:
    """Some jobs, and where the next page starts."""

    rows: tuple[Row, ...]
    """In the JSON form of JobSummary."""
    next_cursor: str | None
    """Give it to `page` as `after`; None when there is no more."""

    @cached_property
    def jobs(self) -> "tuple[JobSummary, ...]":
        """The same, as models."""
        from stablenew.formats.documents.job_summary import JobSummary  # noqa: PLC0415

        return tuple(JobSummary.from_dict(row) for row in self.rows)


class Snapshot(NamedTuple):
    """Jobs as they were at one moment, to go through without anything moving."""

    numbers: "npt.NDArray[np.int64]"
    output_counts: "npt.NDArray[np.float32]"
    rated_counts: "npt.NDArray[np.float32]"


class JobHistory:
    """The jobs in the store at `root`, from its index. Call `refresh` before you look, or run a RunWatcher."""

    def __init__(self, root: Path | str, *, clock: Clock = SYSTEM_CLOCK, recent_jobs: int = RECENT_JOBS) -> None:
        self.root = Path(root)
        self.recent_jobs = recent_jobs
        self.keeper = IndexKeeper(self.root)
        self._clock = clock
        self._columns: ColumnCache | None = None
        self._guard = threading.Lock()

    @property
    def _reader(self) -> IndexReader:
        return self.keeper.reader

    def refresh(self, *, is_patient: bool = False, progress: "Progress | None" = None) -> Freshness:
        """Bring the index in step with the store; see `IndexKeeper.refresh`."""
        return self.keeper.refresh(is_patient=is_patient, progress=progress)

    def close(self) -> None:
        """Let go of the index."""
        self._reader.close()

    def recent(self, limit: int | None = None) -> Page:
        """The newest jobs, at most as many as the rolling view holds."""
        wanted = self.recent_jobs if limit is None else min(limit, self.recent_jobs)
        return self.page("", limit=wanted)

    def page(self, query: "str | Query" = "", *, after: str | None = None, limit: int = 50, sort: str = TIME) -> Page:
        """Jobs that fit `query`, `limit` at a time. However far down, a page costs the same.

        Raises:
            InvalidQuery: the query cannot be understood.
            ConfigError: there is no such order, or `after` is no cursor of this order.
        """
        _check_sort(sort)
        cursors = self._find(query, sort, _read_cursor(after, sort), limit + 1)
        shown = cursors[:limit]
        has_more = len(cursors) > limit and shown
        rows = self._reader.rows(cursor[-1] for cursor in shown)
        return Page(tuple(rows), _write_cursor(shown[-1], sort) if has_more else None)

    def _find(self, query: "str | Query", sort: str, after: Cursor | None, limit: int) -> list[Cursor]:
        is_ascending = sort == OLDEST
        if query == "" and sort in (TIME, OLDEST):
            return self._reader.all_ids(limit=limit, after=after, is_ascending=is_ascending)
        order = TIME if is_ascending else sort
        return self._reader.find_ids(self.parse(query), limit=limit, after=after, sort=order, is_ascending=is_ascending)

    def parse(self, query: "str | Query") -> "Query":
        """`query` understood, as of now.

        Raises:
            InvalidQuery: it cannot be understood.
        """
        from stablenew.formats.query_language import parse_query  # noqa: PLC0415

        return parse_query(query, self._clock.now().astimezone()) if isinstance(query, str) else query

    def search(self, query: "str | Query", *, sort: str = TIME) -> "Iterator[JobSummary]":
        """Every job that fits, one by one."""
        parsed = self.parse(query)
        after: str | None = None
        while True:
            page = self.page(parsed, after=after, limit=200, sort=sort)
            yield from page.jobs
            after = page.next_cursor
            if after is None:
                return

    def get(self, run_id: str) -> "JobSummary":
        """One job.

        Raises:
            RunNotFound: the index has no run of this id.
        """
        from stablenew.formats.documents.job_summary import JobSummary  # noqa: PLC0415

        for _ in range(_LOOKS):
            identifier = self._reader.id_of(run_id)
            if identifier is None:
                break
            if rows := self._reader.rows([identifier]):
                return JobSummary.from_dict(rows[0])
        raise RunNotFound(f"no run {run_id!r} in the index of {self.root}")

    def count(self, query: "str | Query" = "") -> int:
        """How many jobs fit."""
        return self._reader.count(self.parse(query))

    @property
    def is_complete(self) -> bool:
        """Whether the index was filled once; until then it holds only the newest jobs."""
        return self._reader.is_complete

    def unreadable(self, *, limit: int = 50) -> list[Row]:
        """The newest jobs of which something cannot be read; `problem` says what."""
        query = "SELECT id FROM run WHERE problem IS NOT NULL ORDER BY id DESC LIMIT ?"
        return self._reader.rows(number for (number,) in self._reader.fetch(query, (limit,)))

    def unfinished(self, state: str, *, limit: int = 50) -> list[Row]:
        """The newest jobs in this state: `running`, `interrupted` or `incomplete`."""
        named = "(SELECT id FROM name WHERE text = ?)"
        query = f"SELECT id FROM run WHERE is_hot AND state = {named} ORDER BY id DESC LIMIT ?"
        return self._reader.rows(number for (number,) in self._reader.fetch(query, (state, limit)))

    @property
    def columns(self) -> "ColumnCache":
        """The columns of the index in memory, as of now: for counts and lists over all jobs at once."""
        from stablenew.index.asking.column_cache import ColumnCache  # noqa: PLC0415

        with self._guard:  # two of them would take twice the memory
            if self._columns is None:
                self._columns = ColumnCache(self._reader)
            self._columns.refresh()
            return self._columns

    def facets(self, query: "str | Query" = "", *, limit: int = 20) -> "Mapping[str, list[FacetValue]]":
        """For each facet its values with how many jobs have them among those that fit, most first.

        A facet does not count its own conditions, so that it shows what else could be chosen.
        """
        return {name: values[:limit] for name, values in self.columns.facets(self.parse(query)).items()}

    def numbers(self, query: "str | Query" = "", *, sort: str = TIME) -> "npt.NDArray[np.int64]":
        """The index's own numbers of all jobs that fit, in the order of `page`; `rows` gives the jobs of some of them.

        The number of a job stays the same as long as its run does, also when the index is made anew.

        Raises: see `page`.
        """
        _check_sort(sort)
        return self.columns.ids(self.parse(query), sort)

    def snapshot(self, query: "str | Query" = "", *, sort: str = TIME) -> "Snapshot":
        """The numbers of all jobs that fit, with how many images each has and how many of them are rated."""
        _check_sort(sort)
        numbers, counts = self.columns.ids_with(self.parse(query), sort, ("output_count", "rated_count"))
        return Snapshot(numbers, *counts)

    def rows(self, numbers: Iterable[int]) -> list[Row]:
        """The jobs of such numbers, in their order; one that is gone is left out."""
        return self._reader.rows(map(int, numbers))

    def run_ids(self, query: "str | Query" = "") -> list[str]:
        """The ids of all jobs that fit, in any order."""
        return self._reader.run_ids(self.numbers(query).tolist())

    def number_of(self, run_id: str) -> int | None:
        """The number of a job; None when the index does not have it."""
        return self._reader.id_of(run_id)

    def images(self, number: int) -> tuple[str, list[tuple[int, str, str]]] | None:
        """The run of a number, and variant, path and digest of its final outputs; None when it is gone."""
        run_id = self._reader.run_id_of(number)
        return None if run_id is None else (run_id, self._reader.outputs(number))

    def neighbours(self, run_id: str, *, limit: int = 50) -> "list[Neighbour]":
        """Variants of any run that differ from one of this run in exactly one setting, the newest first.

        Raises:
            RunNotFound: the index has no run of this id.
        """
        from stablenew.index.asking.similar_variants import find_neighbours  # noqa: PLC0415

        identifier = self._reader.id_of(run_id)
        if identifier is None:
            raise RunNotFound(f"no run {run_id!r} in the index of {self.root}")
        return find_neighbours(self._reader, identifier, limit)


def _check_sort(sort: str) -> None:
    if sort not in ALL_SORTS:
        raise ConfigError(f"cannot sort by {sort!r}; there are {', '.join(ALL_SORTS)}")


def _write_cursor(cursor: Cursor, sort: str) -> str:
    return ":".join([sort, *map(str, cursor)])


def _read_cursor(text: str | None, sort: str) -> Cursor | None:
    if text is None:
        return None
    name, *parts = text.split(":")
    expected = 1 if sort in (TIME, OLDEST) else 2
    if name == sort and len(parts) == expected and all(_NUMBER.fullmatch(part) for part in parts):
        return tuple(float(part) if "." in part else int(part) for part in parts)
    raise ConfigError(f"{text!r} is no place in jobs sorted by {sort}")
