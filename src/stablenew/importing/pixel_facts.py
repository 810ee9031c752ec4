"""What the pixels of an image say, however its file is written: worked out in child processes of low priority.

Digests of pixels cost twenty times those of bytes, so an import does not wait for them.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stablenew import worker_pool
from stablenew.errors import StableNewError
from stablenew.formats.image_files import digest_pixels, open_image, to_8_bit
from stablenew.store.output_access import open_output
from stablenew.store.run import Run

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE: Final = 8
"""Of the differences of a perceptual hash: 8 x 8 bits."""


class PixelFacts(NamedTuple):
    """Facts of one image; all are empty where it cannot be decoded."""

    digest: str
    pixel_digest: str = ""
    """Over the 8-bit RGB rows: the same for every lossless copy."""
    sha512: str = ""
    """Over the pixels as the file has them, which the images browser of A1111 keeps."""
    look: int | None = None
    """64 bits of differences of brightness: lossy and scaled copies differ in few of them."""


def describe_pixels(data: bytes, digest: str = "") -> PixelFacts:
    """The facts of the image in `data`.

    Raises:
        UndecodableImage, ImageTooLarge: see `open_image`.
    """
    with open_image(data) as image:
        image.load()
        sha512 = hashlib.sha512(image.tobytes()).hexdigest()
        return PixelFacts(digest, digest_pixels(image), sha512, _look_of(image))


def _look_of(image: "Image") -> int:
    """A hash that neighbours in brightness make: 1 where the right one is brighter. Signed, as SQLite keeps it."""
    small = to_8_bit(image).convert("L").resize((_SIDE + 1, _SIDE))
    rows = small.tobytes()
    bits = 0
    for row in range(_SIDE):
        for column in range(_SIDE):
            at = row * (_SIDE + 1) + column
            bits = bits << 1 | (rows[at] < rows[at + 1])
    return bits - (1 << 64) if bits >> 63 else bits


def iter_facts(
    root: Path, tasks: Iterable[tuple[str, Sequence[str]]], *, processes: int | None = None
) -> Iterator[list[PixelFacts]]:
    """The facts of outputs of the store at `root`: a run with the digests of its outputs is a task."""
    encoded: Iterable[Any] = ([run_id, list(digests)] for run_id, digests in tasks)
    if not worker_pool.is_available():
        yield from (describe_outputs(root, run_id, digests) for run_id, digests in encoded)
        return
    yield from worker_pool.iter_answers(__name__, [os.fspath(root)], encoded, count=processes)


def describe_outputs(root: Path, run_id: str, digests: Iterable[str]) -> list[PixelFacts]:
    """The facts of some outputs of a run; of those that are not there or cannot be decoded there are none."""
    run, wanted, found = Run(root / run_id), set(digests), []
    with contextlib.suppress(OSError, ValueError):
        for _, output in run.iter_outputs():
            if output.digest in wanted:
                wanted.remove(output.digest)
                found.append(_describe(run, output))
    return [facts for facts in found if facts is not None]


def _describe(run: Run, output: Any) -> PixelFacts | None:
    try:
        with open_output(run, output) as file:
            data = file.read()
    except (OSError, StableNewError):
        return None  # it may be there next time
    try:
        return describe_pixels(data, output.digest)
    except StableNewError:
        return PixelFacts(output.digest)


def _serve(root: Path) -> None:
    from stablenew.importing import pixel_facts  # noqa: PLC0415, PLW0406  # answers must not be of `__main__`

    worker_pool.lower_priority()
    worker_pool.serve(lambda task: pixel_facts.describe_outputs(root, task[0], task[1]))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
