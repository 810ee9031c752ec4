"""A stage made image by image: so that each has its own seed and parent, and what was finished outlives a failure."""

import secrets
from collections.abc import Callable, Mapping
from typing import Final

from stablenew.engines.engine import EngineImage, StageMonitor, StageRequest, StageResult
from stablenew.errors import EngineError
from stablenew.formats.strict_json import JsonValue

_CHOSEN_BITS: Final = 32
"""A seed of our choice is one that every program can take."""


def seeds_of(request: StageRequest) -> list[int]:
    """A seed for each image that a stage makes: that of its input, or else counted up from the one asked for."""
    asked = request.settings.get("seed")
    first = asked if isinstance(asked, int) and asked >= 0 else secrets.randbits(_CHOSEN_BITS)
    if request.stage == "txt2img":
        count = int(request.settings.get("batch_size") or 1) * int(request.settings.get("n_iter") or 1)
        return [(first + number) % 2**64 for number in range(count)]
    return [first if image.seed is None else image.seed for image in request.inputs]


def run_each(count: int, make: Callable[[int, StageMonitor], StageResult], monitor: StageMonitor) -> StageResult:
    """What `make(number, monitor)` gives for each number below `count`, as one result.

    Raises:
        EngineError: the very first one failed. A later failure stands in the result.
    """
    images: list[EngineImage] = []
    actual: Mapping[str, JsonValue] = {}
    notices: dict[str, None] = {}
    for number in range(count):
        part = part_of(monitor, number, count)
        try:
            monitor.cancel.raise_if_cancelled()
            result = make(number, part)
        except EngineError as failure:
            if not images:
                raise
            return StageResult(tuple(images), actual, failure, tuple(notices))
        images += result.images
        notices |= dict.fromkeys(result.notices)
        actual = actual or result.actual
        if result.failure is not None:
            return StageResult(tuple(images), actual, result.failure, tuple(notices))
        part.on_progress(1.0)
    return StageResult(tuple(images), actual, notices=tuple(notices))


def part_of(monitor: StageMonitor, number: int, count: int) -> StageMonitor:
    """A monitor for one of `count` parts, whose progress is that of the whole."""

    def report(fraction: float, preview: EngineImage | None = None) -> None:
        done = (number + fraction) / count
        if preview is None:
            monitor.on_progress(done)
        else:
            monitor.on_progress(done, preview)

    return StageMonitor(monitor.cancel, report, monitor.wants_previews)
