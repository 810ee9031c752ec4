"""Verifying many runs in worker processes, because hashing and decoding take the time.

Run as a program, this module is such a worker.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from stablenew import worker_pool
from stablenew.store.run import Run
from stablenew.store.upkeep.run_verifier import RunVerifier
from stablenew.store.upkeep.verify_report import VerifyReport

CHUNK: Final = 16
WORTH_PROCESSES: Final = 500
"""Runs to verify for which starting processes pays."""
WORTH_PROCESSES_DEEP: Final = 50


def iter_reports(runs: Sequence[Run], *, deep: bool = False) -> Iterator[VerifyReport]:
    """The report of each run, in order; see `RunVerifier`.

    Raises:
        ChildProcessError: a process died.
    """
    if len(runs) < (WORTH_PROCESSES_DEEP if deep else WORTH_PROCESSES) or not worker_pool.is_available():
        yield from (_verify(run, deep=deep) for run in runs)
        return
    paths = [os.fspath(run.path.absolute()) for run in runs]
    chunks = [paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK)]
    for reports in worker_pool.iter_answers(__name__, ["deep"] if deep else [], chunks):
        yield from reports


def _verify(run: Run, *, deep: bool) -> VerifyReport:
    return RunVerifier(run, deep=deep).verify()


def _serve(*, deep: bool) -> None:
    worker_pool.serve(lambda paths: [_verify(Run(Path(path)), deep=deep) for path in paths])


if __name__ == "__main__":
    _serve(deep="deep" in sys.argv)
