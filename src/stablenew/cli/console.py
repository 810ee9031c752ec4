"""What commands print: tables for people, JSON for programs, warnings beside both."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

    from stablenew.controller.app_controller import AppController

Result = TypeVar("Result")

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C stopped."""
_UNBROKEN = 4096
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if code != 10}


@dataclass
class Output:
    """The global options, and how a command speaks under them."""

    runs_dir: str | None = None
    is_json: bool = False
    is_quiet: bool = False

    @property
    def root(self) -> Path:
        """The run store in use: the option, the environment, the config file, or `./runs`."""
        return self.controller.root

    @cached_property
    def controller(self) -> "AppController":
        """What every command calls, wired to that store."""
        from stablenew.controller.app_controller import AppController

        return AppController(runs_dir=self.runs_dir or None)

    def json(self, value: Any) -> None:
        """Print one JSON value on standard output, if JSON was asked for."""
        if self.is_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def print(self, *values: "RenderableType") -> None:
        """Print for people; nothing with `--json` or `--quiet`."""
        if not self.is_json and not self.is_quiet:
            for value in values:
                console().print(printable(value) if isinstance(value, str) else value)

    def table(self, columns: Sequence[str | tuple[str, dict[str, Any]]], rows: Iterable[Sequence[str]]) -> None:
        """Print a table for people; nothing when it has no rows."""
        cells = list(rows)
        if self.is_json or self.is_quiet or not cells:
            return
        from rich.table import Table
        from rich.text import Text

        named = [(column, {}) if isinstance(column, str) else column for column in columns]
        has_header = any(name for name, _ in named)
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=has_header)
        for name, options in named:
            table.add_column(name, **options)
        for row in cells:
            table.add_row(*(Text(printable(cell)) for cell in row))
        console().print(table)

    def warn(self, message: str) -> None:
        """Say something that matters even when nobody asked for words, on standard error."""
        sys.stderr.write(f"stablenew: {printable(message)}\n")

    def progress(self) -> "Progress":
        """A progress bar with ETA on standard error; silent when nobody watches."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        return Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=self.is_json or self.is_quiet or not sys.stderr.isatty(),
        )

    def with_bar(self, title: str, work: "Callable[[Callable[[int, int], None]], Result]") -> "Result":
        """What `work` gives; what it is called with takes how much is done, of how much (0: nobody knows yet)."""
        with self.progress() as bar:
            task = bar.add_task(title, total=None)
            return work(lambda done, total: bar.update(task, completed=done, total=total or None))


def heed_interrupts() -> None:
    """Let Ctrl-C end a command that ends in no other way, also where a script started it with interrupts ignored."""
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)


def console() -> "Console":
    """Where people read: as wide as the terminal; into a file or a pipe no line is broken."""
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=False, width=None if sys.stdout.isatty() else _UNBROKEN)


def printable(text: str) -> str:
    """`text` with every control character but the newline shown as U+FFFD: a prompt cannot steer the terminal."""
    return text.translate(_CONTROLS)


def format_duration(seconds: float | None) -> str:
    """`0.42 s`, `33 s`, `4 min 10 s`, `2 h 5 min`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def format_bytes(size: int) -> str:
    """`512 bytes`, `1.4 MB`: powers of ten, as file managers show them."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
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
