"""Recording is a side channel: what breaks in it is logged, and the pipeline goes on.

This is the one place that catches every exception.
"""

import logging
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_LOGGER = logging.getLogger("stablenew.recording")


def attempt(
    function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> tuple[Result | None, Exception | None]:
    """What `function` returns, or what it raised. KeyboardInterrupt and SystemExit pass."""
    try:
        return function(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001  # disks, callbacks and engines may raise anything
        return None, error


class SideChannel:
    """Calls that may fail without anybody upstream noticing. The first failure is logged as an error, once."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._guard = threading.Lock()
        self.failure: Exception | None = None
        """The first exception, if there was one."""
        self.failure_count = 0

    def call(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result | None:
        """What `function` returns, or None when it raised. KeyboardInterrupt and SystemExit pass."""
        result, error = attempt(function, *args, **kwargs)
        if error is not None:
            self.note(error)
        return result

    def note(self, error: Exception) -> None:
        """Take note of a failure as of one that was raised."""
        with self._guard:
            self.failure_count += 1
            is_first = self.failure is None
            self.failure = self.failure or error
        if is_first:
            _LOGGER.error(
                "%s failed: %s. The run goes on; later failures of the same kind are counted, not logged.",
                self._purpose,
                describe(error),
                exc_info=_LOGGER.isEnabledFor(logging.DEBUG),
            )

    def summary(self) -> str | None:
        """What went wrong in one line, or None."""
        if self.failure is None:
            return None
        times = f" ({self.failure_count} times)" if self.failure_count > 1 else ""
        return f"{self._purpose} failed{times}: {describe(self.failure)}"


def describe(error: BaseException) -> str:
    """An exception in words, with its type when the words alone say too little."""
    text = str(error).strip()
    return text if isinstance(error, OSError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
