"""Recording and listening are side channels: what breaks in them is logged, and the pipeline goes on.

This is the one place that catches every exception.
"""

import os
import shlex
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, ParamSpec, TypeVar

from stablenew.disk.locks import ThreadLock

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Payload = TypeVar("Payload")

_LOGGER_NAME = "stablenew.recording"
_shown: Final[set[Path]] = set()
"""The stores whose place was printed."""
_guard: Final = threading.Lock()


def attempt(
    function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> tuple[Result | None, Exception | None]:
    """What `function` returns, or what it raised. KeyboardInterrupt and SystemExit pass."""
    try:
        return function(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001  # disks, callbacks and engines may raise anything
        return None, error


class SideChannel:
    """Calls that may fail without harm to the caller. The first failure is logged as an error, once."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._guard = ThreadLock()
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
        """Count and log a failure as if it had been raised in a call."""
        with self._guard:
            self.failure_count += 1
            is_first = self.failure is None
            self.failure = self.failure or error
        if is_first:
            self._log(error)

    def _log(self, error: Exception) -> None:
        import logging  # noqa: PLC0415  # commands where nothing fails start sooner without it

        logger = logging.getLogger(_LOGGER_NAME)
        logger.error(
            "%s failed: %s. The run goes on; later failures of the same kind are counted, not logged.",
            self._purpose,
            describe(error),
            exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
        )

    def summary(self) -> str | None:
        """What went wrong in one line, or None."""
        if self.failure is None:
            return None
        times = f" ({self.failure_count} times)" if self.failure_count > 1 else ""
        return f"{self._purpose} failed{times}: {describe(self.failure)}"


def log_warning(text: str) -> None:
    """Warn the user of a recording program about something that it should do differently."""
    import logging  # noqa: PLC0415  # see above

    logging.getLogger(_LOGGER_NAME).warning(text)


def log_error(text: str) -> None:
    """Tell the user that something is not recorded."""
    import logging  # noqa: PLC0415  # see above

    logging.getLogger(_LOGGER_NAME).error(text)


def print_place_once(root: Path) -> None:
    """Print the command that shows the runs under `root`: once per store and process, and only on a terminal.

    It goes to standard error, so that the output of a program stays what it is.
    """
    place = root.absolute()
    with _guard:
        is_new = place not in _shown
        _shown.add(place)
    if is_new and _is_terminal():
        option = "" if place == Path("runs").absolute() else f"--runs-dir {shlex.quote(os.fspath(root))} "
        sys.stderr.write(f"stablenew: recording; look at it with `stablenew {option}serve`\n")


def _is_terminal() -> bool:
    """Whether there is somebody to read it; a program may have replaced or closed its standard error."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


class Hook(Generic[Payload]):
    """Listeners to one kind of event. All get the same instance, in the order in which they subscribed."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._listeners: list[tuple[Callable[[Payload], object], SideChannel]] = []

    def __len__(self) -> int:
        return len(self._listeners)

    def subscribe(self, listener: Callable[[Payload], object] | None) -> None:
        """Call `listener` with each event from now on; None subscribes nobody."""
        if listener is not None:
            self._listeners.append((listener, SideChannel(self._purpose)))

    def clear(self) -> None:
        """Forget every listener."""
        self._listeners.clear()

    def emit(self, payload: Payload) -> None:
        """Call every listener. One that raises is logged once, and the others are called all the same."""
        for listener, channel in tuple(self._listeners):
            channel.call(listener, payload)


def describe(error: BaseException) -> str:
    """An exception in words, with its type when the words alone say too little."""
    text = (attempt(str, error)[0] or "").strip()  # an exception of the user's own may fail even here
    return text if isinstance(error, OSError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
