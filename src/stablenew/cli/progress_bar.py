"""The progress bar of a command that somebody watches."""

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text


class _Count(ProgressColumn):
    """`12 of 300`, or `12` while nobody knows of how many."""

    def render(self, task: Task) -> Text:
        done = f"{task.completed:,.0f}"
        return Text(done if task.total is None else f"{done} of {task.total:,.0f}")


class _Time(ProgressColumn):
    """`0:00:12 left`, or the time that has passed while nobody knows."""

    def render(self, task: Task) -> Text:
        left = None if task.total is None else task.time_remaining
        seconds = int((task.elapsed or 0) if left is None else left)
        minutes, second = divmod(seconds, 60)
        hours, minute = divmod(minutes, 60)
        return Text(f"{hours}:{minute:02}:{second:02}{'' if left is None else ' left'}")


def open_bar() -> Progress:
    """A bar on standard error that goes when the work is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        _Count(),
        _Time(),
        console=Console(stderr=True),
        transient=True,
    )
