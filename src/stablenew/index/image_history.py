"""ImageHistory: lists, searches and counts the images of a store, however many there are."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stablenew.errors import ConfigError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.query_language.fields import suggest_near
from stablenew.formats.settings import INDEXED, find_setting
from stablenew.index.asking.comparisons import ComparisonRow, read_comparisons
from stablenew.index.asking.image_digests import (
    digests_by_run,
    digests_of,
    find_copies,
    image_ids,
    newest_place,
    runs_holding,
)
from stablenew.index.asking.image_rows import read_images
from stablenew.index.asking.index_reader import Row
from stablenew.index.asking.orders import (
    BEST,
    IMAGES,
    NEWEST,
    OLDEST,
    RANDOM,
    UNRATED,
    WORST,
    read_image_cursor,
    with_seed,
    write_cursor,
)
from stablenew.index.asking.pages import ImagePage, ImageSnapshot, iter_pages
from stablenew.index.index_keeper import Freshness, IndexKeeper
from stablenew.store.local_state import user_id

if TYPE_CHECKING:
    from stablenew.formats.query_language import Query
    from stablenew.index.asking.columns.column_cache import ColumnCache
    from stablenew.index.asking.columns.facets import FacetValue
    from stablenew.index.asking.image_values import ImageValues
    from stablenew.index.reconciler import Progress

_SORTED_SETTINGS: Final = tuple(
    setting.query for setting in INDEXED if setting.query and setting.type in ("integer", "number")
)
"""Settings that images can be sorted by, beside those that have no column."""


class ImageHistory:
    """The images in the store at `root`, from its index. Call `refresh` before reading, or run a RunWatcher."""

    def __init__(self, root: Path | str, *, clock: Clock = SYSTEM_CLOCK, rater: str | None = None) -> None:
        self.root = Path(root)
        self.rater = rater or user_id() or "me"
        """Whose ratings `mine:` compares."""
        self.keeper = IndexKeeper(self.root)
        self._reader = self.keeper.reader
        self._clock = clock
        self._columns: ColumnCache | None = None
        self._guard = threading.Lock()

    def refresh(self, *, is_patient: bool = False, progress: "Progress | None" = None) -> Freshness:
        """Bring the index up to date with the store; see `IndexKeeper.refresh`."""
        return self.keeper.refresh(is_patient=is_patient, progress=progress)

    def close(self) -> None:
        """Close the index."""
        self._reader.close()

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

    @property
    def columns(self) -> "ColumnCache":
        """The columns of the index in memory, up to date: for counts and lists over all jobs."""
        from stablenew.index.asking.columns.column_cache import ColumnCache  # noqa: PLC0415

        with self._guard:  # a second cache would take as much memory again
            if self._columns is None:
                self._columns = ColumnCache(self._reader, self.rater)
            self._columns.refresh(self.rater)
            return self._columns

    def field_names(self) -> list[str]:
        """The fields of families that this store has, such as `settings.s_churn` and `metric.aesthetic`."""
        return self._reader.family_names()

    @property
    def is_complete(self) -> bool:
        """Whether the first filling of the index is finished; until then it has only the newest jobs."""
        return self._reader.is_complete

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
        key = read_image_cursor(after, sort)
        keys = self.columns.page(IMAGES, self.parse(query), sort, key, limit + 1)
        rows = read_images(self._reader, (key[-3:] for key in keys[:limit]), self.rater)
        has_more = len(keys) > limit > 0
        return ImagePage(tuple(rows), write_cursor(keys[limit - 1], sort) if has_more else None)

    def _checked_image_sort(self, sort: str, after: str | None = None) -> str:
        sort = with_seed(sort, after)
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
        known = [NEWEST, OLDEST, BEST, WORST, UNRATED, RANDOM, *_SORTED_SETTINGS, *names]
        near = suggest_near(name, known)
        raise ConfigError(f"cannot sort images by {sort!r}; {near or 'there are ' + ', '.join(known)}")

    def search_images(self, query: "str | Query" = "", *, sort: str = NEWEST) -> Iterator[Row]:
        """Iterate over every image that fits."""
        parsed = self.parse(query)
        for page in iter_pages(lambda after, limit: self.find_images(parsed, sort=sort, limit=limit, after=after)):
            yield from page.rows

    def count_images(self, query: "str | Query" = "") -> int:
        """How many images fit."""
        return self.columns.count(IMAGES, self.parse(query))

    def image_snapshot(
        self,
        query: "str | Query" = "",
        *,
        sort: str = NEWEST,
        group: str | None = None,
        is_stacked: bool = False,
        limit: int | None = None,
    ) -> "ImageSnapshot":
        """The index's ids of all images that fit, in order, with the shape of each; `image_rows` returns them.

        `group` (job, prompt, seed, which is prompt and seed, or day) puts those together that have it in common;
        groups stand in the order of their first image. With `is_stacked` and no `group`, of images that differ in
        nothing but the seed only the first is there, with the number of them. With a `limit` there may be only so many,
        and the `image_count` of all. The id of an image stays the same until it is deleted or the index is rebuilt.

        Raises: see `find_images`.
        """
        from stablenew.index.asking.columns.image_groups import GROUPINGS  # noqa: PLC0415

        if group is not None and group not in GROUPINGS:
            raise ConfigError(f"cannot group images by {group!r}; there are {', '.join(GROUPINGS)}")
        sort = self._checked_image_sort(sort)
        columns, parsed = self.columns, self.parse(query)
        if limit is not None and group is None and not is_stacked:
            places = columns.first_image_places(parsed, sort, limit)
            total = columns.count(IMAGES, parsed)
            return ImageSnapshot(*columns.image_columns(places), places[:0], total=total)
        places = columns.image_places(parsed, sort)
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
        keys = (newest_place(self._reader, int(image)) for image in images)
        return read_images(self._reader, (key for key in keys if key is not None), self.rater)

    def image_values(self, query: "str | Query" = "") -> "ImageValues":
        """All images that fit, with the values of their settings as arrays.

        Raises:
            InvalidQuery: the query cannot be parsed.
        """
        from stablenew.index.asking.image_values import ImageValues  # noqa: PLC0415

        return ImageValues(self.columns, self._reader, self.parse(query))

    def image_facets(
        self, query: "str | Query" = "", *, names: Sequence[str] = (), limit: int = 20
    ) -> "Mapping[str, list[FacetValue]]":
        """As `facets`, but counting images; `names` may also be `settings.NAME`, `rater`, `width` and others.

        Raises:
            InvalidQuery: the query cannot be parsed.
            ConfigError: there is no such facet.
        """
        from stablenew.formats.query_language import suggest_names  # noqa: PLC0415
        from stablenew.index.asking.columns.facets import IMAGE_FACETS, OTHER_FACETS  # noqa: PLC0415

        own = (field.lower() for field in self.field_names() if field.startswith("settings."))
        known = {*IMAGE_FACETS, *OTHER_FACETS, *own}
        wanted = [name.lower() for name in names]
        if unknown := [name for name in wanted if name not in known]:
            raise ConfigError(f"no facet {unknown[0]!r}: {suggest_names(unknown[0], {name: name for name in known})}")
        found = self.columns.facets(IMAGES, self.parse(query), wanted)
        return {name: values[:limit] for name, values in found.items()}

    def scored_by(self, source: str) -> set[int]:
        """The index's ids of the images that this scorer gave a score."""
        query = "SELECT DISTINCT image FROM score WHERE source = (SELECT id FROM name WHERE text = ?)"
        return {image for (image,) in self._reader.fetch(query, (source,))}

    def image_ids(self, digests: Iterable[str]) -> dict[str, int]:
        """The index's ids of images; those that it does not have are left out."""
        return image_ids(self._reader, digests)

    def digests(self, query: "str | Query" = "") -> list[str]:
        """The digests of all images that fit, and of their copies, in any order."""
        return digests_of(self._reader, self.image_snapshot(query).images.tolist())

    def digests_by_run(self, query: "str | Query" = "") -> dict[str, list[str]]:
        """For each run the digests of its images that fit, or of which copies do."""
        return digests_by_run(self._reader, self.image_snapshot(query).images.tolist())

    def copies(self) -> list[list[str]]:
        """The digests of each picture that is there in several files: of the same pixels, or as a person said."""
        return find_copies(self._reader)

    def runs_holding(self, digest: str) -> list[str]:
        """The runs that have an image among their final outputs, the oldest first."""
        return runs_holding(self._reader, digest)

    def comparisons(self, asked: str | None = None) -> "list[ComparisonRow]":
        """Every comparison of two images that stands, the oldest first; with `asked` the answers to this question."""
        return read_comparisons(self._reader, asked)
