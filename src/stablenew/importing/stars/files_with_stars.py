"""Stars that stand in files: XMP sidecars, images that hold XMP or EXIF, and JSON as Eagle writes it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stablenew.disk.regular_file import open_regular, read_regular
from stablenew.formats.strict_json import parse_loose_json
from stablenew.image_metadata.reading import read_image_metadata
from stablenew.image_metadata.xmp_opinions import XmpOpinion, read_opinion
from stablenew.importing.folder_walk import IMAGE_ENDINGS
from stablenew.importing.stars.foreign_opinion import (
    PICK,
    REJECT,
    ForeignOpinion,
    from_milliseconds,
    from_seconds,
    from_text,
)

XMP: Final = "xmp"
EAGLE: Final = "eagle"
_SIDECAR: Final = ".xmp"
_EAGLE_FILE: Final = "metadata.json"
_EAGLE_FOLDER: Final = ".info"
_LONGEST_SIDECAR: Final = 4 << 20
_MOST_STARS: Final = 5


def read_folder(folder: Path) -> Iterator[ForeignOpinion]:
    """What sidecars and images in a folder say, with all below it; links are not followed."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        there = set(names)
        for name in sorted(names):
            yield from _read_name(Path(place), name, there)


def _read_name(place: Path, name: str, there: set[str]) -> Iterator[ForeignOpinion]:
    stem, ending = os.path.splitext(name)
    if ending.lower() == _SIDECAR:
        yield from read_sidecar(place / name, _image_of(stem, there))
    elif name == _EAGLE_FILE and place.name.endswith(_EAGLE_FOLDER):
        yield from read_eagle(place / name)
    elif ending.lower() in IMAGE_ENDINGS:
        yield from read_embedded(place / name)


def _image_of(stem: str, there: set[str]) -> str:
    """The image that a sidecar is about: `a.png` for `a.png.xmp`; for `a.xmp` the image with that stem."""
    if os.path.splitext(stem)[1].lower() in IMAGE_ENDINGS:
        return stem
    same = (f"{stem}{ending}" for ending in sorted(IMAGE_ENDINGS))
    return next((name for name in same if name in there), stem)


def read_sidecar(path: Path, image_name: str | None = None) -> Iterator[ForeignOpinion]:
    """What an XMP sidecar says; nothing where it cannot be read."""
    try:
        packet = read_regular(path, _LONGEST_SIDECAR).decode("utf-8-sig", "replace")
        modified = path.stat().st_mtime
    except OSError:
        return
    image = path.with_name(image_name or _image_of(path.stem, {entry.name for entry in path.parent.iterdir()}))
    yield from _from_packet(read_opinion(packet), image, modified)


def read_embedded(path: Path) -> Iterator[ForeignOpinion]:
    """What an image says about itself."""
    try:
        with open_regular(path) as file:
            metadata = read_image_metadata(file)
            modified = os.fstat(file.fileno()).st_mtime
    except OSError:
        return
    packet = next((text.text for text in metadata.raw if (text.place, text.key) == ("xmp", "xmp")), None)
    opinion = read_opinion(packet) if packet else XmpOpinion()
    if not opinion.says_something and metadata.rating:
        rating = metadata.rating
        opinion = XmpOpinion(rating=rating if rating > 0 else None, is_rejected=rating < 0, program="windows")
    yield from _from_packet(opinion, path, modified)


def _from_packet(said: XmpOpinion, image: Path, modified: float) -> Iterator[ForeignOpinion]:
    if not said.says_something or said.said == said.summary:  # what this program wrote there itself
        return
    label = [f"label:{said.label}"] if said.label else []
    yield ForeignOpinion(
        path=os.fspath(image.absolute()),
        via=said.program or XMP,
        rating=said.rating,
        flag=REJECT if said.is_rejected else PICK if said.is_picked else None,
        tags=(*said.tags, *label),
        said_at=from_text(said.said_at) or from_seconds(modified),
        digest=said.image_id,
    )


def read_eagle(path: Path) -> Iterator[ForeignOpinion]:
    """One image of an Eagle library: `<id>.info/metadata.json`, with the image beside it."""
    try:
        entry: Any = parse_loose_json(read_regular(path, _LONGEST_SIDECAR))
    except (OSError, ValueError):
        return
    if isinstance(entry, dict) and isinstance(entry.get("name"), str) and not entry.get("isDeleted"):
        yield _from_eagle(entry, path.parent / f"{entry['name']}.{entry.get('ext', '')}")


def read_eagle_list(path: Path) -> Iterator[ForeignOpinion]:
    """Images in one file of JSON: a list, or `{"data": [...]}`, of entries as Eagle's interface gives them."""
    try:
        value: Any = parse_loose_json(read_regular(path, 64 * _LONGEST_SIDECAR))
    except (OSError, ValueError):
        return
    entries = value.get("data") or value.get("items") if isinstance(value, dict) else value
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and (named := entry.get("path") or entry.get("filePath") or entry.get("name")):
            name = str(named) if "." in str(named) else f"{named}.{entry.get('ext', '')}"
            yield _from_eagle(entry, path.parent / name)


def _from_eagle(entry: dict[str, Any], image: Path) -> ForeignOpinion:
    stars, at = entry.get("star", entry.get("rating")), entry.get("lastModified") or entry.get("modificationTime")
    tags = entry.get("tags")
    note = entry.get("annotation")
    return ForeignOpinion(
        path=os.fspath(image.absolute()),
        via=EAGLE,
        rating=stars if type(stars) is int and 1 <= stars <= _MOST_STARS else None,
        tags=tuple(tag for tag in tags if isinstance(tag, str) and tag) if isinstance(tags, list) else (),
        note=note if isinstance(note, str) and note.strip() else None,
        said_at=from_milliseconds(at),
        size_bytes=entry["size"] if isinstance(entry.get("size"), int) else None,
    )
