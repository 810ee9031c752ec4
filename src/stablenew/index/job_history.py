"""JobHistory: lists, searches and counts the jobs of a store, however many there are."""

import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from stablenew.errors import ConfigError, RunNotFound
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.settings import INDEXED, find_setting
from stablenew.index.asking.image_rows import read_images
from stablenew.index.asking.index_reader import (
    BEST,
    IMAGES,
    JOBS,
    NEWEST,
    OLDEST,
    RANDOM,
    TIME,
    UNRATED,
    WORST,
    Cursor,
    IndexReader,
    Row,
)
from stablenew.index.index_keeper import Freshness, IndexKeeper
from stablenew.store.local_state import user_id

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stablenew.formats.documents.job_summary import JobSummary
    from stablenew.formats.query_language import Query
    from stablenew.index.asking.column_cache import ColumnCache
    from stablenew.index.asking.facets import FacetValue
    from stablenew.index.asking.image_values import ImageValues
    from stablenew.index.asking.index_reader import ComparisonRow
    from stablenew.index.asking.similar_variants import SimilarVariant
    from stablenew.index.reconciler import Progress

ALL_SORTS: Final = (TIME, OLDEST, "rating", "duration", "outputs", "variants")
"""Orders of jobs: but for `oldest`, the newest or largest come first."""
_SORTED_SETTINGS: Final = tuple(
    setting.query for setting in INDEXED if setting.query and setting.type in ("integer", "number")
)
"""Settings that images can be sorted by, beside those that have no column."""
_MAX_FITTING: Final = 8
"""How many of the images that fit a job shows."""
_NUMBER = re.compile(r"-?(?:inf|[0-9]{1,19}(?:\.[0-9]{1,19})?(?:e[+-]?[0-9]{1,3})?)")
RECENT_JOBS: Final = 500
"""How many jobs `recent` covers by default. Searches cover all."""
_MAX_ATTEMPTS: Final = 100
"""A run that changes between two SQL queries has a new id then, and is looked up again."""


@dataclass(frozen=True)
class Page:
    """A page of jobs, and where the next one starts."""

    rows: tuple[Row, ...]
    """In the JSON form of JobSummary."""
    next_cursor: str | None
    """Pass it to `page` as `after`; None on the last page."""

    @cached_property
    def jobs(self) -> "tuple[JobSummary, ...]":
        """The same, as models."""
        from stablenew.formats.documents.job_summary import JobSummary  # noqa: PLC0415

        return tuple(JobSummary.from_dict(row) for row in self.rows)


@dataclass(frozen=True)
class ImagePage:
    """A page of images, and where the next one starts."""

    rows: tuple[Row, ...]
    next_cursor: str | None
    """Pass it to `find_images` as `after`; None on the last page."""


class Snapshot(NamedTuple):
    """The jobs of a query at one moment, for a list that must not move while it is read."""

    numbers: "npt.NDArray[np.int64]"
    output_counts: "npt.NDArray[np.float32]"
    rated_counts: "npt.NDArray[np.float32]"


class ImageSnapshot(NamedTuple):
    """The images of a query at one moment, for a list that must not move while it is read."""

    images: "npt.NDArray[np.int32]"
    aspect_ratios: "npt.NDArray[np.float32]"
    """Width divided by height; NaN where it is not known."""
    is_rated: "npt.NDArray[np.bool_]"
    """By anybody."""
    group_starts: "npt.NDArray[np.int64]"
    """The position of the first image of each group; empty where images are not grouped."""
    stack_sizes: "npt.NDArray[np.int64] | None" = None
    """How many images each stands for, where they are stacked."""


