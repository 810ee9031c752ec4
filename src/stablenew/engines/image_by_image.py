"""A stage made image by image: so that each has its own seed and parent, and what was finished outlives a failure."""

from collections.abc import Callable, Mapping

from stablenew.engines.engine import EngineImage, StageMonitor, StageResult
from stablenew.errors import EngineError
from stablenew.formats.strict_json import JsonValue


def run_each(count: int, make: Callable[[int, StageMonitor], StageResult], monitor: StageMonitor) -> StageResult:
    """What `make(number, monitor)` gives for each number below `count`, as one result.

    Raises:
        EngineError: the very first one failed. A later failure stands in the result.
    """
    images: list[EngineImage] = []
    actual: Mapping[str, JsonValue] = {}
    for number in range(count):
        part = part_of(monitor, number, count)
        try:
            monitor.cancel.raise_if_cancelled()
            result = make(number, part)
        except EngineError as failure:
            if not images:
                raise
            return StageResult(tuple(images), actual, failure)
        images += result.images
        actual = actual or result.actual
        if result.failure is not None:
            return StageResult(tuple(images), actual, result.failure)
        part.on_progress(1.0)
    return StageResult(tuple(images), actual)


def part_of(monitor: StageMonitor, number: int, count: int) -> StageMonitor:
    """A monitor for one of `count` parts, whose progress is that of the whole."""

    def report(fraction: float, preview: EngineImage | None = None) -> None:
        done = (number + fraction) / count
        if preview is None:
            monitor.on_progress(done)
        else:
            monitor.on_progress(done, preview)

    return StageMonitor(monitor.cancel, report, monitor.wants_previews)
