"""Verifying many runs in worker processes, because hashing and decoding take the time, and a decoder may crash.

Run as a program, this module is such a worker. A run that ends its worker is checked again, each of its images in a
process of its own, so that the image becomes a finding and everything else is checked as ever.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from stablenew import worker_pool
from stablenew.errors import ImageTooLarge, UndecodableImage
from stablenew.formats.image_files import DecodedImage, decode_image
from stablenew.store.run import Run
from stablenew.store.upkeep.verifying.run_verifier import RunVerifier
from stablenew.store.upkeep.verifying.verify_report import VerifyReport

CHUNK: Final = 16
WORTH_PROCESSES: Final = 500
"""Runs to verify for which starting processes pays. With images to decode they are always started."""
_DEEP: Final = "deep"
_DECODE: Final = "decode"


def iter_reports(runs: Sequence[Run], *, deep: bool = False) -> Iterator[VerifyReport]:
    """The report of each run, in order; see `RunVerifier`.

    Raises:
        ChildProcessError: a process died, and not because of an image.
    """
    if not runs or (not deep and len(runs) < WORTH_PROCESSES) or not worker_pool.is_available():
        yield from (RunVerifier(run, deep=deep).verify() for run in runs)
        return
    paths = [os.fspath(run.path.absolute()) for run in runs]
    chunks = [paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK)]
    done = 0
    while done < len(chunks):
        try:
            for reports in _ask_workers(chunks[done:], deep=deep):
                yield from reports
                done += 1
        except ChildProcessError:
            if not deep:
                raise
            yield from _verify_one_by_one(chunks[done])
            done += 1


def _ask_workers(
    chunks: Sequence[Sequence[str]], *, deep: bool, most: int | None = None
) -> Iterator[list[VerifyReport]]:
    count = min(len(chunks), most or worker_pool.processor_count())
    answers = worker_pool.iter_answers(__name__, [_DEEP] if deep else [], chunks, count=count)
    with contextlib.closing(answers):
        yield from answers


def _verify_one_by_one(paths: Sequence[str]) -> Iterator[VerifyReport]:
    """The report of each run. One that its worker dies of is checked here, with a process for each image."""
    left = list(paths)
    while left:
        try:
            for (report,) in _ask_workers([[path] for path in left], deep=True, most=1):
                yield report
                del left[0]
        except ChildProcessError:
            yield RunVerifier(Run(Path(left.pop(0))), deep=True, decode=_decode_apart).verify()


def _decode_apart(data: bytes) -> DecodedImage:
    """As `decode_image`, by another process."""
    command = worker_pool.module_command(__name__, _DECODE)
    done = subprocess.run(command, input=data, capture_output=True, check=False, process_group=worker_pool.OWN_GROUP)  # noqa: S603
    kind, *facts = done.stdout.decode("utf-8", "replace").split("\n")
    if done.returncode or kind not in {"decoded", "large"}:
        reason = facts[0] if facts and facts[0] else f"its decoder crashed ({done.returncode})"
        raise UndecodableImage(reason)
    if kind == "large":
        raise ImageTooLarge(facts[0])
    width, height, *digests = facts
    return DecodedImage(int(width), int(height), tuple(digests))


def _decode_here() -> None:
    """Decode the image on the standard input, and print what came of it."""
    try:
        width, height, digests = decode_image(sys.stdin.buffer.read())
    except ImageTooLarge as error:
        lines = ["large", str(error)]
    except UndecodableImage as error:
        lines = ["undecodable", " ".join(str(error).split())]
    else:
        lines = ["decoded", str(width), str(height), *digests]
    sys.stdout.buffer.write("\n".join(lines).encode("utf-8", "replace"))


def _serve(*, deep: bool) -> None:
    worker_pool.serve(lambda paths: [RunVerifier(Run(Path(path)), deep=deep).verify() for path in paths])


if __name__ == "__main__":
    if _DECODE in sys.argv[1:]:
        _decode_here()
    else:
        _serve(deep=_DEEP in sys.argv[1:])
