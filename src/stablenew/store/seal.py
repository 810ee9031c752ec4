"""The seal of a run: `SHA256SUMS`, written last, in the form that `sha256sum -c` reads.

It lists every file of the run but itself and `feedback*`, sorted by path. The digest of a run is the SHA-256 of its
seal.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from stablenew.disk.regular_file import read_regular
from stablenew.errors import InvalidDocument
from stablenew.store.run_folder import MAX_SEAL_BYTES, SEAL

_ALL_LINES = re.compile(r"(?:[0-9a-f]{64}  [A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)?\n)+")
"""Every seal we write; what does not fit is looked at line by line."""
_LINE = re.compile(r"\A([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._/-]*)\Z")


def encode_seal(sums: Mapping[str, str]) -> bytes:
    """The bytes of a seal over files given as path → SHA-256."""
    return "".join(f"{sums[path]}  {path}\n" for path in sorted(sums)).encode("ascii")


def parse_seal(data: bytes) -> dict[str, str]:
    """Path → SHA-256 of a seal's bytes.

    Raises:
        InvalidDocument: a line is not what we write; the message names it.
    """
    text = data.decode("ascii", "replace")
    if _ALL_LINES.fullmatch(text):
        sums = {line[66:]: line[:64] for line in text[:-1].split("\n")}
        if len(sums) == text.count("\n"):
            return sums
    return _parse_line_by_line(data)


def _parse_line_by_line(data: bytes) -> dict[str, str]:
    sums: dict[str, str] = {}
    if not data.endswith(b"\n"):
        raise InvalidDocument(f"{SEAL} is empty or its last line is cut off")
    for number, raw in enumerate(data[:-1].split(b"\n"), 1):
        match = _LINE.match(raw.decode("ascii", "replace"))
        if not match or ".." in match[2].split("/"):
            raise InvalidDocument(f"{SEAL}, line {number}: expected 64 hex digits, two spaces and a path in the run")
        if match[2] in sums:
            raise InvalidDocument(f"{SEAL}, line {number}: {match[2]} stands twice")
        sums[match[2]] = match[1]
    return sums


def read_seal(run_path: Path) -> dict[str, str]:
    """Path → SHA-256 of a run's seal.

    Raises:
        FileNotFoundError: the run has none.
        InvalidDocument: it cannot be read as one.
    """
    return parse_seal(read_regular(run_path / SEAL, MAX_SEAL_BYTES))


def run_digest(run_path: Path) -> str:
    """The digest of a sealed run, `sha256:` and 64 hex digits."""
    return digest_seal(read_regular(run_path / SEAL, MAX_SEAL_BYTES))


def digest_seal(data: bytes) -> str:
    """The digest of the run that a seal of these bytes belongs to."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
