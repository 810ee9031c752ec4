"""Writing XMP sidecars: into a folder of their own, or beside the images, where others' are kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stablenew.disk.atomic_file import replace_file, write_once
from stablenew.disk.regular_file import read_regular
from stablenew.errors import InvalidDocument, StableNewError
from stablenew.exporting.image_places import Image, ImagePlaces
from stablenew.exporting.xmp_packet import Opinion, build_packet, opinion_of, says_the_same
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.image_metadata.xmp_opinions import read_opinion

_LONGEST: Final = 4 << 20
_ENDING: Final = ".xmp"


@dataclass(slots=True)
class SidecarReport:
    """What an export of sidecars did."""

    written: list[str] = field(default_factory=list)
    """The files that were made or changed."""
    unchanged: int = 0
    """Sidecars that said it already."""
    backups: list[str] = field(default_factory=list)
    """Copies of what other programs had written."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Images without a sidecar, and why."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        problems = [{"image": image, "reason": reason} for image, reason in self.problems]
        return {
            "written": self.written,
            "unchanged": self.unchanged,
            "backups": self.backups,
            "problems": problems,
        }


def export_sidecars(
    places: ImagePlaces,
    images: Sequence[Image],
    folder: Path | None,
    *,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
    clock: Clock = SYSTEM_CLOCK,
) -> SidecarReport:
    """Write a sidecar for each image: beneath `folder` under the image's own path, or with None beside all its files.

    What other programs wrote into a sidecar stays, and a copy of it is kept; one that cannot be read is left alone.
    """
    report = SidecarReport()
    for done, image in enumerate(images, 1):
        try:
            targets, opinion = _targets_of(places, image, folder), opinion_of(image, places.maker_of(image))
        except (StableNewError, OSError) as error:
            report.problems.append((f"{image['run_id']} {image['name']}", str(error)))
            targets = []
        for target in targets:
            try:
                _write(target, opinion, report, clock.timestamp())
            except (StableNewError, OSError) as error:
                report.problems.append((f"{image['run_id']} {image['name']}", str(error)))
        progress(done, len(images))
    return report


def _targets_of(places: ImagePlaces, image: Image, folder: Path | None) -> list[Path]:
    if folder is not None:
        return [folder / f"{places.name_of(image)}{_ENDING}"]
    return [_sidecar_of(path) for path in places.paths_in_place(image)]


def _sidecar_of(path: Path) -> Path:
    short = path.with_suffix(_ENDING)
    full = path.with_name(f"{path.name}{_ENDING}")
    return short if short.exists() and not full.exists() else full


def _write(target: Path, opinion: Opinion, report: SidecarReport, written_at: str) -> None:
    try:
        data = read_regular(target, _LONGEST)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_once(target, build_packet(opinion, written_at).encode())
        report.written.append(str(target))
        return
    try:
        before = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidDocument(f"{target} is not UTF-8, so it was left as it is") from None
    if says_the_same(before, opinion):
        report.unchanged += 1
        return
    try:
        packet = build_packet(opinion, written_at, before)
    except InvalidDocument as error:
        raise InvalidDocument(f"{target}: {error}") from None
    said = read_opinion(before)
    if said.said != said.summary:  # another program had a part in it
        report.backups.append(str(_keep(target, data)))
    replace_file(target, packet.encode())
    report.written.append(str(target))


def _keep(target: Path, data: bytes) -> Path:
    """A copy of a sidecar beside it, under a name that is free."""
    number = 1
    while True:
        copy = target.with_name(f"{target.name}.backup{'' if number == 1 else f'-{number}'}")
        try:
            write_once(copy, data)
        except FileExistsError:
            number += 1
        else:
            return copy
