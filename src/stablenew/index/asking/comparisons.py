"""Comparisons of two images, as the index has them."""

from typing import Final, NamedTuple

from stablenew.index.asking.index_reader import IndexReader

_SELECT: Final = (
    "SELECT r.run_id, coalesce(w.picture, w.id), coalesce(l.picture, l.id), c.rater, c.outcome, c.shown, c.asked, "
    "c.repeat, c.clock FROM comparison c JOIN run r ON r.id = c.run "
    "JOIN image w ON w.id = c.winner JOIN image l ON l.id = c.loser"
)


class ComparisonRow(NamedTuple):
    """Which of two images somebody preferred."""

    run_id: str
    """The run in whose log it stands."""
    winner: int
    """The index's id of the image."""
    loser: int
    rater: str
    outcome: str
    shown: str | None
    asked: str | None
    repeat: int
    clock: str


def read_comparisons(reader: IndexReader, asked: str | None = None) -> list[ComparisonRow]:
    """Every comparison that stands, the oldest first; with `asked` those that answered this question."""
    chosen = "" if asked is None else "WHERE c.asked = (SELECT id FROM name WHERE text = ?)"
    rows = reader.fetch(f"{_SELECT} {chosen} ORDER BY c.clock, c.event", () if asked is None else (asked,))
    return [
        ComparisonRow(
            run_id, winner, loser, reader.name(rater), reader.name(outcome), reader.name_or_none(shown),
            reader.name_or_none(question), repeat, clock,
        )
        for run_id, winner, loser, rater, outcome, shown, question, repeat, clock in rows
    ]  # fmt: skip
