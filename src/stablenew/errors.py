"""Every error StableNew raises on purpose, in one tree.

A message says what was expected, what was found, where, and what to do. Each class is also the nearest builtin,
so code that knows nothing of StableNew can still catch it. Each class also carries how it is reported: the exit status
of a command and the HTTP status of the web server. Subclasses inherit both::

    StableNewError                        exit 1, HTTP 500
    ├── FormatError (ValueError)          bytes that are not a document we can read
    │   ├── InvalidJson                   not I-JSON: duplicate key, NaN, too deep, not UTF-8, …
    │   ├── InvalidDocument               JSON, but not what its schema says
    │   └── NewerFormat                   a later MAJOR version; listed, never touched
    ├── StoreError                        the run store and its folders
    │   ├── NotAStore (NotADirectoryError)
    │   ├── RunNotFound (LookupError)
    │   ├── AmbiguousRun (LookupError)    a prefix that fits several runs
    │   ├── OutputNotFound (LookupError)
    │   ├── RunExists (FileExistsError)
    │   ├── RunSealed (PermissionError)   a finished run is never changed
    │   ├── RunLocked (BlockingIOError)   another process is writing it
    │   ├── WatchedElsewhere (BlockingIOError)   another process takes in what is saved in a folder
    │   ├── NotAsSealed                   a file is missing, or is not what its run's seal says
    │   ├── Unreadable (OSError)          a file is there and cannot be read now; nothing follows from that
    │   └── WriteFailed (OSError)         bytes did not reach the disk; what was there before is unharmed
    │       └── SyncFailed                the disk failed an fsync, which is final
    ├── UndecodableImage (ValueError)     bytes that no decoder here takes for an image
    │   └── ImageTooLarge                 more pixels than are decoded here; the image may be sound
    ├── ConfigError (ValueError)          a setting that does not exist or does not fit
    ├── PromptPackError (ValueError)      a prompt pack that cannot be read
    ├── CacheFailed (OSError)             a cache cannot be read or written; the runs themselves are unharmed
    ├── InvalidQuery (ValueError)         a search that cannot be understood; it points at the character
    ├── NotADataset (ValueError)          a folder without a dataset that can be read
    └── EngineError (RuntimeError)        the engine could not make the image
        ├── UnknownEngine (LookupError)
        └── Cancelled                     work stopped because somebody asked for it
"""

from typing import ClassVar, Final

FAILURE: Final = 1
"""Exit status of a command whose work failed, or that found something wrong."""
USAGE: Final = 2
"""Exit status of a command that was called with something that does not exist or does not fit."""


class StableNewError(Exception):
    """Base of every error raised on purpose."""

    exit_code: ClassVar[int] = FAILURE
    """What a command ends with when this stops it."""
    http_status: ClassVar[int] = 500
    """What the web server answers when this stops a request."""


class FormatError(StableNewError, ValueError):
    """Bytes that are not a document we can read."""

    http_status = 422


class InvalidJson(FormatError):
    """The bytes are not I-JSON (RFC 7493)."""


class InvalidDocument(FormatError):
    """The JSON does not fit the schema of its kind."""


class NewerFormat(FormatError):
    """The document has a MAJOR version this program does not know. It is listed and never touched."""

    http_status = 409


class StoreError(StableNewError):
    """Something about the run store or one of its folders."""


class NotAStore(StoreError, NotADirectoryError):
    """The folder given as a run store does not exist or is not a folder."""

    exit_code = USAGE
    http_status = 404


class RunNotFound(StoreError, LookupError):
    """No run has the given id or prefix."""

    exit_code = USAGE
    http_status = 404


class AmbiguousRun(StoreError, LookupError):
    """A prefix fits several runs."""

    exit_code = USAGE
    http_status = 404


class OutputNotFound(StoreError, LookupError):
    """No output has the given digest, path or position."""

    exit_code = USAGE
    http_status = 404


class RunExists(StoreError, FileExistsError):
    """A run with this id is there already."""

    http_status = 409


class RunSealed(StoreError, PermissionError):
    """The run is finished; its files never change again."""

    http_status = 409


class RunLocked(StoreError, BlockingIOError):
    """Another process on this machine is writing the run."""

    http_status = 409


class WatchedElsewhere(StoreError, BlockingIOError):
    """Another process on this machine takes in what is saved in the folder."""

    http_status = 409


class NotAsSealed(StoreError):
    """A file is missing, or is not what its run's seal says."""

    http_status = 409


class _SystemError(StoreError, OSError):
    """What the operating system refused. The message and the place are shown without the number."""

    def __str__(self) -> str:
        """The message and the place, without the number that OSError puts before them."""
        if self.strerror is None:
            return super().__str__()
        return f"{self.strerror}: {self.filename}" if self.filename else str(self.strerror)


class Unreadable(_SystemError):
    """A file is there and cannot be read now: a permission, a bad disk, a network share. It may be sound."""


class WriteFailed(_SystemError):
    """Bytes did not reach the disk. What was there before is unharmed."""


class SyncFailed(WriteFailed):
    """The disk failed an fsync. That is final: a second fsync reports success though the bytes are lost."""


class CacheFailed(StableNewError, OSError):
    """A cache, such as the index, cannot be read or written. The runs themselves are unharmed."""

    http_status = 503


class UndecodableImage(StableNewError, ValueError):
    """No decoder here can read the bytes as an image."""

    http_status = 422


class ImageTooLarge(UndecodableImage):
    """An image with more pixels than are decoded here. It may be sound."""


class ConfigError(StableNewError, ValueError):
    """A setting that does not exist, or a value that does not fit it."""

    exit_code = USAGE
    http_status = 422


class PromptPackError(StableNewError, ValueError):
    """A prompt pack that cannot be read."""

    exit_code = USAGE
    http_status = 422


class InvalidQuery(StableNewError, ValueError):
    """A search that cannot be understood. `position` is the character, from 0, where that begins."""

    exit_code = USAGE
    http_status = 422

    def __init__(self, reason: str, query: str, position: int) -> None:
        self.reason = reason
        self.query = query
        self.position = position
        super().__init__(f"{reason}\n  {query}\n  {' ' * position}^")


class NotADataset(StableNewError, ValueError):
    """A folder without a dataset that can be read."""

    exit_code = USAGE
    http_status = 404


class EngineError(StableNewError, RuntimeError):
    """The engine could not do what a stage asked of it."""

    http_status = 502


class UnknownEngine(EngineError, LookupError):
    """No engine has this name."""

    exit_code = USAGE
    http_status = 422


class Cancelled(EngineError):
    """Work stopped because somebody asked for it."""

    http_status = 409
