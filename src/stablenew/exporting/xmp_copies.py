"""Copying images with an XMP packet in them. Originals are never written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stablenew.disk.atomic_file import write_once
from stablenew.disk.regular_file import read_regular
from stablenew.errors import StableNewError
from stablenew.exporting.image_places import Image, ImagePlaces
from stablenew.exporting.xmp_embedding import embed_packet, read_packet
from stablenew.exporting.xmp_packet import Opinion, build_packet, opinion_of, says_the_same
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.image_files import MAX_IMAGE_BYTES


@dataclass(slots=True)
class CopyReport:
    """What an export of copies did."""

    names: list[str] = field(default_factory=list)
    """The copies that were written, beneath the folder."""
    unchanged: int = 0
    """Copies that were there and said it already."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Images without a copy, and why."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        problems = [{"image": image, "reason": reason} for image, reason in self.problems]
        return {"names": self.names, "unchanged": self.unchanged, "problems": problems}


def export_copies(
    places: ImagePlaces,
    images: Sequence[Image],
    folder: Path,
    *,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
    clock: Clock = SYSTEM_CLOCK,
) -> CopyReport:
    """Write a copy of each image with a packet in it beneath `folder`, under the image's own path.

    The pixels and all other metadata are those of the original, byte for byte. Nothing that is there is replaced.
    """
    report = CopyReport()
    for done, image in enumerate(images, 1):
        try:
            _copy(places, image, folder, report, clock.timestamp())
        except (StableNewError, OSError) as error:
            report.problems.append((f"{image['run_id']} {image['name']}", str(error)))
        progress(done, len(images))
    return report


def _copy(places: ImagePlaces, image: Image, folder: Path, report: CopyReport, written_at: str) -> None:
    opinion = opinion_of(image, places.maker_of(image))
    data, output = places.read(image)
    name = places.name_of(image)
    copy = embed_packet(data, output.media_type, lambda before: build_packet(opinion, written_at, before))
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_once(target, copy)
        report.names.append(name)
    except FileExistsError:
        if _says_it_already(target, output.media_type, opinion):
            report.unchanged += 1
        else:
            report.problems.append((f"{image['run_id']} {image['name']}", f"there is another file at {target}"))


def _says_it_already(target: Path, media_type: str, opinion: Opinion) -> bool:
    packet = read_packet(read_regular(target, MAX_IMAGE_BYTES), media_type)
    return packet is not None and says_the_same(packet, opinion)
