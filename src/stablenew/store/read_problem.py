"""ReadProblem: something in a run that a reader could not read."""

from dataclasses import dataclass
from typing import Final

NEWER: Final = "newer-format"
"""The code of what a later program wrote, whatever the file."""


@dataclass(frozen=True, slots=True)
class ReadProblem:
    """Something a reader could not read, and why."""

    path: str
    """In the run."""
    reason: str
    line: int | None = None
    is_torn: bool = False
    """The last line of a file, cut off before its newline: what a crash leaves."""
    is_unreadable: bool = False
    """The bytes could not be read now: nothing is known about what they hold."""
    code: str = ""
    """The code of the finding that `verify` makes of it."""

    def __str__(self) -> str:
        place = f"{self.path}, line {self.line}" if self.line else self.path
        return f"{place}: {self.reason}"
