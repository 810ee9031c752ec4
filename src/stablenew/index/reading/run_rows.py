"""RunRows: a run as the index keeps it, with texts and digests in place of their ids.

Writers need no more than this; what reads documents is imported by readers only.
"""

from typing import NamedTuple, Self

from stablenew.index.index_schema import CONTENT_TABLES, OPINION_TABLES, RUN, Row, Table


class RunRows(NamedTuple):
    """A run as the index keeps it."""

    run_id: str
    identifier: int = 0
    """The id that the run gets, unless another run of the same millisecond has it."""
    content_signature: int = 0
    """Changes with the rows in `content`."""
    run: Row | None = None
    """None when there is no such run, or no longer."""
    content: tuple[tuple[Row, ...], ...] = ()
    """The rows of each of `CONTENT_TABLES`."""
    opinions: tuple[tuple[Row, ...], ...] = ()
    """The rows of each of `OPINION_TABLES`."""

    def moved_to(self, identifier: int) -> Self:
        """The same run under another id."""
        assert self.run is not None  # noqa: S101
        return self._replace(
            identifier=identifier,
            run=_with_run(RUN, [self.run], identifier, "id")[0],
            content=_all_with_run(CONTENT_TABLES, self.content, identifier),
            opinions=_all_with_run(OPINION_TABLES, self.opinions, identifier),
        )


def _all_with_run(
    tables: tuple[Table, ...], rows: tuple[tuple[Row, ...], ...], identifier: int
) -> tuple[tuple[Row, ...], ...]:
    return tuple(_with_run(table, some, identifier) for table, some in zip(tables, rows, strict=True))


def _with_run(table: Table, rows: tuple[Row, ...] | list[Row], identifier: int, column: str = "run") -> tuple[Row, ...]:
    place = table.positions[column]
    return tuple((*row[:place], identifier, *row[place + 1 :]) for row in rows)
