"""The images that a run describes in their place: are they still there, and still the recorded ones?"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from stablenew.errors import OutputNotFound
from stablenew.formats.documents.output_reference import Origin, OutputReference
from stablenew.store.output_access import OriginChanged, locate_origin, locate_output, open_output
from stablenew.store.run import Run
from stablenew.store.source_roots import SourceRoots
from stablenew.store.upkeep.verifying.verify_report import Finding


def iter_origin_findings(run: Run, outputs: Iterable[OutputReference], *, deep: bool) -> Iterator[Finding]:
    """What is wrong with images in place: looked at by name and size, with `deep` read whole."""
    outputs = list(outputs)
    elsewhere = count_elsewhere(run, outputs)
    for output in outputs:
        if output.origin is not None and output.origin.root not in elsewhere:
            yield from _check(run, output, deep=deep)
    for root, count in elsewhere.items():
        yield Finding(
            "origin-elsewhere",
            "",
            f"{count} images lie in the source {root}, which this machine does not know; say where it is with "
            f"`stablenew sources move {root} FOLDER`",
        )


def count_elsewhere(run: Run, outputs: Iterable[OutputReference]) -> Counter[str]:
    """How many of `outputs` lie in sources that this machine does not know, by the source's id."""
    known = {root.id for root in SourceRoots(run.path.parent).list()}
    return Counter(output.origin.root for output in outputs if output.origin and output.origin.root not in known)


def _check(run: Run, output: OutputReference, *, deep: bool) -> Iterator[Finding]:
    assert output.origin is not None  # noqa: S101
    try:
        if deep:
            open_output(run, output).close()
        place = locate_output(run, output)
        status = place.lstat()
    except OriginChanged as error:
        yield Finding("origin-changed", output.origin.path, str(error))
    except (OutputNotFound, OSError) as error:
        reason = str(error) if isinstance(error, OutputNotFound) else "it is not where it was when it was imported"
        yield Finding("origin-missing", output.origin.path, reason)
    else:
        if place != _recorded_place(run, output.origin):
            yield Finding("origin-moved", output.origin.path, f"lies at {place} now")
        if status.st_size != output.size_bytes:
            message = f"has {status.st_size:,} bytes, {output.size_bytes:,} were recorded"
            yield Finding("origin-changed", output.origin.path, message)


def _recorded_place(run: Run, origin: Origin) -> Path | None:
    with contextlib.suppress(OutputNotFound):
        return locate_origin(run, origin)
    return None
