"""Ctrl-C for a server, also while it starts."""

import signal
from collections.abc import Callable
from types import FrameType

_Handler = Callable[[int, FrameType | None], None]


class Interrupts:
    """Notes Ctrl-C from `heed` on, and passes it to the handler that can end the server, once there is one.

    A KeyboardInterrupt is not enough while modules are imported: C code may drop one, and then the server runs on, and
    Python ends by the signal for one that passed through `exec`, although it was caught.
    """

    def __init__(self) -> None:
        self._has_come = False
        self._stop: _Handler | None = None

    def heed(self) -> None:
        """Begin, also where a script started the process with interrupts ignored. For the main thread."""
        signal.signal(signal.SIGINT, self._note)

    def pass_to(self, stop: _Handler) -> bool:
        """Have `stop` called for the next one; True if one has come already."""
        self._stop = stop
        return self._has_come

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._has_come = True
        if self._stop is not None:
            self._stop(number, frame)