class JobHistory:
    """The jobs in the store at `root`, from its index. Call `refresh` before reading, or run a RunWatcher."""

    def __init__(
        self,
        root: Path | str,
        *,
        clock: Clock = SYSTEM_CLOCK,
        recent_jobs: int = RECENT_JOBS,
        rater: str | None = None,
    ) -> None:
        self.root = Path(root)
        self.recent_jobs = recent_jobs
        self.rater = rater or user_id() or "me"
        """Whose ratings `mine:` compares."""
        self.keeper = IndexKeeper(self.root)
        self._clock = clock
        self._columns: ColumnCache | None = None
        self._guard = threading.Lock()

    @property
    def _reader(self) -> IndexReader:
        return self.keeper.reader

    def refresh(self, *, is_patient: bool = False, progress: "Progress | None" = None) -> Freshness:
        """Bring the index up to date with the store; see `IndexKeeper.refresh`."""
        return self.keeper.refresh(is_patient=is_patient, progress=progress)

    def close(self) -> None:
        """Close the index."""
        self._reader.close()

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
        _check_sort(sort)
        parsed = self.parse(query)
        after_key = _read_cursor(after, sort)
        if not parsed.conditions and sort in (TIME, OLDEST):
            keys = self._reader.all_ids(limit=limit + 1, after=after_key, is_ascending=sort == OLDEST)
        else:
            keys = self.columns.page(JOBS, parsed, sort, after_key, limit + 1)
        rows = self._with_fitting(parsed, [key[-1] for key in keys[:limit]])
        has_more = len(keys) > limit > 0
        return Page(tuple(rows), _write_cursor(keys[limit - 1], sort) if has_more else None)

    def _with_fitting(self, query: "Query", identifiers: list[int]) -> list[Row]:
        """Jobs, each with the first of its images that fit."""
        rows = {identifier: self._reader.rows([identifier]) for identifier in identifiers}
        if query.conditions:
            found = self.columns.first_images(query, identifiers, _MAX_FITTING)
            for identifier, places in zip(identifiers, found, strict=True):
                outputs = [self._reader.output_at(identifier, *place) for place in places]
                for row in rows[identifier]:
                    row["fitting"] = [output for output in outputs if output is not None]
        return [row for found_rows in rows.values() for row in found_rows]

    def parse(self, query: "str | Query") -> "Query":
        """`query` parsed, with ages counted from now.

        Raises:
            InvalidQuery: it cannot be parsed.
        """
        from stablenew.formats.query_language import parse_query  # noqa: PLC0415

        if not isinstance(query, str):
            return query
        names = self._reader.family_names() if ":" in query else ()
        return parse_query(query, self._clock.now().astimezone(), names)

    def search(self, query: "str | Query", *, sort: str = TIME) -> "Iterator[JobSummary]":
        """Iterate over every job that fits."""
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

        for _ in range(_MAX_ATTEMPTS):
            identifier = self._reader.id_of(run_id)
            if identifier is None:
                break
            if rows := self._reader.rows([identifier]):
                return JobSummary.from_dict(rows[0])
        raise RunNotFound(f"no run {run_id!r} in the index of {self.root}")

    def count(self, query: "str | Query" = "") -> int:
        """How many jobs fit."""
        parsed = self.parse(query)
        return self.columns.count(JOBS, parsed) if parsed.conditions else self._reader.run_count()

    def find_images(
        self, query: "str | Query" = "", *, sort: str = NEWEST, limit: int = 50, after: str | None = None
    ) -> ImagePage:
        """Images that fit `query`, each once, `limit` at a time.

        `sort` is newest, oldest, best, worst, unrated (these first), random, or the name of a number, such as
        `metric.NAME`, `steps` or `settings.NAME`: the greatest first, with `-` before it the least. `random` gives
        another order each time; its pages continue the order of the first.

        Raises:
            InvalidQuery: the query cannot be parsed.
            ConfigError: there is no such order, or `after` is not a cursor of this order.
        """
        sort = self._checked_image_sort(sort, after)
        key = _read_image_cursor(after, sort)
        keys = self.columns.page(IMAGES, self.parse(query), sort, key, limit + 1)
        rows = read_images(self._reader, (key[-3:] for key in keys[:limit]), self.rater)
        has_more = len(keys) > limit > 0
        return ImagePage(tuple(rows), _write_cursor(keys[limit - 1], sort) if has_more else None)

    def _checked_image_sort(self, sort: str, after: str | None = None) -> str:
        sort = _seeded(sort, after)
        if sort in (NEWEST, OLDEST, BEST, WORST, UNRATED) or sort.startswith(f"{RANDOM}."):
            return sort
        name = sort.removeprefix("-").lower()
        setting = find_setting(name.removeprefix("settings."))
        field = setting.query if setting and setting.query else name
        sign = "-" if sort.startswith("-") else ""
        names = self.field_names()
        if field in _SORTED_SETTINGS or field in map(str.lower, names):
            return sign + field
        meant = {known.lower() for known in names if known.lower().partition(".")[2] == name}
        if len(meant) == 1:
            return sign + meant.pop()
        known = ", ".join([NEWEST, OLDEST, BEST, WORST, UNRATED, RANDOM, *_SORTED_SETTINGS, *names])
        raise ConfigError(f"cannot sort images by {sort!r}; there are {known}")

    def image_snapshot(
        self, query: "str | Query" = "", *, sort: str = NEWEST, group: str | None = None, is_stacked: bool = False
    ) -> "ImageSnapshot":
        """The index's ids of all images that fit, in order, with the shape of each; `image_rows` returns them.

        `group` (job, prompt, seed, which is prompt and seed, or day) puts those together that have it in common;
        groups stand in the order of their first image. With `is_stacked` and no `group`, of images that differ in
        nothing but the seed only the first is there, with the number of them. The id of an image stays the same until
        it is deleted or the index is rebuilt.

        Raises: see `find_images`.
        """
        from stablenew.index.asking.image_groups import GROUPINGS  # noqa: PLC0415

        if group is not None and group not in GROUPINGS:
            raise ConfigError(f"cannot group images by {group!r}; there are {', '.join(GROUPINGS)}")
        sort = self._checked_image_sort(sort)
        columns = self.columns
        places = columns.image_places(self.parse(query), sort)
        starts = places[:0]
        if group is not None:
            offset = self._clock.now().astimezone().utcoffset() or timedelta(0)
            places, starts = columns.grouped(places, group, offset // timedelta(milliseconds=1))
        sizes = None
        if is_stacked and group is None:
            places, sizes = columns.stacked(places)
        return ImageSnapshot(*columns.image_columns(places), starts, sizes)

    def stack_of(self, image: int, query: "str | Query" = "", *, sort: str = NEWEST) -> "ImageSnapshot":
        """The images that fit and differ from one in nothing but the seed, without itself, in order."""
        places = self.columns.stack_of(image, self.parse(query), self._checked_image_sort(sort))
        return ImageSnapshot(*self.columns.image_columns(places), places[:0])

    def image_rows(self, images: Iterable[int]) -> list[Row]:
        """The images of these ids, in the same order, each at its newest place; deleted ones are left out."""
        keys = (self._reader.newest_place(int(image)) for image in images)
        return read_images(self._reader, (key for key in keys if key is not None), self.rater)

    def image_values(self, query: "str | Query" = "") -> "ImageValues":
        """All images that fit, with the values of their settings as arrays.

        Raises:
            InvalidQuery: the query cannot be parsed.
        """
        from stablenew.index.asking.image_values import ImageValues  # noqa: PLC0415

        return ImageValues(self.columns, self._reader, self.parse(query))

    def image_ids(self, digests: Iterable[str]) -> dict[str, int]:
        """The index's ids of images; those that it does not have are left out."""
        return self._reader.image_ids(digests)

    def digests(self, query: "str | Query" = "") -> list[str]:
        """The digests of all images that fit, and of their copies, in any order."""
        return self._reader.digests(self.image_snapshot(query).images.tolist())

    def digests_by_run(self, query: "str | Query" = "") -> dict[str, list[str]]:
        """For each run the digests of its images that fit, or of which copies do."""
        return self._reader.digests_by_run(self.image_snapshot(query).images.tolist())

    def copies(self) -> list[list[str]]:
        """The digests of each picture that is there in several files: of the same pixels, or as a person said."""
        return self._reader.copies()

    def runs_holding(self, digest: str) -> list[str]:
        """The runs that have an image among their final outputs, the oldest first."""
        return self._reader.runs_holding(digest)

    def comparisons(self, asked: str | None = None) -> "list[ComparisonRow]":
        """Every comparison of two images that stands, the oldest first; with `asked` the answers to this question."""
        return self._reader.comparisons(asked)

    def search_images(self, query: "str | Query" = "", *, sort: str = NEWEST) -> Iterator[Row]:
        """Iterate over every image that fits."""
        parsed, after = self.parse(query), None
        while True:
            page = self.find_images(parsed, sort=sort, limit=200, after=after)
            yield from page.rows
            after = page.next_cursor
            if after is None:
                return

    def count_images(self, query: "str | Query" = "") -> int:
        """How many images fit."""
        return self.columns.count(IMAGES, self.parse(query))

    def scored_by(self, source: str) -> set[int]:
        """The index's ids of the images that this scorer gave a score."""
        query = "SELECT DISTINCT image FROM score WHERE source = (SELECT id FROM name WHERE text = ?)"
        return {image for (image,) in self._reader.fetch(query, (source,))}

    def image_facets(
        self, query: "str | Query" = "", *, names: Sequence[str] = (), limit: int = 20
    ) -> "Mapping[str, list[FacetValue]]":
        """As `facets`, but counting images; `names` may also be `settings.NAME`, `rater`, `width` and others.

        Raises:
            InvalidQuery: the query cannot be parsed.
            ConfigError: there is no such facet.
        """
        from stablenew.formats.query_language import suggest_names  # noqa: PLC0415
        from stablenew.index.asking.facets import IMAGE_FACETS, OTHER_FACETS  # noqa: PLC0415

        own = (field.lower() for field in self.field_names() if field.startswith("settings."))
        known = {*IMAGE_FACETS, *OTHER_FACETS, *own}
        wanted = [name.lower() for name in names]
        if unknown := [name for name in wanted if name not in known]:
            raise ConfigError(f"no facet {unknown[0]!r}: {suggest_names(unknown[0], {name: name for name in known})}")
        found = self.columns.facets(IMAGES, self.parse(query), wanted)
        return {name: values[:limit] for name, values in found.items()}

    def field_names(self) -> list[str]:
        """The fields of families that this store has, such as `settings.s_churn` and `metric.aesthetic`."""
        return self._reader.family_names()

    @property
    def is_complete(self) -> bool:
        """Whether the first filling of the index is finished; until then it has only the newest jobs."""
        return self._reader.is_complete

    def unreadable(self, *, limit: int = 50) -> list[Row]:
        """The newest jobs with a `problem`: something that cannot be read."""
        query = "SELECT id FROM run WHERE problem IS NOT NULL ORDER BY id DESC LIMIT ?"
        return self._reader.rows(number for (number,) in self._reader.fetch(query, (limit,)))

    def unfinished(self, state: str, *, limit: int = 50) -> list[Row]:
        """The newest jobs in this state: `running`, `interrupted` or `incomplete`."""
        named = "(SELECT id FROM name WHERE text = ?)"
        query = f"SELECT id FROM run WHERE is_hot AND state = {named} ORDER BY id DESC LIMIT ?"
        return self._reader.rows(number for (number,) in self._reader.fetch(query, (state, limit)))

    @property
    def columns(self) -> "ColumnCache":
        """The columns of the index in memory, up to date: for counts and lists over all jobs."""
        from stablenew.index.asking.column_cache import ColumnCache  # noqa: PLC0415

        with self._guard:  # a second cache would take as much memory again
            if self._columns is None:
                self._columns = ColumnCache(self._reader, self.rater)
            self._columns.refresh(self.rater)
            return self._columns

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
        _check_sort(sort)
        return self.columns.job_ids(self.parse(query), sort)

    def snapshot(self, query: "str | Query" = "", *, sort: str = TIME) -> "Snapshot":
        """The ids of all jobs that fit, with the number of images and of rated images of each."""
        _check_sort(sort)
        numbers, counts = self.columns.jobs_with(self.parse(query), sort, ("output_count", "rated_count"))
        return Snapshot(numbers, *counts)

    def rows(self, numbers: Iterable[int]) -> list[Row]:
        """The jobs of these ids, in the same order; deleted ones are left out."""
        return self._reader.rows(map(int, numbers))

    def shown_rows(self, numbers: Sequence[int], query: "str | Query" = "") -> list[Row | None]:
        """The jobs of these ids as a list shows them, with settings and the images that fit; None for deleted ones."""
        parsed = self.parse(query)
        known = {row["run_id"]: row for row in self._with_fitting(parsed, list(numbers))}
        found: list[Row | None] = []
        for number, settings in zip(numbers, self.columns.job_settings(numbers), strict=True):
            row = known.get(self._reader.run_id_of(number) or "")
            found.append(row and row | {"number": str(number), "settings": settings})
        return found

    def run_ids(self, query: "str | Query" = "") -> list[str]:
        """The ids of all jobs that fit, in any order."""
        return self._reader.run_ids(self.numbers(query).tolist())

    def number_of(self, run_id: str) -> int | None:
        """The index's id of a job; None when the index does not have it."""
        return self._reader.id_of(run_id)

    def images(self, number: int) -> tuple[str, list[tuple[int, str, str]]] | None:
        """The run of an id, with variant, path and digest of its final outputs; None when it was deleted."""
        run_id = self._reader.run_id_of(number)
        return None if run_id is None else (run_id, self._reader.outputs(number))

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


def _check_sort(sort: str) -> None:
    if sort not in ALL_SORTS:
        raise ConfigError(f"cannot sort by {sort!r}; there are {', '.join(ALL_SORTS)}")


def _write_cursor(cursor: Cursor, sort: str) -> str:
    return ":".join([sort, *map(str, cursor)])


def _read_cursor(text: str | None, sort: str) -> Cursor | None:
    if text is None:
        return None
    return _parse_cursor(text, sort, sort not in (TIME, OLDEST), 1, "jobs")


def _read_image_cursor(text: str | None, sort: str) -> Cursor | None:
    if text is None:
        return None
    return _parse_cursor(text, sort, sort not in (NEWEST, OLDEST), 4, "images")


def _parse_cursor(text: str, sort: str, has_value: bool, length: int, what: str) -> Cursor:
    name, *parts = text.split(":")
    if name == sort and len(parts) == length + has_value and all(_NUMBER.fullmatch(part) for part in parts):
        value = (float(parts[0]),) if has_value else ()
        return (*value, *map(int, parts[len(value) :]))
    raise ConfigError(f"{text!r} is not a cursor of {what} sorted by {sort}")


def _seeded(sort: str, after: str | None) -> str:
    """`random` with a seed of its own, or that of the page before."""
    if sort != RANDOM:
        return sort
    return after.partition(":")[0] if after else f"{RANDOM}.{secrets.token_hex(4)}"
