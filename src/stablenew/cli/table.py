"""Tables for a terminal of any width: what matters stays, the rest is cut, wrapped or left out."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

UNLIMITED: Final = 1 << 20
"""The width of a file or a pipe: nothing is cut or wrapped there."""
_MOST_PADDED: Final = 60
"""There, a longer cell pushes aside what follows in its own row alone, and makes no other row longer."""
_GAP: Final = "  "
_TO_COPY: Final = frozenset("/\\:")
"""What a path, an address or a digest has, and a word has not."""
_BOLD: Final = "\x1b[1m{}\x1b[0m"
_LEAST_WRAPPED: Final = 20
"""A column that wraps is never narrower than this."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, and what may be done to make it fit."""

    title: str = ""
    rank: int = 0
    """Columns with the highest rank are left out first; 0 is never left out."""
    is_right: bool = False
    """Aligned to the right, as numbers are."""
    least: int | None = None
    """Cells may be cut down to this width, with an ellipsis; None: never."""
    is_wrapped: bool = False
    """Long cells continue on the next line."""
    is_bold: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table laid out for a width."""

    lines: tuple[str, ...]
    left_out: tuple[str, ...]
    """The titles of the columns that did not fit."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """A column with the width it has got."""

    column: Column
    number: int
    width: int
    padding: int | None = None
    """The width to which cells are filled up, where that is not `width`."""


def lay_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, *, is_styled: bool) -> Table:
    """The rows below the titles, made to fit into `width` terminal cells as far as that is possible."""
    rows = [[_clean(text, column) for text, column in zip(row, columns, strict=True)] for row in rows]
    widest = [
        min(width, max(_widest_line(text) for text in (column.title, *(row[number] for row in rows))))
        for number, column in enumerate(columns)
    ]
    slots = _share_width(_choose_slots(columns, widest, width), width)
    if width == UNLIMITED:
        slots = [replace(slot, padding=min(slot.width, _MOST_PADDED)) for slot in slots]
    lines: list[str] = []
    if any(slot.column.title for slot in slots):
        lines += _format_row([column.title for column in columns], slots, is_styled=is_styled, is_header=True)
    for row in rows:
        lines += _format_row(row, slots, is_styled=is_styled)
    kept = {slot.number for slot in slots}
    left_out = (column.title for number, column in enumerate(columns) if number not in kept)
    return Table(tuple(lines), tuple(left_out))


def _clean(text: str, column: Column) -> str:
    """A cell of one line, unless it may take several."""
    return text if column.is_wrapped else " ".join(text.splitlines())


def _widest_line(text: str) -> int:
    return max(map(cell_width, text.splitlines()), default=0)


def _choose_slots(columns: Sequence[Column], widest: Sequence[int], width: int) -> list[_Slot]:
    """The columns that fit when each is as narrow as it may be; those of the highest rank go first."""
    slots = [_Slot(column, number, widest[number]) for number, column in enumerate(columns)]
    optional = sorted((slot for slot in slots if slot.column.rank), key=lambda slot: slot.column.rank)
    while optional and _total(map(_least_width, slots)) > width:
        slots.remove(optional.pop())
    return slots


def _share_width(slots: list[_Slot], width: int) -> list[_Slot]:
    """The columns at their final widths: the widest of those that can shrink gives way first."""
    widths = [slot.width for slot in slots]
    room = [slot.width - _least_width(slot) for slot in slots]
    while _total(widths) > width and any(room):
        number = max((number for number, size in enumerate(room) if size), key=widths.__getitem__)
        widths[number] -= 1
        room[number] -= 1
    return [_Slot(slot.column, slot.number, size) for slot, size in zip(slots, widths, strict=True)]


def _least_width(slot: _Slot) -> int:
    least = _LEAST_WRAPPED if slot.column.is_wrapped else slot.column.least
    return slot.width if least is None else min(slot.width, max(least, cell_width(slot.column.title)))


def _total(widths: Iterable[int]) -> int:
    sizes = list(widths)
    return sum(sizes) + len(_GAP) * max(0, len(sizes) - 1)


def _format_row(
    row: Sequence[str], slots: Sequence[_Slot], *, is_styled: bool, is_header: bool = False
) -> Iterator[str]:
    """The lines of a row: more than one where a cell wraps."""
    cells = [list(_fit(row[slot.number], slot)) for slot in slots]
    for parts in zip_longest(*cells, fillvalue=""):
        padded = [_pad(part, slot) for part, slot in zip(parts, slots, strict=True)]
        padded[-1] = padded[-1].rstrip()
        styled = (
            _BOLD.format(text) if is_styled and text.strip() and (is_header or slot.column.is_bold) else text
            for text, slot in zip(padded, slots, strict=True)
        )
        yield _GAP.join(styled).rstrip()


def _fit(text: str, slot: _Slot) -> Iterator[str]:
    if not slot.column.is_wrapped:
        yield text if slot.column.least is None else cut(text, slot.width)
        return
    for line in text.splitlines():
        yield from wrap(line, slot.width)


def _pad(text: str, slot: _Slot) -> str:
    blank = " " * ((slot.width if slot.padding is None else slot.padding) - cell_width(text))
    return blank + text if slot.column.is_right else text + blank


def cell_width(text: str) -> int:
    """How many cells of a terminal a text takes: two for a wide character, none for a mark on the one before."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells; an ellipsis shows that something is missing."""
    if cell_width(text) <= width:
        return text
    return text[: _fitting(text, width - 1)].rstrip() + "…" if width > 0 else ""


def wrap(text: str, width: int) -> Iterator[str]:
    """`text` in lines of at most `width` cells. A path or a digest is wider if need be: it stays whole to be copied."""
    while cell_width(text) > width:
        end = _line_end(text, width)
        yield text[:end].rstrip()
        text = text[end:].lstrip()
    if text:
        yield text


def _line_end(text: str, width: int) -> int:
    fitting = max(1, _fitting(text, width))
    blank = text.rfind(" ", 1, fitting + 1)
    if blank > 0:
        return blank
    word = text.partition(" ")[0] or text
    return len(word) if _TO_COPY.intersection(word) else fitting


def _fitting(text: str, width: int) -> int:
    """How many characters from the start fit into `width` cells."""
    used = 0
    for number, character in enumerate(text):
        used += _character_width(character)
        if used > width:
            return number
    return len(text)
