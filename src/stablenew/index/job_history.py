"""JobHistory: lists, searches and counts the jobs and images of a store, however many there are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stablenew.errors import RunNotFound
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.index.asking.index_reader import Row
from stablenew.index.asking.job_rows import final_outputs, output_at, read_job_settings, read_jobs
from stablenew.index.asking.orders import (
    ALL_SORTS,
    JOBS,
    OLDEST,
    TIME,
    check_job_order,
    read_job_cursor,
    write_cursor,
)
from stablenew.index.asking.pages import ImagePage, ImageSnapshot, Page, Snapshot, iter_pages
from stablenew.index.image_history import ImageHistory

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stablenew.formats.documents.job_summary import JobSummary
    from stablenew.formats.query_language import Query
    from stablenew.index.asking.columns.facets import FacetValue
    from stablenew.index.asking.similar_variants import SimilarVariant

__all__ = ["ALL_SORTS", "RECENT_JOBS", "ImagePage", "ImageSnapshot", "JobHistory", "Page", "Snapshot"]

_MAX_FITTING: Final = 8
"""How many of the images that fit a job shows."""
RECENT_JOBS: Final = 500
"""How many jobs `recent` covers by default. Searches cover all."""
_MAX_ATTEMPTS: Final = 100
"""A run that changes between two SQL queries has a new id then, and is looked up again."""


class JobHistory(ImageHistory):
    """The jobs and images in the store at `root`. Call `refresh` before reading, or run a RunWatcher."""

    def __init__(
        self,
        root: Path | str,
        *,
        clock: Clock = SYSTEM_CLOCK,
        recent_jobs: int = RECENT_JOBS,
        rater: str | None = None,
    ) -> None:
        super().__init__(root, clock=clock, rater=rater)
        self.recent_jobs = recent_jobs

    def recent(self, limit: int | None = None) -> Page:
        """The newest jobs, at most `recent_jobs` of them."""
        wanted = self.recent_jobs if limit is None else min(limit, self.recent_jobs)
        return self.page("", limit=wanted)

    def page(self, query: "str | Query" = "", *, after: str | None = None, limit: int = 50, sort: str = TIME) -> Page:
        """Jobs that fit `query`, `limit` at a time. The cost of a page does not depend on its position.

        Raises:
            InvalidQuery: the query cannot be parsed.
            ConfigError: there is no such order, or `after` is not a cursor of this order.
        """
        check_job_order(sort)
        parsed = self.parse(query)
        after_key = read_job_cursor(after, sort)
        if not parsed.conditions and sort in (TIME, OLDEST):
            keys = self._reader.all_ids(limit=limit + 1, after=after_key, is_ascending=sort == OLDEST)
        else:
            keys = self.columns.page(JOBS, parsed, sort, after_key, limit + 1)
        rows = self._jobs_by_id(key[-1] for key in keys[:limit])
        self._add_fitting(rows, parsed)
        has_more = len(keys) > limit > 0
        return Page(tuple(rows.values()), write_cursor(keys[limit - 1], sort) if has_more else None)

    def _jobs_by_id(self, identifiers: Iterable[int]) -> dict[int, Row]:
        """Jobs in the given order; deleted ones are left out."""
        return {identifier: row for identifier in identifiers for row in read_jobs(self._reader, [identifier])}

    def _add_fitting(self, rows: dict[int, Row], query: "Query") -> None:
        """To each job the first of its images that fit."""
        if query.conditions:
            found = self.columns.first_images(query, list(rows), _MAX_FITTING)
            for (identifier, row), places in zip(rows.items(), found, strict=True):
                outputs = [output_at(self._reader, identifier, *place) for place in places]
                row["fitting"] = [output for output in outputs if output is not None]

    def search(self, query: "str | Query", *, sort: str = TIME) -> "Iterator[JobSummary]":
        """Iterate over every job that fits."""
        parsed = self.parse(query)
        for page in iter_pages(lambda after, limit: self.page(parsed, after=after, limit=limit, sort=sort)):
            yield from page.jobs

    def get(self, run_id: str) -> "JobSummary":
        """One job.

        Raises:
            RunNotFound: the index has no run of this id.
        """
        from stablenew.formats.documents.job_summary import JobSummary  # noqa: PLC0415

        for _ in range(_MAX_ATTEMPTS):
            identifier = self._reader.id_of(run_id)
            if identifier is None:
                break
            if rows := read_jobs(self._reader, [identifier]):
                return JobSummary.from_dict(rows[0])
        raise RunNotFound(f"no run {run_id!r} in the index of {self.root}")

    def count(self, query: "str | Query" = "") -> int:
        """How many jobs fit."""
        parsed = self.parse(query)
        return self.columns.count(JOBS, parsed) if parsed.conditions else self._reader.run_count()

    def facets(self, query: "str | Query" = "", *, limit: int = 20) -> "Mapping[str, list[FacetValue]]":
        """For each facet its values with the number of jobs that fit, most frequent first.

        The conditions on a facet do not apply to its own counts, so that they show what else could be chosen.
        """
        return {name: values[:limit] for name, values in self.columns.facets(JOBS, self.parse(query)).items()}

    def numbers(self, query: "str | Query" = "", *, sort: str = TIME) -> "npt.NDArray[np.int64]":
        """The index's ids of all jobs that fit, in the order of `page`; `rows` returns the jobs of ids.

        The id of a job stays the same while its run exists, even when the index is rebuilt.

        Raises: see `page`.
        """
        check_job_order(sort)
        return self.columns.job_ids(self.parse(query), sort)

    def snapshot(self, query: "str | Query" = "", *, sort: str = TIME) -> "Snapshot":
        """The ids of all jobs that fit, with the number of images and of rated images of each."""
        check_job_order(sort)
        numbers, counts = self.columns.jobs_with(self.parse(query), sort, ("output_count", "rated_count"))
        return Snapshot(numbers, *counts)

    def rows(self, numbers: Iterable[int]) -> list[Row]:
        """The jobs of these ids, in the same order; deleted ones are left out."""
        return read_jobs(self._reader, map(int, numbers))

    def shown_rows(self, numbers: Sequence[int], query: "str | Query" = "") -> list[Row | None]:
        """The jobs of these ids as a list shows them, with settings and the images that fit; None for deleted ones."""
        rows = self._jobs_by_id(numbers)
        if query:
            self._add_fitting(rows, self.parse(query))
        for number, row in rows.items():
            row |= {"number": str(number), "settings": read_job_settings(self._reader, number)}
        return [rows.get(number) for number in numbers]

    def run_ids(self, query: "str | Query" = "") -> list[str]:
        """The ids of all jobs that fit, in any order."""
        return self._reader.run_ids(self.numbers(query).tolist())

    def number_of(self, run_id: str) -> int | None:
        """The index's id of a job; None when the index does not have it."""
        return self._reader.id_of(run_id)

    def images(self, number: int) -> tuple[str, list[tuple[int, str, str]]] | None:
        """The run of an id, with variant, path and digest of its final outputs; None when it was deleted."""
        run_id = self._reader.run_id_of(number)
        return None if run_id is None else (run_id, final_outputs(self._reader, number))

    def similar_variants(self, run_id: str, *, limit: int = 50) -> "list[SimilarVariant]":
        """Variants of any run that differ from one of this run in exactly one setting, the newest first.

        Raises:
            RunNotFound: the index has no run of this id.
        """
        from stablenew.index.asking.similar_variants import find_similar_variants  # noqa: PLC0415

        identifier = self._reader.id_of(run_id)
        if identifier is None:
            raise RunNotFound(f"no run {run_id!r} in the index of {self.root}")
        return find_similar_variants(self._reader, self.columns.table, identifier, limit)

    def unreadable(self, *, limit: int = 50) -> list[Row]:
        """The newest jobs with a `problem`: something that cannot be read."""
        query = "SELECT id FROM run WHERE problem IS NOT NULL ORDER BY id DESC LIMIT ?"
        return read_jobs(self._reader, (number for (number,) in self._reader.fetch(query, (limit,))))

    def unfinished(self, state: str, *, limit: int = 50) -> list[Row]:
        """The newest jobs in this state: `running`, `interrupted` or `incomplete`."""
        named = "(SELECT id FROM name WHERE text = ?)"
        query = f"SELECT id FROM run WHERE is_hot AND state = {named} ORDER BY id DESC LIMIT ?"
        return read_jobs(self._reader, (number for (number,) in self._reader.fetch(query, (state, limit))))
