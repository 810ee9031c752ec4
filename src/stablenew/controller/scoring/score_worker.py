"""A child process that scores the images of runs; see `worker_pool`.

Arguments: the folder of the runs, and the scorer's name. A task is a run with some of its images.
"""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stablenew.controller.scoring.scorers import Scorer, load_scorer
from stablenew.errors import StableNewError
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.image_files import MAX_IMAGE_BYTES, open_image
from stablenew.recording.odd_values import nearest_slug
from stablenew.recording.side_channel import attempt, describe
from stablenew.store.output_access import open_output
from stablenew.store.run import Run
from stablenew.worker_pool import serve

_LARGEST: Final = 1e300

Answer = list[tuple[str, dict[str, float], str | None]]
"""Digest, scores by metric, and why there are none."""


def score_task(root: Path, scorer: Scorer, task: Mapping[str, Any]) -> Answer:
    """The scores of some images of one run."""
    run = Run(root / task["run_id"])
    found, error = attempt(lambda: {output.digest: output for _, output in run.iter_outputs()})
    outputs: dict[str, OutputReference] = found or {}
    answer: Answer = []
    for image in task["images"]:
        digest = image["digest"]
        if digest not in outputs:
            answer.append((digest, {}, describe(error) if error else "its record cannot be read"))
            continue
        scores, failure = attempt(score_image, run, outputs[digest], scorer, image)
        answer.append((digest, scores or {}, describe(failure) if failure else None))
    return answer


def score_image(run: Run, output: OutputReference, scorer: Scorer, facts: Mapping[str, Any]) -> dict[str, float]:
    """The scores of one image by metric.

    Raises:
        Exception: whatever reading, decoding or the scorer raises.
    """
    with open_output(run, output) as file:
        data = file.read(MAX_IMAGE_BYTES + 1)
    if digest_bytes(data) != output.digest:
        raise StableNewError("its bytes are not those that were recorded")
    from PIL import ImageOps  # noqa: PLC0415

    with open_image(data) as opened:
        image = ImageOps.exif_transpose(opened)
        image.load()
    return read_scores(scorer.score(image, facts), scorer.metric)


def read_scores(value: Any, metric: str) -> dict[str, float]:
    """What a scorer returned, by metric. Raises TypeError: it is neither a number nor numbers by name."""
    if isinstance(value, Mapping):
        return {nearest_slug(str(name), metric): _number(number) for name, number in value.items()}
    return {metric: _number(value)}


def _number(value: Any) -> float:
    number = float(value)  # of NumPy and torch as well
    if not math.isfinite(number) or abs(number) >= _LARGEST:
        raise ValueError(f"expected a number, found {number}")
    return number


def main() -> None:
    """Answer tasks until there are no more."""
    root, name = Path(sys.argv[1]), sys.argv[2]
    scorer = load_scorer(name)
    serve(lambda task: score_task(root, scorer, task))


if __name__ == "__main__":
    main()
