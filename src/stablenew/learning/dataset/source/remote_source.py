"""Runs on object storage, through fsspec: `s3://bucket/runs`, and whatever else fsspec knows."""

import contextlib
import errno
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

import xxhash

from stablenew.disk.folder_signature import POSITIVE
from stablenew.errors import ConfigError
from stablenew.formats.run_id import is_generated_run_id, is_run_id
from stablenew.learning.dataset.source.run_source import (
    UNREADABLE,
    LeftOut,
    LocalSource,
    RunFiles,
    RunSource,
    read_documents,
)
from stablenew.store.run_folder import DOCUMENTS, METADATA, RECORDS, SEAL, is_unsealed

_CHANGES: Final = ("ETag", "etag", "LastModified", "mtime", "created")
_DEPTH: Final = 2


def open_source(location: str, options: Mapping[str, Any] | None = None) -> RunSource:
    """The runs at a folder, or at an address such as `s3://bucket/runs`; `options` go to the file system.

    Raises:
        ConfigError: fsspec, or what it needs for this kind of address, is not installed.
    """
    if "://" not in location:
        return LocalSource(location)
    return RemoteSource(location, options or {})


class RemoteSource:
    """The runs at an address. It travels to other machines as address and options."""

    def __init__(self, location: str, options: Mapping[str, Any]) -> None:
        self._location = location.rstrip("/")
        self._options = dict(options)

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteSource, (self._location, self._options)

    @property
    def location(self) -> str:
        """The address."""
        return self._location

    @cached_property
    def _files(self) -> Any:
        try:
            from fsspec.core import url_to_fs  # noqa: PLC0415

            return url_to_fs(self._location, **self._options)
        except ImportError as error:
            raise ConfigError(f"{self._location}: {error}; `pip install 'stablenew[distributed]'` brings it") from None

    def signatures(self) -> dict[str, int]:
        """Every run folder by id, with a number over name, size and version of its documents."""
        names: dict[str, list[str]] = {}
        for run_id, name, facts in self._iter_documents():
            version = next((str(facts[key]) for key in _CHANGES if facts.get(key)), "")
            names.setdefault(run_id, []).append(f"{name}/{facts.get('size')}/{version}")
        return {
            run_id: xxhash.xxh3_64_intdigest("\n".join(sorted(parts)).encode()) & POSITIVE
            for run_id, parts in names.items()
            if is_generated_run_id(run_id) or any(part.partition("/")[0] in DOCUMENTS for part in parts)
        }

    def _iter_documents(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Run, name and facts of every document at the top of a run folder; outputs are passed over."""
        files, root = self._files
        files.invalidate_cache()  # it remembers folders for as long as the process lives
        depth = root.strip("/").count("/") + _DEPTH
        for path, facts in files.find(root, detail=True, withdirs=False).items():
            parts = path.strip("/").split("/")
            if len(parts) - 1 == depth and is_run_id(parts[-2]) and _is_document(parts[-1]):
                yield parts[-2], parts[-1], facts

    def read(self, run_id: str) -> RunFiles | LeftOut:
        """The documents of a run, or why it is left out."""
        files, root = self._files
        try:
            with _as_os_error():
                names = [path.rpartition("/")[2] for path in files.ls(f"{root}/{run_id}", detail=False)]
        except OSError as error:
            return LeftOut(run_id, UNREADABLE, str(error))
        return read_documents(run_id, names, lambda name, limit: self._read(f"{run_id}/{name}", limit))

    def read_output(self, run_id: str, path: str | None, _digest: str) -> bytes:
        """The bytes of an output."""
        if path is None:
            raise OSError(errno.ENOENT, "it lies in a folder of the machine that imported it")
        return self._read(f"{run_id}/{path}", 1 << 32)

    def _read(self, path: str, limit: int) -> bytes:
        files, root = self._files
        with _as_os_error():
            data: bytes = files.cat_file(f"{root}/{path}")
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"expected at most {limit:,} bytes", path)
        return data


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """File systems past fsspec raise whatever their libraries raise; here it is all one: it could not be read."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(errno.EIO, f"{type(error).__name__}: {error}") from error


def _is_document(name: str) -> bool:
    return name in {METADATA, RECORDS, SEAL} or is_unsealed(name)
