"""Long lists of ids in parts that one SQL statement takes."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

Item = TypeVar("Item")
_MAX_PARAMETERS: Final = 500
"""Of one statement; SQLite before 3.32 took 999."""


def iter_parts(values: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """`values` in order, in parts that are short enough for the parameters of a statement."""
    return (values[start : start + _MAX_PARAMETERS] for start in range(0, len(values), _MAX_PARAMETERS))


def iter_id_lists(ids: Sequence[int]) -> Iterator[str]:
    """The same of ids, each part as `1,2,3`, to be written into the statement."""
    return (",".join(map(str, part)) for part in iter_parts(ids))
