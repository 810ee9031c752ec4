"""Finding outputs of different runs that have one digest and, by their SHA-256, different bytes."""

from array import array
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from stablenew.errors import StableNewError
from stablenew.store.run_store import RunStore
from stablenew.store.upkeep.verifying.verify_report import Finding, VerifyReport

SUBJECT: Final = "."
"""The store as a whole."""
_HEX_DIGITS: Final = 16
"""What is kept of a digest and of a SHA-256: 64 bits, so that millions of images take some 20 bytes each."""
_Outputs = dict[tuple[str, str], str]
"""The path of an output by its digest and SHA-256."""


def pack_hashes(sha256s: dict[str, str]) -> bytes:
    """The beginnings of digests and of the SHA-256 of the same bytes, as `VerifyReport.hashes` holds them."""
    numbers = (int(text.rpartition(":")[2][:_HEX_DIGITS], 16) for pair in sha256s.items() for text in pair)
    return array("Q", numbers).tobytes()


class DigestCollisions:
    """Remembers what the reports of runs say of their outputs, and finds what cannot be."""

    def __init__(self) -> None:
        self._run_ids: list[str] = []
        self._digests, self._sha256s, self._runs = array("Q"), array("Q"), array("L")

    def add(self, report: VerifyReport) -> None:
        """Remember the outputs of a run."""
        numbers = array("Q")
        numbers.frombytes(report.hashes)
        self._digests.extend(numbers[::2])
        self._sha256s.extend(numbers[1::2])
        self._runs.extend([len(self._run_ids)] * (len(numbers) // 2))
        self._run_ids.append(report.subject)

    def find(self, store: RunStore) -> VerifyReport:
        """A report on the store: each output of which an earlier run has another file of the same digest."""
        suspects = sorted({self._run_ids[run] for run in self._iter_suspects()})
        return VerifyReport(SUBJECT, tuple(_iter_findings(store, suspects)))

    def _iter_suspects(self) -> Iterator[int]:
        """The runs of which the part that is kept of a digest is that of other bytes, too."""
        digest_of = self._digests.__getitem__
        for _, group in groupby(sorted(range(len(self._digests)), key=digest_of), digest_of):
            outputs = list(group)
            if len({self._sha256s[output] for output in outputs}) > 1:
                yield from (self._runs[output] for output in outputs)


def _iter_findings(store: RunStore, run_ids: Iterable[str]) -> Iterator[Finding]:
    first: dict[str, tuple[str, str]] = {}
    for run_id in run_ids:
        for (digest, sha256), place in _read_outputs(store, run_id).items():
            held_by, known = first.setdefault(digest, (run_id, sha256))
            if known != sha256 and held_by != run_id:
                message = f"{digest} is in run {held_by} the digest of other bytes"
                yield Finding("digest-collision", f"{run_id}/{place}", message)


def _read_outputs(store: RunStore, run_id: str) -> _Outputs:
    found: _Outputs = {}
    try:
        for _, output in store.open(run_id).iter_outputs():
            if output.sha256 is not None:
                place = output.path or (output.origin.path if output.origin else "")
                found.setdefault((output.digest, output.sha256), place)
    except (StableNewError, OSError):
        return found  # it went away since; whatever is wrong with it is in its own report
    return found
