"""What lists of jobs and images answer: a page of them, or all that there were at one moment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from stablenew.index.asking.index_reader import Row

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stablenew.formats.documents.job_summary import JobSummary


_READ_AT_ONCE: Final = 200
"""How many jobs or images a page has of a list that is read to its end."""


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


AnyPage = TypeVar("AnyPage", Page, ImagePage)


def iter_pages(page_after: Callable[[str | None, int], AnyPage]) -> Iterator[AnyPage]:
    """Every page of a list, from a function that returns the one after a cursor, of at most so many rows."""
    after: str | None = None
    while True:
        page = page_after(after, _READ_AT_ONCE)
        yield page
        after = page.next_cursor
        if after is None:
            return


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
    total: int | None = None
    """How many images fit, where only the first of them are here."""

    @property
    def image_count(self) -> int:
        """How many images fit, or stacks of them."""
        return len(self.images) if self.total is None else self.total
