"""What commands print: tables for people, JSON for programs, warnings beside both."""

import contextlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from stablenew.cli.streams import is_styled, terminal_width, write_json
from stablenew.cli.table import Column, lay_out
from stablenew.errors import NotAStore

if TYPE_CHECKING:
    from stablenew.controller.app_controller import AppController

Result = TypeVar("Result")

SHOWN_PROBLEMS: Final = 20
"""Of many problems so many are printed; `--json` lists them all."""
INTERRUPTED: Final = 130
"""Exit status of a command that Ctrl-C stopped."""
BOLD: Final = "1"
RED: Final = "31"
YELLOW: Final = "33"
DIM: Final = "2"
_MADE_BY_CLOCK: Final = re.compile("[0-9]{8}-[0-9]{6}-[0-9]{3}-")
_TIME_LENGTH: Final = len("20261128-132317-338")
_BIDI: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS: Final = {code: "\ufffd" for code in (*range(32), *range(127, 160), *_BIDI) if code != 10}


class Progress(Protocol):
    """What reports how far a command is."""

    def add_task(self, description: str, *, total: float | None) -> Any:
        """Begin a bar; None: nobody knows how long it will be."""

    def update(
        self, task: Any, /, *, total: float | None = ..., completed: float | None = ..., description: str | None = ...
    ) -> None:
        """Advance it."""


class _NoProgress:
    """A progress bar that nobody watches."""

    def add_task(self, description: str, *, total: float | None) -> int:
        del description, total
        return 0

    def update(self, task: Any, /, **changes: Any) -> None:
        """Nothing to show."""


@dataclass
class Output:
    """The global options, and how a command prints under them."""

    runs_dir: str | None = None
    must_exist: bool = False
    """Whether the folder was given for a command that only works with runs that are there."""
    is_json: bool = False
    is_quiet: bool = False

    @property
    def root(self) -> Path:
        """The run store in use: the option, the environment, the config file, or `./runs`."""
        return self.controller.root

    def describe_empty_store(self, what: str) -> str:
        """What a list of `what` says where the store holds none: a folder that is not there is likely a wrong path."""
        place = f"No {what} in {self.root}" if self.root.is_dir() else f"There is no folder {self.root.absolute()}"
        return f"{place} yet. `stablenew demo` makes one."

    @cached_property
    def controller(self) -> "AppController":
        """What every command calls, wired to that store.

        Raises:
            NotAStore: there is no folder where one was given; it is likely mistyped.
        """
        from stablenew.controller.app_controller import AppController

        if self.must_exist and self.runs_dir and not Path(self.runs_dir).exists():
            raise NotAStore(f"expected a folder of runs, found none: {Path(self.runs_dir).absolute()}")
        return AppController(runs_dir=self.runs_dir or None)

    def json(self, value: Any) -> None:
        """Print one JSON value on standard output, if JSON was asked for."""
        if self.is_json:
            write_json(value, indent=2)

    def print(self, *texts: str, style: str | None = None) -> None:
        """Print for people; nothing with `--json` or `--quiet`."""
        if not self.is_json and not self.is_quiet:
            for text in texts:
                shown = printable(text)
                sys.stdout.write(f"\x1b[{style}m{shown}\x1b[0m\n" if style and is_styled(sys.stdout) else f"{shown}\n")

    def table(self, columns: Sequence[str | Column], rows: Iterable[Sequence[str]]) -> None:
        """Print a table for people, as wide as the terminal; nothing when it has no rows."""
        cells = [[printable(cell) for cell in row] for row in rows]
        if self.is_json or self.is_quiet or not cells:
            return
        described = [Column(column) if isinstance(column, str) else column for column in columns]
        width = terminal_width(sys.stdout)
        laid_out = lay_out(described, cells, width, is_styled=is_styled(sys.stdout))
        sys.stdout.write("".join(f"{line}\n" for line in laid_out.lines))
        if laid_out.left_out:
            self.print(f"(no room for {', '.join(laid_out.left_out)} in {width} columns)", style=DIM)

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Print names with their values."""
        self.table([Column(is_bold=True), Column(is_wrapped=True)], list(pairs))

    def warn(self, message: str) -> None:
        """Report something that matters also with `--json` and `--quiet`, on standard error."""
        sys.stderr.write(f"stablenew: {printable(message)}\n")

    @contextlib.contextmanager
    def progress(self) -> "Iterator[Progress]":
        """A progress bar on standard error; silent when nobody watches."""
        if self.is_json or self.is_quiet or not sys.stderr.isatty():
            yield _NoProgress()
            return
        from stablenew.cli.progress_bar import open_bar

        with open_bar() as bar:
            yield bar

    def with_bar(self, title: str, work: "Callable[[Callable[[int, int], None]], Result]") -> "Result":
        """What `work` returns. It is called with a function that takes how much is done, of how much (0: unknown)."""
        with self.progress() as bar:
            task = bar.add_task(title, total=None)
            return work(lambda done, total: bar.update(task, completed=done, total=total or None))


def shown_ids(run_ids: Sequence[str]) -> list[str]:
    """Run ids as a table shows them: in full in a file or a pipe, on a terminal as short as commands accept them."""
    return shorten_ids(run_ids) if sys.stdout.isatty() else list(run_ids)


def shorten_ids(run_ids: Sequence[str]) -> list[str]:
    """Each id without its random end, if it was made by the clock and no other of these begins like it."""
    starts = [run_id[:_TIME_LENGTH] if _MADE_BY_CLOCK.match(run_id) else run_id for run_id in run_ids]
    counts = Counter(starts)
    return [start if counts[start] == 1 else run_id for start, run_id in zip(starts, run_ids, strict=True)]


def heed_interrupts() -> None:
    """Let Ctrl-C end a command that ends in no other way, also where a script started it with interrupts ignored."""
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)


def printable(text: str) -> str:
    """`text` with U+FFFD for every control character but the newline: a prompt cannot steer the terminal."""
    return text.translate(_CONTROLS)


def format_duration(seconds: float | None) -> str:
    """`0.42 s`, `33 s`, `4 min 10 s`, `2 h 5 min`; empty for None."""
    if seconds is None:
        return ""
    if round(seconds, 2) < 10:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def format_bytes(size: int) -> str:
    """`512 bytes`, `1.4 MB`: powers of ten, as file managers show them."""
    if size < 1000:
        return plural(size, "byte")
    value = size / 1000
    for unit in ("kB", "MB", "GB"):
        if round(value, 1) < 1000:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def format_local_time(timestamp: str) -> str:
    """A written timestamp as the reader's clock shows it."""
    from stablenew.formats.clock import parse_timestamp

    return parse_timestamp(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def bar(share: float, width: int = 20) -> str:
    """A bar of `share` (0 to 1) of `width` characters, in eighths."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def plural(count: int, word: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
